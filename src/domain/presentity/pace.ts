/**
 * How often a watcher is notified: no more often than its package and the watcher itself want, and no less often than
 * the watcher itself wants (RFC 6446).
 */
import type { EventPackage } from "../packages/event-package.ts"
import type { Millis, Rates, Seconds } from "../vocabulary.ts"
import type { Limits } from "./context.ts"
import type { Subscription } from "./state.ts"

/** The minimum interval between two change-driven NOTIFYs of a subscription without a rate of its own. */
export const intervalOf = (eventPackage: EventPackage, limits: Limits): Millis =>
  limits.notifyIntervalMillis ?? eventPackage.notifyIntervalMillis

/** The earliest instant at which this watcher may be notified of a change (RFC 3856 §6.10, RFC 6446 §5.2). */
export const allowedAt = (subscription: Subscription, eventPackage: EventPackage, limits: Limits): Millis => {
  const byPackage = subscription.pacedAt + intervalOf(eventPackage, limits)
  return subscription.rates?.max == null
    ? byPackage
    : Math.max(byPackage, subscription.issuedAt + everyMillis(subscription.rates.max))
}

/**
 * The rates granted to a watcher that asks for them.
 *
 * @param granted the lifetime of the subscription: a rate that would allow no NOTIFY within it is raised (§5.3)
 * @source RFC 6446 §5.3, §6.3, §8: a requested rate may be adjusted, and each NOTIFY states the rate that was granted
 */
export const grantedRates = (
  asked: Rates,
  eventPackage: EventPackage,
  limits: Limits,
  granted: Seconds,
): Rates | null => {
  const own = intervalOf(eventPackage, limits)
  const most = 1000 / Math.max(own, shortestMillis)
  const slowest = 1 / Math.max(1, granted)
  const max =
    asked.max === null ? null : rounded(Math.max(slowest, own > 0 ? Math.min(asked.max, most) : asked.max))
  const ceiling = Math.min(most, max ?? most)
  const adaptiveMin = asked.adaptiveMin === null ? null : rounded(Math.min(asked.adaptiveMin, ceiling))
  const wanted = asked.min === null ? null : rounded(Math.min(asked.min, ceiling))
  const min = wanted !== null && adaptiveMin !== null && wanted >= adaptiveMin ? null : wanted
  return max === null && min === null && adaptiveMin === null ? null : { max, min, adaptiveMin }
}

export const sameRates = (left: Rates | null, right: Rates | null): boolean =>
  left === right ||
  (left !== null &&
    right !== null &&
    left.max === right.max &&
    left.min === right.min &&
    left.adaptiveMin === right.adaptiveMin)

/** The fields that a NOTIFY issued at `at` changes in a subscription with rates of its own. */
export const paced = (subscription: Subscription, at: Millis): Pick<Subscription, "recent" | "repeatAt"> => {
  const rate = subscription.rates?.adaptiveMin ?? null
  const since = rate === null ? at : at - periodMillis(rate)
  const recent =
    rate === null ? [] : [...subscription.recent, at].filter((time) => time > since).slice(-countMax)
  return { recent, repeatAt: repeatOf({ ...subscription, recent }, at) }
}

/** The same fields after a SUBSCRIBE at `at` that changes the rates. */
export const repaced = (
  subscription: Subscription,
  rates: Rates | null,
  at: Millis,
): Pick<Subscription, "rates" | "recent" | "repeatAt"> => {
  const next = { ...subscription, rates, recent: rates?.adaptiveMin == null ? [] : subscription.recent }
  return { rates, recent: next.recent, repeatAt: repeatOf(next, at) }
}

/**
 * When a watcher must be notified again if nothing changes before that; null: never.
 *
 * @source RFC 6446 §6.2; §7.4 for the adaptive rate: count / (rate² · period), not below 1 / max-rate
 */
export const repeatOf = (subscription: Subscription, at: Millis): Millis | null => {
  const { rates } = subscription
  if (rates === null || subscription.status !== "active") return null
  const waits: Millis[] = []
  if (rates.min !== null) waits.push(everyMillis(rates.min))
  if (rates.adaptiveMin !== null) {
    const rate = rates.adaptiveMin
    const adaptive = (Math.max(1, subscription.recent.length) * 1e6) / (rate * rate * periodMillis(rate))
    waits.push(Math.max(adaptive, rates.max === null ? shortestMillis : everyMillis(rates.max)))
  }
  return waits.length === 0 ? null : at + Math.ceil(Math.min(...waits))
}

/** Nothing is repeated more often than this, however high the requested rate is. */
const shortestMillis = 1000

/** The largest number of NOTIFYs that an adaptive rate counts. */
const countMax = 100

/** The period over which an adaptive rate counts: the time of twenty NOTIFYs at the requested rate. */
const periodMillis = (rate: number): Millis => 20_000 / rate

const everyMillis = (rate: number): Millis => Math.ceil(1000 / rate)

/** At most ten decimals, as the header allows (RFC 6446 §9.2); never zero. */
const rounded = (rate: number): number => Math.ceil(rate * 1e10 - 1e-4) / 1e10
