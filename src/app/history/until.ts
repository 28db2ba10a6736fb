/**
 * How much of a stream belongs to the time up to an instant: the decisions that had been made by then, by the clock.
 *
 * They are ordered by time, so the first one after the instant ends the search, except in a stream whose clock was set back:
 * there the last decisions were made at an earlier time than their order says, and are examined from the newest down.
 */
import { Effect } from "effect"
import { clockOf } from "../../domain/presentity/clock.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import type { EventStore, StoreUnavailable } from "../../ports/event-store.ts"

export interface Until {
  /** As far as the order of time allows. */
  readonly at: Millis
  readonly version: number
}

const pageRows = 500
const lookMax = 20_000

export const isAfter = ({ at, version }: Pick<Decision, "at" | "version">, until: Until): boolean =>
  at > until.at || version > until.version

/** O(1), but O(decisions since the clock was set back) for a stream whose clock has not caught up since. */
export const untilOf = (
  store: Pick<EventStore["Service"], "historyBack">,
  presentity: Uri,
  instant: Millis,
): Effect.Effect<Until, StoreUnavailable> => {
  const look = (before: number, looked: number): Effect.Effect<Until, StoreUnavailable> =>
    Effect.flatMap(store.historyBack(presentity, before, looked === 0 ? 1 : pageRows), (rows) => {
      for (const { decision } of rows) {
        const at = clockOf(decision)
        if (at === decision.at) return Effect.succeed(whole)
        if (at <= instant) return Effect.succeed({ at: decision.at, version: decision.version })
      }
      const last = rows.at(-1)
      return last === undefined || looked > lookMax
        ? Effect.succeed(whole)
        : look(last.decision.version, looked + rows.length)
    })
  const whole: Until = { at: instant, version: Number.MAX_SAFE_INTEGER }
  return look(Number.MAX_SAFE_INTEGER, 0)
}
