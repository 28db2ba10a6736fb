/**
 * Webhooks of whoever has the log: who lost it says no more how far each was told.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { fenced } from "../../adapters/store/writer/claim.ts"
import { unavailable } from "../../adapters/store/postgres/unavailable.ts"
import { layerPostgresWebhooks } from "../../adapters/webhooks/postgres.ts"
import { WebhookStore } from "../../adapters/webhooks/webhook-store.ts"
import type { StoreUnavailable } from "../../ports/event-store.ts"

export const fencedWebhooks = (
  sql: PgClient.PgClient,
  store: WebhookStore["Service"],
): WebhookStore["Service"] => {
  const own =
    <Args extends readonly unknown[], A>(write: (...args: Args) => Effect.Effect<A, StoreUnavailable>) =>
    (...args: Args): Effect.Effect<A, StoreUnavailable> =>
      unavailable(fenced(sql, write(...args)))
  return {
    ...store,
    add: own(store.add),
    remove: own(store.remove),
    progress: own(store.progress),
    stop: own(store.stop),
    bury: own(store.bury),
    unbury: own(store.unbury),
  }
}

export const layerFencedWebhooks = (sql: PgClient.PgClient) =>
  Layer.effect(
    WebhookStore,
    Effect.map(WebhookStore, (store) => fencedWebhooks(sql, store)),
  ).pipe(Layer.provide(layerPostgresWebhooks))
