/**
 * Keeps snapshots, landmarks and the three tables behind the log, by at most one period.
 *
 * Rows touched since the last write are remembered by key, so a storm of changes to one row costs one write. Rows,
 * snapshots and the checkpoint appear together, so that readers see the tables as they were at one position of the log.
 * Where that would hold up the log (the embedded database), rows and snapshots go first and the checkpoint last: a crash
 * in between repeats work and loses none.
 */
import { Cause, Clock, Effect, Exit, Semaphore } from "effect"
import type { CommittedDecision } from "../../domain/engine/engine.ts"
import { EventStore } from "../../ports/event-store.ts"
import { PresenceTables } from "../../ports/presence-tables.ts"
import type { Checkpoint } from "../../ports/event-store.ts"
import type { TableChange } from "../../ports/presence-tables.ts"
import { isLandmark } from "../../domain/presentity/snapshot.ts"
import type { State } from "../../domain/presentity/state.ts"
import { touched } from "../../domain/projections/rows.ts"
import type { RowKey } from "../../domain/projections/rows.ts"
import type { Millis, Position, Uri } from "../../domain/vocabulary.ts"
import { makeAnswered } from "./answered-up-to.ts"
import type { Answered } from "./answered-up-to.ts"
import { errorMessage } from "../error-message.ts"
import { answerMillis, within } from "./within.ts"

export interface ProjectorOptions {
  /** Longest lag of tables and snapshots behind the log, in seconds (`db_update_period`); 0: no longest. */
  readonly periodSeconds: number
  /** Decisions after which it does not wait for the period: they bound what a start has to read again. */
  readonly decisionsMax: number
  /** How long a write may take before it is tried again with twice the time; left out: 20 s. */
  readonly writeMillis?: Millis
}

export interface Projector {
  /**
   * Notes what committed decisions changed. O(rows changed).
   *
   * @param present the state now, when more has been decided since; absent: that after the last of them
   */
  readonly note: (stored: readonly CommittedDecision[], present?: State) => void
  /** Writes everything noted so far. One write at a time; a failed one is made good by the next. */
  readonly flush: Effect.Effect<void>
  /** Flushes by period and by number, and keeps the delivery checkpoint, until the scope ends. */
  readonly run: Effect.Effect<void>
  readonly lag: () => { readonly streams: number; readonly decisions: number }
}

/** Presentities per statement group: the embedded database blocks the event loop for each statement. */
const streamsPerWrite = 100

/** States of one statement: whole ones, with all their documents. */
const landmarksPerWrite = 10

/** Landmarks kept in memory while they cannot be written; any more are left to `presently projections rebuild`. */
const landmarksMax = 50_000

/** How long a write may take before it is tried again, and at most after it has been tried in vain. */
const writeMillis = 20_000
const writeMillisMax = 3_600_000

/** Decisions stamped with a deadline may be a little older than their commit. */
const marginMillis = 2000

/** A checkpoint that would go back by more does so because the clock was set back. */
const clockMillis = 60_000

interface Dirty {
  state: State
  readonly keys: Map<string, RowKey>
}

export const makeProjector = Effect.fnUntraced(function* (
  options: ProjectorOptions,
  source: {
    readonly committed: () => Checkpoint
    /** Issue time of the oldest NOTIFY without an answer. */
    readonly oldestInFlight: () => Millis | null
  },
) {
  const store = yield* EventStore
  const tables = yield* PresenceTables
  const clock = yield* Clock.Clock
  let dirty = new Map<Uri, Dirty>()
  let decisions = 0
  let landmarks: State[] = []
  let deliveredAt = -1
  /** Null: not looked at yet, or the log was kept without it and nothing is known so far. */
  let answered: { readonly answers: Answered; readonly savedUpTo: Position | null } | null = null
  /** Said once each time. */
  let isFailing = false
  /** How long one write may take. */
  let patience = options.writeMillis ?? writeMillis
  /** What a later write says is written is written: never two at the same time. */
  const turns = Semaphore.makeUnsafe(1)

  /**
   * What an earlier process knew holds: it never goes back. A new log says at once that nothing is answered, before anything of
   * it is in the tables.
   */
  const learnAnswered = Effect.gen(function* () {
    if (answered !== null) return answered
    const known = yield* store.checkpoint("answered")
    const isNew = known === null && (yield* store.checkpoint("tables")) === null
    if (isNew) yield* store.saveCheckpoint("answered", { position: 0, at: 0 })
    answered = { answers: makeAnswered(known?.position), savedUpTo: isNew ? 0 : (known?.position ?? null) }
    return answered
  })

  const write = Effect.gen(function* () {
    // taken together and at once: everything noted up to this position is in `batch`
    const batch = dirty
    const noted = decisions
    const passed = landmarks
    const checkpoint = { ...source.committed() }
    dirty = new Map()
    decisions = 0
    landmarks = []
    if (batch.size === 0) return
    const began = clock.currentTimeMillisUnsafe()
    const entries = [...batch.values()]
    const all = Effect.gen(function* () {
      for (let start = 0; start < entries.length; start += streamsPerWrite) {
        const part = entries.slice(start, start + streamsPerWrite)
        yield* tables.write(
          part.map((one): TableChange => ({ state: one.state, keys: [...one.keys.values()] })),
        )
        yield* store.saveSnapshots(part.map((one) => one.state))
      }
      for (let start = 0; start < passed.length; start += landmarksPerWrite) {
        yield* store.saveLandmarks(passed.slice(start, start + landmarksPerWrite))
      }
      yield* store.saveCheckpoint("tables", checkpoint)
    })
    yield* within(patience, Effect.andThen(learnAnswered, tables.together(all))).pipe(
      // whatever came of it, a driver that dies and a caller that goes away included: what was not written is to be
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (Exit.isSuccess(exit)) return
          decisions += noted
          landmarks = [...passed, ...landmarks].slice(0, landmarksMax)
          for (const [presentity, old] of batch) {
            const newer = dirty.get(presentity)
            if (newer === undefined) dirty.set(presentity, old)
            else for (const [name, key] of old.keys) if (!newer.keys.has(name)) newer.keys.set(name, key)
          }
        }),
      ),
      Effect.tap(() => {
        patience = options.writeMillis ?? writeMillis
        if (!isFailing) return Effect.void
        isFailing = false
        return Effect.logInfo("the tables are written again")
      }),
      Effect.catchCause((cause) => {
        if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
        // it may have been too much for the time
        if (clock.currentTimeMillisUnsafe() - began >= patience)
          patience = Math.min(patience * 2, writeMillisMax)
        if (isFailing) return Effect.void
        isFailing = true
        const why = errorMessage(Cause.squash(cause))
        return Effect.logError(`the tables cannot be written (${why}): tried again and again`)
      }),
    )
  }).pipe(turns.withPermits(1))

  /**
   * NOTIFYs issued before `at`, and those of decisions up to the place of `answered`, are answered; a start repeats the later
   * ones.
   */
  const saveDelivery = Effect.gen(function* () {
    const { answers, savedUpTo } = yield* within(answerMillis, learnAnswered)
    const { position, at } = source.committed()
    const oldest = source.oldestInFlight()
    const settled = Math.min(oldest ?? at + 1, at + 1) - marginMillis
    answers.note(position, Math.max(at, clock.currentTimeMillisUnsafe()), oldest)
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
    answered = { answers, savedUpTo: isKnown ? upTo : null }
  }).pipe(Effect.ignore)

  const projector: Projector = {
    note: (stored, present) => {
      for (const { decision, before, after } of stored) {
        decisions++
        let entry = dirty.get(decision.stream)
        if (entry === undefined) {
          entry = { state: present ?? after, keys: new Map() }
          dirty.set(decision.stream, entry)
        }
        // rows and snapshots show what is, however late this is told of
        if (after.version > entry.state.version) entry.state = after
        if (isLandmark(after.version) && landmarks.length < landmarksMax) landmarks.push(after)
        for (const event of decision.events) {
          for (const key of touched(event, before, after)) {
            const name = nameOf(key)
            const old = entry.keys.get(name)
            // the row's last look is what deletes it: a later key without one must not hide it
            if (old?.table !== "active_watchers" || old.ended === null) entry.keys.set(name, key)
          }
        }
      }
    },
    flush: write.pipe(Effect.andThen(saveDelivery)),
    run: Effect.gen(function* () {
      let flushedAt = clock.currentTimeMillisUnsafe()
      while (true) {
        yield* Effect.sleep("1 second")
        const now = clock.currentTimeMillisUnsafe()
        const isTime = options.periodSeconds > 0 && now - flushedAt >= options.periodSeconds * 1000
        if (isTime || decisions >= options.decisionsMax) {
          flushedAt = now
          yield* write
        }
        yield* saveDelivery
      }
    }),
    lag: () => ({ streams: dirty.size, decisions }),
  }
  return projector
})

const nameOf = (key: RowKey): string => {
  switch (key.table) {
    case "active_watchers":
      return `a${key.no}`
    case "presentity":
      return `p${key.packageName}\n${key.etag}`
    case "watchers":
      return `w${key.packageName}\n${key.watcher}`
  }
}
