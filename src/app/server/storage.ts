/**
 * Where a server keeps its log, as services: where the settings say, or in a store that the program or a module brings along.
 */
import { Context, Effect, Layer } from "effect"
import { layerMemory } from "../../adapters/store/memory-layer.ts"
import { EventStore } from "../../ports/event-store.ts"
import type { PresenceTables } from "../../ports/presence-tables.ts"
import type { WebhookStore } from "../../ports/webhook-store.ts"
import { loadedExtensions } from "../extensions/loaded.ts"
import { guardedStore } from "../library/guarded-store.ts"
import { openedStore } from "../library/stores.ts"
import { openStorage, storageWithoutDatabase } from "../node/storage.ts"
import type { Storage } from "../node/storage.ts"
import { answerMillis } from "../node/within.ts"
import type { ServerSettings } from "./settings.ts"

export class StorageService extends Context.Service<StorageService, Storage>()("presently/Storage") {}

/** The opened storage, with the stores in it. */
export const layerOpened = (
  storage: Storage,
): Layer.Layer<StorageService | EventStore | PresenceTables | WebhookStore> =>
  Layer.succeedContext(Context.add(storage.services, StorageService, storage))

/** Fails with StoreFault when a store of your own cannot be opened. */
export const openServerStorage = Effect.fnUntraced(function* ({
  config,
  program,
  carried,
}: ServerSettings["Service"]) {
  const own = loadedExtensions(config)?.store
  return own === undefined ? yield* openStorage(config, program, carried.writer) : yield* openOwnStorage(own)
})

/** A store of your own has neither tables nor anything to prepare; webhooks are remembered as long as the process lives. */
const openOwnStorage = Effect.fnUntraced(function* (layer: Layer.Layer<EventStore, Error>) {
  const opened = yield* openedStore(layer, answerMillis / 1000)
  const store = guardedStore(Context.get(opened, EventStore), answerMillis)
  const beside = yield* Layer.build(Layer.fresh(layerMemory))
  const services = Context.add(beside, EventStore, store)
  return storageWithoutDatabase("a store of one's own", services, store.claim)
})
