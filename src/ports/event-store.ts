/**
 * What the application asks of an event store, and of the tables beside it.
 *
 * Services and their errors, no behaviour. The domain itself never calls them; `app/node/pump.ts` does.
 */
import { Context, Data } from "effect"
import type { RecordedDecision } from "../domain/history/moments.ts"
import type { Effect } from "effect"
import type { Decision } from "../domain/presentity/events.ts"
import type { State } from "../domain/presentity/state.ts"
import type { RowKey } from "../domain/projections/rows.ts"
import type { Millis, Position, Uri } from "../domain/vocabulary.ts"

export type { RecordedDecision } from "../domain/history/moments.ts"
export type { Position } from "../domain/vocabulary.ts"

export interface Checkpoint {
  readonly position: Position
  readonly at: Millis
}

/** Who has a log: the program that alone may write to it. */
export interface Holder {
  /** `presently serve` */
  readonly program: string
  readonly host: string
  /** Of the process on that host; with `isSession` that of PostgreSQL's backend. */
  readonly pid: number
  /** All that is known of it is its session in the database: it is a server of a version that took no log. */
  readonly isSession?: true
  readonly version: string
  /** Since when it has the log. */
  readonly since: Millis
  /** Counts the takings of the log; 0: nobody ever took it. */
  readonly epoch: number
}

/** The right to write to a log, as one process has it. */
export interface Claim {
  /**
   * Whether it has that right beyond doubt at this moment. Otherwise nothing may be said from memory: somebody else may have
   * written meanwhile. A comparison of numbers.
   */
  readonly isSure: () => boolean
  /** Who took the log away; null: nobody, as far as is known. There is no way back. */
  readonly taken: () => (Error & { readonly holder: Holder }) | null
}

/** Of a store that nobody else can write to. */
export const soleClaim: Claim = { isSure: () => true, taken: () => null }

/** Why nothing is said from memory, for whoever is not to know who has the log: a phone, for instance. */
export const unsure = "somebody else may have the log by now"

/** Why nothing may be said from memory, with who has the log where that is known; null: it is sure that nobody else has. */
export const whyUnsure = (claim: Claim): string | null =>
  claim.isSure() ? null : (claim.taken()?.message ?? unsure)

/** Where facts are kept. The contract is a test suite that every implementation passes. */
export class EventStore extends Context.Service<
  EventStore,
  {
    /**
     * Stores decisions, all of a stream or none, each stream only when it stands just before its first one.
     *
     * Safe to repeat: decisions that an earlier attempt stored already count as stored (told by version and nonce).
     *
     * @param requesters for each decision the watcher whose request it was; null, or absent: the presentity's own, or
     *   nobody's. A store that encrypts what it keeps of a person needs it, and does not keep it.
     */
    readonly append: (
      decisions: readonly Decision[],
      requesters?: readonly (Uri | null)[],
    ) => Effect.Effect<Appended, StoreUnavailable>
    /** Each stream's present state, in the order asked; a stream never seen is empty at version 0. */
    readonly load: (streams: readonly Uri[]) => Effect.Effect<readonly State[], StoreUnavailable>
    /** Decisions after a position in commit order, without gaps; fewer than `max` means the end. */
    readonly read: (
      after: Position,
      max: number,
    ) => Effect.Effect<readonly RecordedDecision[], StoreUnavailable>
    /** Decisions of one stream after a version, oldest first. */
    readonly history: (
      stream: Uri,
      afterVersion: number,
      max: number,
    ) => Effect.Effect<readonly RecordedDecision[], StoreUnavailable>
    /** Decisions of one stream before a version, newest first. */
    readonly historyBack: (
      stream: Uri,
      beforeVersion: number,
      max: number,
    ) => Effect.Effect<readonly RecordedDecision[], StoreUnavailable>
    /** Keeps states of versions worth going back to (`isLandmark`), whole. Safe to repeat. */
    readonly saveLandmarks: (states: readonly State[]) => Effect.Effect<void, StoreUnavailable>
    /** The newest landmark of a stream that was true at an instant; null: fold from the beginning. */
    readonly landmarkAt: (stream: Uri, at: Millis) => Effect.Effect<State | null, StoreUnavailable>
    /** The newest landmark of a stream at or before a version; null: fold from the beginning. */
    readonly landmarkBefore: (stream: Uri, version: number) => Effect.Effect<State | null, StoreUnavailable>
    /** Landmarks of a stream before a version, newest first. */
    readonly landmarksBack: (
      stream: Uri,
      beforeVersion: number,
      max: number,
    ) => Effect.Effect<readonly State[], StoreUnavailable>
    /** Saves folded states; an empty one is kept as its version only. */
    readonly saveSnapshots: (states: readonly State[]) => Effect.Effect<void, StoreUnavailable>
    /** Saved states that have something alive, each once: those after the stream `after` in the store's own order (`""`: from the first); fewer than `max` means the end. */
    readonly snapshots: (after: string, max: number) => Effect.Effect<readonly State[], StoreUnavailable>
    readonly saveCheckpoint: (name: CheckpointName, at: Checkpoint) => Effect.Effect<void, StoreUnavailable>
    readonly checkpoint: (name: CheckpointName) => Effect.Effect<Checkpoint | null, StoreUnavailable>
    /**
     * Streams of which a decision at or before a position is in the log and in no snapshot, each with the version of its snapshot
     * (0: none), in the store's own order after `after` (`""`: from the first); fewer than `max` means the end. There are some only
     * after a checkpoint went further than it should have. Absent: never any.
     */
    readonly behind?: (
      upTo: Position,
      after: string,
      max: number,
    ) => Effect.Effect<readonly { readonly stream: Uri; readonly version: number }[], StoreUnavailable>
    /** Absent: nobody else can write there. */
    readonly claim?: Claim
  }
>()("presently/EventStore") {}

/**
 * `tables`: snapshots and tables show everything up to here; `delivery`: no NOTIFY issued before `at` is pending; `answered`: no
 * NOTIFY of a decision up to `position` is.
 */
export type CheckpointName = "tables" | "delivery" | "answered"

export interface Appended {
  /** Position of the newest decision stored by this append or before it. */
  readonly position: Position
  /** Streams that stood elsewhere: nothing of them was stored. */
  readonly conflicts: ReadonlySet<Uri>
}

/** The store did not answer, or said no for a reason that is not ours; what was asked may or may not have happened. */
export class StoreUnavailable extends Data.TaggedError("StoreUnavailable")<{ readonly cause: unknown }> {
  override get message(): string {
    return "the event store is unavailable"
  }
}

/** Where the three tables are written; a server without database has none. */
export class PresenceTables extends Context.Service<
  PresenceTables,
  {
    /**
     * What `work` writes, here and in the event store, appears at once or not at all, and nobody else writes the tables
     * meanwhile. Where nobody else can, as in the embedded database, it is the work as it is.
     */
    readonly together: <A, E>(work: Effect.Effect<A, E>) => Effect.Effect<A, E | StoreUnavailable>
    /** Brings the rows named by `keys` in line with the given states. Safe to repeat. */
    readonly write: (changes: readonly TableChange[]) => Effect.Effect<void, StoreUnavailable>
  }
>()("presently/PresenceTables") {}

export interface TableChange {
  readonly state: State
  readonly keys: readonly RowKey[]
}
