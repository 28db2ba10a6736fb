/**
 * Where a library keeps its decisions: memory, a folder, PostgreSQL, or a store of one's own.
 */
import { Cause, Clock, Duration, Effect, Fiber, Layer, Scope } from "effect"
import type { Context } from "effect"
import { decodeEvents } from "../../adapters/store/encoding/event-codec.ts"
import { layerEmbedded, layerMemory, layerPostgres } from "../../adapters/store/layers.ts"
import { newServerName } from "../../adapters/store/postgres/connections.ts"
import { Database } from "../../adapters/store/postgres/database.ts"
import type { ClaimRequest } from "../../adapters/store/postgres/database.ts"
import { EventStore, StoreUnavailable } from "../../ports/event-store.ts"
import type { RecordedDecision } from "../../ports/event-store.ts"
import { LogAdmin } from "../../ports/log-admin.ts"
import { interruptibleStore } from "./guarded-store.ts"
import { OptionsInvalid, StoreFault } from "./refused.ts"
import { shown, wordsOf } from "./words.ts"
import { masked } from "../config/config.ts"
import { settings } from "../config/settings.ts"
import { addressOf, databaseNameOf } from "../open-store.ts"
import { version } from "../version.ts"

/** Nothing outlives the process. */
export const memoryStore = (): Layer.Layer<EventStore> => Layer.fresh(interruptibleStore(layerMemory))

/**
 * PostgreSQL inside the process, in a folder; see `adapters/store/postgres/embedded.ts` for what it promises.
 *
 * @throws OptionsInvalid at once when the folder is no name of one
 */
export const embeddedStore = (folder: string): Layer.Layer<EventStore, Error> => {
  const expected = "the path of a folder, which is made when it is not there"
  if (typeof folder !== "string" || folder.trim() === "" || folder.includes("\0"))
    throw new OptionsInvalid({ faults: [`embeddedStore: folder = ${shown(folder)}: expected ${expected}`] })
  const layer = named(
    `embeddedStore: folder = ${shown(folder)}`,
    expected,
    claimedStore(layerEmbedded(folder, { application: newServerName() }), {
      store: `embedded PostgreSQL in ${folder}`,
      setting: `embeddedStore(${folder})`,
    }),
  )
  withinProcess.add(layer)
  return layer
}

/** Opening these is work of this process, however long it takes: nobody is waited for. */
const withinProcess = new WeakSet<Layer.Layer<EventStore, Error>>()

/**
 * One program has the log of a database at a time, and has it until its scope ends. Fails with LogIsTaken, which names the program
 * that has it; with StoreUnfit when the database will not do (another product's, a newer layout, a role without rights); and with
 * what went wrong when it does not answer. When somebody else takes the log later, everything is refused with status 503.
 *
 * @param url `postgres://USER:PASSWORD@HOST:PORT/NAME`; its tables are made when they are missing
 * @throws OptionsInvalid at once when it is no such URL
 */
export const postgresStore = (url: string): Layer.Layer<EventStore, Error> => {
  const expected = "postgres://USER:PASSWORD@HOST:PORT/NAME"
  if (typeof url !== "string" || !/^postgres(?:ql)?:\/\/./i.test(url) || !URL.canParse(url)) {
    // whatever it is, what stands before the @ may be a password
    const value = shown(typeof url === "string" ? masked(url).replace(/^.*@/s, "***@") : url)
    throw new OptionsInvalid({ faults: [`postgresStore: url = ${value}: expected ${expected}`] })
  }
  const store = claimedStore(layerPostgres(url, { application: newServerName() }), {
    store: databaseNameOf(url),
    setting: `postgresStore(${addressOf(url)})`,
  })
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

/** The event store of a database, with its log taken for this program and its layout brought up to date. */
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
export const storeOf = (given: PromiseStore): Layer.Layer<EventStore> => {
  const own = checkedStore(given)
  const asked = <A>(ask: () => Promise<A>): Effect.Effect<A, StoreUnavailable> =>
    Effect.tryPromise({ try: async () => ask(), catch: (cause) => new StoreUnavailable({ cause }) })
  // a promise that nobody waits for any more keeps nobody
  return interruptibleStore(
    Layer.succeed(EventStore, {
      append: (decisions) => asked(() => own.append(decisions)),
      load: (streams) => asked(() => own.load(streams)),
      read: (after, max) => asked(async () => decoded(await own.read(after, max))),
      history: (stream, afterVersion, max) =>
        asked(async () => decoded(await own.history(stream, afterVersion, max))),
      historyBack: (stream, beforeVersion, max) =>
        asked(async () => {
          const [present] = await own.load([stream])
          const last = Math.min(beforeVersion - 1, present?.version ?? 0)
          const first = Math.max(0, last - max)
          return last <= first ? [] : decoded(await own.history(stream, first, last - first)).toReversed()
        }),
      saveLandmarks: () => Effect.void,
      landmarkAt: () => Effect.succeed(null),
      landmarkBefore: () => Effect.succeed(null),
      landmarksBack: () => Effect.succeed([]),
      saveSnapshots: () => Effect.void,
      snapshots: () => Effect.succeed([]),
      saveCheckpoint: () => Effect.void,
      checkpoint: () => Effect.succeed(null),
    }),
  )
}

const memberNames = ["append", "load", "read", "history"] as const
const expectedStore = `an object with functions ${memberNames.join(", ")}`

/** @throws OptionsInvalid naming each member that is no function */
const checkedStore = (given: PromiseStore): PromiseStore => {
  const faults: string[] = []
  const found: Record<string, unknown> = {}
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new OptionsInvalid({ faults: [`storeOf: store = ${shown(given)}: expected ${expectedStore}`] })
  for (const name of memberNames) {
    try {
      const member: unknown = given[name]
      if (typeof member === "function") found[name] = member.bind(given)
      else faults.push(`storeOf: ${name} = ${shown(member)}: expected a function`)
    } catch (cause) {
      faults.push(`storeOf: ${name} cannot be read: ${wordsOf(cause)}`)
    }
  }
  if (faults.length > 0) throw new OptionsInvalid({ faults })
  return found as unknown as PromiseStore
}

/**
 * Events as they were stored, and brought up to date when an earlier version did; what are no rows is found out by whoever asked.
 *
 * @throws Error that says what does not fit
 */
const decoded = (rows: readonly RecordedDecision[]): readonly RecordedDecision[] =>
  Array.isArray(rows)
    ? rows.map((row: RecordedDecision) =>
        Array.isArray(row?.decision?.events)
          ? { ...row, decision: { ...row.decision, events: decodeEvents(row.decision.events) } }
          : row,
      )
    : rows

/** Opens a store. @throws StoreFault when that fails, or is waited for longer than it may be */
export const openedStore = (
  layer: Layer.Layer<EventStore, Error>,
  waitSeconds: number,
): Effect.Effect<Context.Context<EventStore>, StoreFault, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const opening = yield* Layer.build(layer).pipe(Scope.provide(scope), Effect.forkDetach)
    const opened = yield* Fiber.join(opening).pipe(
      Effect.catchCause((cause) => {
        const error = Cause.squash(cause)
        return Effect.fail(
          error instanceof StoreFault
            ? error
            : new StoreFault({ operation: "open", why: wordsOf(error), cause: error }),
        )
      }),
      Effect.timeoutOrElse({
        duration: withinProcess.has(layer) ? Duration.infinity : waitSeconds * 1000,
        orElse: () =>
          Effect.fail(
            new StoreFault({
              operation: "open",
              why: `it took longer than ${waitSeconds} s (option storeWait)`,
            }),
          ),
      }),
      Effect.onError(() => Effect.sync(() => opening.interruptUnsafe())),
    )
    return opened
  })
