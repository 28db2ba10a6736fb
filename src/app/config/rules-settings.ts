/**
 * The settings that say where authorization documents come from: `rules_dir`, `static_rules`, `integrated_xcap_server`.
 */
import { accessSync, constants, statSync } from "node:fs"
import { presentityOf } from "../presentity-uri.ts"
import type { Config } from "./config.ts"

/** `sip:alice@example.com=alice.xml`, split at the last `=`; the path is empty when there is none. */
export const splitPair = (pair: string): readonly [name: string, path: string] => {
  const equals = pair.lastIndexOf("=")
  return equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)]
}

/** Errors in the settings that say where rules come from, one line each. */
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
      return presentityOf(name) === null || !isReadableFile(path)
    })
    .map(
      (pair) =>
        `static_rules = ${pair}: expected URI=FILE with a file that can be read, for example sip:alice@example.com=alice.xml`,
    )
  return given.length > 1
    ? [...faults, `${given.join(" and ")}: rules come from one place, give one of them`]
    : faults
}

const isReadableFile = (path: string): boolean => {
  try {
    accessSync(path, constants.R_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
