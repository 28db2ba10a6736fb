/**
 * The target of an import: the store that a server will start on, opened while none runs.
 */
import { Clock, Console, Context, Data, Effect, Layer } from "effect"
import { SourceUnsuitable } from "../../adapters/import/layouts.ts"
import type { SourceTables } from "../../adapters/import/layouts.ts"
import { identityOf } from "../../adapters/import/postgres.ts"
import { reasonOf, withoutPassword } from "../../adapters/import/source.ts"
import type { Source } from "../../adapters/import/source.ts"
import { layerEmbedded, layerPostgres } from "../../adapters/store/layers.ts"
import { layerMemory } from "../../adapters/store/memory-layer.ts"
import { newProgramName } from "../../adapters/store/postgres/connections.ts"
import { Database } from "../../adapters/store/postgres/database.ts"
import { holdsDatabase } from "../../adapters/store/private-server/site.ts"
import type { EventStore } from "../../ports/event-store.ts"
import { LogAdmin } from "../../ports/log-admin.ts"
import { moduleTableNames } from "../../ports/presence-tables.ts"
import type { PresenceTables, TableNames } from "../../ports/presence-tables.ts"
import { ConfigInvalid } from "../config/config.ts"
import type { Config } from "../config/config.ts"
import { databaseSetting, tableNamesOf } from "../open-store.ts"
import { version } from "../version.ts"

export interface Target {
  readonly name: string
  readonly services: Context.Context<EventStore | PresenceTables>
}

/**
 * The target database does not do what is asked of it.
 *
 * @public declarations name it
 */
export class TargetUnusable extends Data.TaggedError("TargetUnusable")<{
  readonly target: string
  readonly why: string
}> {
  readonly exitCode = 74
  override get message(): string {
    return `${this.target} cannot be used: ${this.why}`
  }
}

/**
 * Opens the store and brings it to the present layout; a dry run leaves it as it is.
 *
 * @throws LogIsTaken, StoreUnfit, TargetUnusable, SourceUnsuitable when it is the source itself, DataFolderInUse, ConfigInvalid
 */
export const openTarget = Effect.fnUntraced(function* (
  config: Config,
  source: Source,
  sourceTables: SourceTables,
  dryRun: boolean,
) {
  if (config.memory || (config.database_url === null && config.data === null)) {
    return yield* new ConfigInvalid({
      faults: [
        "database_url (default): import needs to know where to keep its log: --database-url postgres://… for " +
          "production, or --data DIR for the embedded database",
      ],
    })
  }
  const tables = tableNamesOf(config)
  const url = config.database_url
  const name =
    url === null ? `embedded PostgreSQL in ${config.data}` : `PostgreSQL at ${withoutPassword(url)}`
  const nothingThere = Effect.map(Layer.build(layerMemory), (services): Target => ({ name, services }))
  // a dry run creates nothing, not even an empty database
  if (dryRun && url === null && !holdsDatabase(config.data ?? "")) return yield* nothingThere
  const unusable = Effect.mapError(
    (cause: unknown) => new TargetUnusable({ target: name, why: reasonOf(cause) }),
  )
  const options = { application: newProgramName("import"), erasable: config.erasable, tables }
  const onNarrowed = (line: string) => Console.error(`presently: ${line}`)
  const services = yield* url === null
    ? Layer.build(layerEmbedded(config.data, { ...options, onNarrowed, programs: config.postgres_bin }))
    : Layer.build(layerPostgres(url, { ...options, pool: { maxConnections: 2 } })).pipe(unusable)
  let isShared = false
  if (url !== null) {
    const identity = yield* identityOf.pipe(Effect.provideContext(services), unusable)
    isShared = identity === source.identity
    if (isShared) yield* checkTables(name, tables, sourceTables)
  }
  const log = Context.get(services, LogAdmin)
  const target: Target = { name, services }
  if (!dryRun) {
    yield* prepareTarget(config, name, log, Context.get(services, Database), isShared)
    return target
  }
  const isThere = (yield* log.layout.present(["checkpoints"]).pipe(unusable)).length > 0
  return isThere ? target : yield* nothingThere
})

/** Takes the log for the import, and brings the database to the present layout. */
const prepareTarget = Effect.fnUntraced(function* (
  config: Config,
  name: string,
  log: LogAdmin["Service"],
  database: Database["Service"],
  /** The source is the same database. */
  isShared: boolean,
) {
  const unusable = Effect.mapError(
    (cause: unknown) => new TargetUnusable({ target: name, why: reasonOf(cause) }),
  )
  const now = yield* Clock.currentTimeMillis
  yield* database
    .claim({
      program: "presently import",
      version,
      store: name,
      setting: databaseSetting(config),
      lease: config.writer_lease,
      fix: "stop that one, and import again",
      // both can be in one database
      theirs: isShared ? yield* database.allTables.pipe(unusable) : [],
    })
    .pipe(
      Effect.mapError((cause) =>
        cause._tag === "LogIsTaken" || cause._tag === "StoreUnfit"
          ? cause
          : new TargetUnusable({ target: name, why: reasonOf(cause) }),
      ),
    )
  yield* log.retention
    .makePartitions(new Date(now))
    .pipe(Effect.andThen(database.prepareTables("xcap")), unusable)
})

/** Both can be in one database only when their tables have different names, because our tables follow the log and would replace theirs. */
const checkTables = (name: string, ours: TableNames, theirs: SourceTables) => {
  const taken = new Set([...Object.values(ours), ...Object.values(moduleTableNames)])
  const shared = [theirs.presentity, theirs.activeWatchers, theirs.watchers].filter((name) => taken.has(name))
  return shared.length === 0
    ? Effect.void
    : new SourceUnsuitable({
        why:
          `${name} is the source as well, and presently keeps tables of its own under the names ${shared.join(", ")}: ` +
          "give another database with --database-url, or rename those of the source and name them with " +
          "--presentity-table, --active-watchers-table and --watchers-table",
      })
}
