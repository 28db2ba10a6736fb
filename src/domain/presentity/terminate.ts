/**
 * Subscriptions ended by the operator: their server moves, they are to return later, or the resource no longer exists.
 */
import { values } from "../table.ts"
import type { Terminate } from "./commands.ts"
import { done } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import type { Event } from "./events.ts"
import { byNo } from "./state.ts"
import type { State } from "./state.ts"

/**
 * Ends every subscription to a package, or those of one watcher, and notifies each of the reason.
 *
 * Waiting watchers are forgotten only if the resource no longer exists (RFC 3857 §4.7.1).
 *
 * @source RFC 3265 §3.2.4
 */
export const terminate = (state: State, command: Terminate): Outcome => {
  const { packageName, watcher, reason } = command
  const matches = (subject: { readonly packageName: string; readonly watcher: string }): boolean =>
    subject.packageName === packageName && (watcher === null || subject.watcher === watcher)
  const ended = [...values(state.subscriptions)]
    .filter(matches)
    .sort(byNo)
    .map(({ no: id, parked }): Event => ({
      _tag: "SubscriptionTerminated",
      no: id,
      reason,
      // the server responsible for the subscription notifies the watcher
      silent: parked === true,
      waitsUntil: null,
    }))
  const forgotten = [...values(state.waiting)]
    .filter((waiting) => reason === "noresource" && matches(waiting))
    .sort(byNo)
    .map(({ no: id }): Event => ({ _tag: "WaitingEnded", no: id, event: "noresource" }))
  return done([...ended, ...forgotten])
}
