/**
 * Hard state: what somebody shows of a package when no device publishes, put there by the operator or by an XCAP server.
 *
 * It is one more publication to everything that looks at publications, the oldest of all, without entity-tag and without
 * end; a PUBLISH can neither see nor change it.
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
 * Replaces or removes the hard state of one package, and tells its watchers if they see a difference.
 *
 * @source RFC 4827 §3: composed like any other input, independent of what is published
 * @rejects BadEvent (489) for a package that cannot be published, UnsupportedMediaType (415), BadRequest (400) when the
 *   body cannot be read: the old one stays
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
