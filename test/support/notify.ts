import type { Subscribe } from "../../src/domain/presentity/commands.ts"
/** NOTIFYs as the core gives them to the SIP side, for tests that send some themselves. */
import type { Notify } from "../../src/domain/presentity/intents.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"

/** An active NOTIFY without a document in a dialog. */
export const notifyOf = (
  { dialog }: Pick<Subscribe, "dialog">,
  changes: Partial<Notify> & { readonly presentity?: Uri | null } = {},
): Notify => ({
  _tag: "Notify",
  no: 1,
  cseq: 1,
  packageName: "presence",
  eventId: null,
  dialog,
  state: "active",
  expires: 600,
  reason: null,
  retryAfter: null,
  body: null,
  rates: null,
  entityTag: null,
  ...changes,
  presentity: changes.presentity ?? ("sip:alice@example.com" as Uri),
})
