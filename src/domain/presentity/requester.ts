/**
 * Whose request a decision answers: the addresses and the Call-ID recorded with it are personal data of that person,
 * not of the presentity.
 */
import { get } from "../table.ts"
import type { Uri } from "../vocabulary.ts"
import type { Command } from "./commands.ts"
import type { Event } from "./events.ts"
import type { State } from "./state.ts"

/**
 * @param before the state on which the decision was made
 * @returns the watcher that sent the request, or whose NOTIFY was answered; null: a publisher, an operator, or the
 *   server itself
 */
export const requesterOf = (before: State, command: Command, events: readonly Event[]): Uri | null => {
  switch (command._tag) {
    case "Subscribe":
      return command.watcher
    case "Resubscribe": {
      // whoever sent it, what it refreshes belongs to the watcher that created it
      for (const event of events) {
        const known = "no" in event ? get(before.subscriptions, event.no) : undefined
        if (known !== undefined) return known.watcher
      }
      return command.watcher
    }
    case "ReportDelivery":
      return get(before.subscriptions, command.no)?.watcher ?? null
    default:
      return null
  }
}
