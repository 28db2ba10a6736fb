/**
 * Work on the log beside decisions: retention, erasure, seals, the repair of tables, webhooks.
 */
import { Context, Effect, Layer } from "effect"
import { allowedHosts } from "../../adapters/webhooks/allowed.ts"
import { makeSend } from "../../adapters/webhooks/send.ts"
import { WebhookStore } from "../../ports/webhook-store.ts"
import { attention } from "../clock/attention.ts"
import { termsOf } from "../config/retention-terms.ts"
import { makeEraser } from "../erase/eraser.ts"
import { makeRepairer } from "../node/repair-tables.ts"
import { makeSealer } from "../node/seal-signer.ts"
import { retentionSuspicion, timekeepingOf } from "../node/timekeeping.ts"
import { makeWebhooks } from "../node/webhooks.ts"
import type { Webhooks } from "../node/webhooks.ts"
import { makeDaily } from "../retention/daily-compaction.ts"
import { FeedService, ProjectorService } from "./followers.ts"
import { PumpService } from "./pump.ts"
import { ServerSettings } from "./settings.ts"
import { StorageService } from "./storage.ts"

/** Null where there is no database, or the settings do not ask for it. */
export class Upkeep extends Context.Service<
  Upkeep,
  {
    readonly daily: ReturnType<typeof makeDaily> | null
    readonly eraser: ReturnType<typeof makeEraser> | null
    readonly sealer: ReturnType<typeof makeSealer> | null
    readonly repairTables: ReturnType<typeof makeRepairer>
    readonly timekeeping: ReturnType<typeof timekeepingOf>
  }
>()("presently/Upkeep") {}

export const layerUpkeep: Layer.Layer<
  Upkeep,
  never,
  ServerSettings | StorageService | PumpService | ProjectorService
> = Layer.effect(
  Upkeep,
  Effect.gen(function* () {
    const { config, keeper, sealKey } = yield* ServerSettings
    const { name, log, canRepair } = yield* StorageService
    const pump = yield* PumpService
    const projector = yield* ProjectorService
    const daily =
      log === null
        ? null
        : makeDaily(log, {
            terms: termsOf(config.retention).terms,
            key: sealKey,
            flush: projector.flush,
            whilePaused: (work) => pump.whilePaused(work),
            share: config.retention_share,
            suspicion: retentionSuspicion(log.witness, config, keeper),
          })
    return {
      daily,
      eraser: log === null ? null : makeEraser({ log, pump, projector }),
      sealer: sealKey === null || log === null ? null : makeSealer(log, sealKey, config.seal_interval),
      repairTables: makeRepairer(name, canRepair ? log : null, projector),
      timekeeping: timekeepingOf(keeper, () => daily?.counts() ?? null),
    }
  }),
)

export class WebhooksService extends Context.Service<WebhooksService, Webhooks>()("presently/Webhooks") {}

export const layerWebhooks: Layer.Layer<
  WebhooksService,
  never,
  ServerSettings | WebhookStore | FeedService | PumpService
> = Layer.effect(
  WebhooksService,
  Effect.gen(function* () {
    const { config } = yield* ServerSettings
    const pump = yield* PumpService
    const allowed = allowedHosts(config.webhook_hosts)
    return yield* makeWebhooks(
      { giveUpSeconds: config.webhook_give_up, allowed },
      yield* WebhookStore,
      yield* FeedService,
      makeSend(allowed, attention.after),
      () => pump.committed().position,
    )
  }),
)
