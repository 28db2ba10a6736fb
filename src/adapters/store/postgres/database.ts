/**
 * A database as a program opens it: its stores, and what is done to it before they are used.
 */
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer } from "effect"
import type { Scope } from "effect"
import type { Migrator, SqlClient, SqlError } from "effect/sql"
import type { LogIsTaken, Writer } from "../../../ports/claim.ts"
import { EventStore } from "../../../ports/event-store.ts"
import { LogAdmin } from "../../../ports/log-admin.ts"
import { PresenceTables, moduleTableNames } from "../../../ports/presence-tables.ts"
import type { TableNames } from "../../../ports/presence-tables.ts"
import { WebhookStore } from "../../../ports/webhook-store.ts"
import { cutOff } from "../writer/sockets.ts"
import type { WriterOptions } from "../writer/writer-row.ts"
import { claimLog, claimSole } from "../writer/writer.ts"
import { ownConnection, sharedConnection } from "./append-connection.ts"
import { makePostgresStore } from "./event-store.ts"
import { makeLogAdmin } from "./log-admin.ts"
import { migrate } from "./migrations.ts"
import { claimTables, makePresenceTables, prepareTables } from "./presence-tables.ts"
import type { TableNotOurs } from "./presence-tables.ts"
import { makeWebhookStore } from "./webhook-store.ts"

export interface DatabaseOptions {
  /** The `application_name` of the sessions of this program. */
  readonly application: string
  /** Encrypts what is personal, so that persons can be erased; absent: yes. Either way everything is read. */
  readonly erasable?: boolean
  /** What the presence tables are called; absent: as the OpenSIPS modules call them. */
  readonly tables?: TableNames
  /** Its statements look at whole tables; absent: they look up by key, as those of a server do. */
  readonly readsWholeTables?: boolean
}

/** How a program wants the log. */
export interface ClaimRequest extends Pick<
  WriterOptions,
  "program" | "version" | "store" | "setting" | "lease" | "fix"
> {
  /** Waits for whoever has the log; absent: that is a failure. */
  readonly standby?: boolean
  /** Tables of others that may be there before ours; absent: none. */
  readonly theirs?: readonly string[]
  readonly on?: WriterOptions["on"]
  readonly counters?: WriterOptions["counters"]
  /** Leaves the layout as it is; absent: the database is brought to the present one. */
  readonly keepsLayout?: boolean
}

type ClaimFailure = Effect.Error<ReturnType<typeof claimLog>> | Migrator.MigrationError

/** What only whoever opens a database does with it. */
export class Database extends Context.Service<
  Database,
  {
    /** Gets the log for this program for as long as the scope lives, and brings the database to the present layout. */
    readonly claim: (request: ClaimRequest) => Effect.Effect<Writer, ClaimFailure, Scope.Scope>
    /**
     * Makes presence tables of other names than the usual ones, and the table of an XCAP server, where they are missing.
     *
     * @returns whether the presence tables are those that were kept up to now
     */
    readonly prepareTables: (
      xcap: string,
    ) => Effect.Effect<boolean, LogIsTaken | TableNotOurs | SqlError.SqlError>
    /** From now on the presence tables are kept; any others fall behind. */
    readonly claimTables: Effect.Effect<void, LogIsTaken | SqlError.SqlError>
    /** The names of all tables that are there. */
    readonly allTables: Effect.Effect<readonly string[], SqlError.SqlError>
    /** Whether it has sessions beside the one that appends; one within this process has a single session, which long work blocks. */
    readonly hasSessions: boolean
    /** Ends every connection to the database: whatever waits for one fails. */
    readonly cutOff: () => void
  }
>()("presently/postgres/Database") {}

export type DatabaseServices = Database | EventStore | LogAdmin | PresenceTables | WebhookStore

/** @param url null: the database is within this process, and has a single session */
export const layerStores = (
  url: string | null,
  { application, erasable = true, tables = moduleTableNames }: DatabaseOptions,
): Layer.Layer<DatabaseServices, never, PgClient.PgClient | SqlClient.SqlClient> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const client = yield* Effect.context<PgClient.PgClient | SqlClient.SqlClient>()
      const layout = Effect.provideContext(migrate, client)
      // a database in this process has a single session, which all connections would share
      const appends = url === null ? sharedConnection(sql) : ownConnection(sql, yield* Effect.scope)
      const database: Database["Service"] = {
        claim: (request) => {
          const migrated = request.keepsLayout === true ? Effect.void : layout
          const { program, version, counters = { lapses: 0, fenced: 0 } } = request
          return url === null
            ? Effect.andThen(migrated, claimSole(sql, { application, program, version }))
            : claimLog(sql, {
                standby: false,
                theirs: [],
                on: nobodyIsTold,
                ...request,
                counters,
                url,
                application,
                tables,
                migrate: migrated,
              })
        },
        prepareTables: (xcap) => Effect.provideContext(prepareTables(tables, xcap), client),
        claimTables: Effect.asVoid(Effect.provideContext(claimTables(tables), client)),
        allTables: tablesIn(sql),
        hasSessions: url !== null,
        cutOff: () => cutOff(application),
      }
      return Context.make(Database, database).pipe(
        Context.add(EventStore, makePostgresStore(sql, { erasable, appends })),
        Context.add(PresenceTables, makePresenceTables(sql, tables, url === null ? "one" : "many")),
        Context.add(WebhookStore, makeWebhookStore(sql)),
        Context.add(LogAdmin, makeLogAdmin(sql, tables)),
      )
    }),
  )

const nobodyIsTold: WriterOptions["on"] = {
  waiting: () => Effect.void,
  lapsed: () => Effect.void,
  returned: Effect.void,
}

const tablesIn = (sql: PgClient.PgClient) =>
  sql<{ name: string }>`
    SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema()`.pipe(Effect.map((rows) => rows.map(({ name }) => name)))
