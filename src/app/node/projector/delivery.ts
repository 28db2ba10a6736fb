/**
 * Up to where NOTIFYs are known to be answered, as checkpoints of the log: a start repeats the later ones.
 */
import { Effect } from "effect"
import type { Millis, Position } from "../../../domain/vocabulary.ts"
import type { Checkpoint, EventStore, StoreUnavailable } from "../../../ports/event-store.ts"
import { makeAnswered } from "../answered-up-to.ts"
import type { Answered } from "../answered-up-to.ts"
import { answerMillis, within } from "../within.ts"

/** How far the log is known, and what of it has not been answered. */
export interface Progress {
  readonly committed: () => Checkpoint
  /** Issue time of the oldest NOTIFY without an answer. */
  readonly oldestInFlight: () => Millis | null
}

export interface Delivery {
  /**
   * What an earlier process knew holds: it never goes back. A new log says at once that nothing is answered, before anything of
   * it is in the tables.
   */
  readonly learn: Effect.Effect<Known, StoreUnavailable>
  /** NOTIFYs issued before `at`, and those of decisions up to the place of `answered`, are answered. */
  readonly save: Effect.Effect<void>
}

/** `savedUpTo` null: the log was kept without it, and nothing is known so far. */
export interface Known {
  readonly answers: Answered
  readonly savedUpTo: Position | null
}

/** Decisions stamped with a deadline may be a little older than their commit. */
const marginMillis = 2000

/** A checkpoint that would go back by more does so because the clock was set back. */
const clockMillis = 60_000

export const makeDelivery = (
  store: EventStore["Service"],
  progress: Progress,
  now: () => Millis,
): Delivery => {
  let deliveredAt = -1
  /** Null: not looked at yet. */
  let known: Known | null = null

  const learn: Delivery["learn"] = Effect.gen(function* () {
    if (known !== null) return known
    const saved = yield* store.checkpoint("answered")
    const isNew = saved === null && (yield* store.checkpoint("tables")) === null
    if (isNew) yield* store.saveCheckpoint("answered", { position: 0, at: 0 })
    known = { answers: makeAnswered(saved?.position), savedUpTo: isNew ? 0 : (saved?.position ?? null) }
    return known
  })

  const save = Effect.gen(function* () {
    const { answers, savedUpTo } = yield* within(answerMillis, learn)
    const { position, at } = progress.committed()
    const oldest = progress.oldestInFlight()
    const settled = Math.min(oldest ?? at + 1, at + 1) - marginMillis
    answers.note(position, Math.max(at, now()), oldest)
    const upTo = answers.upTo()
    // it goes back only with the clock
    const before = settled > deliveredAt - clockMillis ? Math.max(settled, deliveredAt) : settled
    // of a log that was kept without it a place says something when it is the first of which that is known
    const isKnown = savedUpTo !== null || upTo > 0
    if (before === deliveredAt && (!isKnown || upTo <= (savedUpTo ?? -1))) return
    const saved = Effect.andThen(
      store.saveCheckpoint("delivery", { position, at: before }),
      isKnown ? store.saveCheckpoint("answered", { position: upTo, at: before }) : Effect.void,
    )
    yield* within(answerMillis, saved)
    deliveredAt = before
    known = { answers, savedUpTo: isKnown ? upTo : null }
  }).pipe(Effect.ignore)

  return { learn, save }
}
