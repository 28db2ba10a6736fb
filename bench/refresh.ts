/**
 * The refresh of a subscription, as benchmarks of decisions send it.
 */
import type { Command } from "../src/domain/presentity/commands.ts"
import type { DialogKey, Uri } from "../src/domain/vocabulary.ts"

/** @param expires in seconds */
export const refreshOf = (dialog: DialogKey, watcher: Uri, cseq: number, expires: number): Command => ({
  _tag: "Resubscribe",
  dialog,
  packageName: "presence",
  eventId: null,
  watcher,
  expires,
  accept: null,
  cseq,
  remoteTarget: null,
  forceActive: false,
  bodyFault: null,
})
