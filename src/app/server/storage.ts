/**
 * Where a server keeps its log, as services.
 */
import { Context, Layer } from "effect"
import type { WebhookStore } from "../../adapters/webhooks/webhook-store.ts"
import type { EventStore, PresenceTables } from "../../ports/event-store.ts"
import type { Storage } from "../node/storage.ts"

export class StorageService extends Context.Service<StorageService, Storage>()("presently/Storage") {}

/** What was opened, with the stores that are in it. */
export const layerOpened = (
  storage: Storage,
): Layer.Layer<StorageService | EventStore | PresenceTables | WebhookStore> =>
  Layer.succeedContext(Context.add(storage.services, StorageService, storage))
