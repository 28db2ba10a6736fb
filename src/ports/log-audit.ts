/**
 * What checking a log requires of its store: rows as stored, whether valid or not, page by page.
 *
 * Positions and numbers of streams are `bigint` where a row may hold any number. Instants are milliseconds since 1970
 * unless a field says otherwise. Every effect fails with `StoreUnavailable` if the database does not respond.
 */
import type { Effect } from "effect"
import type { Event } from "../domain/presentity/events.ts"
import type { State } from "../domain/presentity/state.ts"
import type { TableName, TableRow } from "../domain/projections/layout.ts"
import type { Millis, Uri } from "../domain/vocabulary.ts"
import type { StoreUnavailable } from "./event-store.ts"

type Asked<A> = Effect.Effect<A, StoreUnavailable>

// ── decisions, snapshots and rows of the tables ──

export interface Positions {
  /** The position up to which the tables show the log. */
  readonly tables: number
  /** The position of the newest decision. */
  readonly last: number
  /** The number of decisions between the two. */
  readonly lag: number
  /** The highest position ever given to a decision: no checkpoint can be above it. */
  readonly given: number
}

/** When decisions were made; null: there is no such decision. */
export interface LogTimes {
  /** The instant of the checkpoint up to which the tables show the log. */
  readonly shown: Millis | null
  /** The instant of the oldest decision that the tables do not show. */
  readonly waiting: Millis | null
  /** The instant of the newest decision. */
  readonly newest: Millis | null
}

export interface LoggedDecision {
  readonly position: number
  readonly stream: Uri
  readonly version: number
  readonly at: Millis
  /** The events, or a text that says why they cannot be decoded. */
  readonly events: readonly Event[] | string
}

/** A stream, and the content of its snapshot. */
export interface Head {
  readonly stream: Uri
  readonly version: number
  /** Null: there is no snapshot. */
  readonly snapshotVersion: number | null
  /** The state as JSON; null: nothing was live. */
  readonly snapshot: unknown
}

/** The state of a stream at the last decision that was dropped from it, as JSON. */
export interface Beginning {
  readonly number: bigint
  readonly stream: Uri
  readonly state: unknown
}

export interface FoundRow {
  readonly id: number
  readonly row: TableRow
}

export interface Gap {
  readonly stream: string
  readonly why: string
}

/** The log, the states saved from it, and the presence tables. */
export interface LogAudit {
  readonly positions: Asked<Positions>
  readonly times: Asked<LogTimes>
  /** Streams whose decisions are not numbered consecutively up to their head. */
  readonly gaps: Asked<readonly Gap[]>
  /** Decisions after a position and up to another, in the order in which they were stored. */
  readonly decisions: (after: number, upTo: number) => Asked<readonly LoggedDecision[]>
  /** Decisions of one stream after a version and up to another, oldest first. */
  readonly history: (
    stream: Uri,
    afterVersion: number,
    upToVersion: number,
  ) => Asked<readonly LoggedDecision[]>
  /** Streams after `after` by name, with their snapshots; an empty page is the end. */
  readonly heads: (after: string) => Asked<readonly Head[]>
  /** Numbers of streams that have a snapshot but are not known otherwise. */
  readonly orphans: Asked<readonly bigint[]>
  /** Rows of a presence table after an id, by id; an empty page is the end. */
  readonly rows: (table: TableName, after: number) => Asked<readonly FoundRow[]>
  readonly deleteRows: (table: TableName, ids: readonly number[]) => Asked<void>
  /** Writes snapshots whatever version was stored before. */
  readonly putSnapshots: (states: readonly State[]) => Asked<void>
  readonly deleteSnapshots: (streams: readonly bigint[]) => Asked<void>
  /** The landmarks at the versions of these states, in their order, as JSON; null: there is none. */
  readonly landmarks: (states: readonly State[]) => Asked<readonly unknown[]>
  readonly putLandmarks: (states: readonly State[]) => Asked<void>
  /** The newest landmark of a stream at or before a version; null: there is none. */
  readonly landmarkBefore: (stream: Uri, version: number) => Asked<State | null>
  /** The newest landmark at which older decisions of each stream were dropped, by number of the stream. */
  readonly beginnings: (after: Beginning | null) => Asked<readonly Beginning[]>
  readonly putTablesCheckpoint: (position: number) => Asked<void>
}

// ── the hash chain ──

/** One row of the log. */
export interface ChainRow {
  readonly position: bigint
  /** Microseconds since 1970. */
  readonly at: bigint
  /** The number of the stream. */
  readonly stream: bigint
  readonly version: bigint
  readonly cause: string
  readonly origin: string
  readonly nonce: string
  /** The events as stored, byte for byte. */
  readonly events: string
  /** Null: the row is older than the chain. */
  readonly hash: Uint8Array | null
}

/** The head of one stream. */
export interface ChainHead {
  readonly id: bigint
  readonly name: string
  readonly salt: Uint8Array | null
  readonly root: Uint8Array
  readonly version: bigint
  readonly nonce: string
  readonly hash: Uint8Array | null
  /** Versions up to which rows were dropped, with the hash of the last of them. */
  readonly beginnings: readonly {
    readonly version: bigint
    readonly at: Millis
    readonly hash: Uint8Array | null
  }[]
}

/** Less than every number that a row can hold. */
export const lowest = -(2n ** 63n)

export interface LogChain {
  /** The position of the newest row that may lack a hash. */
  readonly begun: Asked<bigint>
  /** Rows by stream and version; `after` is the last row of the previous page, null requests the first page. */
  readonly rows: (after: ChainRow | null) => Asked<readonly ChainRow[]>
  /** Heads after a number, by number. */
  readonly heads: (after: bigint) => Asked<readonly ChainHead[]>
}

// ── seals ──

/** A signed statement about the content of the log up to a position. */
export interface Seal {
  /** The position of the newest decision that it covers. */
  readonly position: bigint
  /**
   * The position of the previous seal; the first seal follows the last decision that was stored before the chain
   * existed.
   */
  readonly previous: bigint
  readonly at: Millis
  /** The number of decisions between the two. */
  readonly rows: bigint
  /** The digest of the hashes of these decisions, on top of the digest of the previous seal. */
  readonly digest: Uint8Array
  readonly signature: Uint8Array
}

export interface RowHash {
  readonly position: bigint
  readonly hash: Uint8Array | null
}

export interface SealStore {
  /** Seals after a position, oldest first. */
  readonly after: (position: bigint) => Asked<readonly Seal[]>
  /** Null: there is no seal. */
  readonly newest: Asked<Seal | null>
  /** Positions and hashes of decisions after a position, in the order of the log. */
  readonly hashes: (after: bigint) => Asked<readonly RowHash[]>
  /** Stores a seal. Returns false if another program has sealed meanwhile, or holds the log by now. */
  readonly add: (seal: Seal) => Asked<boolean>
  /** The number of decisions with a hash after a position, and the instant of the oldest of them. */
  readonly unsealed: (after: bigint) => Asked<{ readonly count: number; readonly oldest: Millis | null }>
}
