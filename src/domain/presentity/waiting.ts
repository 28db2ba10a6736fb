/**
 * Watchers that wait for a decision: how long, how many, and what puts an end to their waiting.
 *
 * @source RFC 3857 §4.7.1
 */
import { size, values } from "../table.ts"
import type { Millis } from "../vocabulary.ts"
import type { Context } from "./context.ts"
import type { Event, Status, SubscriptionTerminated } from "./events.ts"
import type { State, Subscription, Waiting } from "./state.ts"

const dayMillis = 86_400_000

/** The instant at which a watcher that becomes pending now is given up if nobody decides on it. */
export const giveUpAt = (context: Context): Millis => context.now + context.limits.waitingDays * dayMillis

/** Whether another waiting watcher may be remembered; the bound is that of subscriptions. */
export const mayWait = (state: State, context: Context): boolean =>
  size(state.waiting) < context.limits.subscriptionsMax

/**
 * Ends the waiting records that are superseded by a newer one, or by a subscription, of the same watcher (RFC 3857
 * §4.7.1).
 */
export const supersededWaiting = (
  state: State,
  successor: Pick<Waiting, "packageName" | "eventId" | "watcher">,
): readonly Event[] =>
  [...values(state.waiting)]
    .filter(
      (waiting) =>
        waiting.watcher === successor.watcher &&
        waiting.packageName === successor.packageName &&
        waiting.eventId === successor.eventId,
    )
    .map((waiting): Event => ({ _tag: "WaitingEnded", no: waiting.no, event: "giveup" }))

/**
 * The end of a subscription by expiry or by the watcher's request. An undecided watcher continues to wait (RFC 3857).
 */
export const timedOut = (
  state: State,
  subscription: Subscription,
  context: Context,
): SubscriptionTerminated => ({
  _tag: "SubscriptionTerminated",
  no: subscription.no,
  reason: "timeout",
  silent: false,
  waitsUntil: subscription.status === "pending" && mayWait(state, context) ? giveUpAt(context) : null,
})

/** The newer of two waiting records of one watcher remains. */
export const supersededBy = (state: State, subscription: Subscription, status: Status): readonly Event[] =>
  status === "pending" ? supersededWaiting(state, subscription) : []
