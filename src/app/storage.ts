/**
 * The store of a server: memory, or a database of its own or of others, brought to the present layout.
 */
import { PgClient } from "@effect/sql-pg"
import { Clock, Context, Effect, Layer, Redacted, Schedule } from "effect"
import { newServerName } from "../adapters/store/connections.ts"
import { layerEmbedded } from "../adapters/store/embedded.ts"
import { layerMemory } from "../adapters/store/memory.ts"
import { makePartitions, migrate } from "../adapters/store/migrations.ts"
import { layerPostgres, sessionSettings } from "../adapters/store/postgres.ts"
import { claimTables, layerNoTables, layerPresenceTables, prepareTables } from "../adapters/store/tables.ts"
import type { EventStore, PresenceTables } from "../domain/ports.ts"
import { layerPostgresWebhooks } from "../adapters/webhooks/postgres.ts"
import { layerMemoryWebhooks } from "../adapters/webhooks/webhook-store.ts"
import type { WebhookStore } from "../adapters/webhooks/webhook-store.ts"
import type { Config } from "./config.ts"
import { storeNameOf, tableNamesOf } from "./tables/open.ts"
import { verifyTables } from "./tables/verify.ts"
import { reasonOf } from "./tables/reason.ts"

/** Where a server keeps its log, its tables and what it owes to webhooks. */
export interface Storage {
  readonly name: string
  readonly services: Context.Context<EventStore | PresenceTables | WebhookStore>
  /** Null: there is no database. */
  readonly sql: PgClient.PgClient | null
  /**
   * Brings the database to the present layout, and says whether its tables are those that were kept up to now; waits as
   * long as it takes for a database that does not answer.
   */
  readonly prepare: Effect.Effect<boolean>
  /** Makes the tables what the log says, whatever is in them, and keeps them from now on. */
  readonly fillTables: Effect.Effect<void>
}

export const openStorage = Effect.fnUntraced(function* (config: Config) {
  if (config.memory || (config.database_url === null && config.data === null)) {
    const services = yield* Layer.build(Layer.mergeAll(layerMemory, layerNoTables, layerMemoryWebhooks))
    const storage: Storage = {
      name: "memory: nothing outlives the process",
      services,
      sql: null,
      prepare: Effect.succeed(true),
      fillTables: Effect.void,
    }
    return storage
  }
  const database =
    config.database_url === null
      ? layerEmbedded(config.data)
      : PgClient.layer({
          url: Redacted.make(config.database_url),
          multiplex: true,
          maxConnections: 4,
          applicationName: newServerName(),
          startupParameters: sessionSettings,
        })
  const client = yield* Layer.build(database)
  const tables = tableNamesOf(config)
  const sessions = config.database_url === null ? "one" : "many"
  const stores = Layer.mergeAll(
    layerPostgres({ erasable: config.erasable }),
    layerPresenceTables(tables, sessions),
    layerPostgresWebhooks,
  ).pipe(Layer.provide(Layer.succeedContext(client)))
  const name = storeNameOf(config)
  let told = false
  const prepare = migrate.pipe(
    Effect.andThen(Clock.currentTimeMillis),
    Effect.flatMap((now) => makePartitions(new Date(now))),
    Effect.andThen(prepareTables(tables, config.xcap_table ?? "xcap")),
    Effect.tapError((cause) => {
      if (told) return Effect.void
      told = true
      return Effect.logError(`${name} cannot be used (${reasonOf(cause)}): not ready until it can`)
    }),
    Effect.retry(Schedule.spaced("500 millis")),
    Effect.tap(() => (told ? Effect.logInfo(`${name} answers`) : Effect.void)),
    Effect.provideContext(client),
    Effect.orDie,
  )
  const sql = Context.get(client, PgClient.PgClient)
  const fillTables = verifyTables(sql, tables, { fromStart: false, repair: true }).pipe(
    Effect.andThen(claimTables(tables)),
    Effect.retry(Schedule.spaced("500 millis")),
    Effect.provideContext(client),
    Effect.orDie,
  )
  const storage: Storage = { name, services: yield* Layer.build(stores), sql, prepare, fillTables }
  return storage
})
