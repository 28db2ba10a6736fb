/**
 * The flags of a server, shared by all commands that start one or look at its configuration.
 */
import { Effect } from "effect"
import { Flag } from "effect/cli"
import { ConfigInvalid, isLoopback, readConfig } from "../config/config.ts"
import type { Config, Given } from "../config/config.ts"
import { isAuthenticated } from "../config/limits.ts"
import { settings } from "../config/settings.ts"

const repeated = (name: string, metavar: string, about: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(about), Flag.atLeast(0))

export const serverFlags = {
  config: repeated("config", "FILE", "YAML or JSON file of settings by name"),
  listen: repeated("listen", "udp|tcp:HOST:PORT", settings.listen.about),
  admin: repeated("admin", "HOST:PORT", settings.admin.about),
  domain: repeated("domain", "DOMAIN", settings.domain.about),
  data: repeated("data", "DIR", settings.data.about),
  databaseUrl: repeated("database-url", "URL", settings.database_url.about),
  memory: Flag.Boolean("memory").pipe(Flag.withDefault(false), Flag.withDescription(settings.memory.about)),
  standby: Flag.Boolean("standby").pipe(
    Flag.withDefault(false),
    Flag.withDescription(settings.standby.about),
  ),
  adminTokensFile: repeated("admin-tokens-file", "FILE", settings.admin_tokens_file.about),
  usersFile: repeated("users-file", "FILE", settings.users_file.about),
  rulesDir: repeated("rules-dir", "DIR", settings.rules_dir.about),
  insecureNoAuth: Flag.Boolean("insecure-no-auth").pipe(
    Flag.withDefault(false),
    Flag.withDescription(settings.insecure_no_auth.about),
  ),
  set: repeated("set", "NAME=VALUE", "any other setting by its name; repeatable"),
}

export interface ServerFlags {
  readonly config: readonly string[]
  readonly listen: readonly string[]
  readonly admin: readonly string[]
  readonly domain: readonly string[]
  readonly data: readonly string[]
  readonly databaseUrl: readonly string[]
  readonly memory: boolean
  readonly standby: boolean
  readonly adminTokensFile: readonly string[]
  readonly usersFile: readonly string[]
  readonly rulesDir: readonly string[]
  readonly insecureNoAuth: boolean
  readonly set: readonly string[]
}

/** @param command what its refusals are told of beside other faults; null: nothing is to be started */
export const configOf = (
  input: ServerFlags,
  defaults: Given["defaults"],
  command: "dev" | "serve" | null = null,
): Effect.Effect<Config, ConfigInvalid> =>
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
          standby: input.standby ? ["1"] : [],
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
  }).pipe(Effect.catch((invalid) => Effect.flatMap(everyFault(invalid, command), Effect.fail)))

/** Settings that a refusal looks at. */
const refusable = [
  "listen",
  "users_file",
  "trusted_peers",
  "insecure_no_auth",
  "database_url",
  "data",
  "memory",
]

/** What can be read is looked at as well, so that nobody mends one thing after another. */
const everyFault = Effect.fnUntraced(function* (invalid: ConfigInvalid, command: "dev" | "serve" | null) {
  // Loaded when it is needed, as in run.ts.
  const { faultsBeside } = yield* Effect.promise(() => import("../config/resolve-config.ts"))
  const faults = yield* faultsBeside(invalid)
  const { rest } = invalid
  const mayAsk =
    rest?.isWhole === true && command !== null && !refusable.some((name) => rest.faulty.has(name))
  return new ConfigInvalid({ faults: mayAsk ? [...faults, ...refusals(rest.config, command)] : faults })
})

/** Fails with what keeps that command from starting such a server, and all else that is wrong with it; else nothing. */
export const unlessRefused = Effect.fnUntraced(function* (config: Config, command: "dev" | "serve") {
  const faults = refusals(yield* loadedOr(config), command)
  if (faults.length === 0) return
  const { resolveConfig: preparations } = yield* Effect.promise(() => import("../config/resolve-config.ts"))
  const prepared = yield* Effect.result(preparations(config, () => {}))
  const others = prepared._tag === "Failure" ? prepared.failure.faults : []
  return yield* new ConfigInvalid({ faults: [...faults, ...others] })
})

/** With the module loaded that it names; what is wrong with that is told by the start. */
const loadedOr = Effect.fnUntraced(function* (config: Config) {
  if (config.extensions === null) return config
  const { withExtensions } = yield* Effect.promise(() => import("../config/extensions.ts"))
  return yield* withExtensions(config).pipe(Effect.catch(() => Effect.succeed(config)))
})

/** Why that command does not start such a server, though each setting for itself is right; one line each. */
export const refusals = (config: Config, command: "dev" | "serve"): readonly string[] => {
  const open = config.listen.find((one) => !isLoopback(one.host))
  const isUnsafe = open !== undefined && !isAuthenticated(config) && !config.insecure_no_auth
  const faults = isUnsafe
    ? [
        `listen = ${open.host} (${config.sources.listen}): ${command} without authentication is for loopback ` +
          "addresses only: give --users-file FILE, or trusted_peers, or --insecure-no-auth if everyone who can reach it may see and " +
          "publish everything",
      ]
    : []
  return command === "dev" || hasStore(config) ? faults : [...faults, noStore]
}

/** A module that is not loaded yet may bring a store along. */
export const hasStore = ({ database_url, data, memory, extensions }: Config): boolean =>
  database_url !== null ||
  data !== null ||
  memory ||
  typeof extensions === "string" ||
  extensions?.store !== undefined

const noStore =
  "database_url (default): serve needs to know where to keep its log: --database-url postgres://… for " +
  "production, --data DIR for the embedded database, or --memory"
