/**
 * Runs a server until it is told to stop.
 */
import { Console, Effect, Logger, Option, References, Schedule } from "effect"
import { canonicalHost } from "../../../domain/uris.ts"
import type { LogLevel } from "../../../ports/operations.ts"
import { UsageInvalid } from "../../client/failures.ts"
import { ConfigInvalid } from "../../config/config.ts"
import type { Config } from "../../config/config.ts"
import type { Given } from "../../config/gather.ts"
import { inBrackets } from "../../config/host-port.ts"
import { authText } from "../../config/trusted-peers.ts"
import { devBanner } from "../../dev-banner.ts"
import { devFolder, leaveNote } from "../../server-note.ts"
import type { Server } from "../../server/start-server.ts"
import { gated, makeLogLevels } from "../../telemetry/log-levels.ts"
import { listenForHangups } from "../hangup.ts"
import type { Hangups } from "../hangup.ts"
import { narrowOutput } from "../secret-output.ts"
import type { ServerFlags } from "../server-flags.ts"
import { configOf, unlessRefused } from "./server-config.ts"

/** The defaults of `dev`: a database in the working folder, ready early, and no pacing, so that effects are visible at once. */
export const devDefaults: Given["defaults"] = {
  data: devFolder,
  notify_min_interval: 0,
  warm_up_first: 40,
  as_feature_event: true,
  presence_from_register: true,
  reg_from_register: true,
}

interface DevInput extends ServerFlags {
  /** None: no phones. Empty: an address is chosen. */
  readonly lan: Option.Option<string>
  /** Listen for phones in browsers too. */
  readonly browser: boolean
  /** Another way to write the value of `lan`. */
  readonly address: Option.Option<string>
}

export const runDev = Effect.fn(function* (input: DevInput) {
  const hangups = listenForHangups(true)
  const phones = yield* phonesOf(input)
  const plain = { ...devDefaults, ...phones?.defaults }
  const secure = { ...plain, ...(yield* secureDefaults(input, plain)) }
  const defaults = { ...secure, ...(yield* aliasDefaults(input, secure)) }
  const read = Effect.tap(configOf(input, defaults, "dev"), (config) => unlessRefused(config, "dev"))
  const introduce: Introduce = async (config, server) => {
    const { browserLines } = await import("../../lan/browser.ts")
    const browsers = browserLines(server.addresses()).map((line) => `\n${line}`)
    if (phones === null) return devBanner(config, server) + browsers.join("")
    const [{ phonesBanner }, { terminalTraits }] = await Promise.all([
      import("../../lan/banner.ts"),
      import("../../lan/qr.ts"),
    ])
    // it shows passwords
    const advice = narrowOutput()
    if (advice !== null) console.error(`presently: ${advice}`)
    const banner = await phonesBanner(config, server, phones, terminalTraits(process.stdout, process.env))
    return banner + browsers.join("")
  }
  yield* runServer(yield* read, introduce, hangups, read)
}, Effect.scoped)

/** A phone that was given only the machine's address means the one domain that is served. */
const aliasDefaults = Effect.fnUntraced(function* (input: DevInput, defaults: Given["defaults"]) {
  // errors are reported with the whole configuration
  const config = yield* Effect.result(configOf(input, defaults))
  if (config._tag === "Failure" || config.success.domain.length !== 1) return {}
  const { ownAddresses } = yield* Effect.promise(() => import("../../lan/network.ts"))
  const [domain = ""] = config.success.domain
  const isOther = (address: string): boolean =>
    canonicalHost(address) !== canonicalHost(inBrackets(domain.replace(/^\[|\]$/g, "")))
  return { domain_aliases: ownAddresses(config.success.listen).filter(isOther) }
})

/** Listeners for browsers where they are asked for, and a certificate where one is needed and none is given. */
const secureDefaults = Effect.fnUntraced(function* (input: DevInput, defaults: Given["defaults"]) {
  const { browserListen, certificateDefaults } = yield* Effect.promise(() => import("../../lan/browser.ts"))
  // errors are reported with the whole configuration
  const config = yield* Effect.result(configOf(input, defaults))
  if (config._tag === "Failure") return {}
  const { listen: source } = config.success.sources
  if (input.browser && source !== "default")
    return yield* new ConfigInvalid({
      faults: [
        `listen (${source}): --browser gives this setting itself: leave one of the two out, and add wss:HOST:PORT here`,
      ],
    })
  const listen = input.browser ? { listen: browserListen(config.success) } : {}
  const wanted = yield* Effect.result(configOf(input, { ...defaults, ...listen }))
  if (wanted._tag === "Failure") return listen
  return { ...listen, ...(yield* certificateDefaults(wanted.success)) }
})

/** Null: without `--lan`. */
const phonesOf = Effect.fnUntraced(function* (input: DevInput) {
  const written = [input.lan, input.address].flatMap(Option.toArray).filter((address) => address !== "")
  const [wanted = null] = written
  if (Option.isNone(input.lan)) {
    return wanted === null
      ? null
      : yield* new UsageInvalid({
          why: `${wanted}: an address goes with --lan: presently dev --lan ${wanted}`,
        })
  }
  if (written.length > 1) {
    return yield* new UsageInvalid({ why: `--lan takes one address: ${written.join(" or ")}` })
  }
  // errors in other settings are reported with the whole configuration
  const config = yield* configOf(input, devDefaults)
  const { preparePhones } = yield* Effect.promise(() => import("../../lan/phones.ts"))
  return yield* preparePhones(config, wanted)
})

type Introduce = (config: Config, server: Server) => Promise<string>

export const runServe = Effect.fn(function* (input: ServerFlags) {
  const hangups = listenForHangups(false)
  const read = Effect.tap(configOf(input, {}, "serve"), (config) => unlessRefused(config, "serve"))
  yield* runServer(yield* read, null, hangups, read)
})

/** @param introduce what `dev` prints once it listens; null: this is `serve`, which logs where it listens */
const runServer = Effect.fnUntraced(function* (
  config: Config,
  introduce: Introduce | null,
  hangups: Hangups,
  reread: Effect.Effect<Config, ConfigInvalid>,
) {
  const mode = introduce === null ? "serve" : "dev"
  const levels = makeLogLevels(config.log_level as LogLevel)
  const pretty = config.log === "pretty" || (config.log === "auto" && process.stdout.isTTY)
  const { nothingCarried } = yield* Effect.promise(() => import("../../telemetry/carried.ts"))
  const carried = nothingCarried()
  const signal = yield* Effect.acquireRelease(Effect.sync(listenForStops), (listening) =>
    Effect.sync(listening.close),
  )
  /** When the current server began, if the process started another one before it; null: it is the first. */
  let began: number | null = null
  const once = Effect.scoped(
    Effect.gen(function* () {
      for (const notice of [...config.notices, ...config.advice]) yield* Effect.logWarning(notice)
      // Loaded only when needed: client commands start in half the time.
      const { startServer } = yield* Effect.promise(() => import("../../server/start-server.ts"))
      const server = yield* startServer(config, { levels, reread, program: `presently ${mode}`, carried })
      yield* announce(config, server)
      // a refusal is in the log, with its reasons
      yield* Effect.forkScoped(hangups.each(Effect.ignore(server.reload)))
      if (introduce !== null) yield* Console.log(yield* Effect.promise(() => introduce(config, server)))
      else
        yield* Effect.logInfo("listening", {
          sip: server.addresses(),
          admin: server.admin,
          store: server.store,
          watching: server.watching,
          auth: authText(config),
        })
      yield* Effect.raceFirst(server.ready, server.lost)
      const took = server.tookOverAt()
      const running = began === null ? process.uptime() : (performance.now() - began) / 1000
      // since the start of the process, loading of code included
      const line =
        took === null
          ? `ready in ${running.toFixed(1)} s`
          : `ready ${((performance.now() - took) / 1000).toFixed(1)} s after it got the log`
      if (mode === "dev") yield* Console.log(line)
      else yield* Effect.logInfo(line)
      return yield* server.lost
    }).pipe(
      Effect.onInterrupt(() => (mode === "serve" ? Effect.logInfo(`stopping${signal.text()}`) : Effect.void)),
    ),
  )
  const lives = once.pipe(
    // a new server from scratch: the memory of the old one no longer matches the log
    Effect.tapError((cause) =>
      config.standby && cause._tag === "LogIsTaken"
        ? Effect.andThen(
            Effect.logError(cause.message),
            Effect.sync(() => {
              began = performance.now()
            }),
          )
        : Effect.void,
    ),
    Effect.retry({
      while: (cause) => config.standby && cause._tag === "LogIsTaken",
      schedule: Schedule.spaced("1 second"),
    }),
    Effect.provide(Logger.layer([gated(pretty ? Logger.consolePretty() : Logger.consoleJson, levels)])),
    Effect.provideService(References.MinimumLogLevel, "Debug"),
  )
  yield* lives
}, Effect.scoped)

/** Tells commands on this machine, through its data folder, where the server listens, as long as the scope lives. */
const announce = ({ data, database_url, memory }: Config, { admin, addresses }: Server) => {
  if (data === null || database_url !== null || memory) return Effect.void
  const note = {
    admin: admin === null || admin.startsWith("https:") ? admin : new URL(admin).host,
    listen: addresses(),
  }
  const left = Effect.acquireRelease(
    Effect.sync(() => leaveNote(data, note)),
    (remove) => Effect.sync(remove),
  )
  return Effect.asVoid(left)
}

/** The signal that told the process to stop. */
const listenForStops = () => {
  let told: NodeJS.Signals | null = null
  const note = (signal: NodeJS.Signals): void => {
    told ??= signal
  }
  const signals = ["SIGTERM", "SIGINT"] as const
  for (const signal of signals) process.prependListener(signal, note)
  return {
    text: (): string => (told === null ? "" : `: told to by ${told}`),
    close: (): void => {
      for (const signal of signals) process.removeListener(signal, note)
    },
  }
}
