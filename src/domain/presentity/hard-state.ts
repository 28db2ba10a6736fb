/**
 * Hard state: what a presentity shows of a package while no device publishes, set by the operator or an XCAP server.
 *
 * Composition treats it as one more publication, older than all others, without an entity-tag and without expiry. A
 * PUBLISH can neither see nor change it.
 */
import { get } from "../table.ts"
import type { Body } from "../vocabulary.ts"
import type { Answer, SetHardState } from "./commands.ts"
import type { Context } from "./context.ts"
import { isDone, rejected } from "./decision.ts"
import { changePublished, syntaxFault, typeFault } from "./publish.ts"
import { badEvent } from "./rejections.ts"
import type { Draft } from "./transition.ts"

/**
 * Replaces or removes the hard state of one package, and notifies the watchers whose view changes.
 *
 * @source RFC 4827 §3: composed like any other input, independent of what is published
 * @rejects BadEvent (489) for a package that cannot be published, UnsupportedMediaType (415), BadRequest (400) when the
 *   body cannot be read; the previous state then remains
 */
export const setHardState = (draft: Draft, command: SetHardState, context: Context): Answer => {
  const { packageName, body } = command
  const eventPackage = context.packages.find(packageName)
  if (eventPackage === null || eventPackage.accepts.length === 0) return rejected(badEvent(context))
  const fault = body === null ? null : (typeFault(body, eventPackage) ?? syntaxFault(body, eventPackage))
  if (fault !== null) return rejected(fault)
  if (isSame(get(draft.before.hardState, packageName) ?? null, body)) return isDone
  changePublished(draft, { _tag: "HardStateReplaced", packageName, body }, eventPackage, context)
  return isDone
}

const isSame = (present: Body | null, replacement: Body | null): boolean =>
  present === replacement ||
  (present !== null &&
    replacement !== null &&
    present.contentType === replacement.contentType &&
    present.parameters === replacement.parameters &&
    present.text === replacement.text)
