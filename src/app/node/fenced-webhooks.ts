/**
 * Webhooks of whoever has the log: who lost it says no more how far each was told.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { fenced } from "../../adapters/store/writer/claim.ts"
import { layerPostgresWebhooks } from "../../adapters/store/postgres/webhook-store.ts"
import { WebhookStore } from "../../ports/webhook-store.ts"
import { StoreUnavailable } from "../../ports/event-store.ts"

export const fencedWebhooks = (
  sql: PgClient.PgClient,
  store: WebhookStore["Service"],
): WebhookStore["Service"] => {
  const own =
    <Args extends readonly unknown[], A>(write: (...args: Args) => Effect.Effect<A, StoreUnavailable>) =>
    (...args: Args): Effect.Effect<A, StoreUnavailable> =>
      Effect.mapError(fenced(sql, write(...args)), (cause) =>
        cause instanceof StoreUnavailable ? cause : new StoreUnavailable({ cause }),
      )
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
