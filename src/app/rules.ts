/**
 * Authorization documents: where they come from, a folder, files or a table. How a source is followed is `follow.ts`.
 */
import { existsSync } from "node:fs"
import type { PgClient } from "@effect/sql-pg"
import { openRulesFiles, openRulesFolder } from "../adapters/rules/files.ts"
import { omaPresRules, openXcapTable, presRules } from "../adapters/rules/xcap-table.ts"
import { presentityOf } from "./addresses.ts"
import { get } from "../domain/table.ts"
import type { Body } from "../domain/vocabulary.ts"
import type { Config } from "./config.ts"
import type { DocumentKind, DocumentSource } from "./follow.ts"

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

/** The folder, the files, the table, or nothing: what the settings name; they name one at most. */
export const rulesSourceOf = (config: Config, sql: PgClient.PgClient | null): DocumentSource | null => {
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
    const kind = config.pres_rules_auid === "pres-rules" ? presRules : omaPresRules
    return {
      ...openXcapTable(sql, config.xcap_table ?? "xcap", presentityOf, kind),
      everySeconds: config.xcap_poll_interval,
    }
  }
  return null
}

/** Presence rules as a source has them. */
export const presenceRules: DocumentKind = {
  name: "rules",
  commandOf: (text) => ({
    _tag: "ReplaceRules",
    packageName: "presence",
    rules: text === null ? null : bodyOf(text),
  }),
  isInForce: (state) => get(state.rules, "presence") !== undefined,
}
