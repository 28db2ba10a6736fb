/**
 * Whether the source of rules had been read when a decision was made: what its events record, or otherwise what
 * subscriptions that wait for the source do, because nothing changed for them.
 */
import type { IsUnread } from "../presentity/context.ts"
import type { Decision } from "../presentity/events.ts"
import type { State } from "../presentity/state.ts"
import { get, values } from "../table.ts"
import type { PackageName } from "../vocabulary.ts"

/** @param state the state on which the decision was made */
export const unreadBehind = (state: State, { events }: Pick<Decision, "events">): IsUnread => {
  const answers = new Map<PackageName, boolean>()
  const note = (packageName: PackageName, isUnread: boolean): void =>
    // another watcher of the package may have been decided on by name
    void answers.set(packageName, isUnread || answers.get(packageName) === true)
  for (const event of events) {
    if (event._tag === "SubscriptionCreated") note(event.packageName, event.unread === true)
    if (event._tag !== "SubscriptionStatusChanged") continue
    const packageName = get(state.subscriptions, event.no)?.packageName
    if (packageName !== undefined) note(packageName, event.unread === true)
  }
  return (_, packageName) => {
    const known = answers.get(packageName)
    if (known !== undefined) return known
    for (const subscription of values(state.subscriptions))
      if (subscription.packageName === packageName && subscription.unread === true) return true
    return false
  }
}
