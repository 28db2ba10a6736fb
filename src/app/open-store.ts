/**
 * Opens the store of a server for other programs to read, beside the running server where the database allows that.
 */
import { Console, Context, Data, Effect, Layer } from "effect"
import { layerXcapTables } from "../adapters/rules/xcap-table.ts"
import { layerEmbedded, layerPostgres } from "../adapters/store/layers.ts"
import { newProgramName } from "../adapters/store/postgres/connections.ts"
import { Database } from "../adapters/store/postgres/database.ts"
import { holdsDatabase } from "../adapters/store/private-server/site.ts"
import { stopIt } from "../adapters/store/writer/claim.ts"
import { LogIsTaken } from "../ports/claim.ts"
import { XcapTables } from "../ports/document-source.ts"
import { LogAdmin } from "../ports/log-admin.ts"
import { moduleTableNames } from "../ports/presence-tables.ts"
import type { TableNames } from "../ports/presence-tables.ts"
import { ConfigInvalid } from "./config/config.ts"
import type { Config } from "./config/config.ts"
import { masked } from "./config/masked-url.ts"
import { errorMessage } from "./error-message.ts"
import { version } from "./version.ts"

/** The store does not exist, does not answer, or is not ours. */
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
  readonly log: LogAdmin["Service"]
  readonly xcap: XcapTables["Service"]
  readonly database: Database["Service"]
  readonly tables: TableNames
}

export const tableNamesOf = (config: Config): TableNames => ({
  presentity: config.presentity_table ?? moduleTableNames.presentity,
  activeWatchers: config.active_watchers_table ?? moduleTableNames.activeWatchers,
  watchers: config.watchers_table ?? moduleTableNames.watchers,
})

export const storeNameOf = (config: Config): string =>
  config.database_url === null ? `embedded PostgreSQL in ${config.data}` : databaseNameOf(config.database_url)

/** A database in words, without user and password. */
export const databaseNameOf = (url: string): string => `PostgreSQL at ${addressOf(url)}`

/** Where it is, without user and password. */
export const addressOf = (url: string): string => masked(url).replace("***@", "")

/** The setting that says where the log is, with its value and source. */
export const databaseSetting = ({ database_url, data, sources }: Config): string =>
  database_url === null
    ? `data = ${data} (${sources.data})`
    : `database_url = ${addressOf(database_url)} (${sources.database_url})`

/** Failures that say everything themselves. */
const folderTags: ReadonlySet<unknown> = new Set([
  "DataFolderInUse",
  "DataFolderExposed",
  "DataFolderUnusable",
])

/**
 * Opens it as it is: nothing in it is created or brought up to date.
 *
 * Statements here read whole tables, so the connection has none of a server's session settings.
 */
export const openStore = Effect.fnUntraced(function* (
  config: Config,
  command: string,
  /** Whether permissions of an embedded database's folder that are too wide are left as they are. */
  looksOnly = false,
  /** Whether an embedded database is made where there is none; it stays empty. */
  mayCreate = false,
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
  if (url === null && !mayCreate && !holdsDatabase(data!)) {
    return yield* new StoreUnusable({
      store: name,
      why: "there is no database in that folder; name the one a server used",
    })
  }
  const tables = tableNamesOf(config)
  const options = { application: newProgramName(command), tables, readsWholeTables: true }
  const pool = { maxConnections: 1 }
  const orUnusable = Effect.mapError((cause: Error) =>
    "_tag" in cause && folderTags.has(cause._tag)
      ? cause
      : new StoreUnusable({ store: name, why: errorMessage(cause) }),
  )
  const onNarrowed = looksOnly ? null : (line: string) => Console.error(`presently: ${line}`)
  const opened = yield* url === null
    ? Layer.build(
        withXcapTables(layerEmbedded(data, { ...options, onNarrowed, programs: config.postgres_bin, pool })),
      ).pipe(orUnusable)
    : Layer.build(withXcapTables(layerPostgres(url, { ...options, pool }))).pipe(orUnusable)
  const store: OpenStore = {
    name,
    log: Context.get(opened, LogAdmin),
    xcap: Context.get(opened, XcapTables),
    database: Context.get(opened, Database),
    tables,
  }
  return store
})

/** The stores of a database, and the tables that XCAP servers keep in it. */
export const withXcapTables = <A, E>(database: Layer.Layer<A | Layer.Services<typeof layerXcapTables>, E>) =>
  Layer.provideMerge(layerXcapTables, database)

/**
 * Takes the log for a command that writes to it: meanwhile no other program can.
 *
 * Fails with LogIsTaken, and StoreUnusable.
 */
export const holdStore = Effect.fnUntraced(function* (
  { name, database }: OpenStore,
  config: Config,
  command: string,
) {
  return yield* database
    .claim({
      program: `presently ${command}`,
      version,
      store: name,
      setting: databaseSetting(config),
      lease: config.writer_lease,
      fix: stopIt,
      // the layout is checked before
      keepsLayout: true,
    })
    .pipe(
      Effect.mapError((cause: unknown) =>
        cause instanceof LogIsTaken ? cause : new StoreUnusable({ store: name, why: errorMessage(cause) }),
      ),
    )
})

/** Fails unless a server has kept its log there. */
export const requireLog = Effect.fnUntraced(function* ({ name, log, tables }: OpenStore) {
  const wanted = ["events", "streams", "snapshots", "checkpoints", ...Object.values(tables)]
  const unusable = Effect.mapError(
    (cause: unknown) => new StoreUnusable({ store: name, why: errorMessage(cause) }),
  )
  const present = new Set(yield* log.layout.present(wanted).pipe(unusable))
  const missing = wanted.filter((table) => !present.has(table))
  if (missing.length === 0) return yield* requireLayout(name, log)
  const names = missing.join(", ")
  return yield* new StoreUnusable({
    store: name,
    why: `it has no ${names}; start a server on it once, with the same settings`,
  })
})

/**
 * Runs one task on a log, from opening its store.
 *
 * @param isOwn failures that explain themselves; any other becomes StoreUnusable
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
          : (store.log.claim.taken() ?? new StoreUnusable({ store: store.name, why: errorMessage(cause) })),
      ),
    )
  })

/** The queries assume the newest layout. */
const requireLayout = Effect.fnUntraced(function* (name: string, { layout }: LogAdmin["Service"]) {
  const done = yield* layout.done.pipe(
    Effect.mapError((cause) => new StoreUnusable({ store: name, why: errorMessage(cause) })),
  )
  const { newest } = layout
  if (done === newest) return
  const why =
    done < newest
      ? `its layout is ${done} of ${newest}; start a server of this version on it once`
      : `its layout is ${done} of ${newest}: a newer version has been at work; use that one`
  return yield* new StoreUnusable({ store: name, why })
})
