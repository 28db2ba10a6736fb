/**
 * Takes a server through its phases (`progress.ts`): up in their order, and down again in reverse.
 *
 * Sockets open when the log has been read, the documents from the sources of rules and hard state are in force, and the code has run
 * for as long as `warm_up_first` says. When that takes long, because the database or a source does not answer, they open all the
 * same: requests are then answered 503 with Retry-After, instead of not at all.
 */
import { Deferred, Effect } from "effect"
import type { LogIsTaken, StoreUnfit } from "../../ports/claim.ts"
import { EventStore } from "../../ports/event-store.ts"
import { SipTransport } from "../../ports/sip-transport.ts"
import type { SipHandler } from "../../ports/sip-transport.ts"
import { initialTags } from "../config/resolve-config.ts"
import { errorMessage } from "../error-message.ts"
import { beginPolicies } from "../node/begin-policies.ts"
import { writingWithin } from "../node/stopping.ts"
import { warmUp } from "../node/warm-up.ts"
import type { Tracing } from "../telemetry/tracing.ts"
import { Documents } from "./documents.ts"
import { ProjectorService, SharingTagsService } from "./followers.ts"
import { handlerOf, lingerMillis } from "./node.ts"
import { Progress } from "./progress.ts"
import { PumpService } from "./pump.ts"
import { ServerSettings } from "./settings.ts"
import { StorageService } from "./storage.ts"
import { RequestTracing } from "./telemetry.ts"
import { Upkeep, WebhooksService } from "./upkeep.ts"

/** How long sockets stay closed while the log and the sources are being read. */
const socketsClosedAtMost = "3 seconds"

/** Decisions after which requests have warmed the code themselves. */
const warmAfter = 500

/** Why a server ends by itself. */
export type Lost = LogIsTaken | StoreUnfit

export interface Lifecycle {
  /** Succeeds once the log is read and requests are decided. */
  readonly ready: Effect.Effect<void>
  /** Fails when another program has the log, or took it. */
  readonly lost: Effect.Effect<never, Lost>
}

/** Starts a server; succeeds when the sockets are open, and the rest follows. The end of the scope stops it. */
export const runServer = Effect.gen(function* () {
  const { config, packages } = yield* ServerSettings
  const store = yield* EventStore
  const storage = yield* StorageService
  const sip = yield* SipTransport
  const pump = yield* PumpService
  const { tracing } = yield* RequestTracing
  const { asking } = yield* Documents
  const progress = yield* Progress
  const isWarm = yield* Deferred.make<void>()
  const isLoaded = yield* Deferred.make<void>()
  const isListening = yield* Deferred.make<void>()
  const isReady = yield* Deferred.make<void>()
  const lost = yield* Deferred.make<never, Lost>()
  const lose = Effect.catch((cause: Lost) => Deferred.fail(lost, cause))
  const unlessLost = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.raceFirst(effect, Deferred.await(lost))

  yield* Effect.forkScoped(
    warmUp({
      packages,
      millisMax: config.warm_up,
      firstMillis: config.warm_up_first,
      firstDone: Deferred.succeed(isWarm, undefined),
      isOpen: () => Deferred.isDoneUnsafe(isListening),
      isOver: () => pump.counters.decisions >= warmAfter || pump.status() === "draining",
      database: () => (storage.writer() !== null && storage.claim.isSure() ? store : null),
    }),
  )
  yield* Effect.forkScoped(
    upTo(isLoaded, isListening, lose).pipe(
      Effect.andThen(Deferred.succeed(isReady, undefined)),
      Effect.andThen(loops),
      lose,
    ),
  )
  // until then the log may belong to another server, and the sockets with it
  yield* unlessLost(storage.claimed)
  const isPrepared = Effect.andThen(Deferred.await(isLoaded), Deferred.await(isWarm))
  yield* unlessLost(Effect.timeoutOption(isPrepared, socketsClosedAtMost))
  yield* sip.listen(handlerOf(pump, traced(asking(pump.handler), tracing), storage.claim.isSure))
  progress.reached("sockets")
  yield* Deferred.succeed(isListening, undefined)
  const lifecycle: Lifecycle = { ready: Deferred.await(isReady), lost: Deferred.await(lost) }
  return lifecycle
})

/** Everything up to `ready`, in the order of the phases; each is reported when it is done. */
const upTo = Effect.fnUntraced(function* (
  isLoaded: Deferred.Deferred<void>,
  isListening: Deferred.Deferred<void>,
  lose: <A, R>(effect: Effect.Effect<A, Lost, R>) => Effect.Effect<A | boolean, never, R>,
) {
  const { config, keeper } = yield* ServerSettings
  const storage = yield* StorageService
  const pump = yield* PumpService
  const { rules, hardState } = yield* Documents
  const tags = yield* SharingTagsService
  const progress = yield* Progress
  const areKept = yield* storage.prepare
  if (storage.log !== null && keeper !== null) yield* keeper.begin(storage.log.witness)
  yield* Effect.forkScoped(lose(storage.writer()?.lost ?? Effect.never))
  progress.reached("claim")
  yield* pump.recover
  progress.reached("log")
  if (!areKept) yield* storage.fillTables
  progress.reached("tables")
  // before anything is decided that could show something: what fell due, what is repeated, what is requested
  yield* rules.begin
  progress.reached("rules")
  yield* beginPolicies(pump)
  progress.reached("policies")
  yield* hardState.begin
  progress.reached("hard state")
  yield* Deferred.succeed(isLoaded, undefined)
  yield* Deferred.await(isListening)
  yield* pump.start
  // registered after the pump's own finalizer, so it runs before it: a closed pump decides, waits and writes nothing more
  yield* Effect.addFinalizer(() => down)
  progress.reached("deadlines")
  yield* tags.begin(initialTags(config))
  progress.reached("tags")
  progress.reached("ready")
})

/** What runs as long as the server lives. */
const loops = Effect.gen(function* () {
  const { keeper } = yield* ServerSettings
  const { daily, sealer } = yield* Upkeep
  const projector = yield* ProjectorService
  const webhooks = yield* WebhooksService
  yield* Effect.all(
    [
      surviving("the tables", projector.run),
      surviving("webhooks", webhooks.run),
      surviving("seals", sealer?.run ?? Effect.void),
      surviving("the day's work on the log", daily?.run ?? Effect.void),
      surviving("the clock", keeper?.run ?? Effect.void),
    ],
    { concurrency: "unbounded" },
  )
})

/** A loop that ends with a defect is started again, and takes no other down. */
const surviving = <E, R>(name: string, loop: Effect.Effect<void, E, R>): Effect.Effect<void, E, R> =>
  Effect.catchDefect(loop, (defect) =>
    Effect.logError(`${name}: begun again after a fault (${errorMessage(defect)})`).pipe(
      Effect.andThen(Effect.sleep("1 second")),
      Effect.andThen(Effect.suspend(() => surviving(name, loop))),
    ),
  )

/** The way down, while the sockets are still open: decide, wait for responses, record what is known. */
const down = Effect.gen(function* () {
  const { stopAsking } = yield* Documents
  const { claim } = yield* StorageService
  const { sealer } = yield* Upkeep
  const pump = yield* PumpService
  const projector = yield* ProjectorService
  if (pump.status() !== "ready" || claim.taken() !== null) return
  yield* stopAsking
  yield* pump.drain
  yield* Effect.timeoutOption(pump.answered, lingerMillis)
  yield* pump.record
  yield* projector.flush
  if (sealer !== null) yield* sealer.seal
}).pipe((going) =>
  Effect.flatMap(ServerSettings, ({ stopWithin }) => Effect.timeoutOption(going, writingWithin(stopWithin))),
)

/** Reports outcomes of NOTIFYs to the traces as well. */
const traced = (handler: SipHandler, tracing: Tracing | null): SipHandler =>
  tracing === null
    ? handler
    : {
        submit: handler.submit,
        delivered: (presentity, id, cseq, outcome) => {
          tracing.delivered(presentity, id, cseq, outcome)
          handler.delivered(presentity, id, cseq, outcome)
        },
      }
