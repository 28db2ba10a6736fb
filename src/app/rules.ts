/**
 * Authorization documents on their way into the log: from a folder that is watched, and from the management port.
 *
 * A document that cannot be read is refused with the reason, and what was in force stays in force.
 */
import { existsSync } from "node:fs"
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { RulesDesk, RulesReport } from "../adapters/admin/rules.ts"
import { openRulesFiles, openRulesFolder } from "../adapters/rules/files.ts"
import type { RulesChange } from "../adapters/rules/files.ts"
import { openXcapTable } from "../adapters/rules/xcap-table.ts"
import { presentityOf } from "./addresses.ts"
import type { Packages } from "../domain/packages/event-package.ts"
import type { Answer } from "../domain/presentity/commands.ts"
import { get } from "../domain/table.ts"
import type { Body } from "../domain/vocabulary.ts"
import type { Config } from "./config.ts"
import type { Pump } from "./pump.ts"

const contentType = "application/auth-policy+xml"
const bodyOf = (text: string): Body => ({ contentType, text })

/** `sip:alice@example.com=alice.xml`, split at the last `=`; the path is empty when there is none. */
const splitPair = (pair: string): readonly [name: string, path: string] => {
  const equals = pair.lastIndexOf("=")
  return equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)]
}

/** What is wrong with the settings that say where rules come from, one line each. */
export const rulesFaults = (
  config: Pick<Config, "rules_dir" | "static_rules" | "integrated_xcap_server">,
): readonly string[] => {
  const given = [
    config.rules_dir === null ? [] : ["rules_dir"],
    config.static_rules.length === 0 ? [] : ["static_rules"],
    config.integrated_xcap_server ? ["integrated_xcap_server"] : [],
  ].flat()
  const faults = config.static_rules
    .filter((pair) => {
      const [name, path] = splitPair(pair)
      return presentityOf(name) === null || !existsSync(path)
    })
    .map(
      (pair) =>
        `static_rules = ${pair}: expected URI=FILE with a file that is there, for example sip:alice@example.com=alice.xml`,
    )
  return given.length > 1
    ? [...faults, `${given.join(" and ")}: rules come from one place, give one of them`]
    : faults
}

/** A place that says which rules are in force, and is looked at again and again. */
export interface RulesSource {
  readonly look: Effect.Effect<readonly RulesChange[], { readonly message: string }>
  readonly everySeconds: number
}

/** The folder, the files, the table, or nothing: what the settings name; they name one at most. */
export const rulesSourceOf = (config: Config, sql: PgClient.PgClient | null): RulesSource | null => {
  if (config.rules_dir !== null)
    return { ...openRulesFolder(config.rules_dir, presentityOf), everySeconds: 2 }
  if (config.static_rules.length > 0) {
    const files = config.static_rules.flatMap((pair) => {
      const [name, path] = splitPair(pair)
      const presentity = presentityOf(name)
      return presentity === null ? [] : [{ path, presentity }]
    })
    return { ...openRulesFiles(files), everySeconds: 2 }
  }
  if (config.integrated_xcap_server && sql !== null) {
    return { ...openXcapTable(sql, presentityOf), everySeconds: config.xcap_poll_interval }
  }
  return null
}

export interface RulesFollower {
  /** Puts in force whatever has changed since the last look. */
  readonly look: Effect.Effect<void>
  /** Looks now and every so often, until it is interrupted. */
  readonly follow: Effect.Effect<void>
}

/**
 * Puts what a source says in force.
 *
 * The source is the truth: rules that are in force when it is first looked at, and that it does not have, are removed.
 */
export const makeRulesFollower = (source: RulesSource | null, pump: Pump): RulesFollower => {
  if (source === null) return { look: Effect.void, follow: Effect.void }
  let told = ""
  let isFirst = true
  let left: readonly RulesChange[] = []
  const look = Effect.gen(function* () {
    const found = yield* source.look
    const changes = [...left, ...found, ...(isFirst ? missingFrom(found, pump) : [])]
    isFirst = false
    const again: RulesChange[] = []
    for (const change of changes) {
      const { presentity, text, file } = change
      const rules = text === null ? null : bodyOf(text)
      const command = { _tag: "ReplaceRules", packageName: "presence", rules } as const
      const answer = yield* pump.ask(presentity, command, `rules source ${file}`)
      const why = refusal(answer)
      if (why === null) {
        yield* Effect.logInfo(`rules of ${presentity} ${text === null ? "removed" : "in force"}: ${file}`)
      } else if (answer._tag === "Rejected" && answer.rejection._tag === "ServiceUnavailable")
        again.push(change)
      else yield* Effect.logWarning(`rules of ${presentity} in ${file} refused, the old ones stay: ${why}`)
    }
    left = again
    told = ""
  }).pipe(
    Effect.catch((unusable) => {
      if (told === unusable.message) return Effect.void
      told = unusable.message
      return Effect.logError(unusable.message)
    }),
  )
  const wait = Effect.sleep(source.everySeconds * 1000)
  return { look, follow: look.pipe(Effect.andThen(wait), Effect.forever) }
}

const missingFrom = (found: readonly RulesChange[], pump: Pump): readonly RulesChange[] => {
  const present = new Set(found.map((one) => one.presentity))
  const missing: RulesChange[] = []
  for (const presentity of pump.engine.presentities()) {
    const state = pump.engine.state(presentity)
    if (state === undefined || present.has(presentity) || get(state.rules, "presence") === undefined) continue
    missing.push({ presentity, text: null, file: "no longer there" })
  }
  return missing
}

/** What the management port may do with rules. */
export const makeRulesDesk = (pump: Pump, packages: Packages): RulesDesk => ({
  presentityOf,
  read: (presentity, packageName) => {
    const state = pump.engine.state(presentity)
    return (state === undefined ? undefined : get(state.rules, packageName))?.body.text ?? null
  },
  replace: (presentity, packageName, text) =>
    Effect.map(
      pump.ask(
        presentity,
        { _tag: "ReplaceRules", packageName, rules: text === null ? null : bodyOf(text) },
        "management port",
      ),
      (answer): RulesReport => {
        const why = refusal(answer)
        return why === null ? { _tag: "Done" } : { _tag: "Refused", why }
      },
    ),
  test: (presentity, packageName, watcher, text, now) => {
    const pack = packages.find(packageName)
    const source = text ?? makeRulesDesk(pump, packages).read(presentity, packageName)
    if (pack?.rules === undefined) return { _tag: "Refused", why: `${packageName} has no rules` }
    if (source === null) return { _tag: "Verdict", handling: "no rules", matched: [] }
    const read = pack.rules.read(bodyOf(source))
    if (read._tag === "Unreadable") return { _tag: "Refused", why: read.why }
    const { handling, matched } = pack.rules.judge(read.rules, { uris: [watcher], sphere: null, now })
    return { _tag: "Verdict", handling: handling ?? "no rule matches", matched }
  },
})

const refusal = (answer: Answer): string | null => {
  if (answer._tag === "Accepted") return null
  const { rejection } = answer
  return "why" in rejection ? rejection.why : `${rejection.status}`
}
