/**
 * A clock that was set back. The decisions of a stream stay in chronological order all the same; the clock's own
 * reading is recorded beside that order, and durations are counted by it.
 *
 * The chronology of a stream (`Decision.at`, `State.decidedAt`) never goes back. Lifetimes, pacing and waiting count by
 * the clock. The two are equal unless the clock stood ahead and was corrected; then the time of the stream stands still
 * until the clock has caught up.
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

/** Smaller steps back, which a synchronized clock makes, are waited out. */
export const slackMillis: Millis = 1000

/** The clock's reading when a decision was made. */
export const clockOf = ({ at, events }: Pick<Decision, "at" | "events">): Millis => {
  const first = events[0]
  return first?._tag === "ClockSetBack" ? at - first.by : at
}

/** The clock's reading at the newest decision of a stream. */
export const lastClock = ({ decidedAt, behind }: State): Millis => decidedAt - behind

/** Whether the clock has been set back since the stream's newest decision. */
export const isSetBack = (state: State, now: Millis): boolean => now < lastClock(state) - slackMillis

/** The instant that counts as now for a decision on a state; small steps back are waited out. */
export const nowFor = (state: State, now: Millis): Millis => {
  const last = lastClock(state)
  return now >= last || now < last - slackMillis ? now : last
}

/**
 * The instant of a decision in its stream, and its events, which begin by recording that the clock is behind if it is.
 */
export const placedAt = (
  state: State,
  now: Millis,
  events: readonly Event[],
): { readonly at: Millis; readonly events: readonly Event[] } => {
  const at = Math.max(now, state.decidedAt)
  if (at === now || events.length === 0 || events[0]?._tag === "ClockSetBack") return { at, events }
  return { at, events: [{ _tag: "ClockSetBack", by: at - now }, ...events] }
}

/**
 * Adapts a state to a clock that was set back: what was granted while the clock stood ahead keeps the duration it was
 * granted for.
 */
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
 * The state with all instants corrected that were given while the clock stood ahead.
 *
 * A past instant lies after `now` only if the clock gave it while it stood ahead. A deadline was given then if the
 * record it belongs to was, or if it is farther away than any lifetime that can be granted. The next evaluation of
 * rules is due at once.
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
