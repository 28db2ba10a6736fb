/**
 * What an authorization hook must have said in a recorded decision: what the events say of a watcher, else what its
 * subscription says, since nothing changed for it.
 */
import type { Authorize, Limits } from "../presentity/context.ts"
import type { Decision, Status } from "../presentity/events.ts"
import { evolve } from "../presentity/evolve.ts"
import type { State } from "../presentity/state.ts"
import { get, values } from "../table.ts"
import type { PackageName, SubHandling, Uri } from "../vocabulary.ts"

/** One whose words are not known otherwise. */
export const hookBehind = (
  before: State,
  decision: Pick<Decision, "cause" | "events" | "at">,
  limits: Pick<Limits, "noRules">,
): Authorize => {
  const said = new Map<string, SubHandling | null>()
  const note = (packageName: PackageName, watcher: Uri, handling: SubHandling | null): void =>
    void said.set(`${packageName} ${watcher}`, handling)
  let state = before
  for (const event of decision.events) {
    if (event._tag === "SubscriptionCreated" && event.forced !== true)
      note(event.packageName, event.watcher, saidIn(event))
    if (event._tag === "SubscriptionStatusChanged" && event.forced !== true) {
      const one = get(state.subscriptions, event.no)
      if (one !== undefined) note(one.packageName, one.watcher, saidIn(event))
    }
    if (event._tag === "SubscriptionTerminated" && event.reason === "rejected") {
      const one = get(state.subscriptions, event.no)
      if (one !== undefined) note(one.packageName, one.watcher, "block")
    }
    if (event._tag === "WaitingEnded" && (event.event === "approved" || event.event === "rejected")) {
      const one = get(state.waiting, event.no)
      if (one !== undefined)
        note(one.packageName, one.watcher, event.event === "approved" ? "allow" : "block")
    }
    // of several subscriptions of a watcher it is the one that was asked for
    if (
      decision.cause === "Resubscribe" &&
      (event._tag === "SubscriptionRefreshed" || event._tag === "SubscriptionTerminated")
    ) {
      const one = get(state.subscriptions, event.no)
      if (one !== undefined && one.matched === null && !said.has(`${one.packageName} ${one.watcher}`))
        note(one.packageName, one.watcher, saidIn(one))
    }
    state = evolve(state, event, decision.at)
  }
  return ({ packageName, watcher }) => {
    const known = said.get(`${packageName} ${watcher}`)
    if (known !== undefined) return known
    for (const one of values(before.subscriptions)) {
      if (one.packageName !== packageName || one.watcher !== watcher || one.forced || one.parked === true)
        continue
      return saidIn(one)
    }
    for (const one of values(before.waiting)) {
      if (one.packageName === packageName && one.watcher === watcher) return "confirm"
    }
    return limits.noRules === "block" ? "allow" : limits.noRules
  }
}

/** Null: nothing; rules matched, or would have been asked had their source been read. */
const saidIn = (one: {
  readonly status: Status
  readonly polite: boolean
  readonly matched: string | null
  readonly unread?: true
}): SubHandling | null => (one.matched === null && one.unread !== true ? handlingOf(one) : null)

const handlingOf = ({ status, polite }: { readonly status: Status; readonly polite: boolean }): SubHandling =>
  status === "pending" ? "confirm" : polite ? "polite-block" : "allow"
