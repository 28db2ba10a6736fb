/**
 * Tracks up to which position every decision has been handed to the followers of the log.
 *
 * An append reports the position where it ended. If that is further on than its number of decisions,
 * something else may be in between: an append that was given up but succeeded, or the writes of a tool. Then
 * the log itself is read, and the front does not advance until that is done.
 */
import { Effect, Schedule, Semaphore } from "effect"
import { clockOf, slackMillis } from "../../domain/presentity/clock.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import type { Position, Millis } from "../../domain/vocabulary.ts"
import type { EventStore, RecordedDecision, StoreUnavailable } from "../../ports/event-store.ts"
import { answerMillis, within } from "./within.ts"

export interface Front {
  /** Everything up to `position` has been handed over; `at` is the time of the newest decision by the clock. */
  readonly last: () => { readonly position: Position; readonly at: Millis }
  readonly begin: (position: Position, at: Millis) => void
  /** Reports decisions that have been handed over, the last of them at that position. O(1) if there is no gap. */
  readonly passed: (decisions: readonly Decision[], position: Position) => void
  /** Hands over everything else in the log, up to its end or to the append under way. */
  readonly catchUp: Effect.Effect<void, StoreUnavailable>
}

export interface FrontParts {
  readonly read: EventStore["Service"]["read"]
  /** Called with a decision that has not been handed over. Repeated if it fails. */
  readonly found: (row: RecordedDecision) => Effect.Effect<void, StoreUnavailable>
  /** Called with every decision read, before the front advances past it. */
  readonly seen: (decision: Decision) => void
  /** Whether it belongs to the append under way, which will report it. */
  readonly isUnderWay: (decision: Decision) => boolean
  /** The front has advanced. */
  readonly moved: () => void
  readonly run: (effect: Effect.Effect<void>) => void
}

/** Beyond every position. */
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
  /** Decisions handed over beyond the front: place and nonce. */
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
          // take both before reading: later appends belong to the next page
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
          // the remaining positions are empty: a failed append has used them up
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

/** The later of two times, or the second if the clock was set back between them. */
const laterOf = (before: Millis, after: Millis): Millis =>
  after < before - slackMillis ? after : Math.max(before, after)
