/**
 * What policies mean for existing watchers. Settings may have changed since a state was stored, so this is decided for
 * every state that comes from the store, before anything else.
 */
import { get, values } from "../table.ts"
import type { PackageName, SubscriptionNo, Uri, WatchWord } from "../vocabulary.ts"
import { review } from "./authorize.ts"
import type { Answer } from "./commands.ts"
import type { Context } from "./context.ts"
import { isDone } from "./decision.ts"
import type { State, Subscription, Waiting } from "./state.ts"
import { begin } from "./transition.ts"
import type { Draft } from "./transition.ts"
import { isKeptOut, policyOf } from "./watching.ts"

/** What changes for one watcher. */
export interface PolicyChange {
  readonly packageName: PackageName
  readonly watcher: Uri
  readonly no: SubscriptionNo
  /**
   * The policy that causes the change; null: something else, such as the operator's decision, which did not apply
   * before.
   */
  readonly policy: WatchWord | null
  /** What admitted the watcher or left it pending; undefined: the log does not say. */
  readonly formerly: WatchWord | undefined
  /** `waiting`: the watcher is remembered without a subscription. */
  readonly was: "active" | "pending" | "waiting"
  /** `active`: the watcher sees something that it did not see before, or something else. */
  readonly becomes: "ended" | "pending" | "active"
  /** Whether the watcher can notice the change; otherwise the log only records what decides from now on. */
  readonly isSeen: boolean
}

/**
 * Ends or converts every watcher that the policies in force treat differently; no events if there is none.
 *
 * Subscriptions that have already expired are left to time. Those that were and are decided by rules are left to the
 * rules, which have reviews of their own, and so are waiting watchers.
 */
export const applyPolicies = (draft: Draft, context: Context): Answer => {
  const { watching } = context.limits
  const state = draft.before
  if (watching === undefined) return isDone
  for (const name of packagesWatched(state)) {
    const eventPackage = context.packages.find(name)
    if (eventPackage === null) continue
    const asksRules = policyOf(eventPackage, state.presentity, watching) === "rules"
    const matches = (subject: Subscription | Waiting): boolean => {
      const isOver = ("expiresAt" in subject ? subject.expiresAt : subject.giveUpAt) <= context.now
      const isRuled = asksRules && !("expiresAt" in subject && subject.policy !== "rules")
      return !isOver && (!isRuled || isKeptOut(eventPackage, state.presentity, subject.watcher, watching))
    }
    review(draft, eventPackage, context, { matches })
  }
  return isDone
}

/** The same for display: whose subscription ends, and who is shown something else. */
export const policyChanges = (state: State, context: Context): readonly PolicyChange[] => {
  const draft = begin(state, context.now)
  applyPolicies(draft, context)
  const { events } = draft
  const moved = new Set(
    events.flatMap((event) =>
      event._tag === "NotificationsIssued" && event.to !== "active" ? event.to : [],
    ),
  )
  return events.flatMap((event): readonly PolicyChange[] => {
    if (event._tag === "SubscriptionTerminated") {
      const subscription = get(state.subscriptions, event.no)
      if (subscription === undefined) return []
      return [change(subscription, { policy: event.policy ?? null, becomes: "ended", isSeen: true })]
    }
    if (event._tag === "SubscriptionStatusChanged") {
      const subscription = get(state.subscriptions, event.no)
      const eventPackage = subscription === undefined ? null : context.packages.find(subscription.packageName)
      if (subscription === undefined || eventPackage === null) return []
      // only a package with rules of its own hides parts of a document, now or later
      const isFiltered = eventPackage.rules !== undefined && event.matched !== subscription.matched
      const isSeen =
        event.status !== subscription.status ||
        event.polite !== subscription.polite ||
        moved.has(event.no) ||
        isFiltered
      return [change(subscription, { policy: event.policy ?? null, becomes: event.status, isSeen })]
    }
    if (event._tag === "WaitingEnded") {
      const waiting = get(state.waiting, event.no)
      const eventPackage = waiting === undefined ? null : context.packages.find(waiting.packageName)
      if (waiting === undefined || eventPackage === null) return []
      const { presentity } = state
      const { watching } = context.limits
      const word = isKeptOut(eventPackage, presentity, waiting.watcher, watching)
        ? "members"
        : policyOf(eventPackage, presentity, watching)
      const becomes = event.event === "rejected" ? "ended" : "active"
      return [change(waiting, { policy: word, becomes, isSeen: true })]
    }
    return []
  })
}

const change = (
  subject: Subscription | Waiting,
  outcome: Pick<PolicyChange, "policy" | "becomes" | "isSeen">,
): PolicyChange => {
  const { packageName, watcher, no: id } = subject
  const before =
    "status" in subject
      ? { formerly: subject.policy, was: subject.status }
      : { formerly: undefined, was: "waiting" as const }
  return { packageName, watcher, no: id, ...before, ...outcome }
}

const packagesWatched = (state: State): readonly PackageName[] => {
  const names = new Set<PackageName>()
  for (const { packageName } of values(state.subscriptions)) names.add(packageName)
  for (const { packageName } of values(state.waiting)) names.add(packageName)
  return [...names].sort()
}
