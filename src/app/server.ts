/**
 * A whole server from a configuration: store, pump, projector, SIP and management port, up and down in the right order.
 *
 * Sockets open when the log is read and what sources of rules and hard state have is in force. When that takes long, because
 * the database does not answer or a source does not, they open all the same: a request is then told 503 and when to come
 * again, instead of nothing.
 */
import { randomBytes } from "node:crypto"
import { Clock, Context, Deferred, Effect, Scope, Tracer } from "effect"
import type { Duration } from "effect"
import { openAdmin } from "../adapters/admin/http.ts"
import type { AdminSource } from "../adapters/admin/http.ts"
import { readPeers } from "../adapters/sip/peers.ts"
import { make as makeSip } from "../adapters/sip/stack.ts"
import type { Policy } from "../adapters/sip/policy.ts"
import type { SipLimit, SipOptions } from "../adapters/sip/options.ts"
import type { Packages } from "../domain/packages/event-package.ts"
import { EventStore } from "../ports/event-store.ts"
import type { SipHandler } from "../ports/sip-transport.ts"
import { adviceText } from "./config/advice.ts"
import { allowedHosts } from "../adapters/webhooks/allowed.ts"
import { makeSend } from "../adapters/webhooks/send.ts"
import { WebhookStore } from "../ports/webhook-store.ts"
import { allowEveryone, askTheRules } from "../domain/presentity/context.ts"
import type { State } from "../domain/presentity/state.ts"
import { attention } from "./clock/attention.ts"
import { makeClockKeeper } from "./clock/clock-keeper.ts"
import type { ClockKeeper } from "./clock/clock-keeper.ts"
import { isMachineClock } from "./clock/clocks.ts"
import { clockOptionsOf, retentionSuspicion, stopTold, timekeepingOf } from "./clock/timekeeping.ts"
import { Refused } from "../ports/operation-refused.ts"
import type { Config, ConfigInvalid } from "./config/config.ts"
import { makeReloader } from "./node/reload.ts"
import type { Reloader } from "./node/reload.ts"
import type { Reloaded } from "./node/reloaded.ts"
import { asksRules, limitsOf, realmOf } from "./config/limits.ts"
import { makeDocumentPoller } from "./node/document-poller.ts"
import type { SourceHealth } from "./node/document-poller.ts"
import { hardStateKeptElsewhere, hardStateSourceOf, presenceHardState } from "./node/hard-state-source.ts"
import { makeLogLevels } from "./telemetry/log-levels.ts"
import type { LogLevels } from "./telemetry/log-levels.ts"
import { makeOperations } from "./operations/operations.ts"
import { makeHistoryQueries } from "./operations/history-queries.ts"
import { makeHistoryReader } from "./history/reader.ts"
import { makeEraser } from "./erase/eraser.ts"
import { makeFeed } from "./node/feed.ts"
import { makeProjector } from "./node/projector.ts"
import type { Projector } from "./node/projector.ts"
import { makePump, pumpDefaults } from "./node/pump.ts"
import type { Pump } from "./node/pump.ts"
import { rulesKeptElsewhere, rulesKindOf, rulesSourceOf } from "./node/rules-source.ts"
import { makeDaily } from "./retention/daily-compaction.ts"
import { termsOf } from "./config/retention-terms.ts"
import { makeSealer } from "./node/seal-signer.ts"
import { degradedBy, degradedKinds, sourceView } from "./node/source-health.ts"
import { makeSharingTags } from "./node/sharing-tags.ts"
import { makeRepairer } from "./node/repair-tables.ts"
import { readTokens } from "./config/tokens.ts"
import type { Users } from "./config/users.ts"
import { version } from "./version.ts"
import { nothingCarried } from "./telemetry/carried.ts"
import type { Carried } from "./telemetry/carried.ts"
import { makeMetrics } from "./telemetry/metrics.ts"
import type { MetricsSource } from "./telemetry/metrics.ts"
import { makeTracing } from "./telemetry/tracing.ts"
import type { Tracing } from "./telemetry/tracing.ts"
import { warmUp } from "./node/warm-up.ts"
import { beginPolicies } from "./node/begin-policies.ts"
import { policiesInWords } from "./config/watch-policies.ts"
import { makeWebhooks } from "./node/webhooks.ts"
import { initialTags, resolveConfig } from "./config/resolve-config.ts"
import type { StoreUnfit, LogIsTaken } from "../ports/claim.ts"
import { stoppingWithin } from "./node/stopping.ts"
import { openStorage } from "./node/storage.ts"
import type { Storage } from "./node/storage.ts"
import { doubtOf, standbyText, writerView } from "./node/writer-status.ts"
import { errorMessage } from "./error-message.ts"

export interface Server {
  readonly addresses: () => readonly string[]
  readonly admin: string | null
  /** Where facts are kept, in words. */
  readonly store: string
  /** Who may watch which package, in one line. */
  readonly watching: string
  readonly status: () => "starting" | "ready" | "down" | "draining"
  /** Succeeds once the log is read and requests are decided. */
  readonly ready: Effect.Effect<void>
  /** Succeeds once all that has come and fallen due so far is decided, stored and released. */
  readonly settle: Effect.Effect<void>
  /** Reads users, tokens, rules, hard state and log level again; nothing is changed when anything is wrong with them. */
  readonly reload: Effect.Effect<Reloaded, ConfigInvalid>
  /** When it got the log that it had waited for, by `performance.now()`; null: it did not wait. */
  readonly tookOverAt: () => number | null
  /** Fails when somebody else has the log, or took it: then nothing is decided, said or sent any more. */
  readonly lost: Effect.Effect<never, LogIsTaken | StoreUnfit>
}

/** Decisions the tables may lag behind whatever the period: they bound what a start has to read again. */
const projectorDecisionsMax = 50_000

/** How long sockets stay closed while the log and the sources are being read. */
const socketsClosedAtMost = "3 seconds"

/** How long a stop waits for answers to NOTIFYs already sent. */
const lingerMillis = 1500

/** What a stop may take at most; what is not written by then, the next start makes up for. */
const stopsWithin: Duration.Input = "8 seconds"

export interface StartOptions {
  readonly levels: LogLevels
  /** How long a stop may decide, answer and write what is under way. */
  readonly stopWithin: Duration.Input
  /** The configuration as it is given when a reload is asked for. */
  readonly reread: Effect.Effect<Config, ConfigInvalid>
  /** Who others are told has the log. */
  readonly program: string
  /** What a process counts for as long as it lives, when it starts one server after another. */
  readonly carried: Carried
}

/**
 * Starts a server that lives as long as the scope. It goes by the machine's clock, but for jumps that nothing confirms, unless a
 * program tells the time.
 *
 * Fails with LogIsTaken when another program has the log, and with StoreUnfit when the database will not do; as a standby it waits
 * for the log, with nothing but the management port open.
 */
export const startServer = Effect.fn("Server.start")(function* (
  config: Config,
  options: Partial<StartOptions> = {},
) {
  const given: StartOptions = {
    levels: makeLogLevels(),
    stopWithin: stopsWithin,
    reread: Effect.succeed(config),
    program: "a presently server",
    carried: nothingCarried(),
    ...options,
  }
  const stopping = yield* stoppingWithin(given.stopWithin)
  const started = (keeper: ClockKeeper | null) =>
    start(config, given, keeper, stopping.opened).pipe(Scope.provide(stopping.scope))
  const system = yield* Clock.Clock
  if (!isMachineClock(system)) return yield* started(null)
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const keeper = makeClockKeeper(system, clockOptionsOf(config), (line) => void run(line))
  return yield* Effect.provideService(started(keeper), Clock.Clock, keeper.clock)
})

const start = Effect.fnUntraced(function* (
  config: Config,
  { levels, stopWithin, reread, program, carried }: StartOptions,
  keeper: ClockKeeper | null,
  opened: (storage: Storage) => void,
) {
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const {
    packages,
    policy,
    users: usersAtStart,
    sealKey,
    advice,
  } = yield* resolveConfig(config, (line) => void run(Effect.logError(line)))
  for (const one of advice) yield* Effect.logWarning(adviceText(one))
  const reloader = yield* makeReloader({
    config,
    users: usersAtStart,
    tokens:
      config.admin === null || config.admin_tokens_file === null
        ? null
        : yield* readTokens(config.admin_tokens_file),
    levels,
    reread,
    poll: Effect.suspend(() => Effect.andThen(rulesFollower.poll, hardStateFollower.poll)),
  })
  const storage = yield* openStorage(config, program, carried.writer)
  opened(storage)

  const onDefect = (where: string, what: string, defect: unknown): void => {
    const stack = defect instanceof Error ? (defect.stack ?? defect.message) : String(defect)
    run(Effect.logError(`a defect of presently: ${what} of ${where} failed; please report it`, stack))
  }
  const clock = yield* Clock.Clock
  const metrics = yield* Effect.acquireRelease(
    Effect.sync(() => makeMetrics(carried.metrics)),
    (one) => Effect.sync(one.close),
  )
  const tracing =
    config.otlp_endpoint === null
      ? null
      : yield* makeTracing({ url: config.otlp_endpoint, ratio: config.trace_percent / 100 })
  yield* Effect.acquireRelease(
    Effect.sync(() => attention.onStop((millis) => stopTold(millis, (line) => void run(line)))),
    (end) => Effect.sync(end),
  )
  const sip = makeSip(
    sipOptions(
      config,
      packages,
      policy,
      reloader.users,
      (defect) => onDefect("SIP", "a message", defect),
      (line) => void run(Effect.logWarning(line)),
      (limit) =>
        void run(
          Effect.logWarning(
            limitInWords(
              limit,
              config[limit === "unanswered_octets_share" ? "unanswered_octets_max" : limit],
            ),
          ),
        ),
    ),
  )
  const authorize = asksRules(config) ? askTheRules : allowEveryone
  const pump: Pump = yield* makePump(
    {
      packages,
      limits: limitsOf(config),
      authorize,
      isTagActive: (tag) => tags.isActive(tag),
      isUnread: (presentity, packageName) => rulesFollower.isUnread(presentity, packageName),
      onDefect,
      ...pumpDefaults,
    },
    {
      notify: (notifications, since) => {
        sip.notify(notifications)
        metrics.notified(notifications.length, clock.currentTimeMillisUnsafe() - since)
      },
      appended: metrics.appended,
      ...(tracing === null ? {} : { trace: tracing.begin }),
      stored: (stored, present) => projector.note(stored, present),
      passed: () => feed.wake(),
      unreadable: (presentity, cause) =>
        void run(
          cause === null
            ? Effect.logInfo(`${presentity} can be read again`)
            : Effect.logError(
                `what ${storage.name} holds of ${presentity} cannot be read (${errorMessage(cause)}): its requests get 503, all others go on`,
              ),
        ),
      outage: (state, cause) => {
        const message =
          state === "up"
            ? Effect.logInfo("the store is back")
            : Effect.logError(
                `${storage.name} does not answer (${errorMessage(cause)}): requests get 503 meanwhile`,
              )
        run(message)
      },
    },
  ).pipe(Effect.provideContext(storage.services))
  const projector: Projector = yield* makeProjector(
    { periodSeconds: Math.max(0, config.db_update_period), decisionsMax: projectorDecisionsMax },
    { committed: () => pump.committed(), oldestInFlight: pump.oldestInFlight },
  ).pipe(Effect.provideContext(storage.services))

  const rulesFollower = makeDocumentPoller(
    rulesSourceOf(config, packages, storage.xcap),
    rulesKindOf(config, packages),
    pump,
    config.rules_wait,
  )
  const hardStateFollower = makeDocumentPoller(
    hardStateSourceOf(config, storage.xcap),
    presenceHardState,
    pump,
    config.rules_wait,
  )
  const sources = (): readonly SourceHealth[] =>
    [rulesFollower, hardStateFollower].flatMap((one) => one.health() ?? [])
  const feed = makeFeed(Context.get(storage.services, EventStore), () => pump.committed().position)
  const tags = makeSharingTags(() => pump)
  const daily =
    storage.log === null
      ? null
      : makeDaily(storage.log, {
          terms: termsOf(config.retention).terms,
          key: sealKey,
          flush: projector.flush,
          whilePaused: (work) => pump.whilePaused(work),
          share: config.retention_share,
          suspicion: retentionSuspicion(storage.log.witness, config, keeper),
        })
  const timekeeping = timekeepingOf(keeper, () => daily?.counts() ?? null)
  const eraser = storage.log === null ? null : makeEraser({ log: storage.log, pump, projector })
  const repairTables = makeRepairer(
    storage.name,
    config.database_url === null ? null : storage.log,
    projector,
  )
  const sealer =
    sealKey === null || storage.log === null ? null : makeSealer(storage.log, sealKey, config.seal_interval)
  const webhooks = yield* makeWebhooks(
    { giveUpSeconds: config.webhook_give_up, allowed: allowedHosts(config.webhook_hosts) },
    Context.get(storage.services, WebhookStore),
    feed,
    makeSend(allowedHosts(config.webhook_hosts), attention.after),
    () => pump.committed().position,
  )
  const now = (): number => clock.currentTimeMillisUnsafe()
  const circumstances = { packages, limits: limitsOf(config), authorize }
  const reader = makeHistoryReader(Context.get(storage.services, EventStore), circumstances, now)
  const desk = makeOperations({
    pump,
    history: makeHistoryQueries(reader, circumstances, now, pump.engine.delivery),
    packages,
    feed,
    webhooks: webhooks.desk,
    tags,
    levels,
    reload: Effect.mapError(
      reloader.reload,
      ({ faults }) => new Refused({ status: 409, why: faults.join("; ") }),
    ),
    lookForRules: rulesFollower.poll,
    sources: () => sources().map(sourceView),
    keptElsewhere: {
      rules: rulesKeptElsewhere(config, packages),
      "hard-state": hardStateKeptElsewhere(config),
    },
    isUnread: rulesFollower.isUnread,
    eraser,
    repairTables,
    now,
    status: () => ({
      status: pump.status(),
      degraded: [...degradedBy(sources()), ...timekeeping.troubles()],
      clock: timekeeping.view(),
      sip: sip.addresses(),
      store: storage.name,
      ...pump.engine.counts(),
      pump: pump.counters,
      wire: sip.counters,
      tables: projector.lag(),
      committed: pump.committed(),
      writer: writerView(storage, carried.writer),
    }),
  })
  let hasStarted = false
  const measured: MetricsSource = {
    wire: sip.counters,
    pump: pump.counters,
    isReady: () => pump.status() === "ready",
    counts: pump.engine.counts,
    states: () => liveStates(pump),
    lag: projector.lag,
    position: () => pump.committed().position,
    webhooks: webhooks.desk.list,
    sources,
    reloads: reloader.counters,
    timekeeping,
    writer: storage.writer,
    writerCounters: carried.writer,
  }
  yield* Effect.addFinalizer(() => Effect.sync(() => metrics.carry(measured)))
  const admin = yield* adminPort(config, tracing, reloader, {
    operations: desk,
    version,
    metrics: () => metrics.text(measured),
    degraded: () => [...degradedKinds(sources()), ...timekeeping.troubles()],
    // a standby has done all that it can
    hasStarted: () => hasStarted || storage.waitingFor() !== null,
    notReady: () => standbyText(storage) ?? (pump.status() === "ready" ? doubtOf(storage) : pump.status()),
    unsure: () => standbyText(storage) ?? doubtOf(storage),
  })

  yield* Effect.sync(() => warmUp(packages))
  const recovered = yield* Deferred.make<void>()
  const listening = yield* Deferred.make<void>()
  const ready = yield* Deferred.make<void>()
  const lost = yield* Deferred.make<never, LogIsTaken | StoreUnfit>()
  const lose = Effect.catch((cause: LogIsTaken | StoreUnfit) => Deferred.fail(lost, cause))
  yield* Effect.forkScoped(
    storage.prepare.pipe(
      Effect.tap(() =>
        storage.log === null ? Effect.void : (keeper?.begin(storage.log.witness) ?? Effect.void),
      ),
      Effect.tap(() => Effect.forkScoped((storage.writer()?.lost ?? Effect.never).pipe(lose))),
      Effect.tap(() => pump.recover),
      Effect.tap((areKept) => (areKept ? Effect.void : storage.fillTables)),
      // before anything is decided that could show something: what fell due, what is repeated, what is asked
      Effect.andThen(rulesFollower.begin),
      Effect.andThen(beginPolicies(pump)),
      Effect.andThen(hardStateFollower.begin),
      Effect.andThen(Deferred.succeed(recovered, undefined)),
      Effect.andThen(Deferred.await(listening)),
      Effect.andThen(pump.start),
      Effect.andThen(tags.begin(initialTags(config))),
      Effect.tap(() => Effect.sync(() => (hasStarted = true))),
      Effect.andThen(Deferred.succeed(ready, undefined)),
      Effect.andThen(
        Effect.all(
          [
            surviving("the tables", projector.run),
            surviving("webhooks", webhooks.run),
            surviving("seals", sealer?.run ?? Effect.void),
            surviving("the day's work on the log", daily?.run ?? Effect.void),
            surviving("the clock", keeper?.run ?? Effect.void),
          ],
          { concurrency: "unbounded" },
        ),
      ),
      lose,
    ),
  )
  // until then it may be somebody else's, and theirs the sockets
  yield* Effect.raceFirst(storage.claimed, Deferred.await(lost))
  yield* Effect.raceFirst(
    Effect.timeoutOption(Deferred.await(recovered), socketsClosedAtMost),
    Deferred.await(lost),
  )
  yield* sip.listen({
    ...(tracing === null ? pump.handler : followed(pump.handler, tracing)),
    overload: () => (pump.status() === "ready" ? null : pumpDefaults),
    maySend: () => storage.claim.isSure(),
  })
  yield* Deferred.succeed(listening, undefined)

  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      if (pump.status() !== "ready" || storage.claim.taken() !== null) return
      yield* pump.drain
      for (let waited = 0; waited < lingerMillis && pump.engine.oldestInFlight() !== null; waited += 20) {
        yield* Effect.sleep(20)
      }
      yield* pump.record
      yield* projector.flush
      if (sealer !== null) yield* sealer.seal
    }).pipe(Effect.timeoutOption(stopWithin)),
  )

  const server: Server = {
    addresses: sip.addresses,
    admin: admin === null ? null : `http://${hostPort(admin)}`,
    store: storage.name,
    watching: policiesInWords(limitsOf(config).watching, packages),
    status: pump.status,
    ready: Deferred.await(ready),
    settle: pump.settle,
    reload: reloader.reload,
    tookOverAt: storage.tookOverAt,
    lost: Deferred.await(lost),
  }
  return server
})

/** A loop that ends with a defect is begun again, and takes no other with it. */
const surviving = <E, R>(name: string, loop: Effect.Effect<void, E, R>): Effect.Effect<void, E, R> =>
  Effect.catchDefect(loop, (defect) =>
    Effect.logError(`${name}: begun again after a fault (${errorMessage(defect)})`).pipe(
      Effect.andThen(Effect.sleep("1 second")),
      Effect.andThen(Effect.suspend(() => surviving(name, loop))),
    ),
  )

/** What the stack tells of NOTIFYs is told to the traces as well. */
const followed = (handler: SipHandler, tracing: Tracing): SipHandler => ({
  submit: handler.submit,
  delivered: (presentity, no, cseq, outcome) => {
    tracing.delivered(presentity, no, cseq, outcome)
    handler.delivered(presentity, no, cseq, outcome)
  },
})

const liveStates = ({ engine }: Pump): readonly State[] =>
  [...engine.presentities()].flatMap((presentity) => engine.state(presentity) ?? [])

/** A second server on one machine finds the presumed port taken: then any other will do, as long as nobody chose. */
const adminPort = Effect.fnUntraced(function* (
  config: Config,
  tracing: Tracing | null,
  { tokens }: Reloader,
  source: AdminSource,
) {
  if (config.admin === null) return null
  const options = { ...config.admin, tokens }
  const opened = (port: number) => {
    // what a caller's request is part of is said by the caller, not by whoever started this server
    const opening = Effect.updateContext(
      openAdmin({ ...options, port }, source),
      (context: Context.Context<Scope.Scope>) => Context.omit(Tracer.ParentSpan)(context) as typeof context,
    )
    return tracing === null ? opening : Effect.provideService(opening, Tracer.Tracer, tracing.tracer)
  }
  if (config.sources.admin !== "default") return yield* opened(options.port)
  return yield* opened(options.port).pipe(Effect.catch(() => opened(0)))
})

const sipOptions = (
  config: Config,
  packages: Packages,
  policy: Policy | null,
  users: Users | null,
  onDefect: (defect: unknown) => void,
  onPeer: (line: string) => void,
  onLimit: (limit: SipLimit) => void,
): SipOptions => {
  return {
    listen: config.listen,
    domains: config.domain,
    contactUri: config.server_address,
    contactUser: config.contact_user ?? "",
    packages,
    auth:
      users === null
        ? null
        : {
            realm: realmOf(config),
            lookup: users.lookup,
            addressOf: users.addressOf,
            nonceKey: randomBytes(32),
            algorithms: config.digest_md5 ? ["SHA-256", "MD5"] : ["SHA-256"],
          },
    registrar: config.registrar === "reject" ? "reject" : "accept",
    udpMtuBytes: config.udp_mtu,
    forceActive: config.force_active,
    trustedPeers: readPeers(config.trusted_peers).peers,
    onPeer,
    allowAnyContact: !config.contact_must_be_source,
    notifyTargets: config.notify_targets,
    limits: {
      unansweredOctetsMax: config.unanswered_octets_max,
      unprovenTargetsMax: config.unproven_targets_max,
      unprovenWaitingMax: config.unproven_waiting_max,
      unprovenWaitingPerTargetMax: config.unproven_waiting_per_target_max,
    },
    onLimit,
    policy,
    onDefect,
    attention,
  }
}

/** Said once: from then on the counters tell. */
const limitInWords = (limit: SipLimit, value: number): string => {
  switch (limit) {
    case "unanswered_octets_max":
      return `unanswered_octets_max = ${value} is reached: NOTIFYs are put off until earlier ones are answered`
    case "unanswered_octets_share":
      return `unanswered_octets_max = ${value}: one address and port has as many of these as are left for all others: NOTIFYs there are put off until earlier ones are answered`
    case "unproven_targets_max":
      return `unproven_targets_max = ${value} is reached: NOTIFYs to further addresses that never answered are put off`
    case "unproven_waiting_max":
      return `unproven_waiting_max = ${value} is reached: further NOTIFYs to addresses that never answered are put off`
    case "unproven_waiting_per_target_max":
      return `unproven_waiting_per_target_max = ${value} is reached: further NOTIFYs to the same address that never answered are put off`
  }
}

const hostPort = ({ host, port }: { readonly host: string; readonly port: number }): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
