/**
 * Reconstructs what an authorization hook answered in a recorded decision: what the events record about a watcher, or
 * otherwise what its subscription does, because nothing changed for it.
 */
import type { Authorize, Limits } from "../presentity/context.ts"
import type { Decision, Status } from "../presentity/events.ts"
import { evolve } from "../presentity/evolve.ts"
import type { State } from "../presentity/state.ts"
import { get, values } from "../table.ts"
import type { PackageName, SubHandling, Uri } from "../vocabulary.ts"

/** A hook with the answers behind a decision. */
export const hookBehind = (
  before: State,
  decision: Pick<Decision, "cause" | "events" | "at">,
  limits: Pick<Limits, "noRules">,
): Authorize => {
  const answers = new Map<string, SubHandling | null>()
  const note = (packageName: PackageName, watcher: Uri, handling: SubHandling | null): void =>
    void answers.set(`${packageName} ${watcher}`, handling)
  let state = before
  for (const event of decision.events) {
    if (event._tag === "SubscriptionCreated" && event.forced !== true)
      note(event.packageName, event.watcher, answerIn(event))
    if (event._tag === "SubscriptionStatusChanged" && event.forced !== true) {
      const subscription = get(state.subscriptions, event.no)
      if (subscription !== undefined) note(subscription.packageName, subscription.watcher, answerIn(event))
    }
    if (event._tag === "SubscriptionTerminated" && event.reason === "rejected") {
      const subscription = get(state.subscriptions, event.no)
      if (subscription !== undefined) note(subscription.packageName, subscription.watcher, "block")
    }
    if (event._tag === "WaitingEnded" && (event.event === "approved" || event.event === "rejected")) {
      const waiting = get(state.waiting, event.no)
      if (waiting !== undefined)
        note(waiting.packageName, waiting.watcher, event.event === "approved" ? "allow" : "block")
    }
    // of several subscriptions of a watcher, only the one in the request was evaluated
    if (
      decision.cause === "Resubscribe" &&
      (event._tag === "SubscriptionRefreshed" || event._tag === "SubscriptionTerminated")
    ) {
      const subscription = get(state.subscriptions, event.no)
      if (
        subscription !== undefined &&
        subscription.matched === null &&
        !answers.has(`${subscription.packageName} ${subscription.watcher}`)
      )
        note(subscription.packageName, subscription.watcher, answerIn(subscription))
    }
    state = evolve(state, event, decision.at)
  }
  return ({ packageName, watcher }) => {
    const known = answers.get(`${packageName} ${watcher}`)
    if (known !== undefined) return known
    for (const subscription of values(before.subscriptions)) {
      if (
        subscription.packageName !== packageName ||
        subscription.watcher !== watcher ||
        subscription.forced ||
        subscription.parked === true
      )
        continue
      return answerIn(subscription)
    }
    for (const waiting of values(before.waiting)) {
      if (waiting.packageName === packageName && waiting.watcher === watcher) return "confirm"
    }
    return limits.noRules === "block" ? "allow" : limits.noRules
  }
}

/** Null: the hook left the decision to the rules, which matched, or whose source had not been read. */
const answerIn = (subject: {
  readonly status: Status
  readonly polite: boolean
  readonly matched: string | null
  readonly unread?: true
}): SubHandling | null => (subject.matched === null && subject.unread !== true ? handlingOf(subject) : null)

const handlingOf = ({ status, polite }: { readonly status: Status; readonly polite: boolean }): SubHandling =>
  status === "pending" ? "confirm" : polite ? "polite-block" : "allow"
