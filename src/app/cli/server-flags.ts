/**
 * The flags of a server, shared by all commands that start one or look at its configuration.
 */
import { Flag } from "effect/cli"
import { settings } from "../config/settings.ts"
import { repeated } from "./store-flags.ts"

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
