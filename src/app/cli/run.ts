/**
 * `presently dev` and `presently serve`: a server until it is told to stop.
 */
import { Console, Effect, Logger, References } from "effect"
import { Command, Flag } from "effect/cli"
import { ConfigInvalid, isLoopback, readConfig } from "../config.ts"
import type { Config, Given } from "../config.ts"
import type { LogLevel } from "../../adapters/admin/desk.ts"
import type { Server } from "../server.ts"
import { gated, makeLogLevels } from "../log-levels.ts"
import { settings } from "../settings.ts"
import { version } from "../version.ts"

const repeated = (name: string, metavar: string, about: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(about), Flag.atLeast(0))

const flags = {
  config: repeated("config", "FILE", "JSON file of settings by name"),
  listen: repeated("listen", "udp|tcp:HOST:PORT", settings.listen.about),
  admin: repeated("admin", "HOST:PORT", settings.admin.about),
  domain: repeated("domain", "DOMAIN", settings.domain.about),
  data: repeated("data", "DIR", settings.data.about),
  databaseUrl: repeated("database-url", "URL", settings.database_url.about),
  memory: Flag.Boolean("memory").pipe(Flag.withDefault(false), Flag.withDescription(settings.memory.about)),
  adminTokensFile: repeated("admin-tokens-file", "FILE", settings.admin_tokens_file.about),
  usersFile: repeated("users-file", "FILE", settings.users_file.about),
  rulesDir: repeated("rules-dir", "DIR", settings.rules_dir.about),
  insecureNoAuth: Flag.Boolean("insecure-no-auth").pipe(
    Flag.withDefault(false),
    Flag.withDescription(settings.insecure_no_auth.about),
  ),
  set: repeated("set", "NAME=VALUE", "any other setting by its name; repeatable"),
}

interface Input {
  readonly config: readonly string[]
  readonly listen: readonly string[]
  readonly admin: readonly string[]
  readonly domain: readonly string[]
  readonly data: readonly string[]
  readonly databaseUrl: readonly string[]
  readonly memory: boolean
  readonly adminTokensFile: readonly string[]
  readonly usersFile: readonly string[]
  readonly rulesDir: readonly string[]
  readonly insecureNoAuth: boolean
  readonly set: readonly string[]
}

/** What `dev` presumes: a database in the working folder and no pacing, so that one sees at once what one does. */
const devDefaults: Given["defaults"] = { data: "data/dev", notify_min_interval: 0 }

const configOf = (input: Input, defaults: Given["defaults"]) =>
  Effect.try({
    try: () =>
      readConfig({
        flags: {
          listen: input.listen,
          admin: input.admin,
          domain: input.domain,
          data: input.data,
          database_url: input.databaseUrl,
          memory: input.memory ? ["1"] : [],
          admin_tokens_file: input.adminTokensFile,
          users_file: input.usersFile,
          rules_dir: input.rulesDir,
          insecure_no_auth: input.insecureNoAuth ? ["1"] : [],
        },
        set: input.set,
        env: process.env,
        file: input.config.at(-1) ?? process.env["PRESENTLY_CONFIG"] ?? null,
        defaults,
      }),
    catch: (cause) =>
      cause instanceof ConfigInvalid ? cause : new ConfigInvalid({ faults: [String(cause)] }),
  })

const dev = Command.make(
  "dev",
  flags,
  Effect.fn(function* (input) {
    const config = yield* configOf(input, devDefaults)
    const open = config.listen.find((one) => !isLoopback(one.host))
    if (open !== undefined && config.users_file === null && !config.insecure_no_auth) {
      return yield* unsafe(open.host, config.sources.listen, "dev")
    }
    yield* runServer(config, "dev")
  }),
).pipe(
  Command.withDescription("Run a server on this machine to try things: embedded database, open, no pacing"),
)

const serve = Command.make(
  "serve",
  flags,
  Effect.fn(function* (input) {
    const config = yield* configOf(input, {})
    const open = config.listen.find((one) => !isLoopback(one.host))
    if (open !== undefined && config.users_file === null && !config.insecure_no_auth) {
      return yield* unsafe(open.host, config.sources.listen, "serve")
    }
    if (config.database_url === null && config.data === null && !config.memory) {
      return yield* new ConfigInvalid({
        faults: [
          "database_url (default): serve needs to know where to keep its log: --database-url postgres://… for " +
            "production, --data DIR for the embedded database, or --memory",
        ],
      })
    }
    yield* runServer(config, "serve")
  }),
).pipe(Command.withDescription("Run a production server"))

export const runCommands = [dev, serve] as const

const unsafe = (host: string, source: string, command: string) =>
  new ConfigInvalid({
    faults: [
      `listen = ${host} (${source}): ${command} without authentication is for loopback addresses only: give ` +
        "--users-file FILE, or --insecure-no-auth if everyone who can reach it may see and publish everything",
    ],
  })

const runServer = Effect.fnUntraced(function* (config: Config, mode: "dev" | "serve") {
  const levels = makeLogLevels(config.log_level as LogLevel)
  const pretty = config.log === "pretty" || (config.log === "auto" && process.stdout.isTTY)
  yield* Effect.scoped(
    Effect.gen(function* () {
      for (const notice of config.notices) yield* Effect.logWarning(notice)
      // Loaded when it is needed: commands that are clients start in half the time.
      const { startServer } = yield* Effect.promise(() => import("../server.ts"))
      const server = yield* startServer(config, levels)
      if (mode === "dev") yield* Console.log(banner(config, server))
      else
        yield* Effect.logInfo("listening", {
          sip: server.addresses(),
          admin: server.admin,
          store: server.store,
        })
      yield* server.ready
      // since the process began, loading of code included
      const seconds = process.uptime()
      if (mode === "dev") yield* Console.log(`ready in ${seconds.toFixed(1)} s`)
      else yield* Effect.logInfo(`ready in ${seconds.toFixed(1)} s`)
      return yield* Effect.never
    }),
  ).pipe(
    Effect.provide(Logger.layer([gated(pretty ? Logger.consolePretty() : Logger.consoleJson, levels)])),
    Effect.provideService(References.MinimumLogLevel, "Debug"),
  )
})

const banner = (config: Config, server: Server): string => {
  // With the port the system chose when none was named.
  const to = server.addresses()[0]?.slice("udp:".length) ?? ""
  const isDefault = to === "127.0.0.1:5060"
  const target = isDefault ? "" : ` --to ${to}`
  return [
    `presently ${version} in development mode: for this machine, not for production`,
    `  sip       ${server.addresses().join("  ")}`,
    `  admin     ${server.admin === null ? "off" : `${server.admin}/ready`}`,
    `  domains   ${config.domain.length === 0 ? "every domain" : config.domain.join(", ")}`,
    `  store     ${server.store}`,
    `  auth      ${config.users_file === null ? "none: everyone may see and publish everything" : config.users_file}`,
    `  stop      Ctrl-C`,
    `See a NOTIFY from a second terminal:`,
    `  npx presently watch${target} sip:alice@example.com &`,
    `  npx presently publish${target} sip:alice@example.com --open --note "hello"`,
  ].join("\n")
}
