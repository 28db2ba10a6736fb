/**
 * Starts a server inside a program. Loaded by the first `Server.start`: a program without a server needs none of this.
 */
import { Clock, Effect, Exit, Logger, Scope } from "effect"
import type { LogIsTaken } from "../../ports/claim.ts"
import { clockTelling } from "../clock/clocks.ts"
import { ConfigInvalid, readConfig } from "../config/config.ts"
import type { Config } from "../config/config.ts"
import type { Given } from "../config/gather.ts"
import { faultsBeside } from "../config/resolve-config.ts"
import { shown } from "../extensions/words.ts"
import { isRecord } from "../library/options-check.ts"
import type { RunningServer, ServerOptions } from "./in-program.ts"
import { startServer } from "./start-server.ts"

/** See `Server.start`. */
export const startWithin = async (
  options: ServerOptions,
  now: (() => number) | null,
): Promise<RunningServer> => {
  const faults = argumentFaults(options, now)
  if (faults.length > 0) throw new ConfigInvalid({ faults })
  const { packages, rules, store, ...settings } = options
  const given = { packages, rules, store }
  const brings = Object.values(given).some((value) => value !== undefined)
  const config = await readAll({
    flags: {},
    set: [],
    env: {},
    file: null,
    defaults: {
      listen: ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"],
      admin: "off",
      warm_up: 0,
      memory: options.data === undefined && options.database_url === undefined,
    },
    own: brings ? { ...settings, extensions: given } : settings,
  })
  const scope = Effect.runSync(Scope.make())
  const server = await Effect.runPromise(
    Effect.gen(function* () {
      const system = yield* Clock.Clock
      const starting = startServer(config, { program: "a program with presently in it" })
      const started = yield* now === null
        ? starting
        : Effect.provideService(starting, Clock.Clock, clockTelling(now, system))
      yield* Effect.raceFirst(started.ready, started.lost)
      return started
    }).pipe(
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
      Effect.provide(Logger.layer([])),
    ),
  )
  const lost = new Promise<LogIsTaken>((resolve) => {
    Effect.runFork(
      Effect.ignore(
        Effect.tapError(server.lost, (cause) =>
          Effect.sync(() => {
            if (cause._tag === "LogIsTaken") resolve(cause)
          }),
        ),
      ),
    )
  })
  const close = (): Promise<void> => Effect.runPromise(Scope.close(scope, Exit.void))
  return {
    addresses: server.addresses(),
    admin: server.admin,
    reload: () => Effect.runPromise(server.reload),
    settle: () => Effect.runPromise(server.settle),
    lost,
    close,
    [Symbol.asyncDispose]: close,
  }
}

const isGiven = (options: object, name: string): boolean =>
  (options as Readonly<Record<string, unknown>>)[name] !== undefined

const argumentFaults = (options: unknown, now: unknown): readonly string[] => [
  ...(isRecord(options) && isGiven(options, "extensions") && brought.some((name) => isGiven(options, name))
    ? [`extensions, and ${brought.join(", ")} of the program: give either the module or these`]
    : []),
  ...(isRecord(options)
    ? []
    : [
        `Server.start: options = ${shown(options)}: expected an object of settings, such as { listen: ["udp:127.0.0.1:5060"] }`,
      ]),
  ...(now === null || typeof now === "function"
    ? []
    : [
        `Server.start: now = ${shown(now)}: expected a function that gives milliseconds since 1970, or null: the system's clock`,
      ]),
]

const brought = ["packages", "rules", "store"]

/** @throws ConfigInvalid with every error, not only what cannot be read */
const readAll = async (given: Given): Promise<Config> => {
  try {
    return readConfig(given)
  } catch (cause) {
    if (!(cause instanceof ConfigInvalid)) throw cause
    throw new ConfigInvalid({ faults: await Effect.runPromise(faultsBeside(cause)) })
  }
}
