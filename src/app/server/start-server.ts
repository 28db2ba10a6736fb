/**
 * A whole server from a configuration: store, pump, tables, SIP and management port, started and stopped in the right order.
 *
 * Its layers are in `server/layers.ts`, the order of start and stop in `server/lifecycle.ts`.
 */
import { Clock, Context, Effect, Layer, Scope } from "effect"
import type { Duration } from "effect"
import type { StoreUnfit } from "../../ports/claim.ts"
import type { LogIsTaken } from "../../ports/claim.ts"
import { SipTransport } from "../../ports/sip-transport.ts"
import { attention } from "../clock/attention.ts"
import { makeClockKeeper } from "../clock/clock-keeper.ts"
import type { ClockKeeper } from "../clock/clock-keeper.ts"
import { isMachineClock } from "../clock/clocks.ts"
import type { Config, ConfigInvalid } from "../config/config.ts"
import { hostPort } from "../config/host-port.ts"
import { policiesInWords } from "../config/watch-policies.ts"
import type { Reloaded } from "../node/reloaded.ts"
import { stoppingWithin } from "../node/stopping.ts"
import type { Storage } from "../node/storage.ts"
import { clockOptionsOf, stopTold } from "../node/timekeeping.ts"
import { nothingCarried } from "../telemetry/carried.ts"
import { makeLogLevels } from "../telemetry/log-levels.ts"
import { layerServer } from "./layers.ts"
import { runServer } from "./lifecycle.ts"
import { AdminPort } from "./operations.ts"
import { PumpService } from "./pump.ts"
import { Reload } from "./reload.ts"
import { resolveSettings } from "./settings.ts"
import type { StartOptions } from "./settings.ts"
import { openServerStorage } from "./storage.ts"

export interface Server {
  /** Listening addresses with real ports: `udp:127.0.0.1:5060`. */
  readonly addresses: () => readonly string[]
  /** URL of the management port; null: there is none. */
  readonly admin: string | null
  /** Where decisions are kept, in words. */
  readonly store: string
  /** Who may watch which package, in one line. */
  readonly watching: string
  readonly status: () => "starting" | "ready" | "down" | "draining"
  /** Succeeds once the log is read and requests are decided. */
  readonly ready: Effect.Effect<void>
  /** Succeeds once everything that has arrived and fallen due so far is decided, stored and released. */
  readonly settle: Effect.Effect<void>
  /** Reads users, tokens, rules, hard state and log level again; changes nothing when there is an error in any of them. */
  readonly reload: Effect.Effect<Reloaded, ConfigInvalid>
  /** When it got the log that it had waited for, by `performance.now()`; null: it did not wait. */
  readonly tookOverAt: () => number | null
  /** Fails when another program has the log, or took it: then nothing is decided, answered or sent any more. */
  readonly lost: Effect.Effect<never, LogIsTaken | StoreUnfit>
}

/** The longest time for a stop; the next start makes up for what is not written by then. */
const stopsWithin: Duration.Input = "8 seconds"

/**
 * Starts a server that lives as long as the scope. It goes by the machine's clock, except for unconfirmed jumps, unless a program
 * provides the time.
 *
 * Fails with LogIsTaken when another program has the log, and with StoreUnfit when the database cannot be used; as a standby it
 * waits for the log, with nothing but the management port open.
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
  options: StartOptions,
  keeper: ClockKeeper | null,
  opened: (storage: Storage) => void,
) {
  const settings = yield* resolveSettings(config, options, keeper)
  const storage = yield* openServerStorage(settings)
  opened(storage)
  yield* Effect.acquireRelease(
    Effect.sync(() => attention.onStop((millis) => stopTold(millis, settings.say))),
    (end) => Effect.sync(end),
  )
  const scope = yield* Effect.scope
  // layers that this program has built for itself are not shared
  const services = yield* Layer.buildWithMemoMap(
    layerServer(settings, storage),
    Layer.makeMemoMapUnsafe(),
    scope,
  )
  const { ready, lost } = yield* Effect.provideContext(runServer, services)
  const pump = Context.get(services, PumpService)
  const { address } = Context.get(services, AdminPort)
  const server: Server = {
    addresses: Context.get(services, SipTransport).addresses,
    admin:
      address === null
        ? null
        : `${address.isSecure ? "https" : "http"}://${hostPort(address.host, address.port)}`,
    store: storage.name,
    watching: policiesInWords(settings.circumstances.limits.watching, settings.packages),
    status: pump.status,
    ready,
    settle: pump.settle,
    reload: Context.get(services, Reload).reload,
    tookOverAt: storage.tookOverAt,
    lost,
  }
  return server
})
