/**
 * Whose request a decision answers: what it says of addresses and Call-IDs is that person's, and not the presentity's.
 */
import { get } from "../table.ts"
import type { Uri } from "../vocabulary.ts"
import type { Command } from "./commands.ts"
import type { Event } from "./events.ts"
import type { State } from "./state.ts"

/**
 * @param before the state that was decided on
 * @returns the watcher that asked, or whose NOTIFY was answered; null: a publisher, an operator, or nobody
 */
export const requesterOf = (before: State, command: Command, events: readonly Event[]): Uri | null => {
  switch (command._tag) {
    case "Subscribe":
      return command.watcher
    case "Resubscribe": {
      // whoever sends it, what it refreshes is of the watcher that created it
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
