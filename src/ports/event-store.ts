/**
 * What the application requires of a store of decisions: a service and its errors, without behaviour.
 *
 * The domain never calls it; the application does (`app/node/pump.ts`). The contract of an event store is a list of
 * cases that every implementation passes: `storeContract` of `presently/testing`.
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

/** Where decisions are stored. Every implementation passes `storeContract` of `presently/testing`. */
export class EventStore extends Context.Service<
  EventStore,
  {
    /**
     * Stores decisions: for each stream all of them or none, and only if the stream stands directly before the first
     * one.
     *
     * Safe to repeat: decisions already stored by an earlier attempt, recognized by version and nonce, count as stored.
     *
     * @param requesters for each decision the watcher that sent the request; null, or absent: the presentity itself, or
     *   nobody. A store that encrypts personal data needs this, and does not store it.
     */
    readonly append: (
      decisions: readonly Decision[],
      requesters?: readonly (Uri | null)[],
    ) => Effect.Effect<Appended, StoreUnavailable>
    /** The present state of each stream, in the requested order; an unknown stream is empty at version 0. */
    readonly load: (streams: readonly Uri[]) => Effect.Effect<readonly State[], StoreUnavailable>
    /**
     * Decisions after a position in commit order, without gaps; fewer than `max` means the end.
     *
     * @param only nothing but the events is needed, for folding: a store may leave `origin` empty, and `about` out
     */
    readonly read: (
      after: Position,
      max: number,
      only?: "events",
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
    /** Stores complete states at versions that are kept for good (`isLandmark`). Safe to repeat. */
    readonly saveLandmarks: (states: readonly State[]) => Effect.Effect<void, StoreUnavailable>
    /** The newest landmark of a stream at or before an instant; null: fold from the beginning. */
    readonly landmarkAt: (stream: Uri, at: Millis) => Effect.Effect<State | null, StoreUnavailable>
    /** The newest landmark of a stream at or before a version; null: fold from the beginning. */
    readonly landmarkBefore: (stream: Uri, version: number) => Effect.Effect<State | null, StoreUnavailable>
    /** Landmarks of a stream before a version, newest first. */
    readonly landmarksBack: (
      stream: Uri,
      beforeVersion: number,
      max: number,
    ) => Effect.Effect<readonly State[], StoreUnavailable>
    /** Stores folded states; of an empty one only the version is kept. */
    readonly saveSnapshots: (states: readonly State[]) => Effect.Effect<void, StoreUnavailable>
    /**
     * Stored states with live records, each once: those after the stream `after` in the store's own order (`""`: from
     * the first); fewer than `max` means the end.
     */
    readonly snapshots: (after: string, max: number) => Effect.Effect<readonly State[], StoreUnavailable>
    readonly saveCheckpoint: (name: CheckpointName, at: Checkpoint) => Effect.Effect<void, StoreUnavailable>
    readonly checkpoint: (name: CheckpointName) => Effect.Effect<Checkpoint | null, StoreUnavailable>
    /**
     * Streams with a decision at or before a position that is in the log but in no snapshot, each with the version of
     * its snapshot (0: none), in the store's own order after `after` (`""`: from the first); fewer than `max` means the
     * end. They exist only after a checkpoint went further than it should have. Absent: never.
     */
    readonly behind?: (
      upTo: Position,
      after: string,
      max: number,
    ) => Effect.Effect<readonly { readonly stream: Uri; readonly version: number }[], StoreUnavailable>
    /** Absent: no other program can write to the store. */
    readonly claim?: Claim
    /**
     * Fails while decisions would not be stored, and stores nothing itself; asked after an append has failed though the
     * store can be read. Absent: only the next append shows it.
     */
    readonly proof?: () => Effect.Effect<void, StoreUnavailable>
  }
>()("presently/EventStore") {}

/**
 * `tables`: snapshots and tables show everything up to here; `delivery`: no NOTIFY issued before `at` is pending;
 * `answered`: no NOTIFY of a decision up to `position` is.
 */
export type CheckpointName = "tables" | "delivery" | "answered"

export interface Appended {
  /** Position of the newest decision stored by this append or before it. */
  readonly position: Position
  /** Streams that stood at another version: nothing of them was stored. */
  readonly conflicts: ReadonlySet<Uri>
}

/**
 * The store did not respond, or failed for a reason outside this program; the requested operation may or may not have
 * happened.
 */
export class StoreUnavailable extends Data.TaggedError("StoreUnavailable")<{ readonly cause: unknown }> {
  override get message(): string {
    return "the event store is unavailable"
  }
}
