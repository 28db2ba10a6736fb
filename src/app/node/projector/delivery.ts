/** Checkpoints up to which all NOTIFYs have an outcome; a start repeats only later ones. */
import { Effect } from "effect"
import type { Millis, Position } from "../../../domain/vocabulary.ts"
import type { Checkpoint, EventStore, StoreUnavailable } from "../../../ports/event-store.ts"
import { makeAnswered } from "../answered-up-to.ts"
import type { Answered } from "../answered-up-to.ts"
import { answerMillis, within } from "../within.ts"

/** How far the log is known, and which NOTIFYs are outstanding. */
export interface Progress {
  readonly committed: () => Checkpoint
  /** Issue time of the oldest NOTIFY without an outcome; null if there is none. */
  readonly oldestInFlight: () => Millis | null
}

export interface Delivery {
  /**
   * Reads what an earlier process has saved; it never goes back. In a new log, first records that nothing has
   * an outcome yet, before any of it is in the tables.
   */
  readonly learn: Effect.Effect<Known, StoreUnavailable>
  /**
   * Saves that NOTIFYs issued before `at`, and those of decisions up to the position of `answered`, have an
   * outcome.
   */
  readonly save: Effect.Effect<void>
}

/** `savedUpTo` null: the log has been kept without this checkpoint, so nothing is known yet. */
export interface Known {
  readonly answers: Answered
  readonly savedUpTo: Position | null
}

/** Decisions stamped with a deadline may be slightly older than their commit. */
const marginMillis = 2000

/** If the checkpoint would go back by more than this, the clock has been set back. */
const clockMillis = 60_000

export const makeDelivery = (
  store: EventStore["Service"],
  progress: Progress,
  now: () => Millis,
): Delivery => {
  let deliveredAt = -1
  /** Null until `learn`. */
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
    // goes back only if the clock has been set back
    const before = settled > deliveredAt - clockMillis ? Math.max(settled, deliveredAt) : settled
    // in a log kept without the checkpoint, wait for the first position that is known
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
