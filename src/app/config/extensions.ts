/**
 * The setting `extensions`: a module that is loaded, or the object that a program gives in its place, and its conflicts with
 * other settings.
 */
import { Effect } from "effect"
import { ModuleUnusable, extensionsFaults, loadModule } from "../extensions/extensions.ts"
import { loadedExtensions } from "../extensions/loaded.ts"
import { wordsOf } from "../extensions/words.ts"
import { ConfigInvalid } from "./config.ts"
import type { Config } from "./config.ts"
import { packagesOf } from "./packages.ts"

/** The same configuration with the module that it names loaded. Fails with every error in what the module brings. */
export const withExtensions = Effect.fnUntraced(function* (config: Config) {
  const { extensions: file } = config
  if (file === null) return config
  if (typeof file !== "string") {
    const faults = extensionsFaults(file)
    return faults.length === 0 ? config : yield* new ConfigInvalid({ faults })
  }
  const extensions = yield* Effect.tryPromise({
    try: () => loadModule(file),
    catch: (cause) => {
      const faults = cause instanceof ModuleUnusable ? cause.faults : [String(cause)]
      return new ConfigInvalid({ faults: faults.map((fault) => `${at(config)}: cannot be used: ${fault}`) })
    },
  })
  return { ...config, extensions }
})

/** How messages begin. */
const at = ({ extensions, sources }: Config): string =>
  typeof extensions === "string" ? `extensions = ${extensions} (${sources.extensions})` : "extensions"

/**
 * Conflicts: names that are taken, and rules or a store that other settings name as well; one line each.
 *
 * @param given the configuration before the module was loaded, which messages refer to
 */
export const extensionsConflicts = (given: Config, config: Config): readonly string[] => {
  const extensions = loadedExtensions(config)
  if (extensions === null) return []
  const { packages = [], rules, store } = extensions
  const builtIn = { ...config, pass_through: [], extensions: null }
  const taken = new Set(packagesOf(builtIn).names())
  const seen = new Set<string>()
  const faults: string[] = []
  for (const [index, { name }] of packages.entries()) {
    const why = taken.has(name)
      ? "a package of that name is built in"
      : seen.has(name)
        ? "there is another of that name"
        : null
    if (why !== null) faults.push(`packages[${index}].name = ${JSON.stringify(name)}: ${why}`)
    seen.add(name)
  }
  if (faults.length === 0) faults.push(...registryFaults({ ...builtIn, extensions }))
  const rulesSettings = [
    config.rules_dir === null ? [] : ["rules_dir"],
    config.static_rules.length === 0 ? [] : ["static_rules"],
    config.integrated_xcap_server ? ["integrated_xcap_server"] : [],
  ].flat()
  if (rules !== undefined && rulesSettings.length > 0)
    faults.push(`rules and ${rulesSettings.join(" and ")}: rules come from one place, give one of them`)
  const storeSettings = [
    config.database_url === null ? [] : ["database_url"],
    config.data === null ? [] : ["data"],
    config.memory && config.sources.memory !== "default" ? ["memory"] : [],
  ].flat()
  if (store !== undefined && storeSettings.length > 0)
    faults.push(`store and ${storeSettings.join(" and ")}: the log is kept in one place, give one of them`)
  return faults.map((fault) => `${at(given)}: ${fault}`)
}

/** Packages that cannot be combined for another reason, such as a header that no request carries. */
const registryFaults = (config: Parameters<typeof packagesOf>[0]): readonly string[] => {
  try {
    packagesOf(config)
    return []
  } catch (cause) {
    return [wordsOf(cause)]
  }
}
