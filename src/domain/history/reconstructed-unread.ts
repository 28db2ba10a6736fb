/**
 * Whether the source of rules had been read when a decision was made: what its events say, else what subscriptions that
 * wait for the source say, since nothing changed for them.
 */
import type { IsUnread } from "../presentity/context.ts"
import type { Decision } from "../presentity/events.ts"
import type { State } from "../presentity/state.ts"
import { get, values } from "../table.ts"
import type { PackageName } from "../vocabulary.ts"

/** @param state the one that the decision was made on */
export const unreadBehind = (state: State, { events }: Pick<Decision, "events">): IsUnread => {
  const said = new Map<PackageName, boolean>()
  const note = (packageName: PackageName, isUnread: boolean): void =>
    // somebody else in the package may have been decided on by name
    void said.set(packageName, isUnread || said.get(packageName) === true)
  for (const event of events) {
    if (event._tag === "SubscriptionCreated") note(event.packageName, event.unread === true)
    if (event._tag !== "SubscriptionStatusChanged") continue
    const packageName = get(state.subscriptions, event.no)?.packageName
    if (packageName !== undefined) note(packageName, event.unread === true)
  }
  return (_, packageName) => {
    const known = said.get(packageName)
    if (known !== undefined) return known
    for (const one of values(state.subscriptions))
      if (one.packageName === packageName && one.unread === true) return true
    return false
  }
}
