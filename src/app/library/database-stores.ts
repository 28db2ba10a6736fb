/**
 * Stores in PostgreSQL, on a server or inside the process. Loaded when the first of them is opened, because nothing else needs
 * them.
 */
import { Cause, Clock, Effect, Layer } from "effect"
import { layerEmbedded, layerPostgres } from "../../adapters/store/layers.ts"
import { newServerName } from "../../adapters/store/postgres/connections.ts"
import { Database } from "../../adapters/store/postgres/database.ts"
import type { ClaimRequest } from "../../adapters/store/postgres/database.ts"
import { EventStore } from "../../ports/event-store.ts"
import { LogAdmin } from "../../ports/log-admin.ts"
import { masked } from "../config/masked-url.ts"
import { settings } from "../config/settings.ts"
import { shown, wordsOf } from "../extensions/words.ts"
import { addressOf, databaseNameOf } from "../open-store.ts"
import { version } from "../version.ts"
import { interruptibleStore } from "./guarded-store.ts"
import { StoreFault } from "./refused.ts"

/** @param expected what the argument should be, for messages */
export const embedded = (folder: string, expected: string): Layer.Layer<EventStore, Error> =>
  named(
    `embeddedStore: folder = ${shown(folder)}`,
    expected,
    claimedStore(layerEmbedded(folder, { application: newServerName() }), {
      store: `embedded PostgreSQL in ${folder}`,
      setting: `embeddedStore(${folder})`,
    }),
  )

/** @param expected what the argument should be, for messages */
export const postgres = (url: string, expected: string): Layer.Layer<EventStore, Error> =>
  named(
    `postgresStore: url = ${shown(masked(url))}`,
    `a PostgreSQL that answers at ${expected}`,
    claimedStore(layerPostgres(url, { application: newServerName() }), {
      store: databaseNameOf(url),
      setting: `postgresStore(${addressOf(url)})`,
    }),
  )

/** Errors while opening name the function and argument that they concern, unless they do so already. */
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

/** The event store in a database, with its log taken for this program and its layout brought up to date. */
const claimedStore = <E extends Error>(
  database: Layer.Layer<Database | EventStore | LogAdmin, E>,
  { store, setting }: Pick<ClaimRequest, "store" | "setting">,
): Layer.Layer<EventStore, Error> => {
  const prepare = Layer.effectDiscard(
    Effect.gen(function* () {
      const { claim } = yield* Database
      yield* claim({
        program: "a program with presently in it",
        version,
        store,
        setting,
        lease: settings.writer_lease.default,
        fix: "stop that one, or name another database",
      })
      const { retention } = yield* LogAdmin
      yield* retention.makePartitions(new Date(yield* Clock.currentTimeMillis))
    }),
  )
  return interruptibleStore(Layer.provideMerge(prepare, database))
}
