/**
 * Telemetry of a server: metrics, and traces of requests.
 */
import { Clock, Context, Effect, Layer } from "effect"
import type { State } from "../../domain/presentity/state.ts"
import { SipTransport } from "../../ports/sip-transport.ts"
import type { Pump } from "../node/pump.ts"
import { makeTracing } from "../telemetry/tracing.ts"
import type { Tracing } from "../telemetry/tracing.ts"
import { Documents } from "./documents.ts"
import { ProjectorService } from "./followers.ts"
import { makeMetrics } from "./metrics.ts"
import type { MetricsSource } from "./metrics.ts"
import { DocumentSources, PumpService } from "./pump.ts"
import { Reload } from "./reload.ts"
import { ServerSettings } from "./settings.ts"
import { StorageService } from "./storage.ts"
import { Upkeep, WebhooksService } from "./upkeep.ts"

/** Null: no request is traced. */
export class RequestTracing extends Context.Service<RequestTracing, { readonly tracing: Tracing | null }>()(
  "presently/RequestTracing",
) {}

export const layerTracing: Layer.Layer<RequestTracing, never, ServerSettings> = Layer.effect(
  RequestTracing,
  Effect.gen(function* () {
    const { config } = yield* ServerSettings
    if (config.otlp_endpoint === null) return { tracing: null }
    return { tracing: yield* makeTracing({ url: config.otlp_endpoint, ratio: config.trace_percent / 100 }) }
  }),
)

/** The page that a monitoring system reads. */
export class MetricsPage extends Context.Service<MetricsPage, { readonly text: () => string }>()(
  "presently/MetricsPage",
) {}

export const layerMetrics: Layer.Layer<
  MetricsPage,
  never,
  | ServerSettings
  | StorageService
  | PumpService
  | ProjectorService
  | DocumentSources
  | Documents
  | Reload
  | SipTransport
  | Upkeep
  | WebhooksService
> = Layer.effect(
  MetricsPage,
  Effect.gen(function* () {
    const { carried } = yield* ServerSettings
    const storage = yield* StorageService
    const pump = yield* PumpService
    const clock = yield* Clock.Clock
    const metrics = yield* Effect.acquireRelease(
      Effect.sync(() => makeMetrics(carried.metrics)),
      ({ close }) => Effect.sync(close),
    )
    pump.listen({
      appended: metrics.appended,
      notified: (notifications, since) =>
        metrics.notified(notifications.length, clock.currentTimeMillisUnsafe() - since),
    })
    const measured: MetricsSource = {
      wire: (yield* SipTransport).counters,
      pump: pump.counters,
      isReady: () => pump.status() === "ready",
      counts: pump.engine.counts,
      states: () => liveStates(pump),
      lag: (yield* ProjectorService).lag,
      position: () => pump.committed().position,
      webhooks: (yield* WebhooksService).desk.list,
      sources: (yield* DocumentSources).health,
      rulesQueue: (yield* Documents).queue,
      reloads: (yield* Reload).counters,
      certificates: (yield* Reload).certificates.views,
      timekeeping: (yield* Upkeep).timekeeping,
      writer: storage.writer,
      writerCounters: carried.writer,
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => metrics.carry(measured)))
    return { text: () => metrics.text(measured) }
  }),
)

const liveStates = ({ engine }: Pump): readonly State[] =>
  [...engine.presentities()].flatMap((presentity) => engine.state(presentity) ?? [])
