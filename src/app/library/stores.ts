/**
 * Where presence keeps its decisions: memory, a folder, PostgreSQL, or a store of your own.
 */
import { Cause, Duration, Effect, Fiber, Layer, Scope } from "effect"
import type { Context } from "effect"
import { layerMemory } from "../../adapters/store/memory-layer.ts"
import type { EventStore } from "../../ports/event-store.ts"
import { masked } from "../config/masked-url.ts"
import { shown, wordsOf } from "../extensions/words.ts"
import { interruptibleStore } from "./guarded-store.ts"
import { OptionsInvalid, StoreFault } from "./refused.ts"

/**
 * A store in memory: nothing outlives the process.
 *
 * @example
 * ```ts
 * const presence = await Presence.make({ store: memoryStore() })
 * ```
 */
export const memoryStore = (): Layer.Layer<EventStore> => Layer.fresh(interruptibleStore(layerMemory))

/**
 * PostgreSQL inside the process, with its data in a folder: what was answered is on the disk. One process at a time has it.
 *
 * Opening it fails with DataFolderInUse when another process has the folder, with DataFolderExposed when others may read it,
 * and with StoreFault, which names the argument, for anything else. PostgreSQL is loaded when the store is opened.
 *
 * @param folder path of a folder, which is made when it is not there
 * @throws OptionsInvalid at once when the folder is no name of one
 *
 * @example
 * ```ts
 * const presence = await Presence.make({ store: embeddedStore("./presence-data") })
 * ```
 */
export const embeddedStore = (folder: string): Layer.Layer<EventStore, Error> => {
  const expected = "the path of a folder, which is made when it is not there"
  if (typeof folder !== "string" || folder.trim() === "" || folder.includes("\0"))
    throw new OptionsInvalid({ faults: [`embeddedStore: folder = ${shown(folder)}: expected ${expected}`] })
  return onDatabase(true, ({ embedded }) => embedded(folder, expected))
}

/**
 * A database of PostgreSQL 15 or newer. One program has its log at a time, and has it until its scope ends.
 *
 * Opening it fails with LogIsTaken, which names the program that has the log; with StoreUnfit when the database will not do
 * (another product's, a newer layout, a role without rights); and with StoreFault when it does not answer. When somebody else
 * takes the log later, everything is refused with status 503.
 *
 * @param url `postgres://USER:PASSWORD@HOST:PORT/NAME`; its tables are made when they are missing
 * @throws OptionsInvalid at once when it is no such URL
 *
 * @example
 * ```ts
 * const presence = await Presence.make({ store: postgresStore("postgres://app:secret@db.example.com/presence") })
 * ```
 */
export const postgresStore = (url: string): Layer.Layer<EventStore, Error> => {
  const expected = "postgres://USER:PASSWORD@HOST:PORT/NAME"
  if (typeof url !== "string" || !/^postgres(?:ql)?:\/\/./i.test(url) || !URL.canParse(url)) {
    // whatever it is, what stands before the @ may be a password
    const value = shown(typeof url === "string" ? masked(url).replace(/^.*@/s, "***@") : url)
    throw new OptionsInvalid({ faults: [`postgresStore: url = ${value}: expected ${expected}`] })
  }
  return onDatabase(false, ({ postgres }) => postgres(url, expected))
}

const loadDatabaseStores = () => import("./database-stores.ts")

/** Layers whose code is loaded when they are opened; the value says whether opening is work of this process alone. */
const onDatabases = new WeakMap<Layer.Layer<EventStore, Error>, { readonly isWithinProcess: boolean }>()

const onDatabase = (
  isWithinProcess: boolean,
  make: (stores: Awaited<ReturnType<typeof loadDatabaseStores>>) => Layer.Layer<EventStore, Error>,
): Layer.Layer<EventStore, Error> => {
  const layer = Layer.unwrap(Effect.map(Effect.promise(loadDatabaseStores), make))
  onDatabases.set(layer, { isWithinProcess })
  return layer
}

/**
 * Opens a store. Fails with StoreFault when that fails, or takes too long. Loading code does not count, and neither does work of
 * this process alone, because it waits for nobody.
 */
export const openedStore = (
  layer: Layer.Layer<EventStore, Error>,
  waitSeconds: number,
): Effect.Effect<Context.Context<EventStore>, StoreFault, Scope.Scope> =>
  Effect.gen(function* () {
    const database = onDatabases.get(layer)
    if (database !== undefined) yield* Effect.promise(loadDatabaseStores)
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
        duration: database?.isWithinProcess === true ? Duration.infinity : waitSeconds * 1000,
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
