/**
 * Keeps snapshots, landmarks and the three tables at most one period behind the log.
 *
 * Changed rows are collected by key, so many changes to one row cost one write. Rows, snapshots and the
 * checkpoint are written in one transaction, so that readers see the tables at one position of the log. Where
 * that would hold up the log (a database within the process), rows and snapshots are written first and the checkpoint
 * last: a crash in between repeats work but loses nothing.
 */
import { Cause, Clock, Effect, Exit, Semaphore } from "effect"
import type { CommittedDecision } from "../../domain/engine/engine.ts"
import type { State } from "../../domain/presentity/state.ts"
import type { Millis } from "../../domain/vocabulary.ts"
import { EventStore } from "../../ports/event-store.ts"
import { PresenceTables } from "../../ports/presence-tables.ts"
import type { TableChange } from "../../ports/presence-tables.ts"
import { errorMessage } from "../error-message.ts"
import { makeDelivery } from "./projector/delivery.ts"
import type { Progress } from "./projector/delivery.ts"
import { makePending } from "./projector/pending.ts"
import type { Batch } from "./projector/pending.ts"
import { slicesOf, weightOf } from "./projector/slices.ts"
import { withinSteps } from "./within.ts"

export interface ProjectorOptions {
  /** Maximum lag of tables and snapshots behind the log, in seconds (`db_update_period`); 0: no maximum. */
  readonly periodSeconds: number
  /**
   * Decisions after which it writes early, which bounds what a start has to read again. If subscriptions and
   * publications to be written number more than four times as many, it waits until a quarter of their number:
   * the snapshots would cost more than they save.
   */
  readonly decisionsMax: number
  /** Timeout of one step of a write, doubled for the next attempt. Default: 20 s. */
  readonly writeMillis?: Millis
}

export interface Projector {
  /**
   * Notes what committed decisions have changed. O(rows changed).
   *
   * @param present the current state, if later decisions have been made; absent: the state after the last of
   * these
   */
  readonly note: (stored: readonly CommittedDecision[], present?: State) => void
  /** Writes everything noted so far. One write at a time; a failed one is repeated by the next. */
  readonly flush: Effect.Effect<void>
  /** Flushes by period and by number, and saves the checkpoints of `delivery.ts`, until the scope closes. */
  readonly run: Effect.Effect<void>
  readonly lag: () => { readonly streams: number; readonly decisions: number }
}

/** Default timeout of one step of a write, and its maximum after repeated failures. */
const writeMillis = 20_000
const writeMillisMax = 3_600_000

export const makeProjector = Effect.fnUntraced(function* (options: ProjectorOptions, source: Progress) {
  const store = yield* EventStore
  const tables = yield* PresenceTables
  const clock = yield* Clock.Clock
  const now = (): Millis => clock.currentTimeMillisUnsafe()
  const pending = makePending()
  const delivery = makeDelivery(store, source, now)
  const patience = makePatience(options.writeMillis ?? writeMillis)
  /** Serializes writes: a checkpoint must not overtake the rows it covers. */
  const turns = Semaphore.makeUnsafe(1)

  const write = Effect.gen(function* () {
    // synchronously, so that the batch contains everything up to this position
    const batch = pending.take()
    const checkpoint = { ...source.committed() }
    if (batch.dirty.size === 0) return
    const began = now()
    const all = (heard: () => void) =>
      Effect.andThen(writeBatch(store, tables, batch, heard), store.saveCheckpoint("tables", checkpoint))
    yield* withinSteps(patience.millis(), (heard) =>
      Effect.andThen(delivery.learn, tables.together(all(heard))),
    ).pipe(
      // on any failure, including defects and interruption, the batch is to be written again
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (!Exit.isSuccess(exit)) pending.putBack(batch)
        }),
      ),
      Effect.tap(() => patience.succeeded),
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.interrupt
          : patience.failed(now() - began, errorMessage(Cause.squash(cause))),
      ),
    )
  }).pipe(turns.withPermits(1))

  const projector: Projector = {
    note: pending.note,
    flush: write.pipe(Effect.andThen(delivery.save)),
    run: Effect.gen(function* () {
      let flushedAt = now()
      while (true) {
        yield* Effect.sleep("1 second")
        const isTime = options.periodSeconds > 0 && now() - flushedAt >= options.periodSeconds * 1000
        if (isTime || pending.isMany(options.decisionsMax)) {
          flushedAt = now()
          yield* write
        }
        yield* delivery.save
      }
    }),
    lag: pending.lag,
  }
  return projector
})

/** @param heard called after each step */
const writeBatch = (
  store: EventStore["Service"],
  tables: PresenceTables["Service"],
  { dirty, landmarks }: Batch,
  heard: () => void,
) =>
  Effect.gen(function* () {
    for (const slice of slicesOf(dirty.values(), ({ keys }) => keys.size)) {
      yield* tables.write(slice.map(({ state, keys }): TableChange => ({ state, keys: [...keys.values()] })))
      heard()
    }
    for (const slice of slicesOf(dirty.values(), ({ state }) => weightOf(state))) {
      yield* store.saveSnapshots(slice.map(({ state }) => state))
      heard()
    }
    for (const slice of slicesOf(landmarks, weightOf)) {
      yield* store.saveLandmarks(slice)
      heard()
    }
  })

/** The timeout of a write, and one log message when writes begin to fail and one when they succeed again. */
const makePatience = (first: Millis) => {
  let patience = first
  let isFailing = false
  return {
    millis: () => patience,
    succeeded: Effect.suspend(() => {
      patience = first
      if (!isFailing) return Effect.void
      isFailing = false
      return Effect.logInfo("the tables are written again")
    }),
    failed: (took: Millis, why: string): Effect.Effect<void> => {
      // it may have been too much for the timeout
      if (took >= patience) patience = Math.min(patience * 2, writeMillisMax)
      if (isFailing) return Effect.void
      isFailing = true
      return Effect.logError(`the tables cannot be written (${why}): tried again and again`)
    },
  }
}
