/**
 * The stores that there are, as layers: PostgreSQL somewhere else and PostgreSQL within this process; memory is `memory-layer.ts`.
 *
 * Each gives `EventStore`, `PresenceTables` and `WebhookStore`; those with a database give `LogAdmin` as well, `Database` to
 * whoever opens it, and the client itself to other adapters that read the same database.
 */
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import { layerStores } from "./postgres/database.ts"
import type { DatabaseOptions, DatabaseServices } from "./postgres/database.ts"
import { embeddedClient } from "./postgres/embedded.ts"
import { sessionSettings } from "./postgres/event-store.ts"
import { boundedClient } from "./writer/sockets.ts"

type Client = PgClient.PgClient | SqlClient.SqlClient

export interface PostgresOptions extends DatabaseOptions {
  /** How many connections there are at most, and whether statements share them; absent: 4 that are shared. */
  readonly pool?: { readonly maxConnections: number; readonly multiplex?: boolean }
}

/**
 * A PostgreSQL server. The layer fails with SqlError when it does not answer.
 *
 * @param url `postgres://USER:PASSWORD@HOST:PORT/NAME`
 */
export const layerPostgres = (
  url: string,
  options: PostgresOptions,
): Layer.Layer<DatabaseServices | Client, SqlError.SqlError> => {
  const { application, pool = { maxConnections: 4, multiplex: true }, readsWholeTables = false } = options
  const settings = readsWholeTables ? {} : { startupParameters: sessionSettings }
  return Layer.provideMerge(
    layerStores(url, options),
    boundedClient(url, application, { ...pool, ...settings }),
  )
}

export interface EmbeddedOptions extends DatabaseOptions {
  /**
   * Told in a line when an earlier version, or anybody, had left the folder open to other accounts; null: it is opened to be looked
   * at, and left as it is. Absent: the log of the process is told.
   */
  readonly onNarrowed?: ((line: string) => Effect.Effect<void>) | null
}

/**
 * PostgreSQL within this process; see `postgres/embedded.ts` for what it promises.
 *
 * @param folder where the database lives; null: in memory
 */
export const layerEmbedded = (folder: string | null, options: EmbeddedOptions) => {
  const { onNarrowed, readsWholeTables = false } = options
  const client = onNarrowed === undefined ? embeddedClient(folder) : embeddedClient(folder, onNarrowed)
  const opened = readsWholeTables ? Layer.tap(client, forWholeTables) : client
  return Layer.provideMerge(layerStores(null, options), opened)
}

const forWholeTables = (context: Context.Context<PgClient.PgClient>) => {
  const sql = Context.get(context, PgClient.PgClient)
  return Effect.orDie(
    sql`SELECT set_config('enable_seqscan', 'on', false), set_config('plan_cache_mode', 'auto', false)`,
  )
}
