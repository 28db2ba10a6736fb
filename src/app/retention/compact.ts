/**
 * Drops from the log what is due: decisions by whole months, documents of single packages by days.
 *
 * Every step can be interrupted and repeated. The state of a stream at the last of its dropped decisions stays as a landmark,
 * with its hash; the fact that something is dropped is stored before it is gone.
 */
import { sign } from "node:crypto"
import type { KeyObject } from "node:crypto"
import { Data, Effect } from "effect"
import { nowFor, placedAt } from "../../domain/presentity/clock.ts"
import type { Event } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import {
  droppedDocumentsText,
  droppedText,
  nothingDropped,
  retentionStream,
} from "../../domain/presentity/retention.ts"
import { thaw } from "../../domain/presentity/snapshot.ts"
import type { Snapshot } from "../../domain/presentity/snapshot.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import type { Millis } from "../../domain/vocabulary.ts"
import type { LogAdmin } from "../../ports/log-admin.ts"
import { deletedPerStatement } from "../../ports/log-retention.ts"
import type { ExpiringStream, RetentionStore } from "../../ports/log-retention.ts"
import { documentsBefore, endOfMonth, logBefore } from "../config/retention-terms.ts"
import type { Terms } from "../config/retention-terms.ts"
import { freshNonce } from "../nonce.ts"
import { dropDocumentsOf } from "./documents.ts"

/** Nothing was dropped: the state of the log does not allow it. */
export class CompactRefused extends Data.TaggedError("CompactRefused")<{ readonly why: string }> {
  readonly exitCode = 1
  override get message(): string {
    return `nothing was dropped: ${this.why}`
  }
}

export interface Compacted {
  /** Months whose decisions are all gone, `2026-01`. */
  readonly months: readonly string[]
  /** Decisions older than this are gone now; null: none were due. */
  readonly before: Millis | null
  readonly decisions: number
  /** Streams of which nothing was left. */
  readonly forgotten: number
  /** Persons of whom nothing was left: their keys are gone. */
  readonly persons: number
  /** More was due, but would have been too large a share of the log: decisions older than this; null: no more was due. */
  readonly left: Millis | null
  readonly documents: readonly {
    readonly packageName: string
    readonly before: Millis
    readonly documents: number
    /** As for the log: documents older than this were due; absent: no more were. */
    readonly left?: Millis
  }[]
}

/** How often to try to take the log, and the time between attempts. */
const attemptsMax = 60
const pause = "1 second"

/** Who runs the compaction. */
export interface Principal {
  /** For the log: `server`, `compact ada`. */
  readonly by: string
  /** The key that seals the log; null: it is not sealed. */
  readonly key: KeyObject | null
  /** Of the server that this runs in: runs an effect while the server writes nothing to the log. Absent: this is no server. */
  readonly whilePaused?: <E>(work: Effect.Effect<number, E>) => Effect.Effect<number, E>
  /** The largest share of the log that may go at once, in percent; absent: all of it. */
  readonly share?: number
}

export const compact = Effect.fn("Retention.compact")(function* (
  log: LogAdmin["Service"],
  terms: Terms,
  now: Millis,
  principal: Principal,
) {
  const { retention } = log
  const dropped = yield* dropOld(log, terms, now, principal)
  const documents: Compacted["documents"][number][] = []
  for (const [packageName, days] of terms.documents) {
    const due = documentsBefore(days, now)
    const from = yield* retention.documentsGone(packageName)
    if (due <= from) continue
    const before = yield* within(retention, principal, "day", from, due)
    const left = before < due ? { left: due } : {}
    if (before <= from) {
      documents.push({ packageName, before: from, documents: 0, ...left })
      continue
    }
    const { retained } = yield* retentionState(log)
    const told = retained.documents.find((documents) => documents.packageName === packageName)?.before ?? 0
    const count = yield* dropDocumentsOf(retention, packageName, from, before, (going) => {
      // what an interrupted attempt has recorded is not recorded again
      const isNews = going > 0 && told < before
      return isNews
        ? record(
            log,
            {
              _tag: "DocumentsDropped",
              packageName,
              before,
              documents: going,
              ...signed(principal, droppedDocumentsText({ packageName, before })),
            },
            now,
            principal,
          )
        : Effect.void
    })
    yield* retention.saveDocumentsGone(packageName, before)
    documents.push({ packageName, before, documents: count, ...left })
  }
  const compacted: Compacted = { ...dropped, documents }
  return compacted
})

const dropOld = Effect.fnUntraced(function* (
  log: LogAdmin["Service"],
  terms: Terms,
  now: Millis,
  principal: Principal,
) {
  const { retention } = log
  const wanted = logBefore(terms, now)
  if (wanted === null) return { months: [], before: null, decisions: 0, forgotten: 0, persons: 0, left: null }
  const before = yield* within(retention, principal, "month", 0, wanted)
  const left = before < wanted ? wanted : null
  const due = (yield* retention.months).filter(({ month }) => endOfMonth(month) <= before)
  let decisions = 0
  let forgotten = 0
  if (due.length > 0 || (yield* retention.hasStrays(before))) {
    const leaving = yield* keepBeginnings(log, before)
    decisions = leaving.decisions
    // an empty month is not reported, and neither is what an interrupted attempt has recorded
    const { retained } = yield* retentionState(log)
    if (decisions > 0 && retained.before < before) {
      const { position, empty } = leaving
      const fact: Event = {
        _tag: "LogDropped",
        before,
        position,
        decisions,
        forgotten: empty,
        ...signed(principal, droppedText({ before, position })),
      }
      yield* record(log, fact, now, principal)
    }
    for (const { name } of due) {
      for (let attempt = 1; !(yield* retention.dropMonth(name)); attempt++) {
        if (attempt === attemptsMax) {
          return yield* new CompactRefused({
            why: `somebody has been reading the log for a minute, so ${name} could not be dropped: try again later`,
          })
        }
        yield* Effect.sleep(pause)
      }
    }
    while ((yield* retention.deleteStrays(before)) === deletedPerStatement) yield* Effect.yieldNow
  }
  while ((yield* retention.deleteLandmarks(before)) === deletedPerStatement) yield* Effect.yieldNow
  for (let page = yield* retention.forget(0n); page !== null; page = yield* retention.forget(page.last)) {
    forgotten += page.forgotten
  }
  const persons = decisions > 0 ? yield* dropKeys(retention, principal) : 0
  return { months: due.map(({ month }) => month), before, decisions, forgotten, persons, left }
})

/** Up to when whole months, or days, may go at once. */
const within = Effect.fnUntraced(function* (
  retention: RetentionStore,
  { share = 100 }: Principal,
  unit: "month" | "day",
  from: Millis,
  before: Millis,
) {
  if (share >= 100) return before
  const most = ((yield* retention.size(from)) * share) / 100
  let going = 0
  for (const { begin, count } of yield* retention.amounts(unit, from, before)) {
    going += count
    if (going > most) return Math.max(from, begin)
  }
  return before
})

/**
 * Removes keys of persons who no longer occur in the log. Another connected program may have such a key in memory, and would
 * continue to use it.
 */
const dropKeys = Effect.fnUntraced(function* (
  retention: RetentionStore,
  { whilePaused = (work) => work }: Principal,
) {
  if ((yield* retention.otherPrograms) > 0) return 0
  const { ids, position } = yield* retention.unusedKeys
  return ids.length === 0 ? 0 : yield* whilePaused(retention.dropKeys(ids, position))
})

/** Keeps the state of every stream that loses decisions, as of its last dropped decision. */
const keepBeginnings = Effect.fnUntraced(function* (log: LogAdmin["Service"], before: Millis) {
  const { retention } = log
  const shown = yield* retention.shown
  let decisions = 0
  let position = 0
  let empty = 0
  for (let after = 0n; ;) {
    const page = yield* retention.leaving(before, after)
    if (page.length === 0) break
    const states: State[] = []
    for (const expiring of page) {
      if (expiring.position > shown) {
        return yield* new CompactRefused({
          why: "the tables are behind what is to be dropped: start the server once, or see its log",
        })
      }
      if (
        expiring.isOutOfOrder ||
        expiring.snapshotVersion === null ||
        expiring.snapshotVersion < expiring.version
      ) {
        return yield* new CompactRefused({
          why: `${expiring.stream} is not in order: presently verify says what is wrong with it`,
        })
      }
      states.push(yield* stateThen(log, expiring))
      decisions += expiring.decisions
      position = Math.max(position, expiring.position)
      if (expiring.newest === expiring.version && expiring.snapshot === null) empty++
    }
    yield* retention.keepBeginnings(states)
    after = page.at(-1)!.number
  }
  return { decisions, position, empty }
})

/** A stream's state at the last of its dropped decisions. */
const stateThen = Effect.fnUntraced(function* (
  { store, audit }: LogAdmin["Service"],
  leaving: ExpiringStream,
) {
  const { stream, version, at, snapshotVersion, snapshot } = leaving
  if (snapshotVersion === version) {
    return snapshot === null ? { ...initial(stream), version, decidedAt: at } : thaw(snapshot as Snapshot)
  }
  let state = (yield* store.landmarkBefore(stream, version)) ?? initial(stream)
  while (state.version < version) {
    const page = yield* audit.history(stream, state.version, version)
    for (const { events, ...decision } of page) {
      if (typeof events === "string" || decision.version !== state.version + 1) {
        return yield* new CompactRefused({
          why: `${stream} version ${decision.version} cannot be read: presently verify --from-start says more`,
        })
      }
      state = fold(state, { ...decision, events })
    }
    if (page.length === 0) {
      return yield* new CompactRefused({
        why: `decisions of ${stream} are missing: presently verify says more`,
      })
    }
  }
  return state
})

const retentionState = ({ store }: LogAdmin["Service"]) =>
  Effect.map(store.load([retentionStream]), ([state = initial(retentionStream)]) => ({
    state,
    retained: state.retained ?? nothingDropped,
  }))

const record = (log: LogAdmin["Service"], event: Event, at: Millis, { by }: Principal) =>
  recordFact(log, event, at, "Compact", by)

const signed = ({ key }: Principal, text: string): { readonly signature?: string } =>
  key === null ? {} : { signature: sign(null, Buffer.from(text), key).toString("hex") }

/** Stores a fact about retention. The snapshot is stored along with it, because a running server does not know of this decision. */
export const recordFact = Effect.fnUntraced(function* (
  log: LogAdmin["Service"],
  event: Event,
  at: Millis,
  cause: string,
  origin: string,
) {
  const { store } = log
  for (;;) {
    const { state } = yield* retentionState(log)
    const decision = {
      stream: retentionStream,
      version: state.version + 1,
      cause,
      origin,
      nonce: freshNonce(),
      ...placedAt(state, nowFor(state, at), [event]),
    }
    const { conflicts } = yield* store.append([decision])
    if (conflicts.size > 0) continue
    yield* store.saveSnapshots([fold(state, decision)])
    return
  }
})
