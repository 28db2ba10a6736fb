/**
 * Everything that a program keeps in memory. Nothing of a database is loaded for it.
 */
import { Context, Effect, Layer } from "effect"
import { EventStore } from "../../ports/event-store.ts"
import { PresenceTables } from "../../ports/presence-tables.ts"
import { WebhookStore } from "../../ports/webhook-store.ts"
import { makeMemoryWebhookStore } from "./memory-webhooks.ts"
import { makeMemoryStore } from "./memory.ts"

/** Nothing outlives the process, and there are no tables to keep in line. */
export const layerMemory: Layer.Layer<EventStore | PresenceTables | WebhookStore> = Layer.effectContext(
  Effect.sync(() =>
    Context.make(EventStore, makeMemoryStore()).pipe(
      Context.add(PresenceTables, { together: (work) => work, write: () => Effect.void }),
      Context.add(WebhookStore, makeMemoryWebhookStore()),
    ),
  ),
)
