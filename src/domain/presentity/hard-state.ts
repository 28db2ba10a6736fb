/**
 * Hard state: what somebody shows of a package when no device publishes, put there by the operator or by an XCAP server.
 *
 * It is one more publication to everything that looks at publications, the oldest of all, without entity-tag and without
 * end; a PUBLISH can neither see nor change it.
 */
import { get } from "../table.ts"
import type { Body } from "../vocabulary.ts"
import type { SetHardState } from "./commands.ts"
import type { Context } from "./context.ts"
import { accept, reject } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import { syntaxFault, typeFault, withConsequences } from "./publish.ts"
import type { State } from "./state.ts"

/**
 * Replaces or removes the hard state of one package, and tells its watchers if they see a difference.
 *
 * @source RFC 4827 §3: composed like any other input, independent of what is published
 * @rejects BadEvent (489) for a package that cannot be published, UnsupportedMediaType (415), BadRequest (400) when the
 *   body cannot be read: the old one stays
 */
export const setHardState = (state: State, command: SetHardState, context: Context): Outcome => {
  const { packageName, body } = command
  const eventPackage = context.packages.find(packageName)
  if (eventPackage === null || eventPackage.accepts.length === 0) {
    return reject({ _tag: "BadEvent", status: 489, allowEvents: context.packages.allowEvents })
  }
  const fault = body === null ? null : (typeFault(body, eventPackage) ?? syntaxFault(body, eventPackage))
  if (fault !== null) return reject(fault)
  if (isSame(get(state.hardState, packageName) ?? null, body)) return accept([], { _tag: "Done" })
  const events = withConsequences(
    state,
    { _tag: "HardStateReplaced", packageName, body },
    eventPackage,
    context,
    null,
  )
  return accept(events, { _tag: "Done" })
}

const isSame = (one: Body | null, other: Body | null): boolean =>
  one === other ||
  (one !== null &&
    other !== null &&
    one.contentType === other.contentType &&
    one.parameters === other.parameters &&
    one.text === other.text)
