/**
 * Where a library keeps its decisions: memory, a folder, PostgreSQL, or a store of one's own.
 */
import { PgClient } from "@effect/sql-pg"
import { Clock, Effect, Layer, Redacted } from "effect"
import type { Scope } from "effect"
import { newServerName } from "../../adapters/store/connections.ts"
import { layerEmbedded } from "../../adapters/store/embedded.ts"
import { layerMemory } from "../../adapters/store/memory.ts"
import { makePartitions, migrate } from "../../adapters/store/migrations.ts"
import { layerPostgres, sessionSettings } from "../../adapters/store/postgres.ts"
import { claimLog, claimSole } from "../../adapters/store/writer.ts"
import type { Writer, WriterOptions } from "../../adapters/store/writer.ts"
import { EventStore, StoreUnavailable } from "../../domain/ports.ts"
import { masked } from "../config.ts"
import { settings } from "../settings.ts"
import { version } from "../version.ts"

/** Nothing outlives the process. */
export const memoryStore = (): Layer.Layer<EventStore> => Layer.fresh(layerMemory)

/** PostgreSQL inside the process, in a folder; see `adapters/store/embedded.ts` for what it promises. */
export const embeddedStore = (folder: string): Layer.Layer<EventStore, Error> =>
  onDatabase(layerEmbedded(folder))

/**
 * One program has the log of a database at a time, and has it until its scope ends. Fails with LogIsTaken, which names the program
 * that has it; with StoreUnfit when the database will not do (another product's, a newer layout, a role without rights); and with
 * what went wrong when it does not answer. When somebody else takes the log later, everything is refused with status 503.
 *
 * @param url `postgres://USER:PASSWORD@HOST:PORT/NAME`; its tables are made when they are missing
 */
export const postgresStore = (url: string): Layer.Layer<EventStore, Error> => {
  const who = identity()
  return onDatabase(
    PgClient.layer({
      url: Redacted.make(url),
      multiplex: true,
      maxConnections: 4,
      applicationName: who.application,
      startupParameters: sessionSettings,
    }),
    (sql, layout) =>
      claimLog(sql, {
        url,
        ...who,
        store: `PostgreSQL at ${masked(url).replace("***@", "")}`,
        setting: `postgresStore(${masked(url).replace("***@", "")})`,
        lease: settings.writer_lease.default,
        standby: false,
        fix: "stop that one, or name another database",
        theirs: [],
        migrate: layout,
        on: { waiting: () => Effect.void, lapsed: () => Effect.void, returned: Effect.void },
      }),
  )
}

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
  return Layer.provide(layerPostgres({ erasable: true }), Layer.provideMerge(prepare, database))
}

type Database = Layer.Success<ReturnType<typeof layerEmbedded>>

type Members = EventStore["Service"]

/** The event store's contract with promises for effects; what is only saved to save folding is left out. */
export type PromiseStore = {
  readonly [Name in "append" | "load" | "read" | "history"]: (
    ...args: Parameters<Members[Name]>
  ) => Promise<Effect.Success<ReturnType<Members[Name]>>>
}

/**
 * A store of one's own. It keeps decisions; what is folded from them is not saved, so a start reads them all.
 *
 * A promise that is rejected counts as a store that does not answer: what was asked is asked again, then given up.
 */
export const storeOf = (own: PromiseStore): Layer.Layer<EventStore> => {
  const asked = <A>(ask: () => Promise<A>): Effect.Effect<A, StoreUnavailable> =>
    Effect.tryPromise({ try: ask, catch: (cause) => new StoreUnavailable({ cause }) })
  return Layer.succeed(EventStore, {
    append: (decisions) => asked(() => own.append(decisions)),
    load: (streams) => asked(() => own.load(streams)),
    read: (after, max) => asked(() => own.read(after, max)),
    history: (stream, afterVersion, max) => asked(() => own.history(stream, afterVersion, max)),
    historyBack: (stream, beforeVersion, max) =>
      asked(async () => {
        const [present] = await own.load([stream])
        const last = Math.min(beforeVersion - 1, present?.version ?? 0)
        const first = Math.max(0, last - max)
        return last <= first ? [] : (await own.history(stream, first, last - first)).toReversed()
      }),
    saveLandmarks: () => Effect.void,
    landmarkAt: () => Effect.succeed(null),
    landmarkBefore: () => Effect.succeed(null),
    landmarksBack: () => Effect.succeed([]),
    saveSnapshots: () => Effect.void,
    snapshots: () => Effect.succeed([]),
    saveCheckpoint: () => Effect.void,
    checkpoint: () => Effect.succeed(null),
  })
}
