/**
 * What a store does to remove data from a log: old decisions and documents (retention), and persons (erasure).
 *
 * Every effect fails with `StoreUnavailable` if the database does not respond, or if another program holds the log: a
 * program that lost the log drops nothing from it. Instants are milliseconds since 1970.
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
  /** The version of the newest decision to be dropped. */
  readonly version: number
  /** The instant of that decision. */
  readonly at: Millis
  /** The position of that decision. */
  readonly position: number
  /** The number of decisions to be dropped. */
  readonly decisions: number
  /** The version of the stream. */
  readonly newest: number
  /** Null: there is no snapshot. */
  readonly snapshotVersion: number | null
  /** The state as JSON; null: nothing was live. */
  readonly snapshot: unknown
  /** Whether decisions that stay are older than one to be dropped, which must not be. */
  readonly isOutOfOrder: boolean
}

/** A decision whose documents may have to be dropped. */
export interface OldRow {
  readonly position: bigint
  readonly at: Date
  readonly events: StoredEvents
}

/** Identifies a landmark. */
export interface LandmarkKey {
  readonly stream: bigint
  readonly version: bigint
}

/** A deletion that removes fewer rows than this has removed all of them. */
export const deletedPerStatement = 2000

export interface RetentionStore {
  /** Creates the partitions for the month of an instant and for the following month. */
  readonly makePartitions: (now: Date) => Asked<void>
  /** The position up to which the tables, and with them the snapshots, show the log. */
  readonly shown: Asked<number>
  /** Months of the log with a partition of their own, oldest first: `2026-01`, with the name of the partition. */
  readonly months: Asked<readonly { readonly name: string; readonly month: string }[]>
  /** The number of decisions between two instants by month or day (UTC), oldest first. O(that number). */
  readonly amounts: (
    unit: "month" | "day",
    from: Millis,
    before: Millis,
  ) => Asked<readonly { readonly begin: Millis; readonly count: number }[]>
  /** The approximate number of decisions from an instant on, derived from their positions. O(1). */
  readonly size: (from: Millis) => Asked<number>
  /** Whether there are decisions older than an instant outside the partitions of months. */
  readonly hasStrays: (before: Millis) => Asked<boolean>
  /** Streams with decisions older than an instant, by number; an empty page is the end. */
  readonly leaving: (before: Millis, after: bigint) => Asked<readonly ExpiringStream[]>
  /** Keeps states of streams with the hash of their newest decision, because the next hash builds on it. */
  readonly keepBeginnings: (states: readonly State[]) => Asked<void>
  /** Drops a partition. Returns false if readers of the log hold a lock that prevents it. */
  readonly dropMonth: (name: string) => Asked<boolean>
  /** Deletes decisions outside the partitions of months and returns their number, see `deletedPerStatement`. */
  readonly deleteStrays: (before: Millis) => Asked<number>
  /** Deletes landmarks older than the beginning of their stream and returns their number, see `deletedPerStatement`. */
  readonly deleteLandmarks: (before: Millis) => Asked<number>
  /** Forgets a page of streams without decisions and without live state; null: there were none left. */
  readonly forget: (after: bigint) => Asked<{ readonly last: bigint; readonly forgotten: number } | null>
  /** Ids of keys that no decision up to the newest one needs, and the position of that decision. O(the log). */
  readonly unusedKeys: Asked<{ readonly ids: readonly string[]; readonly position: bigint }>
  /**
   * Drops those keys that no later decision needs either, and returns their number. The log must not be written
   * meanwhile.
   */
  readonly dropKeys: (ids: readonly string[], position: bigint) => Asked<number>
  /** The number of other connected programs, which may hold keys in memory. */
  readonly otherPrograms: Asked<number>
  /** The instant before which documents of a package have certainly been dropped; 0: none. */
  readonly documentsGone: (packageName: PackageName) => Asked<Millis>
  readonly saveDocumentsGone: (packageName: PackageName, before: Millis) => Asked<void>
  /** Decisions between two instants that name a package, as stored, by position; an empty page is the end. */
  readonly oldRows: (
    from: Millis,
    before: Millis,
    packageName: PackageName,
    after: bigint,
  ) => Asked<readonly OldRow[]>
  /** The keys that rows need, by id. */
  readonly opening: (rows: readonly OldRow[]) => Asked<(id: string) => PersonKey | undefined>
  /** Replaces the events of rows. */
  readonly rewrite: (rows: readonly OldRow[]) => Asked<void>
  /** Landmarks older than an instant by stream and version, as JSON; null requests the first page. */
  readonly oldLandmarks: (
    before: Millis,
    after: LandmarkKey | null,
  ) => Asked<readonly (LandmarkKey & { readonly state: unknown })[]>
  readonly rewriteLandmarks: (rows: readonly (LandmarkKey & { readonly state: object })[]) => Asked<void>
}

/** A saved state that mentions a person. */
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

/** A decision that may hold in clear text what is encrypted today. */
export interface EarlierRow {
  readonly position: bigint
  readonly at: Millis
  readonly origin: string
  readonly events: StoredEvents
}

/** Identifies a version of a stream. */
export interface StreamVersion {
  readonly stream: Uri
  readonly version: number
}

/** A decision with documents of others, and the text of these. */
export interface DocumentRow extends StreamVersion {
  readonly position: bigint
  readonly texts: readonly string[]
}

/**
 * Erases persons by crypto-shredding: encrypted data becomes unreadable with the destruction of the key. Names of
 * streams, saved states, rows of tables and dead letters are not encrypted and are found by the URI of the person.
 */
export interface ErasureStore {
  /** The number of connected servers of versions that know no claim. */
  readonly servers: Asked<number>
  readonly isKnown: (person: Uri) => Asked<boolean>
  /** Null: the person has no key. */
  readonly keyOf: (person: Uri) => Asked<PersonKey | null>
  /** Unencrypted decisions that may mention a person, by position; an empty page is the end. */
  readonly clearRows: (person: Uri, after: bigint) => Asked<readonly ClearRow[]>
  /** Decisions in the stream of a person that may hold in clear text what is encrypted today, by position. */
  readonly earlierRows: (person: Uri, after: bigint) => Asked<readonly EarlierRow[]>
  /** Decisions with documents of anybody except that person, by position. O(documents in the log). */
  readonly documents: (person: Uri, after: bigint) => Asked<readonly DocumentRow[]>
  /** Streams that may have live records of that person. */
  readonly aliveIn: (person: Uri) => Asked<readonly Uri[]>
  /** Deletes the landmarks of the stream of a person, except the one with which its log begins. */
  readonly dropLandmarks: (person: Uri) => Asked<void>
  /** Landmarks of other streams that mention a person, except those with which a log begins; oldest first. */
  readonly landmarksOf: (person: Uri) => Asked<readonly StreamVersion[]>
  /** All saved states that mention a person. */
  readonly saved: (person: Uri) => Asked<readonly SavedState[]>
  readonly put: (saved: SavedState) => Asked<void>
  /**
   * Removes the key, with which all that it encrypts becomes unreadable, and the name with the salt that binds it to
   * the chain.
   */
  readonly shred: (person: Uri, pseudonym: Uri) => Asked<void>
  /**
   * Removes bytes that the database no longer needs from its files: dead rows, statistics, the write-ahead log.
   *
   * @returns what could not be done, one line each
   */
  readonly scrub: Asked<readonly string[]>
}
