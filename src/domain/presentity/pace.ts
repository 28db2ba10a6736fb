/**
 * How often one watcher is notified: not more often than its package and it itself want, and not less often than it
 * itself wants (RFC 6446).
 */
import type { EventPackage } from "../packages/event-package.ts"
import type { Millis, Rates, Seconds } from "../vocabulary.ts"
import type { Limits } from "./context.ts"
import type { Subscription } from "./state.ts"

/** Shortest time between two change-driven NOTIFYs of a subscription that has no wish of its own. */
export const intervalOf = (eventPackage: EventPackage, limits: Limits): Millis =>
  limits.notifyIntervalMillis ?? eventPackage.notifyIntervalMillis

/** The first instant at which a change may be told to this watcher (RFC 3856 §6.10, RFC 6446 §5.2). */
export const allowedAt = (subscription: Subscription, eventPackage: EventPackage, limits: Limits): Millis => {
  const byPackage = subscription.pacedAt + intervalOf(eventPackage, limits)
  return subscription.rates?.max == null
    ? byPackage
    : Math.max(byPackage, subscription.issuedAt + everyMillis(subscription.rates.max))
}

/**
 * The pace granted to a watcher that asks for one.
 *
 * @param granted the subscription's lifetime: a pace that would allow no NOTIFY within it is raised (§5.3)
 * @source RFC 6446 §5.3, §6.3, §8: what is asked may be adjusted, and what was granted is said in each NOTIFY
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

/** The fields of a subscription with a pace of its own that change with a NOTIFY issued at `at`. */
export const paced = (subscription: Subscription, at: Millis): Pick<Subscription, "recent" | "repeatAt"> => {
  const rate = subscription.rates?.adaptiveMin ?? null
  const since = rate === null ? at : at - periodMillis(rate)
  const recent =
    rate === null ? [] : [...subscription.recent, at].filter((time) => time > since).slice(-countMax)
  return { recent, repeatAt: repeatOf({ ...subscription, recent }, at) }
}

/** The same when a SUBSCRIBE at `at` brings another pace. */
export const repaced = (
  subscription: Subscription,
  rates: Rates | null,
  at: Millis,
): Pick<Subscription, "rates" | "recent" | "repeatAt"> => {
  const next = { ...subscription, rates, recent: rates?.adaptiveMin == null ? [] : subscription.recent }
  return { rates, recent: next.recent, repeatAt: repeatOf(next, at) }
}

/**
 * When a watcher is to be notified again if nothing changes until then; null: never.
 *
 * @source RFC 6446 §6.2; §7.4 for the adaptive pace: count / (rate² · period), not below 1 / max-rate
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

/** However high a rate is asked for, nothing is repeated more often. */
const shortestMillis = 1000

/** NOTIFYs that an adaptive pace counts, at most. */
const countMax = 100

/** How far back an adaptive pace looks: twenty NOTIFYs at the rate asked for. */
const periodMillis = (rate: number): Millis => 20_000 / rate

const everyMillis = (rate: number): Millis => Math.ceil(1000 / rate)

/** At most ten decimals, as the header has them (RFC 6446 §9.2); never zero. */
const rounded = (rate: number): number => Math.ceil(rate * 1e10 - 1e-4) / 1e10
