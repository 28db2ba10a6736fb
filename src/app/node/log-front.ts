/**
 * How far the log is known without a hole: whoever follows it has been handed every decision up to there.
 *
 * Appends tell where they ended. Where that is not just so many places on as there were decisions, something else may stand in
 * between: an append that was given up and came through all the same, or what a tool has written. Then the log itself is read,
 * and until that is done the front stays where it is.
 */
import { Effect, Schedule, Semaphore } from "effect"
import { clockOf, slackMillis } from "../../domain/presentity/clock.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import type { Position, Millis } from "../../domain/vocabulary.ts"
import type { EventStore, RecordedDecision, StoreUnavailable } from "../../ports/event-store.ts"
import { answerMillis, within } from "./within.ts"

export interface Front {
  /** Everything up to `position` has been handed over; `at` is what time it was by the clock of the newest decision. */
  readonly last: () => { readonly position: Position; readonly at: Millis }
  readonly begin: (position: Position, at: Millis) => void
  /** These were handed over, the newest of them at that position. O(1) where nothing is in between. */
  readonly passed: (decisions: readonly Decision[], position: Position) => void
  /** Hands over whatever the log has besides, up to its end, or to what is being appended. */
  readonly catchUp: Effect.Effect<void, StoreUnavailable>
}

export interface FrontParts {
  readonly read: EventStore["Service"]["read"]
  /** A decision that nobody has handed over. Repeated when it fails. */
  readonly found: (row: RecordedDecision) => Effect.Effect<void, StoreUnavailable>
  /** Told of every decision that was read, before it counts as passed. */
  readonly seen: (decision: Decision) => void
  /** It is in the append under way, whose end will tell. */
  readonly isUnderWay: (decision: Decision) => boolean
  /** The front has moved on. */
  readonly moved: () => void
  readonly run: (effect: Effect.Effect<void>) => void
}

/** Beyond every place in a log. */
const end = Number.MAX_SAFE_INTEGER

/** Rows per read: a database within the process blocks the event loop while it reads. */
const pageRows = 500

/** The key of a decision in the log: version and stream. */
export const placeOf = ({ stream, version }: Pick<Decision, "stream" | "version">): string =>
  `${version} ${stream}`

export const makeFront = ({ read, found, seen, isUnderWay, moved, run }: FrontParts): Front => {
  let position: Position = 0
  let at: Millis = 0
  /** Where the newest append ended. */
  let target: Position = 0
  /** What was handed over beyond the front: place and nonce. */
  const ahead = new Map<string, string>()
  const turns = Semaphore.makeUnsafe(1)
  let isLooking = false

  const reached = (to: Position): void => {
    position = Math.max(position, to)
    target = Math.max(target, position)
    if (position >= target) ahead.clear()
    moved()
  }

  const look = (until: () => Position): Effect.Effect<void, StoreUnavailable> =>
    turns.withPermits(1)(
      Effect.gen(function* () {
        while (position < until()) {
          // both as they were before reading: what is appended meanwhile is for the next page
          const [goal, ended] = [until(), target]
          const page = yield* within(answerMillis, read(position, pageRows))
          for (const row of page) {
            const { decision } = row
            if (row.position > goal || isUnderWay(decision)) return
            seen(decision)
            if (ahead.get(placeOf(decision)) !== decision.nonce) yield* within(answerMillis, found(row))
            at = laterOf(at, clockOf(decision))
            reached(row.position)
          }
          if (page.length === pageRows) continue
          // places that nothing stands at: an append that failed has taken them
          reached(Math.min(goal, ended))
          if (goal === end) return
        }
      }),
    )

  const close = (): void => {
    if (isLooking || position >= target) return
    isLooking = true
    const done = Effect.sync(() => {
      isLooking = false
      close()
    })
    run(
      look(() => target).pipe(
        Effect.retry(Schedule.spaced("250 millis")),
        Effect.orDie,
        Effect.ensuring(done),
      ),
    )
  }

  return {
    last: () => ({ position, at }),
    begin: (from, time) => {
      position = from
      target = from
      at = time
    },
    passed: (decisions, to) => {
      for (const decision of decisions) at = laterOf(at, clockOf(decision))
      if (position === target && to === position + decisions.length) {
        position = to
        target = to
        moved()
        return
      }
      if (to <= position) return
      for (const decision of decisions) ahead.set(placeOf(decision), decision.nonce)
      target = Math.max(target, to)
      close()
    },
    catchUp: look(() => end),
  }
}

/** The later of two instants, but the second one when the clock was set back between them. */
const laterOf = (before: Millis, after: Millis): Millis =>
  after < before - slackMillis ? after : Math.max(before, after)
