/**
 * A whole server in this process: memory store, free loopback ports, settings chosen by the test.
 */
import { Effect, Exit, Logger, Scope } from "effect"
import type { TransportName } from "../../src/adapters/sip/transports/names.ts"
import { readConfig } from "../../src/app/config/config.ts"
import type { SettingName } from "../../src/app/config/settings.ts"
import { startServer } from "../../src/app/server/start-server.ts"

export interface PresenceServer {
  readonly udpPort: number
  readonly tcpPort: number
  /** URL of the management port; null when it is off. */
  readonly admin?: string | null
  readonly portOf: (transport: TransportName) => number
  /** Waits until everything that has arrived and fallen due is decided, stored and released. */
  readonly settle?: () => Promise<void>
  readonly stop: () => Promise<void>
}

/** Starts a server without pacing of NOTIFYs, unless the settings say otherwise. */
export const startPresence = async (
  settings: Readonly<Partial<Record<SettingName, unknown>>> = {},
): Promise<PresenceServer> => {
  const config = readConfig({
    flags: {},
    set: [],
    env: {},
    file: null,
    defaults: {
      listen: ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"],
      admin: "off",
      warm_up: 0,
      memory: true,
      notify_min_interval: 0,
      // a test may wait long for the processor: a server whose lease lapses meanwhile is not what most tests are about
      writer_lease: 30,
      ...settings,
    },
  })
  const scope = Effect.runSync(Scope.make())
  const server = await Effect.runPromise(
    Effect.gen(function* () {
      const started = yield* startServer(config, { stopWithin: "10 minutes" })
      yield* started.ready
      return started
    }).pipe(Scope.provide(scope), Effect.provide(Logger.layer([]))),
  )
  const portOf = (transport: TransportName): number => {
    const address = server.addresses().find((candidate) => candidate.startsWith(`${transport}:`)) ?? ""
    return Number(address.slice(address.lastIndexOf(":") + 1))
  }
  return {
    udpPort: portOf("udp"),
    tcpPort: portOf("tcp"),
    admin: server.admin,
    portOf,
    settle: () => Effect.runPromise(server.settle),
    stop: () => Effect.runPromise(Scope.close(scope, Exit.void)),
  }
}
