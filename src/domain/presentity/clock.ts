/**
 * A clock that was set back. The decisions of a stream are in order of time all the same; what time it was by the clock is said
 * beside, and it is that by which things last.
 *
 * A stream's order of time (`Decision.at`, `State.decidedAt`) never goes back. Everything that is granted, paced or waited for
 * counts by the clock. The two are the same until the clock stood ahead and was set right; then the stream's time stands still
 * until the clock has caught up with it.
 */
import { entries, setAll } from "../table.ts"
import type { Table } from "../table.ts"
import type { Millis } from "../vocabulary.ts"
import type { FollowClock } from "./commands.ts"
import type { Context } from "./context.ts"
import { done, nothingHappened } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import type { ClockSetBack, Decision, Event } from "./events.ts"
import type { Publications, State, Subscription } from "./state.ts"

/** Smaller steps back, as a clock makes that is kept right, are waited out. */
export const slackMillis: Millis = 1000

/** What time it was by the clock when a decision was made. */
export const clockOf = ({ at, events }: Pick<Decision, "at" | "events">): Millis => {
  const first = events[0]
  return first?._tag === "ClockSetBack" ? at - first.by : at
}

/** The same of the newest decision of a stream. */
export const lastClock = ({ decidedAt, behind }: State): Millis => decidedAt - behind

/** Whether the clock has been set back since the stream's newest decision. */
export const isSetBack = (state: State, now: Millis): boolean => now < lastClock(state) - slackMillis

/** What counts as now for a decision on a state: small steps back are waited out. */
export const nowFor = (state: State, now: Millis): Millis => {
  const last = lastClock(state)
  return now >= last || now < last - slackMillis ? now : last
}

/** A decision's place in time, and its events, where these do not say themselves that the clock is behind that. */
export const placedAt = (
  state: State,
  now: Millis,
  events: readonly Event[],
): { readonly at: Millis; readonly events: readonly Event[] } => {
  const at = Math.max(now, state.decidedAt)
  if (at === now || events.length === 0 || events[0]?._tag === "ClockSetBack") return { at, events }
  return { at, events: [{ _tag: "ClockSetBack", by: at - now }, ...events] }
}

/** The state follows a clock that was set back: what was granted by the clock that stood ahead lasts as long as it was granted for. */
export const followClock = (state: State, { from }: FollowClock, { now, limits }: Context): Outcome =>
  isSetBack(state, now)
    ? done([
        {
          _tag: "ClockSetBack",
          by: state.decidedAt - now,
          moved: Math.max(from, lastClock(state)) - now,
          grantedFor:
            (Math.max(limits.maxExpiresPublish, limits.maxExpiresSubscribe) + limits.expiresOffset) * 1000,
          waitsFor: limits.waitingDays * 86_400_000,
        },
      ])
    : nothingHappened

/**
 * The state with its times moved back that the clock gave while it stood ahead.
 *
 * An instant that is past can only lie after `now` when it was given by that clock. A deadline was given by it when what it
 * belongs to was, or when it is farther away than anything is granted for. When rules are to be looked at next is what they
 * say themselves: they are looked at again at once.
 */
export const withClockSetBack = (state: State, event: ClockSetBack, now: Millis): State => {
  const { moved = 0, grantedFor = 0, waitsFor = 0 } = event
  if (moved <= 0) return state
  const past = (at: Millis): Millis => (at > now ? at - moved : at)
  const ahead = now + moved
  const deadline = (at: Millis, isByIt: boolean, longest: Millis): Millis =>
    at > now && (isByIt || at > now + longest) ? at - moved : at
  const held = (at: Millis | null, isByIt: boolean): Millis | null =>
    at !== null && at > now && (isByIt || at >= ahead) ? at - moved : at
  const giveUp = (at: Millis | null, isByIt: boolean): Millis | null =>
    at === null ? null : deadline(at, isByIt, waitsFor)
  const corrected = (subscription: Subscription): Subscription => {
    const isByIt = subscription.createdAt > now
    const isToldByIt = subscription.issuedAt > now
    return {
      ...subscription,
      createdAt: past(subscription.createdAt),
      expiresAt: deadline(subscription.expiresAt, isByIt, grantedFor),
      giveUpAt: giveUp(subscription.giveUpAt, isByIt),
      issuedAt: past(subscription.issuedAt),
      pacedAt: past(subscription.pacedAt),
      dueAt: held(subscription.dueAt, isToldByIt),
      repeatAt: held(subscription.repeatAt, isToldByIt),
      recent: subscription.recent.map(past),
    }
  }
  return {
    ...state,
    publications: mapped(state.publications, (publications): Publications =>
      mapped(publications, (publication) => ({
        ...publication,
        receivedAt: past(publication.receivedAt),
        expiresAt: deadline(publication.expiresAt, publication.receivedAt > now, grantedFor),
      })),
    ),
    subscriptions: mapped(state.subscriptions, corrected),
    waiting: mapped(state.waiting, (waiting) => ({
      ...waiting,
      createdAt: past(waiting.createdAt),
      since: past(waiting.since),
      giveUpAt: deadline(waiting.giveUpAt, waiting.since > now, waitsFor),
    })),
    departed: mapped(state.departed, (terminated) => ({
      ...terminated,
      createdAt: past(terminated.createdAt),
    })),
    rules: mapped(state.rules, (rules) => ({ ...rules, boundaryAt: now })),
  }
}

const mapped = <K extends string | number, V>(table: Table<K, V>, change: (value: V) => V): Table<K, V> =>
  setAll(
    table,
    [...entries(table)].map(([key, value]): [K, V] => [key, change(value)]),
  )
