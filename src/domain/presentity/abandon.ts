/**
 * Watchers inside the program in which the core runs end with that program: they have no address to which anything
 * could be sent.
 */
import { get, values } from "../table.ts"
import type { DialogStart } from "../vocabulary.ts"
import type { Abandon } from "./commands.ts"
import { done } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import type { Event } from "./events.ts"
import { byNo } from "./state.ts"
import type { State } from "./state.ts"

/** The `flow` of a dialog with a watcher inside the program. */
export const programFlow = "library"

export const isWithinProgram = ({ flow }: Pick<DialogStart, "flow">): boolean => flow === programFlow

/** Whether a watcher inside the program exists. O(dialogs). */
export const isWatchedWithinProgram = (state: State): boolean => {
  for (const { start } of values(state.dialogs)) if (isWithinProgram(start)) return true
  return false
}

/**
 * No NOTIFY is sent, since the watchers no longer exist. A watcher that returns subscribes anew (RFC 3265 §3.2.4,
 * `deactivated`).
 */
export const abandon = (state: State, { only }: Abandon): Outcome =>
  done(
    [...values(state.subscriptions)]
      .filter(({ no: id, dialog }) => {
        const start = get(state.dialogs, dialog)?.start
        return start !== undefined && isWithinProgram(start) && only?.includes(id) !== false
      })
      .sort(byNo)
      .map(({ no: id }): Event => ({
        _tag: "SubscriptionTerminated",
        no: id,
        reason: "deactivated",
        silent: true,
        waitsUntil: null,
      })),
  )
