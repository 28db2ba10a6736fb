/**
 * The stores that there are, as layers: PostgreSQL somewhere else and a PostgreSQL of one's own in a folder; memory is
 * `memory-layer.ts`.
 *
 * Each gives `EventStore`, `PresenceTables` and `WebhookStore`; those with a database give `LogAdmin` as well, `Database` to
 * whoever opens it, and the client itself to other adapters that read the same database.
 */
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import { layerStores } from "./postgres/database.ts"
import type { DatabaseOptions, DatabaseServices } from "./postgres/database.ts"
import { sessionSettings } from "./postgres/event-store.ts"
import { claim } from "./postgres/folder-claim.ts"
import type { DataFolderInUse, DataFolderUnusable } from "./postgres/folder-claim.ts"
import type { DataFolderExposed } from "./postgres/private-folder.ts"
import { findPrograms } from "./private-server/programs.ts"
import { runningIn, usePrivateServer } from "./private-server/server.ts"
import { majorOf, siteIn, unusable } from "./private-server/site.ts"
import type { Site } from "./private-server/site.ts"
import { earlierPackage, hasEarlierPackage, takeOver } from "./private-server/take-over.ts"
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

export interface EmbeddedOptions extends PostgresOptions {
  /** The folder of PostgreSQL's programs; absent: those that are installed, else those of the npm package. `none`: it is kept within this process. */
  readonly programs?: string | null
  /**
   * Told in a line when an earlier version, or anybody, had left the folder open to other accounts; null: it is opened to be looked
   * at, and left as it is. Absent: the log of the process is told.
   */
  readonly onNarrowed?: ((line: string) => Effect.Effect<void>) | null
  /** How long its server may take to be ready, its recovery included, milliseconds; absent: ten minutes. */
  readonly readyMillis?: number
}

/**
 * A database of one's own in a folder: PostgreSQL as a private server (`private-server`), or, where no PostgreSQL can be
 * started and the optional package is there, within this process (`postgres/embedded.ts`).
 *
 * @param folder where the database lives; null: within this process, in memory
 */
export const layerEmbedded = (
  folder: string | null,
  options: EmbeddedOptions,
): Layer.Layer<DatabaseServices | Client, EmbeddedFault> => {
  if (folder === null) return layerWithin(null, options)
  return Layer.unwrap(
    Effect.gen(function* () {
      const { onNarrowed = Effect.logWarning, programs = null, readyMillis = 600_000 } = options
      const path = yield* claim(folder, onNarrowed)
      const site = siteIn(folder, path)
      const isWithin = yield* Effect.tryPromise({
        try: () => isKeptWithin(site, programs),
        catch: (cause) => cause as DataFolderUnusable,
      })
      if (isWithin) return layerWithin(folder, options)
      const { url } = yield* usePrivateServer(site, {
        programs,
        takeOver,
        readyMillis,
        onEvent: Effect.logWarning,
      })
      return layerPostgres(url, options)
    }),
  )
}

type EmbeddedFault = DataFolderExposed | DataFolderInUse | DataFolderUnusable | SqlError.SqlError

/**
 * Whether the database is kept within this process, because that was asked for or no server can be started.
 *
 * @throws DataFolderUnusable when that was asked for, and cannot be
 */
const isKeptWithin = async (site: Site, programs: string | null): Promise<boolean> => {
  if (programs === noPrograms) {
    if (majorOf(site) !== null) {
      throw unusable(
        site,
        `what is in it is the database of a server: leave out postgres_bin = ${noPrograms}`,
      )
    }
    if (!hasEarlierPackage())
      throw unusable(site, `postgres_bin = ${noPrograms} needs npm install ${earlierPackage}`)
    return true
  }
  if (runningIn(site) !== null || majorOf(site) !== null || programs !== null || !hasEarlierPackage())
    return false
  const found = await findPrograms(null, null, site.path)
  return found.programs === null
}

/** Given for the folder of PostgreSQL's programs: none is to be started. */
const noPrograms = "none"

/** PGlite; see `postgres/embedded.ts` for what it promises. */
const layerWithin = (
  folder: string | null,
  options: EmbeddedOptions,
): Layer.Layer<DatabaseServices | Client, EmbeddedFault> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { onNarrowed, readsWholeTables = false } = options
      const { embeddedClient } = yield* Effect.promise(() => import("./postgres/embedded.ts"))
      const client = onNarrowed === undefined ? embeddedClient(folder) : embeddedClient(folder, onNarrowed)
      const opened = readsWholeTables ? Layer.tap(client, forWholeTables) : client
      return Layer.provideMerge(layerStores(null, options), opened)
    }),
  )

const forWholeTables = (context: Context.Context<PgClient.PgClient>) => {
  const sql = Context.get(context, PgClient.PgClient)
  return Effect.orDie(
    sql`SELECT set_config('enable_seqscan', 'on', false), set_config('plan_cache_mode', 'auto', false)`,
  )
}
