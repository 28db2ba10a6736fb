/**
 * What a store does to make a log forget: decisions and documents that are old (retention), and persons (erasure).
 *
 * Every effect fails with `StoreUnavailable` when the database does not answer, or when somebody else has the log: whoever lost
 * it drops nothing of it. Instants are milliseconds since 1970.
 */
import type { Effect } from "effect"
import type { Snapshot } from "../domain/presentity/snapshot.ts"
import type { State } from "../domain/presentity/state.ts"
import type { Millis, PackageName, Uri } from "../domain/vocabulary.ts"
import type { StoreUnavailable } from "./event-store.ts"
import type { PersonKey, StoredEvents } from "./stored-events.ts"

type Asked<A> = Effect.Effect<A, StoreUnavailable>

/** A stream that loses decisions. */
export interface ExpiringStream {
  readonly number: bigint
  readonly stream: Uri
  /** The version of the newest decision that goes. */
  readonly version: number
  /** The instant of that decision. */
  readonly at: Millis
  /** The position of that decision. */
  readonly position: number
  /** The number of decisions that go. */
  readonly decisions: number
  /** The version of the stream. */
  readonly newest: number
  /** Null: there is no snapshot. */
  readonly snapshotVersion: number | null
  /** The state as JSON; null: nothing was alive. */
  readonly snapshot: unknown
  /** Whether decisions that stay are older than one that goes, which must not be. */
  readonly isOutOfOrder: boolean
}

/** A decision whose documents may have to go. */
export interface OldRow {
  readonly position: bigint
  readonly at: Date
  readonly events: StoredEvents
}

/** Names a landmark. */
export interface LandmarkKey {
  readonly stream: bigint
  readonly version: bigint
}

/** A deletion that takes away fewer rows than this has taken away all there were. */
export const deletedPerStatement = 2000

export interface RetentionStore {
  /** Makes room for the decisions of the month of an instant and of the month after it. */
  readonly makePartitions: (now: Date) => Asked<void>
  /** The position up to which the tables, and with them the snapshots, show the log. */
  readonly shown: Asked<number>
  /** Months of the log that have a partition of their own, oldest first: `2026-01`, with the name of the partition. */
  readonly months: Asked<readonly { readonly name: string; readonly month: string }[]>
  /** The number of decisions between two instants by month or day (UTC), oldest first. O(that number). */
  readonly amounts: (
    unit: "month" | "day",
    from: Millis,
    before: Millis,
  ) => Asked<readonly { readonly begin: Millis; readonly count: number }[]>
  /** About how many decisions there are from an instant on, told by their positions. O(1). */
  readonly size: (from: Millis) => Asked<number>
  /** Whether there are decisions from before an instant outside the partitions of months. */
  readonly hasStrays: (before: Millis) => Asked<boolean>
  /** Streams with decisions from before an instant, by number; an empty page is the end. */
  readonly leaving: (before: Millis, after: bigint) => Asked<readonly ExpiringStream[]>
  /** Keeps states of streams with the hash of their newest decision, because the next one builds on that. */
  readonly keepBeginnings: (states: readonly State[]) => Asked<void>
  /** Drops a partition. Gives false when somebody reads the log and lets nobody near it. */
  readonly dropMonth: (name: string) => Asked<boolean>
  /** Deletes decisions outside the partitions of months; gives how many, see `deletedPerStatement`. */
  readonly deleteStrays: (before: Millis) => Asked<number>
  /** Deletes landmarks that are older than the beginning of their stream; gives how many, see `deletedPerStatement`. */
  readonly deleteLandmarks: (before: Millis) => Asked<number>
  /** Forgets a page of streams of which no decision is left and nothing is alive; null: there were none any more. */
  readonly forget: (after: bigint) => Asked<{ readonly last: bigint; readonly forgotten: number } | null>
  /** Ids of keys that no decision up to the newest one needs, and the position of that one. O(the log). */
  readonly unusedKeys: Asked<{ readonly ids: readonly string[]; readonly position: bigint }>
  /** Drops those keys that no later decision needs either; gives how many. Nobody may write to the log meanwhile. */
  readonly dropKeys: (ids: readonly string[], position: bigint) => Asked<number>
  /** The number of other programs that are connected and may have keys in their memory. */
  readonly otherPrograms: Asked<number>
  /** The instant up to which documents of a package are gone for sure; 0: none are. */
  readonly documentsGone: (packageName: PackageName) => Asked<Millis>
  readonly saveDocumentsGone: (packageName: PackageName, before: Millis) => Asked<void>
  /** Decisions between two instants that name a package, as they stand, by position; an empty page is the end. */
  readonly oldRows: (
    from: Millis,
    before: Millis,
    packageName: PackageName,
    after: bigint,
  ) => Asked<readonly OldRow[]>
  /** The keys that rows need, by id. */
  readonly opening: (rows: readonly OldRow[]) => Asked<(id: string) => PersonKey | undefined>
  /** Writes events in the place of those that rows hold. */
  readonly rewrite: (rows: readonly OldRow[]) => Asked<void>
  /** Landmarks from before an instant by stream and version, as JSON; null asks for the first page. */
  readonly oldLandmarks: (
    before: Millis,
    after: LandmarkKey | null,
  ) => Asked<readonly (LandmarkKey & { readonly state: unknown })[]>
  readonly rewriteLandmarks: (rows: readonly (LandmarkKey & { readonly state: object })[]) => Asked<void>
}

/** A saved state that speaks of a person. */
export interface SavedState {
  readonly stream: bigint
  /** The version of a landmark; null: it is a snapshot. */
  readonly version: bigint | null
  readonly state: Snapshot
}

/** A decision that is not encrypted. */
export interface ClearRow {
  readonly position: bigint
  readonly stream: string
  readonly version: bigint
  readonly origin: string
  readonly events: unknown
}

/** A decision in which something may stand in clear that is encrypted nowadays. */
export interface EarlierRow {
  readonly position: bigint
  readonly at: Millis
  readonly origin: string
  readonly events: StoredEvents
}

/** Names a version of a stream. */
export interface StreamVersion {
  readonly stream: Uri
  readonly version: number
}

/** A decision with documents of others, and their texts. */
export interface DocumentRow extends StreamVersion {
  readonly position: bigint
  readonly texts: readonly string[]
}

/**
 * Erases persons by crypto-shredding: what is encrypted goes with the key; names of streams, saved states, rows of tables and
 * dead letters, which are not encrypted, are found by the URI of the person.
 */
export interface ErasureStore {
  /** The number of servers that are connected and know of no claim. */
  readonly servers: Asked<number>
  readonly isKnown: (person: Uri) => Asked<boolean>
  /** Null: the person has no key. */
  readonly keyOf: (person: Uri) => Asked<PersonKey | null>
  /** Decisions that are not encrypted and may speak of a person, by position; an empty page is the end. */
  readonly clearRows: (person: Uri, after: bigint) => Asked<readonly ClearRow[]>
  /** Decisions of the stream of a person that may hold something in clear that is encrypted nowadays, by position. */
  readonly earlierRows: (person: Uri, after: bigint) => Asked<readonly EarlierRow[]>
  /** Decisions with documents of others than that person, by position. O(documents in the log). */
  readonly documents: (person: Uri, after: bigint) => Asked<readonly DocumentRow[]>
  /** Streams in which something of that person may be alive. */
  readonly aliveIn: (person: Uri) => Asked<readonly Uri[]>
  /** Deletes the landmarks of the stream of a person, except the one that its log begins with. */
  readonly dropLandmarks: (person: Uri) => Asked<void>
  /** Landmarks of other streams that speak of a person, except those that a log begins with; oldest first. */
  readonly landmarksOf: (person: Uri) => Asked<readonly StreamVersion[]>
  /** All saved states that speak of a person. */
  readonly saved: (person: Uri) => Asked<readonly SavedState[]>
  readonly put: (saved: SavedState) => Asked<void>
  /** Takes away the key with all that it opens, and the name with the salt that binds it to the chain. */
  readonly shred: (person: Uri, pseudonym: Uri) => Asked<void>
  /**
   * Makes bytes that the database no longer needs go from its files: dead rows, statistics, the write-ahead log.
   *
   * @returns what could not be done, one line each
   */
  readonly scrub: Asked<readonly string[]>
}
