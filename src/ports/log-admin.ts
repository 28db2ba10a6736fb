/**
 * What the administration of a log needs of its store, beyond what decisions need (`event-store.ts`): verification and
 * seals, retention, erasure, the doctor, and the store's knowledge of time. A store in memory has none of this.
 */
import { Context } from "effect"
import type { Effect } from "effect"
import type { Millis } from "../domain/vocabulary.ts"
import type { Claim, Holder } from "./claim.ts"
import type { EventStore, StoreUnavailable } from "./event-store.ts"
import type { LogAudit, LogChain, SealStore } from "./log-audit.ts"
import type { ErasureStore, RetentionStore } from "./log-retention.ts"
import type { PresenceTables, TableNames } from "./presence-tables.ts"

type Asked<A> = Effect.Effect<A, StoreUnavailable>

export class LogAdmin extends Context.Service<
  LogAdmin,
  {
    /** The same log as an event store; it encrypts personal data. */
    readonly store: EventStore["Service"]
    /** The presence tables in the same database. */
    readonly tables: PresenceTables["Service"]
    readonly tableNames: TableNames
    readonly audit: LogAudit
    readonly chain: LogChain
    readonly seals: SealStore
    readonly retention: RetentionStore
    readonly erasure: ErasureStore
    readonly witness: ClockWitness
    readonly layout: StoreLayout
    /** This program's right to write to the log. */
    readonly claim: Claim
    /** The program that holds the log, whether or not it is running; null: nobody, the log was released. */
    readonly holder: Asked<Holder | null>
    /**
     * Runs work that sees one consistent snapshot of the database, whatever is written meanwhile; the work itself must
     * not write.
     */
    readonly consistently: <A, E, R>(
      work: Effect.Effect<A, E, R>,
    ) => Effect.Effect<A, E | StoreUnavailable, R>
    /** Runs work in one transaction that excludes every other writer of the tables. */
    readonly exclusively: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreUnavailable, R>
  }
>()("presently/LogAdmin") {}

/** The reading of a machine's clock at a given time after the machine started. */
export interface Beat {
  /** Identifies one run of a machine. */
  readonly boot: string
  readonly uptime: Millis
  readonly at: Millis
}

/** The clock jumped forward without confirmation. */
export interface Doubt {
  readonly at: Millis
  readonly by: Millis
}

export interface DatabaseClock {
  readonly at: Millis
  /** Whether the clock may be that of this machine, because the database runs on this machine or in this process. */
  readonly isLocal: boolean
}

/**
 * What a store knows of time: its own clock, the newest instant that it holds, and the last recorded reading of the
 * server's clock.
 */
export interface ClockWitness {
  /** Reads the clock of the database. */
  readonly look: Asked<DatabaseClock>
  /** Null: no reading has been recorded since the machine started, or ever. */
  readonly lastBeat: Asked<Beat | null>
  readonly beat: (beat: Beat) => Asked<void>
  /** The instant of the newest decision or seal; 0: there is none. */
  readonly newest: Asked<Millis>
  readonly doubt: Asked<Doubt | null>
  readonly saveDoubt: (doubt: Doubt) => Asked<void>
  readonly clearDoubt: Asked<void>
}

/** The server of a database, and its configuration. */
export interface DatabaseServer {
  /** The version as a number, `150004`, and in the spelling of the server. */
  readonly number: number
  readonly version: string
  readonly clock: Millis
  /** The settings `synchronous_commit` and `fsync`. */
  readonly synchronousCommit: string
  readonly fsync: string
  readonly encoding: string
  /** Whether this user may create tables. */
  readonly mayCreate: boolean
}

/** The contents of the database, and who owns them. */
export interface StoreLayout {
  readonly server: Asked<DatabaseServer>
  /** The number of the newest migration of this version. */
  readonly newest: number
  /** The number of the newest migration that has run; 0: none. */
  readonly done: Asked<number>
  /** Those of the names that are tables, in their order. */
  readonly present: (names: readonly string[]) => Asked<readonly string[]>
  /** Names of presence tables that are recorded as ours. */
  readonly owned: Asked<readonly string[]>
}
