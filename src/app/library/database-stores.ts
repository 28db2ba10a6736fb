/**
 * Stores in PostgreSQL, on a server or inside the process. Loaded when the first of them is opened: nothing else needs them.
 */
import { PgClient } from "@effect/sql-pg"
import { Cause, Clock, Effect, Layer } from "effect"
import type { Scope } from "effect"
import { newServerName } from "../../adapters/store/postgres/connections.ts"
import { layerEmbedded } from "../../adapters/store/postgres/embedded.ts"
import { makePartitions, migrate } from "../../adapters/store/postgres/migrations.ts"
import { layerPostgres, sessionSettings } from "../../adapters/store/postgres/event-store.ts"
import { claimLog, claimSole } from "../../adapters/store/writer/writer.ts"
import { boundedClient } from "../../adapters/store/writer/sockets.ts"
import type { Writer, WriterOptions } from "../../adapters/store/writer/writer.ts"
import { EventStore } from "../../ports/event-store.ts"
import { interruptibleStore } from "./guarded-store.ts"
import { StoreFault } from "./refused.ts"
import { shown, wordsOf } from "../extensions/words.ts"
import { masked } from "../config/masked-url.ts"
import { settings } from "../config/settings.ts"
import { addressOf, databaseNameOf } from "../open-store.ts"
import { version } from "../version.ts"

/** @param expected what the argument should be, for messages */
export const embedded = (folder: string, expected: string): Layer.Layer<EventStore, Error> =>
  named(`embeddedStore: folder = ${shown(folder)}`, expected, onDatabase(layerEmbedded(folder)))

/** @param expected what the argument should be, for messages */
export const postgres = (url: string, expected: string): Layer.Layer<EventStore, Error> => {
  const who = identity()
  const store = onDatabase(
    boundedClient(url, who.application, {
      multiplex: true,
      maxConnections: 4,
      startupParameters: sessionSettings,
    }),
    (sql, layout) =>
      claimLog(sql, {
        url,
        ...who,
        store: databaseNameOf(url),
        setting: `postgresStore(${addressOf(url)})`,
        lease: settings.writer_lease.default,
        standby: false,
        fix: "stop that one, or name another database",
        theirs: [],
        migrate: layout,
        on: { waiting: () => Effect.void, lapsed: () => Effect.void, returned: Effect.void },
      }),
  )
  return named(
    `postgresStore: url = ${shown(masked(url))}`,
    `a PostgreSQL that answers at ${expected}`,
    store,
  )
}

/** Errors at the opening say which argument of which function they are about; those that say what they are about stay. */
const named = (
  argument: string,
  expected: string,
  store: Layer.Layer<EventStore, Error>,
): Layer.Layer<EventStore, Error> =>
  Layer.catchCause(store, (cause) => {
    const error = Cause.squash(cause)
    const isSaid = error instanceof Error && "_tag" in error && saidTags.has(error._tag)
    const why = `${argument}: ${wordsOf(error)}: expected ${expected}`
    return Layer.effect(
      EventStore,
      Effect.fail(isSaid ? error : new StoreFault({ operation: "open", why, cause: error })),
    )
  })

const saidTags: ReadonlySet<unknown> = new Set([
  "LogIsTaken",
  "StoreUnfit",
  "DataFolderInUse",
  "DataFolderExposed",
])

const identity = () => ({ program: "a program with presently in it", version, application: newServerName() })

const onDatabase = <E extends Error>(
  database: Layer.Layer<Database, E>,
  claim: (
    sql: PgClient.PgClient,
    layout: WriterOptions["migrate"],
  ) => Effect.Effect<Writer, Error, Scope.Scope> = (sql, layout) =>
    Effect.andThen(layout, claimSole(sql, identity())),
): Layer.Layer<EventStore, Error> => {
  const prepare = Layer.effectDiscard(
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const context = yield* Effect.context<Database>()
      yield* claim(sql, Effect.provideContext(migrate, context))
      const now = yield* Clock.currentTimeMillis
      yield* makePartitions(new Date(now))
    }),
  )
  return Layer.provide(
    interruptibleStore(layerPostgres({ erasable: true })),
    Layer.provideMerge(prepare, database),
  )
}

type Database = Layer.Success<ReturnType<typeof layerEmbedded>>
