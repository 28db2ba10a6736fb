/**
 * What policies mean for those who watch already: asked once of every state that comes from the store, before anything else
 * is decided on it, since settings may be others than those it was decided with.
 */
import { get, values } from "../table.ts"
import type { PackageName, SubscriptionNo, Uri, WatchPolicy } from "../vocabulary.ts"
import { reviewWhere } from "./authorize.ts"
import type { Context } from "./context.ts"
import { accept } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import type { Event } from "./events.ts"
import { evolve } from "./evolve.ts"
import type { State, Subscription, Waiting } from "./state.ts"
import { isKeptOut, policyOf } from "./watching.ts"

/** What one watcher is in for. */
export interface PolicyChange {
  readonly packageName: PackageName
  readonly watcher: Uri
  readonly no: SubscriptionNo
  /** The policy that changes it; null: another word, as the operator's, that it was not judged by before. */
  readonly policy: WatchPolicy | null
  /** `waiting`: it is remembered without a subscription. */
  readonly was: "active" | "pending" | "waiting"
  /** `active`: it sees what it did not, or something else. */
  readonly becomes: "ended" | "pending" | "active"
}

/**
 * Ends or converts whatever the policies in force treat otherwise; no events when that is nothing.
 *
 * Subscriptions that are over by now are left to time. Those that asked rules before and would ask them now are left to the
 * rules, which have reviews of their own; so are watchers that wait.
 */
export const applyPolicies = (state: State, context: Context): Outcome => {
  const { watching } = context.limits
  const events: Event[] = []
  if (watching === undefined) return accept(events, { _tag: "Done" })
  let after = state
  for (const name of packagesWatched(state)) {
    const pack = context.packages.find(name)
    if (pack === null) continue
    const asksRules = policyOf(pack, state.presentity, watching) === "rules"
    const isMeant = (one: Subscription | Waiting): boolean => {
      const isOver = ("expiresAt" in one ? one.expiresAt : one.giveUpAt) <= context.now
      const isRuled = asksRules && !("expiresAt" in one && one.policy !== "rules")
      return !isOver && (!isRuled || isKeptOut(pack, state.presentity, one.watcher, watching))
    }
    for (const event of reviewWhere(after, pack, context, isMeant)) {
      after = evolve(after, event, context.now)
      events.push(event)
    }
  }
  return accept(events, { _tag: "Done" })
}

/** The same for people: who is ended, and who is shown otherwise. */
export const policyChanges = (state: State, context: Context): readonly PolicyChange[] =>
  applyPolicies(state, context).events.flatMap((event): readonly PolicyChange[] => {
    if (event._tag === "SubscriptionTerminated" || event._tag === "SubscriptionStatusChanged") {
      const one = get(state.subscriptions, event.no)
      if (one === undefined) return []
      const becomes = event._tag === "SubscriptionTerminated" ? "ended" : event.status
      return [change(one, event.policy ?? null, one.status, becomes)]
    }
    if (event._tag === "WaitingEnded") {
      const one = get(state.waiting, event.no)
      const pack = one === undefined ? null : context.packages.find(one.packageName)
      if (one === undefined || pack === null) return []
      const policy = policyOf(pack, state.presentity, context.limits.watching)
      return [change(one, policy, "waiting", event.event === "rejected" ? "ended" : "active")]
    }
    return []
  })

const change = (
  { packageName, watcher, no }: Subscription | Waiting,
  policy: WatchPolicy | null,
  was: PolicyChange["was"],
  becomes: PolicyChange["becomes"],
): PolicyChange => ({ packageName, watcher, no, policy, was, becomes })

const packagesWatched = (state: State): readonly PackageName[] => {
  const names = new Set<PackageName>()
  for (const { packageName } of values(state.subscriptions)) names.add(packageName)
  for (const { packageName } of values(state.waiting)) names.add(packageName)
  return [...names].sort()
}
