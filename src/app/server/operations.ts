/**
 * What an operator may ask of a running server, and the management port.
 */
import { resolve } from "node:path"
import { Clock, Context, Effect, Layer, Tracer } from "effect"
import type { Scope } from "effect"
import { openAdmin } from "../../adapters/admin/http.ts"
import { makeCanonical, readAliases } from "../../adapters/sip/domain-aliases.ts"
import { EventStore } from "../../ports/event-store.ts"
import { Refused } from "../../ports/operation-refused.ts"
import type { Operations } from "../../ports/operations.ts"
import { SipTransport } from "../../ports/sip-transport.ts"
import type { Config } from "../config/config.ts"
import { authText } from "../config/trusted-peers.ts"
import { policiesInWords } from "../config/watch-policies.ts"
import { makeHistoryReader } from "../history/reader.ts"
import { hardStateKeptElsewhere } from "../node/hard-state-source.ts"
import { rulesKeptElsewhere } from "../node/rules-source.ts"
import { degradedBy, degradedKinds, sourceView } from "../node/source-health.ts"
import { doubtOf, standbyText, writerView } from "../node/writer-status.ts"
import { addressOf } from "../open-store.ts"
import { makeHistoryQueries } from "../operations/history-queries.ts"
import { makeOperations } from "../operations/operations.ts"
import { withAliases } from "../operations/with-aliases.ts"
import { version } from "../version.ts"
import { Documents } from "./documents.ts"
import { FeedService, ProjectorService, SharingTagsService } from "./followers.ts"
import { Progress } from "./progress.ts"
import { DocumentSources, PumpService } from "./pump.ts"
import { Reload } from "./reload.ts"
import { ServerSettings } from "./settings.ts"
import { StorageService } from "./storage.ts"
import { MetricsPage, RequestTracing } from "./telemetry.ts"
import { Upkeep, WebhooksService } from "./upkeep.ts"

export class OperationsService extends Context.Service<OperationsService, Operations>()(
  "presently/Operations",
) {}

/** Where another program on this machine finds the log. */
const placeOf = ({ memory, data, database_url: url }: Config) =>
  memory
    ? { data: null, database: null }
    : {
        data: url === null && data !== null ? resolve(data) : null,
        database: url === null ? null : addressOf(url),
      }

/** Everything that `presently status` shows. */
const statusOf = Effect.gen(function* () {
  const { carried, circumstances, config, packages } = yield* ServerSettings
  const storage = yield* StorageService
  const pump = yield* PumpService
  const sources = yield* DocumentSources
  const { timekeeping } = yield* Upkeep
  const sip = yield* SipTransport
  const projector = yield* ProjectorService
  return () => ({
    status: pump.status(),
    degraded: [...degradedBy(sources.health()), ...timekeeping.troubles()],
    clock: timekeeping.view(),
    sip: sip.addresses(),
    store: storage.name,
    log: placeOf(config),
    auth: authText(config),
    watching: policiesInWords(circumstances.limits.watching, packages),
    ...pump.engine.counts(),
    pump: pump.counters,
    wire: sip.counters,
    tables: { ...projector.lag(), period: config.db_update_period },
    committed: pump.committed(),
    writer: writerView(storage, carried.writer),
  })
})

const operations = Effect.gen(function* () {
  const { config, circumstances, packages, levels } = yield* ServerSettings
  const pump = yield* PumpService
  const sources = yield* DocumentSources
  const { rules } = yield* Documents
  const { reload } = yield* Reload
  const { eraser, repairTables } = yield* Upkeep
  const clock = yield* Clock.Clock
  const now = (): number => clock.currentTimeMillisUnsafe()
  const reader = makeHistoryReader(yield* EventStore, circumstances, now)
  const made = makeOperations({
    pump,
    history: makeHistoryQueries(reader, circumstances, now, pump.engine.delivery),
    packages,
    feed: yield* FeedService,
    webhooks: (yield* WebhooksService).desk,
    tags: yield* SharingTagsService,
    levels,
    reload: Effect.mapError(reload, ({ faults }) => new Refused({ status: 409, why: faults.join("; ") })),
    lookForRules: rules.poll,
    sources: () => sources.health().map(sourceView),
    keptElsewhere: {
      rules: rulesKeptElsewhere(config, packages),
      "hard-state": hardStateKeptElsewhere(config),
    },
    isUnread: rules.isUnread,
    eraser,
    repairTables,
    now,
    status: yield* statusOf,
  })
  return withAliases(made, makeCanonical(readAliases(config.domain_aliases, config.domain)))
})

export const layerOperations = Layer.effect(OperationsService, operations)

/** The address of the management port; null: there is none. */
export class AdminPort extends Context.Service<
  AdminPort,
  { readonly address: { readonly host: string; readonly port: number; readonly isSecure: boolean } | null }
>()("presently/AdminPort") {}

const adminSource = Effect.gen(function* () {
  const storage = yield* StorageService
  const pump = yield* PumpService
  const sources = yield* DocumentSources
  const { timekeeping } = yield* Upkeep
  const progress = yield* Progress
  const metrics = yield* MetricsPage
  return {
    operations: yield* OperationsService,
    version,
    metrics: metrics.text,
    degraded: () => [...degradedKinds(sources.health()), ...timekeeping.troubles()],
    // a standby has done everything it can
    hasStarted: () => progress.hasStarted() || storage.waitingFor() !== null,
    notReady: () => standbyText(storage) ?? (pump.status() === "ready" ? doubtOf(storage) : pump.status()),
    unsure: () => standbyText(storage) ?? doubtOf(storage),
  }
})

/** A second server on one machine finds the default port taken: any other will do then, unless the operator chose it. */
export const layerAdmin = Layer.effect(
  AdminPort,
  Effect.gen(function* () {
    const { config } = yield* ServerSettings
    if (config.admin === null) return { address: null }
    const { tracing } = yield* RequestTracing
    const { tokens, certificates } = yield* Reload
    const source = yield* adminSource
    const { isSecure } = config.admin
    const tls = isSecure
      ? { identity: certificates.admin, handshakeMillis: config.handshake_timeout * 1_000 }
      : null
    const options = { ...config.admin, tokens, tls }
    const opened = (port: number) => {
      // the parent span comes from the caller's request, not from whoever started this server
      const opening = Effect.updateContext(
        openAdmin({ ...options, port }, source),
        (context: Context.Context<Scope.Scope>) => Context.omit(Tracer.ParentSpan)(context) as typeof context,
      )
      return tracing === null ? opening : Effect.provideService(opening, Tracer.Tracer, tracing.tracer)
    }
    const address =
      config.sources.admin !== "default"
        ? yield* opened(options.port)
        : yield* opened(options.port).pipe(Effect.catch(() => opened(0)))
    return { address: { ...address, isSecure } }
  }),
)
