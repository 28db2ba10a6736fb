/**
 * What the care of a log needs of its store, beyond what deciding needs (`event-store.ts`): verifying and sealing it, retention,
 * erasure, the doctor, and what the store knows of time. A store in memory has none of this.
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
    /** The same log as an event store; it encrypts what is personal. */
    readonly store: EventStore["Service"]
    /** The same database's presence tables. */
    readonly tables: PresenceTables["Service"]
    readonly tableNames: TableNames
    readonly audit: LogAudit
    readonly chain: LogChain
    readonly seals: SealStore
    readonly retention: RetentionStore
    readonly erasure: ErasureStore
    readonly witness: ClockWitness
    readonly layout: StoreLayout
    /** The right to write to the log, as this program has it. */
    readonly claim: Claim
    /** Who has the log now, whether or not that program is alive; null: nobody, it was handed back. */
    readonly holder: Asked<Holder | null>
    /** Does work that sees one moment of the database, whatever is written meanwhile; it may write nothing itself. */
    readonly consistently: <A, E, R>(
      work: Effect.Effect<A, E, R>,
    ) => Effect.Effect<A, E | StoreUnavailable, R>
    /** Does work in one transaction that no other writer of the tables gets between. */
    readonly exclusively: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreUnavailable, R>
  }
>()("presently/LogAdmin") {}

/** What the clock of a machine said, so long after the start of the machine. */
export interface Beat {
  /** Names one run of a machine. */
  readonly boot: string
  readonly uptime: Millis
  readonly at: Millis
}

/** The clock went ahead, and nothing confirmed that. */
export interface Doubt {
  readonly at: Millis
  readonly by: Millis
}

export interface DatabaseClock {
  readonly at: Millis
  /** Whether it may be the clock of this machine: the database is on this machine, or in this process. */
  readonly isLocal: boolean
}

/** What a store knows of time: its own clock, what it holds that is newest, and when it was last told what the clock said. */
export interface ClockWitness {
  /** The clock of the database. */
  readonly look: Asked<DatabaseClock>
  /** Null: nothing has been told since the machine started, or ever. */
  readonly lastBeat: Asked<Beat | null>
  readonly beat: (beat: Beat) => Asked<void>
  /** The instant of the newest decision or seal; 0: there is none. */
  readonly newest: Asked<Millis>
  readonly doubt: Asked<Doubt | null>
  readonly saveDoubt: (doubt: Doubt) => Asked<void>
  readonly clearDoubt: Asked<void>
}

/** The server of a database, and how it is set up. */
export interface DatabaseServer {
  /** The version as a number, `150004`, and as its server says it. */
  readonly number: number
  readonly version: string
  readonly clock: Millis
  /** The settings `synchronous_commit` and `fsync`. */
  readonly synchronousCommit: string
  readonly fsync: string
  readonly encoding: string
  /** Whether this user may make tables. */
  readonly mayCreate: boolean
}

/** What stands in the database, and whose it is. */
export interface StoreLayout {
  readonly server: Asked<DatabaseServer>
  /** The number of the newest migration of this version. */
  readonly newest: number
  /** The number of the newest migration that has run; 0: none. */
  readonly done: Asked<number>
  /** Those of the names under which there is a table, in their order. */
  readonly present: (names: readonly string[]) => Asked<readonly string[]>
  /** Names of presence tables that are written down as ours. */
  readonly owned: Asked<readonly string[]>
}
