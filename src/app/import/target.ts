/**
 * Where an import goes: the store that a server will start on, opened while none does.
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Clock, Console, Context, Data, Effect, Layer } from "effect"
import { SourceUnsuitable } from "../../adapters/import/layouts.ts"
import type { SourceTables } from "../../adapters/import/layouts.ts"
import { identityQuery } from "../../adapters/import/postgres.ts"
import { reasonOf, withoutPassword } from "../../adapters/import/source.ts"
import type { Source } from "../../adapters/import/source.ts"
import { newProgramName } from "../../adapters/store/postgres/connections.ts"
import { layerEmbedded } from "../../adapters/store/postgres/embedded.ts"
import { layerMemory } from "../../adapters/store/memory.ts"
import { makePartitions, migrate } from "../../adapters/store/postgres/migrations.ts"
import { layerPostgres, sessionSettings } from "../../adapters/store/postgres/event-store.ts"
import {
  layerNoTables,
  layerPresenceTables,
  prepareTables,
} from "../../adapters/store/postgres/presence-tables.ts"
import { moduleTableNames } from "../../ports/presence-tables.ts"
import type { TableNames, PresenceTables } from "../../ports/presence-tables.ts"
import type { EventStore } from "../../ports/event-store.ts"
import { ConfigInvalid } from "../config/config.ts"
import type { Config } from "../config/config.ts"
import { claimLog, claimSole } from "../../adapters/store/writer/writer.ts"
import { boundedClient } from "../../adapters/store/writer/sockets.ts"
import { databaseSetting } from "../open-store.ts"
import { version } from "../version.ts"

export interface Target {
  readonly name: string
  readonly services: Context.Context<EventStore | PresenceTables>
}

/** The database to write to does not do what is asked of it. */
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
 * Opens the store and brings it to the present layout; for a dry run it is left as it is.
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
  const tables: TableNames = {
    presentity: config.presentity_table ?? moduleTableNames.presentity,
    activeWatchers: config.active_watchers_table ?? moduleTableNames.activeWatchers,
    watchers: config.watchers_table ?? moduleTableNames.watchers,
  }
  const url = config.database_url
  const name =
    url === null ? `embedded PostgreSQL in ${config.data}` : `PostgreSQL at ${withoutPassword(url)}`
  const nothingThere = Effect.map(
    Layer.build(Layer.merge(layerMemory, layerNoTables)),
    (services): Target => ({ name, services }),
  )
  // a dry run makes nothing, not even an empty database
  if (dryRun && url === null && !existsSync(join(config.data ?? "", "pg"))) return yield* nothingThere
  const unusable = Effect.mapError(
    (cause: unknown) => new TargetUnusable({ target: name, why: reasonOf(cause) }),
  )
  const application = newProgramName("import")
  const client = yield* url === null
    ? Layer.build(layerEmbedded(config.data, (line) => Console.error(`presently: ${line}`)))
    : Layer.build(
        boundedClient(url, application, { maxConnections: 2, startupParameters: sessionSettings }),
      ).pipe(unusable)
  const sql = Context.get(client, PgClient.PgClient)
  let isShared = false
  if (url !== null) {
    const [database] = yield* sql.unsafe<{ identity: string }>(identityQuery).pipe(unusable)
    if (database?.identity === source.identity) yield* checkTables(name, tables, sourceTables)
    isShared = database?.identity === source.identity
  }
  if (dryRun) {
    const [known] = yield* sql<{ log: string | null }>`SELECT to_regclass('checkpoints')::text AS log`.pipe(
      unusable,
    )
    if (known?.log == null) return yield* nothingThere
  } else {
    const now = yield* Clock.currentTimeMillis
    const who = { program: "presently import", version, application }
    const layout = migrate.pipe(Effect.provideContext(client))
    yield* (
      url === null
        ? Effect.andThen(layout, claimSole(sql, who))
        : claimLog(sql, {
            url,
            ...who,
            store: name,
            setting: databaseSetting(config),
            lease: config.writer_lease,
            standby: false,
            fix: "stop that one, and import again",
            // in one database both can be
            theirs: isShared ? yield* tablesIn(sql).pipe(unusable) : [],
            tables,
            migrate: layout,
            on: { waiting: () => Effect.void, lapsed: () => Effect.void, returned: Effect.void },
          })
    ).pipe(
      Effect.mapError((cause) =>
        cause._tag === "LogIsTaken" || cause._tag === "StoreUnfit"
          ? cause
          : new TargetUnusable({ target: name, why: reasonOf(cause) }),
      ),
    )
    yield* makePartitions(new Date(now)).pipe(
      Effect.andThen(prepareTables(tables, "xcap")),
      Effect.provideContext(client),
      unusable,
    )
  }
  const stores = Layer.merge(layerPostgres({ erasable: config.erasable }), layerPresenceTables(tables)).pipe(
    Layer.provide(Layer.succeedContext(client)),
  )
  const target: Target = { name, services: yield* Layer.build(stores) }
  return target
})

const tablesIn = (sql: PgClient.PgClient) =>
  sql<{ name: string }>`
    SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema()`.pipe(Effect.map((rows) => rows.map(({ name }) => name)))

/** In one database both can only be when their tables have different names: ours follow the log and would replace theirs. */
const checkTables = (name: string, ours: TableNames, theirs: SourceTables) => {
  const taken = new Set([...Object.values(ours), ...Object.values(moduleTableNames)])
  const shared = [theirs.presentity, theirs.activeWatchers, theirs.watchers].filter((one) => taken.has(one))
  return shared.length === 0
    ? Effect.void
    : new SourceUnsuitable({
        why:
          `${name} is the source as well, and presently keeps tables of its own under the names ${shared.join(", ")}: ` +
          "give another database with --database-url, or rename those of the source and name them with " +
          "--presentity-table, --active-watchers-table and --watchers-table",
      })
}
