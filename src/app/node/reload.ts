/**
 * Reloads files while the server runs: users, tokens, rules, hard state, and the log level. Everything is
 * read and checked first; if anything is wrong, nothing is changed.
 */
import { accessSync, constants, statSync } from "node:fs"
import { isDeepStrictEqual } from "node:util"
import { Clock, Effect, Semaphore } from "effect"
import type { Token } from "../../adapters/admin/tokens.ts"
import type { LogLevel } from "../../ports/operations.ts"
import { adviceText } from "../config/advice.ts"
import { ConfigInvalid } from "../config/config.ts"
import type { Config } from "../config/config.ts"
import { folderWords } from "../config/file-words.ts"
import { resolveConfig } from "../config/resolve-config.ts"
import { settings } from "../config/settings.ts"
import type { SettingName } from "../config/settings.ts"
import type { ReadTls } from "../config/tls-settings.ts"
import { readTokens } from "../config/tokens.ts"
import type { Users } from "../config/users.ts"
import type { LogLevels } from "../telemetry/log-levels.ts"
import { makeCertificates } from "./certificates.ts"
import type { Certificates } from "./certificates.ts"
import type { Reloaded } from "./reloaded.ts"
import { stateOfFiles, watchedFiles } from "./watched-files.ts"
import type { FileStates } from "./watched-files.ts"

export interface ReloadCounters {
  ok: number
  failed: number
  /** Time of the last success in seconds since 1970, including the start. */
  lastOk: number
}

export interface Reloader {
  /** Serialized. The result is logged as well. */
  readonly reload: Effect.Effect<Reloaded, ConfigInvalid>
  readonly counters: Readonly<ReloadCounters>
  readonly files: FileStates
  /** The users in force; null: nobody is authenticated, until a restart. */
  readonly users: Users | null
  readonly certificates: Certificates
  readonly tokens: () => readonly Token[] | null
}

export interface ReloadParts {
  /** The configuration at the start. */
  readonly config: Config
  readonly users: Users | null
  readonly tls: ReadTls
  readonly tokens: readonly Token[] | null
  readonly levels: LogLevels
  /** The configuration as given now. */
  readonly reread: Effect.Effect<Config, ConfigInvalid>
  /** Polls rules and hard state now. */
  readonly poll: Effect.Effect<void>
}

const secondsNow = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))

export const makeReloader = Effect.fnUntraced(function* (parts: ReloadParts) {
  const { config: started, levels, reread, poll } = parts
  let users = parts.users
  let tokens = parts.tokens
  const certificates = makeCertificates(parts.tls)
  let logLevel = started.log_level
  const counters: ReloadCounters = {
    ok: 0,
    failed: 0,
    lastOk: yield* secondsNow,
  }
  const alone = yield* Semaphore.make(1)
  let files = watchedFiles(started)
  let filesRead = stateOfFiles(files)

  /** Reads everything, and collects all faults before anything is changed. */
  const read = Effect.gen(function* () {
    const config = yield* reread
    files = watchedFiles(config)
    filesRead = stateOfFiles(files)
    const prepared = yield* Effect.result(resolveConfig(config, () => {}))
    const faults = prepared._tag === "Failure" ? [...prepared.failure.faults] : []
    faults.push(...folderFaults(config))
    if (prepared._tag === "Success" && prepared.success.users?.size === 0 && (users?.size ?? 0) > 0) {
      const what = "there is no user in it, and nobody would be let in any more"
      const fix = "write the lines that `presently user` makes, or start anew to have nobody"
      faults.push(`users_file = ${config.users_file}: ${what}: ${fix}`)
    }
    if (faults.length > 0 || prepared._tag === "Failure") return yield* new ConfigInvalid({ faults })
    const file = config.admin_tokens_file
    return {
      config,
      users: prepared.success.users,
      tls: prepared.success.tls,
      tokens: config.admin === null || file === null ? null : yield* readTokens(file),
      advice: prepared.success.advice,
    }
  })

  const once = Effect.gen(function* () {
    const next = yield* read
    const changes: string[] = []
    const restart = [...restartNames(started, next.config)]
    if ((users === null) !== (next.users === null)) restart.push("users_file")
    else if (users !== null && next.users !== null) {
      changes.push(...differences("user", accountsOf(users), accountsOf(next.users)))
      users = next.users
    }
    if (started.admin !== null && next.config.admin !== null) {
      if ((tokens === null) !== (next.tokens === null)) restart.push("admin_tokens_file")
      else if (tokens !== null && next.tokens !== null) {
        changes.push(...differences("token", tokensByName(tokens), tokensByName(next.tokens)))
        tokens = next.tokens
      }
    }
    changes.push(...certificates.replace(next.tls))
    if (next.config.log_level !== logLevel) {
      changes.push(`log level ${levels.present()} → ${next.config.log_level}`)
      logLevel = next.config.log_level
      levels.set(logLevel as LogLevel)
    }
    yield* poll
    counters.ok++
    counters.lastOk = yield* secondsNow
    const done: Reloaded = { changes, restart: [...new Set(restart)].sort() }
    for (const advice of next.advice) yield* Effect.logWarning(adviceText(advice))
    return yield* report(done)
  }).pipe(
    Effect.catchDefect((defect) =>
      Effect.fail(new ConfigInvalid({ faults: [defect instanceof Error ? defect.message : String(defect)] })),
    ),
    Effect.tapError(({ faults }) =>
      Effect.gen(function* () {
        counters.failed++
        for (const fault of faults) yield* Effect.logError(`reload: ${fault}`)
        yield* Effect.logError("reload refused: what was in force stays")
      }),
    ),
  )

  const reloader: Reloader = {
    reload: alone.withPermits(1)(once),
    counters,
    files: { read: () => filesRead, now: () => stateOfFiles(files) },
    users: users === null ? null : presentUsers(() => users),
    tokens: () => tokens,
    certificates,
  }
  return reloader
})

/** The users that are in force whenever it is asked. */
const presentUsers = (users: () => Users | null): Users => ({
  lookup: (user, realm) => users()?.lookup(user, realm) ?? null,
  addressOf: (user, realm) => users()?.addressOf(user, realm) ?? null,
  get size() {
    return users()?.size ?? 0
  },
  get accounts() {
    return users()?.accounts ?? []
  },
})

const report = Effect.fnUntraced(function* ({ changes, restart }: Reloaded) {
  if (changes.length > 0) yield* Effect.logInfo(`reloaded: ${changes.join(", ")}`)
  else if (restart.length === 0) yield* Effect.logInfo("reloaded: nothing has changed")
  if (restart.length > 0)
    yield* Effect.logWarning(`changed, and in force after a restart only: ${restart.join(", ")}`)
  return { changes, restart }
})

/** A missing folder must not count as an empty one: watchers whom its rules admit would be shut out. */
const folderFaults = ({ rules_dir: folder, sources }: Config): readonly string[] => {
  if (folder === null) return []
  const at = `rules_dir = ${folder} (${sources.rules_dir})`
  try {
    accessSync(folder, constants.R_OK | constants.X_OK)
    return statSync(folder).isDirectory()
      ? []
      : [`${at}: it is no folder; name the folder with the documents`]
  } catch (cause) {
    return [`${at}: ${folderWords(cause)}`]
  }
}

/** Settings that a reload applies; whether such a file exists at all is compared separately. */
const reloadable: ReadonlySet<string> = new Set([
  "users_file",
  "admin_tokens_file",
  "log_level",
  "tls_certificate",
  "tls_ca",
  "tls_verify",
  "tls_min_version",
])

const restartNames = (before: Config, after: Config): readonly SettingName[] =>
  (Object.keys(settings) as SettingName[]).filter(
    (name) => !reloadable.has(name) && !isDeepStrictEqual(before[name], after[name]),
  )

const accountsOf = (users: Users): ReadonlyMap<string, string> =>
  new Map(
    users.accounts.map(({ user, realm, algorithms, address }) => [
      `${user}\n${realm}`,
      JSON.stringify([algorithms, users.lookup(user, realm), address]),
    ]),
  )

const tokensByName = (tokens: readonly Token[]): ReadonlyMap<string, string> =>
  new Map(tokens.map(({ name, scope, digest }) => [name, `${scope} ${digest.toString("hex")}`]))

/** `3 users more`, `1 user gone`, `2 users changed`. */
const differences = (
  what: string,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly string[] => {
  const more = [...after.keys()].filter((key) => !before.has(key)).length
  const gone = [...before.keys()].filter((key) => !after.has(key)).length
  const changed = [...after].filter(([key, value]) => before.has(key) && before.get(key) !== value).length
  return [
    [more, "more"],
    [gone, "gone"],
    [changed, "changed"],
  ].flatMap(([count, how]) => (count === 0 ? [] : [`${count} ${what}${count === 1 ? "" : "s"} ${how}`]))
}
