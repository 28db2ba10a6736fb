/**
 * What the application asks of a store of decisions: a service and its errors, without behaviour.
 *
 * The domain never calls them; the application does (`app/node/pump.ts`). What an event store promises is a list of cases that
 * every implementation passes: `storeContract` of `presently/testing`.
 */
import { Context, Data } from "effect"
import type { Effect } from "effect"
import type { RecordedDecision } from "../domain/history/moments.ts"
import type { Decision } from "../domain/presentity/events.ts"
import type { State } from "../domain/presentity/state.ts"
import type { Millis, Position, Uri } from "../domain/vocabulary.ts"
import type { Claim } from "./claim.ts"

export type { RecordedDecision } from "../domain/history/moments.ts"
export type { Position } from "../domain/vocabulary.ts"

export interface Checkpoint {
  readonly position: Position
  readonly at: Millis
}

/** Where decisions are kept. Its contract is `storeContract` of `presently/testing`, which every implementation passes. */
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
