/**
 * Reads a server's configuration from its flags, and refuses what a command may not start.
 */
import { Effect } from "effect"
import { ConfigInvalid } from "../../config/config.ts"
import type { Config } from "../../config/config.ts"
import type { Given } from "../../config/gather.ts"
import { adminText, isLoopback } from "../../config/host-port.ts"
import { isAuthenticated } from "../../config/limits.ts"
import type { ServerFlags } from "../server-flags.ts"
import { readSettings } from "./settings.ts"

/** @param command whose refusals are reported beside other errors; null: no server is to be started */
export const configOf = (
  input: ServerFlags,
  defaults: Given["defaults"],
  command: "dev" | "serve" | null = null,
): Effect.Effect<Config, ConfigInvalid> =>
  readSettings({
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
    file: input.config,
    defaults,
  }).pipe(Effect.catch((invalid) => Effect.flatMap(everyFault(invalid, command), Effect.fail)))

/** Settings that a refusal looks at. */
const refusable = [
  "listen",
  "admin",
  "admin_tokens_file",
  "admin_insecure_http",
  "users_file",
  "trusted_peers",
  "insecure_no_auth",
  "database_url",
  "data",
  "memory",
]

/** What can be read is checked too, so that all errors are reported at once. */
const everyFault = Effect.fnUntraced(function* (invalid: ConfigInvalid, command: "dev" | "serve" | null) {
  // Loaded only when needed.
  const { faultsBeside } = yield* Effect.promise(() => import("../../config/resolve-config.ts"))
  const faults = yield* faultsBeside(invalid)
  const { rest } = invalid
  const mayAsk =
    rest?.isWhole === true && command !== null && !refusable.some((name) => rest.faulty.has(name))
  return new ConfigInvalid({ faults: mayAsk ? [...faults, ...refusals(rest.config, command)] : faults })
})

/** Fails with the reasons why the command does not start such a server, and with every other error in the configuration. */
export const unlessRefused = Effect.fnUntraced(function* (config: Config, command: "dev" | "serve") {
  const faults = refusals(yield* loadedOr(config), command)
  if (faults.length === 0) return
  const { resolveConfig: preparations } = yield* Effect.promise(
    () => import("../../config/resolve-config.ts"),
  )
  const prepared = yield* Effect.result(preparations(config, () => {}))
  const furtherFaults = prepared._tag === "Failure" ? prepared.failure.faults : []
  return yield* new ConfigInvalid({ faults: [...faults, ...furtherFaults] })
})

/** With the module that it names loaded; errors in the module are reported by the start. */
const loadedOr = Effect.fnUntraced(function* (config: Config) {
  if (config.extensions === null) return config
  const { withExtensions } = yield* Effect.promise(() => import("../../config/extensions.ts"))
  return yield* withExtensions(config).pipe(Effect.catch(() => Effect.succeed(config)))
})

/** Why the command refuses to start such a server although each setting by itself is valid; one line each. */
export const refusals = (config: Config, command: "dev" | "serve"): readonly string[] => {
  const open = config.listen.find((address) => !isLoopback(address.host))
  const isUnsafe = open !== undefined && !isAuthenticated(config) && !config.insecure_no_auth
  const faults = isUnsafe
    ? [
        `listen = ${open.host} (${config.sources.listen}): ${command} without authentication is for loopback ` +
          "addresses only: give --users-file FILE, or trusted_peers, or --insecure-no-auth if everyone who can reach it may see and " +
          "publish everything",
      ]
    : []
  if (command === "dev") return faults
  return [...faults, ...tokensInTheOpen(config), ...(hasStore(config) ? [] : [noStore])]
}

/** Tokens on an address that others reach are for HTTPS. */
const tokensInTheOpen = ({
  admin,
  admin_tokens_file,
  admin_insecure_http,
  sources,
}: Config): readonly string[] =>
  admin === null ||
  admin.isSecure ||
  admin_tokens_file === null ||
  admin_insecure_http ||
  isOfThisMachine(admin)
    ? []
    : [
        `admin = ${adminText(admin)} (${sources.admin}): serve takes tokens over plain HTTP on loopback addresses only: ` +
          `give admin = https://${adminText(admin)} with tls_certificate, or admin_insecure_http = 1 if nobody on the way may be listening`,
      ]

const isOfThisMachine = ({ host }: { readonly host: string }): boolean =>
  isLoopback(host) || host === "localhost"

/** Whether a store may come from a module that is not loaded yet. */
export const hasStore = ({ database_url, data, memory, extensions }: Config): boolean =>
  database_url !== null ||
  data !== null ||
  memory ||
  typeof extensions === "string" ||
  extensions?.store !== undefined

const noStore =
  "database_url (default): serve needs to know where to keep its log: --database-url postgres://… for " +
  "production, --data DIR for the embedded database, or --memory"
