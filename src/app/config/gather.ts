/**
 * Every value given for a setting, with its source: flags, environment, file, a program's own options. The strongest source wins.
 */
import { readFileSync } from "node:fs"
import { didYouMean } from "./did-you-mean.ts"
import { fileWords } from "./file-words.ts"
import { readConfigFile } from "./file.ts"
import type { At } from "./request-policy-rules.ts"
import type { Setting } from "./setting-kinds.ts"
import { settings } from "./settings.ts"
import type { SettingName } from "./settings.ts"

export interface Given {
  /** By setting name, from the command's own flags. */
  readonly flags: Readonly<Partial<Record<SettingName, readonly string[]>>>
  /** `NAME=VALUE` arguments of `--set`, in order. */
  readonly set: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Path of a YAML or JSON file of settings; null: none. */
  readonly file: string | null
  /** Options of an embedding program; they count like flags. */
  readonly own?: Readonly<Record<string, unknown>>
  /** Defaults that differ from the general ones: those of `dev`. */
  readonly defaults: Readonly<Partial<Record<SettingName, unknown>>>
}

/** A value and its source: `flag --listen`, `env PRESENTLY_LISTEN`, `file presently.yaml:31`, `default`. */
export interface Sourced {
  readonly value: unknown
  /** With a path, the source of that part of the value. */
  readonly at: At
}

/** Every setting given, with the strongest source applied last. */
export const gather = (given: Given, faults: string[]): ReadonlyMap<SettingName, Sourced> => {
  const raw = new Map<SettingName, Sourced>()
  const put = (name: string, value: unknown, source: string, at: At = () => source): void => {
    if (isSetting(name)) raw.set(name, { value, at })
    else
      faults.push(`${name} (${source}): there is no such setting${didYouMean(name, Object.keys(settings))}`)
  }
  const file = given.file === null ? [] : readConfigFile(given.file, faults)
  for (const { name, value, at } of file) {
    // a name without a value counts as not given
    if (value !== null || !isSetting(name)) put(name, value, at(), at)
  }
  for (const { name, value, source } of readEnvironment(given.env, faults)) put(name, value, source)
  for (const pair of given.set) {
    const equals = pair.indexOf("=")
    if (equals <= 0)
      faults.push(`--set ${pair}: expected NAME=VALUE, for example --set max_expires_publish=600`)
    else put(pair.slice(0, equals), pair.slice(equals + 1), `flag --set`)
  }
  for (const [name, values] of Object.entries(given.flags)) {
    if (values === undefined || values.length === 0) continue
    const setting: Setting | undefined = isSetting(name) ? settings[name] : undefined
    put(
      name,
      setting?.kind === "list" || setting?.kind === "peers" ? values : values.at(-1),
      `flag --${name.replaceAll("_", "-")}`,
    )
  }
  for (const [name, value] of Object.entries(given.own ?? {})) {
    if (value !== undefined && value !== null) put(name, value, "option")
  }
  return raw
}

interface Variable {
  readonly name: string
  readonly value: string
  readonly source: string
}

/** `PRESENTLY_NAME`, or `PRESENTLY_NAME_FILE` with the path of a file that holds the value; and `DATABASE_URL`. */
const readEnvironment = (env: Given["env"], faults: string[]): readonly Variable[] => {
  const found: Variable[] = []
  const url = env["DATABASE_URL"]
  if (url !== undefined) found.push({ name: "database_url", value: url, source: "env DATABASE_URL" })
  for (const [variable, value] of Object.entries(env)) {
    // Variables that are not settings: the file's own name, and switches of the tests.
    const isOther = otherNames.has(variable) || variable.startsWith("PRESENTLY_TEST_")
    if (value === undefined || !variable.startsWith("PRESENTLY_") || isOther) continue
    const name = variable.slice("PRESENTLY_".length).toLowerCase()
    const source = `env ${variable}`
    const inFile = name.endsWith("_file") && !isSetting(name) ? name.slice(0, -"_file".length) : null
    if (inFile === null || !isSetting(inFile)) found.push({ name, value, source })
    else if (env[variable.slice(0, -"_FILE".length)] !== undefined) {
      faults.push(`${inFile} (${source}): is given twice; leave ${variable} or ${variable.slice(0, -5)} out`)
    } else {
      const text = readValueFile(value, `${inFile} (${source})`, faults)
      if (text !== null) found.push({ name: inFile, value: text, source })
    }
  }
  return found
}

const readValueFile = (path: string, where: string, faults: string[]): string | null => {
  try {
    const text = readFileSync(path, "utf8").replace(/\r?\n$/, "")
    if (text !== "") return text
    faults.push(`${where}: ${path} is empty; write the value into it`)
  } catch (cause) {
    faults.push(`${where}: ${path}: ${fileWords(cause)}`)
  }
  return null
}

/** Read elsewhere: by the command line and by clients. */
const otherNames: ReadonlySet<string> = new Set(["PRESENTLY_CONFIG", "PRESENTLY_TOKEN"])

const isSetting = (name: string): name is SettingName => Object.hasOwn(settings, name)
