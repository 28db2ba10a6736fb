/**
 * The store of a server, opened by somebody else to look at it, beside a running server where the database allows that.
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Console, Context, Data, Effect, Layer } from "effect"
import { claimOn, stopIt } from "../adapters/store/writer/claim.ts"
import { newProgramName } from "../adapters/store/postgres/connections.ts"
import { layerEmbedded } from "../adapters/store/postgres/embedded.ts"
import { newestMigration } from "../adapters/store/postgres/migrations.ts"
import { moduleTableNames } from "../adapters/store/postgres/presence-tables.ts"
import { claimLog, claimSole } from "../adapters/store/writer/writer.ts"
import { boundedClient } from "../adapters/store/writer/sockets.ts"
import type { TableNames } from "../adapters/store/postgres/presence-tables.ts"
import { ConfigInvalid } from "./config/config.ts"
import { masked } from "./config/masked-url.ts"
import type { Config } from "./config/config.ts"
import { version } from "./version.ts"
import { errorMessage } from "./error-message.ts"
import { LogIsTaken } from "../adapters/store/writer/taken.ts"

/** The store is not there, does not answer, or is not ours. */
export class StoreUnusable extends Data.TaggedError("StoreUnusable")<{
  readonly store: string
  readonly why: string
}> {
  readonly exitCode = 74
  override get message(): string {
    return `${this.store} cannot be used: ${this.why}`
  }
}

export interface OpenStore {
  readonly name: string
  readonly sql: PgClient.PgClient
  readonly tables: TableNames
  /** The `application_name` of its sessions. */
  readonly application: string
}

export const tableNamesOf = (config: Config): TableNames => ({
  presentity: config.presentity_table ?? moduleTableNames.presentity,
  activeWatchers: config.active_watchers_table ?? moduleTableNames.activeWatchers,
  watchers: config.watchers_table ?? moduleTableNames.watchers,
})

export const storeNameOf = (config: Config): string =>
  config.database_url === null ? `embedded PostgreSQL in ${config.data}` : databaseNameOf(config.database_url)

/** A database in words: without user and password. */
export const databaseNameOf = (url: string): string => `PostgreSQL at ${addressOf(url)}`

/** Where it is, without user and password. */
export const addressOf = (url: string): string => masked(url).replace("***@", "")

/** The setting that says where the log is, with its value and source. */
export const databaseSetting = ({ database_url, data, sources }: Config): string =>
  database_url === null
    ? `data = ${data} (${sources.data})`
    : `database_url = ${addressOf(database_url)} (${sources.database_url})`

/**
 * Opens it as it is: nothing is made or brought up to date.
 *
 * Statements here look at whole tables, so the connection has none of a server's settings for its session.
 */
export const openStore = Effect.fnUntraced(function* (
  config: Config,
  command: string,
  /** Whether what is too wide of an embedded database's folder is left as it is. */
  looksOnly = false,
) {
  const { database_url: url, data } = config
  if (config.memory || (url === null && data === null)) {
    return yield* new ConfigInvalid({
      faults: [
        `database_url (default): ${command} needs to know where the log is: --database-url postgres://… or --data DIR, ` +
          "as for serve; what is kept in memory has no tables",
      ],
    })
  }
  const name = storeNameOf(config)
  const application = newProgramName(command)
  if (url === null && !existsSync(join(data!, "pg"))) {
    return yield* new StoreUnusable({
      store: name,
      why: "there is no database in that folder; name the one a server used",
    })
  }
  const client = yield* url === null
    ? Layer.build(layerEmbedded(data, looksOnly ? null : (line) => Console.error(`presently: ${line}`)))
    : Layer.build(boundedClient(url, application, { maxConnections: 1 })).pipe(
        Effect.mapError((cause) => new StoreUnusable({ store: name, why: errorMessage(cause) })),
      )
  const sql = Context.get(client, PgClient.PgClient)
  if (url === null) {
    yield* sql`SELECT set_config('enable_seqscan', 'on', false), set_config('plan_cache_mode', 'auto', false)`.pipe(
      Effect.orDie,
    )
  }
  const store: OpenStore = { name, sql, tables: tableNamesOf(config), application }
  return store
})

/**
 * Gets the log for a command that writes to it: while it is at work, nobody else can.
 *
 * Fails with LogIsTaken, and StoreUnusable.
 */
export const holdStore = Effect.fnUntraced(function* (
  { name, sql, application, tables }: OpenStore,
  config: Config,
  command: string,
) {
  const unusable = Effect.mapError((cause: unknown) =>
    cause instanceof LogIsTaken ? cause : new StoreUnusable({ store: name, why: errorMessage(cause) }),
  )
  const who = { program: `presently ${command}`, version, application }
  const { database_url: url } = config
  if (url === null) return yield* claimSole(sql, who).pipe(unusable)
  return yield* claimLog(sql, {
    url,
    ...who,
    store: name,
    setting: databaseSetting(config),
    lease: config.writer_lease,
    standby: false,
    fix: stopIt,
    theirs: [],
    tables,
    // the layout is looked at before
    migrate: Effect.void,
    on: { waiting: () => Effect.void, lapsed: () => Effect.void, returned: Effect.void },
  }).pipe(unusable)
})

/** Fails unless a server has kept its log there. */
export const requireLog = Effect.fnUntraced(function* ({ name, sql, tables }: OpenStore) {
  const wanted = ["events", "streams", "snapshots", "checkpoints", ...Object.values(tables)]
  const missing = yield* sql<{ name: string }>`
    SELECT w.name FROM unnest(${wanted}::text[]) AS w(name) WHERE to_regclass('"' || w.name || '"') IS NULL`.pipe(
    Effect.mapError((cause) => new StoreUnusable({ store: name, why: errorMessage(cause) })),
  )
  if (missing.length === 0) return yield* requireLayout(name, sql)
  const names = missing.map((one) => one.name).join(", ")
  return yield* new StoreUnusable({
    store: name,
    why: `it has no ${names}; start a server on it once, with the same settings`,
  })
})

/**
 * One piece of work on a log, from opening its store.
 *
 * @param isOwn failures that say themselves what is wrong; any other is that the store cannot be used
 */
export const onLog = <A, E, R, Own extends E>(
  config: Config,
  command: string,
  isOwn: (cause: E) => cause is Own,
  work: (store: OpenStore) => Effect.Effect<A, E, R>,
) =>
  Effect.gen(function* () {
    const store = yield* openStore(config, command)
    yield* requireLog(store)
    yield* holdStore(store, config, command)
    return yield* work(store).pipe(
      Effect.mapError((cause) =>
        isOwn(cause)
          ? cause
          : (claimOn(store.sql).taken() ??
            new StoreUnusable({ store: store.name, why: errorMessage(cause) })),
      ),
    )
  })

/** What is asked of the store is asked of its newest layout. */
const requireLayout = Effect.fnUntraced(function* (name: string, sql: PgClient.PgClient) {
  const [row] = yield* sql<{ done: number }>`
    SELECT coalesce(max(migration_id), 0)::int AS done FROM presently_migrations`.pipe(
    Effect.mapError((cause) => new StoreUnusable({ store: name, why: errorMessage(cause) })),
  )
  const done = row?.done ?? 0
  const newest = newestMigration()
  if (done === newest) return
  const why =
    done < newest
      ? `its layout is ${done} of ${newest}; start a server of this version on it once`
      : `its layout is ${done} of ${newest}: a newer version has been at work; use that one`
  return yield* new StoreUnusable({ store: name, why })
})
