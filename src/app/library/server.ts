/**
 * A whole server inside a program of one's own: sockets, store and tables by the same settings as `presently serve`.
 */
import { Clock, Effect, Exit, Logger, Scope } from "effect"
import { clockTelling } from "../clock/clocks.ts"
import { ConfigInvalid, readConfig } from "../config/config.ts"
import type { Config, Given } from "../config/config.ts"
import { faultsBeside } from "../config/resolve-config.ts"
import type { RequestPolicy } from "../config/request-policy-hook.ts"
import type { PublishRule, SubscribeRule } from "../config/request-policy-rules.ts"
import type { Reloaded } from "../node/reloaded.ts"
import { startServer } from "../server.ts"
import type { SettingName } from "../config/settings.ts"
import { isRecord } from "./options-check.ts"
import { shown } from "./words.ts"
import type { LogIsTaken } from "../../ports/claim.ts"

type Typed = "request_policy" | "handle_publish" | "handle_subscribe"

/** Settings by name, as in the configuration file; left out: memory, and any free port on loopback. */
export interface ServerOptions extends Readonly<Partial<Record<Exclude<SettingName, Typed>, unknown>>> {
  /** Functions that are asked about each request, or the file that has them. */
  readonly request_policy?: RequestPolicy | string
  readonly handle_publish?: readonly PublishRule[]
  readonly handle_subscribe?: readonly SubscribeRule[]
}

export interface RunningServer {
  /** `udp:127.0.0.1:5060` */
  readonly addresses: readonly string[]
  /** URL of the management port; null when it is off. */
  readonly admin: string | null
  /** Resolves when all that has come and fallen due so far has happened. */
  readonly settle: () => Promise<void>
  /**
   * Reads the files of users and tokens, rules and hard state again, as `presently serve` does on SIGHUP.
   *
   * @throws ConfigInvalid naming everything that is wrong with them: then nothing has changed
   */
  readonly reload: () => Promise<Reloaded>
  /**
   * Resolves when another program took the log: nothing is decided, answered or sent any more, and `close` is what is left to do.
   * Never, as long as nobody does.
   */
  readonly lost: Promise<LogIsTaken>
  readonly close: () => Promise<void>
}

/**
 * @param now milliseconds since 1970, for tests; lifetimes go by it, SIP timers do not
 * @throws ConfigInvalid naming an argument that cannot be meant, and every setting that is wrong; LogIsTaken naming the program that has the log; StoreUnfit
 */
const start = async (
  options: ServerOptions = {},
  now: (() => number) | null = null,
): Promise<RunningServer> => {
  const faults = argumentFaults(options, now)
  if (faults.length > 0) throw new ConfigInvalid({ faults })
  const config = await readAll({
    flags: {},
    set: [],
    env: {},
    file: null,
    defaults: {
      listen: ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"],
      admin: "off",
      memory: options.data === undefined && options.database_url === undefined,
    },
    own: { ...options },
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
  return {
    addresses: server.addresses(),
    admin: server.admin,
    reload: () => Effect.runPromise(server.reload),
    settle: () => Effect.runPromise(server.settle),
    lost,
    close: () => Effect.runPromise(Scope.close(scope, Exit.void)),
  }
}

const argumentFaults = (options: unknown, now: unknown): readonly string[] => [
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

/** @throws ConfigInvalid with everything that is wrong, not only what cannot be read */
const readAll = async (given: Given): Promise<Config> => {
  try {
    return readConfig(given)
  } catch (cause) {
    if (!(cause instanceof ConfigInvalid)) throw cause
    throw new ConfigInvalid({ faults: await Effect.runPromise(faultsBeside(cause)) })
  }
}

export type { ConfigInvalid }

export const Server = { start } as const
