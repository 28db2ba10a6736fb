/**
 * Flags that say where a log is, for commands that read it without a server.
 */
import { Effect } from "effect"
import { Flag } from "effect/cli"
import { settings } from "../config/settings.ts"

export const repeated = (name: string, metavar: string, about: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(about), Flag.atLeast(0))

export const flag = (name: string, about: string) =>
  Flag.Boolean(name).pipe(Flag.withDefault(false), Flag.withDescription(about))

export const storeFlags = {
  config: repeated("config", "FILE", "YAML or JSON file of settings by name, as the server has it"),
  data: repeated("data", "DIR", settings.data.about),
  databaseUrl: repeated("database-url", "URL", settings.database_url.about),
  set: repeated("set", "NAME=VALUE", "any other setting by its name; repeatable"),
}

export interface StoreFlags {
  readonly config: readonly string[]
  readonly data: readonly string[]
  readonly databaseUrl: readonly string[]
  readonly set: readonly string[]
}

/** Whether the flags say where a log is; otherwise the command asks a running server. */
export const isOfStore = (input: StoreFlags): boolean =>
  [input.data, input.databaseUrl, input.config].some((values) => values.length > 0)

/** The settings from flags, environment and file together; fails with every error among them. */
export const storeConfig = Effect.fnUntraced(function* (input: StoreFlags) {
  const { readSettings } = yield* Effect.promise(() => import("./run/settings.ts"))
  return yield* readSettings({
    flags: { data: input.data, database_url: input.databaseUrl },
    set: input.set,
    file: input.config,
    defaults: {},
  })
})
