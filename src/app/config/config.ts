/**
 * Settings from flags, environment, file and defaults, in this order, checked all at once.
 *
 * Every fault is one line that names key, value, source and what is allowed; a server does not start with one.
 */
import { readFileSync } from "node:fs"
import { isIP } from "node:net"
import { Data } from "effect"
import { hostListFaults } from "../../adapters/sip/hosts.ts"
import { parseValue, readConfigFile } from "./file.ts"
import { fileWords } from "./file-words.ts"
import { readPeers } from "../../adapters/sip/peers.ts"
import { didYouMean } from "./did-you-mean.ts"
import { masked } from "./masked-url.ts"
import { peerAdvice, peersInText } from "./trusted-peers.ts"
import type { Extensions } from "../extensions/extensions.ts"
import { policyFault } from "./request-policy-hook.ts"
import type { RequestPolicy } from "./request-policy-hook.ts"
import { readPolicyRules } from "./request-policy-rules.ts"
import type { At, PublishRule, SubscribeRule } from "./request-policy-rules.ts"
import { settings } from "./settings.ts"
import type { Setting, SettingName } from "./settings.ts"

export class ConfigInvalid extends Data.TaggedError("ConfigInvalid")<{
  readonly faults: readonly string[]
  /** The same with defaults in place of what cannot be read, to find what else is wrong; absent: that is all. */
  readonly rest?: {
    readonly config: Config
    /** Names of settings that stand at their defaults for that. */
    readonly faulty: ReadonlySet<string>
    /** Whether all others are as they were given: no file is unreadable, and no name is unknown. */
    readonly isWhole: boolean
  }
}> {
  override get message(): string {
    return this.faults.join("\n")
  }
}

/** A value and where it came from: `flag --listen`, `env PRESENTLY_LISTEN`, `file presently.yaml:31`, `default`. */
interface Sourced {
  readonly value: unknown
  /** With a path, where that part of the value came from. */
  readonly at: At
}

type Value<S> = S extends { readonly kind: "int"; readonly default: infer Default }
  ? Default
  : S extends { readonly kind: "flag" }
    ? boolean
    : S extends { readonly kind: "list" | "peers" }
      ? readonly string[]
      : S extends { readonly kind: "choice" }
        ? string
        : S extends { readonly kind: "rules"; readonly for: infer For }
          ? readonly (For extends "publish" ? PublishRule : SubscribeRule)[]
          : S extends { readonly kind: "hook" }
            ? string | RequestPolicy | null
            : S extends { readonly kind: "module" }
              ? string | Extensions | null
              : string | null

export type Settings = { readonly [Name in SettingName]: Value<(typeof settings)[Name]> }

export interface Address {
  readonly transport: "udp" | "tcp"
  readonly host: string
  readonly port: number
}

export interface Config extends Omit<Settings, "listen" | "admin"> {
  readonly listen: readonly Address[]
  readonly admin: { readonly host: string; readonly port: number } | null
  /** Where each value came from, for `config print` and for messages. */
  readonly sources: Readonly<Record<SettingName, string>>
  /** One line for each value that was given and changes nothing. */
  readonly notices: readonly string[]
  /** One line for each value that is in force and does not say all it should, with what to write. */
  readonly advice: readonly string[]
}

export interface Given {
  /** By setting name, from the command line's own flags. */
  readonly flags: Readonly<Partial<Record<SettingName, readonly string[]>>>
  /** `NAME=VALUE` of `--set`, in order. */
  readonly set: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Path of a YAML or JSON file of settings by name; null: none. */
  readonly file: string | null
  /** Other defaults than the general ones: what `dev` presumes. */
  /** By an embedding program; they count as if a flag had given them. */
  readonly own?: Readonly<Record<string, unknown>>
  readonly defaults: Readonly<Partial<Record<SettingName, unknown>>>
}

/** @throws ConfigInvalid with every fault found */
export const readConfig = (given: Given): Config => {
  const faults: string[] = []
  const raw = collect(given, faults)
  const values: Record<string, unknown> = {}
  const sources: Record<string, string> = {}
  const notices: string[] = []
  for (const [name, setting] of Object.entries(settings) as [SettingName, Setting][]) {
    const one = raw.get(name)
    if (one === undefined) {
      values[name] = name in given.defaults ? given.defaults[name] : setting.default
      sources[name] = "default"
      continue
    }
    const source = one.at()
    const checked = check(setting, one.value, one.at)
    values[name] = checked._tag === "Good" ? checked.value : setting.default
    if (checked._tag === "Bad")
      faults.push(`${name} = ${show(one.value, name)} (${source}): ${checked.allowed}`)
    else if (checked._tag === "Faulty") faults.push(...checked.faults)
    sources[name] = source
    if (setting.idle !== undefined) notices.push(`${name} (${source}) changes nothing: ${setting.idle}`)
    else if (name === "db_update_period" && Number(one.value) <= 0) {
      notices.push(`${name} = ${String(one.value)} (${source}): ${neverWritten}`)
    }
  }

  const listen = (values["listen"] as readonly string[]).map((address) => {
    const parsed = parseAddress(address)
    if (parsed === null) {
      faults.push(
        `listen = ${address} (${sources["listen"]}): expected udp:HOST:PORT or tcp:HOST:PORT, HOST an IP address, ` +
          "for example udp:127.0.0.1:5060",
      )
    }
    return parsed ?? { transport: "udp" as const, host: "", port: 0 }
  })
  const admin = values["admin"] as string | null
  const adminAddress = admin === null || admin === "off" ? null : parseHostPort(admin)
  if (admin !== null && admin !== "off" && adminAddress === null) {
    faults.push(`admin = ${admin} (${sources["admin"]}): ${expectedAddress(admin)}`)
  }
  if (values["database_url"] === null && values["db_url"] !== null) {
    values["database_url"] = values["db_url"]
    sources["database_url"] = sources["db_url"]!
  }
  const url = values["database_url"]
  if (typeof url === "string" && !/^postgres(ql)?:\/\/./.test(url)) {
    faults.push(
      `database_url = ${show(url, "database_url")} (${sources["database_url"]}): ` +
        "expected postgres://USER:PASSWORD@HOST:PORT/NAME",
    )
  }
  const tables = ["presentity_table", "active_watchers_table", "watchers_table", "xcap_table"] as const
  for (const name of tables) {
    const table = String(values[name])
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,31}$/.test(table)) {
      const allowed = "expected a name of at most 32 letters, digits and underscores, for example presentity"
      faults.push(`${name} = ${table} (${sources[name]}): ${allowed}`)
    }
  }
  if (new Set(tables.map((name) => values[name])).size < tables.length) {
    faults.push(`${tables.join(", ")}: each needs a name of its own`)
  }
  for (const entry of hostListFaults(values["notify_targets"] as readonly string[])) {
    faults.push(
      `notify_targets = ${entry} (${sources["notify_targets"]}): expected an address, a network or a host name, ` +
        "for example 192.0.2.7, 10.0.0.0/8 or *.example.com",
    )
  }
  const minMax = [
    ["min_expires_publish", "max_expires_publish"],
    ["min_expires_subscribe", "max_expires_subscribe"],
  ] as const
  for (const [min, max] of minMax) {
    const [least, most] = [Number(values[min]), Number(values[max])]
    if (least > most) faults.push(`${min} = ${least} (${sources[min]}): must not be above ${max} = ${most}`)
  }
  const config = { ...values, listen, admin: adminAddress, sources, notices, advice: [] } as unknown as Config
  if (faults.length > 0) {
    const isOf = (name: string, fault: string): boolean =>
      /^[ ,]/.test(fault.slice(name.length)) && fault.startsWith(name)
    const names = Object.keys(settings).filter((name) => faults.some((fault) => isOf(name, fault)))
    const isWhole = faults.every((fault) => names.some((name) => isOf(name, fault)))
    throw new ConfigInvalid({ faults, rest: { config, faulty: new Set(names), isWhole } })
  }
  const advice = peerAdvice({
    entries: values["trusted_peers"] as readonly string[],
    source: sources["trusted_peers"]!,
    domains: values["domain"] as readonly string[],
    isOpen: values["insecure_no_auth"] === true && values["users_file"] === null,
  })
  return { ...config, advice }
}

const neverWritten =
  "the tables are written at the stop and every 50,000 changes; subscriptions end at their own deadline all the same"

/** Every setting that was given, the strongest source last put. */
const collect = (given: Given, faults: string[]): ReadonlyMap<SettingName, Sourced> => {
  const raw = new Map<SettingName, Sourced>()
  const put = (name: string, value: unknown, source: string, at: At = () => source): void => {
    if (isSetting(name)) raw.set(name, { value, at })
    else
      faults.push(`${name} (${source}): there is no such setting${didYouMean(name, Object.keys(settings))}`)
  }
  const file = given.file === null ? [] : readConfigFile(given.file, faults)
  for (const { name, value, at } of file) {
    // a name without a value is one that nobody has filled in
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
    // The file's own name is no setting, and test switches are nobody's.
    const isOther = others.has(variable) || variable.startsWith("PRESENTLY_TEST_")
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

/** Loopback addresses reach nobody else: a server on them may be open. */
export const isLoopback = (host: string): boolean => host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host)

/** `udp:192.0.2.1:5060`, `tcp:[2001:db8::1]:5060` */
export const parseAddress = (address: string): Address | null => {
  const colon = address.indexOf(":")
  const transport = address.slice(0, colon)
  const rest = parseHostPort(address.slice(colon + 1))
  if ((transport !== "udp" && transport !== "tcp") || rest === null || isIP(rest.host) === 0) return null
  return { transport, ...rest }
}

/** What to write for an address that cannot be read, of which a scheme is the usual reason. */
const expectedAddress = (text: string): string => {
  const bare = withoutScheme(text)
  return bare !== text && parseHostPort(bare) !== null
    ? `without a scheme: write ${bare}`
    : "expected HOST:PORT or off, for example 127.0.0.1:5080"
}

/** `http://127.0.0.1:5080/` as people copy it from a browser. */
export const withoutScheme = (text: string): string => text.replace(/^http:\/\/([^/]+)\/*$/i, "$1")

/** `127.0.0.1:5080`, `[::1]:5080`, `localhost:5080` */
export const parseHostPort = (text: string): { readonly host: string; readonly port: number } | null => {
  const colon = text.lastIndexOf(":")
  const port = text.slice(colon + 1)
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, "$1")
  if (colon <= 0 || !/^[^\s/@]+$/.test(host) || !/^\d{1,5}$/.test(port) || Number(port) > 65_535) return null
  return { host, port: Number(port) }
}

type Checked =
  | { readonly _tag: "Good"; readonly value: unknown }
  | { readonly _tag: "Bad"; readonly allowed: string }
  /** Several things are wrong inside. */
  | { readonly _tag: "Faulty"; readonly faults: readonly string[] }

const isScalar = (value: unknown): value is string | number | boolean =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean"

const isDigits = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0

const check = (setting: Setting, value: unknown, at: At): Checked => {
  const word = isScalar(value) ? String(value) : ""
  switch (setting.kind) {
    case "int": {
      const number = typeof value === "number" ? value : /^-?\d+$/.test(word) ? Number(word) : Number.NaN
      return Number.isInteger(number) && number >= setting.min && number <= setting.max
        ? { _tag: "Good", value: number }
        : { _tag: "Bad", allowed: `expected a whole number from ${setting.min} to ${setting.max}` }
    }
    case "flag": {
      const truth = flags.get(word.toLowerCase())
      return truth === undefined
        ? { _tag: "Bad", allowed: "expected 1 or 0 (also true, false, yes, no, on, off)" }
        : { _tag: "Good", value: truth }
    }
    case "text":
      if (typeof value === "number" || typeof value === "boolean") {
        return { _tag: "Bad", allowed: `expected text, put it in quotes: ${setting.about}` }
      }
      return typeof value === "string" && !/[\r\n\0]/.test(value)
        ? { _tag: "Good", value }
        : { _tag: "Bad", allowed: `expected one line of text: ${setting.about}` }
    case "rules": {
      const rules = typeof value === "string" ? parseValue(value) : value
      const faults: string[] = []
      readPolicyRules(setting.for, rules, at, faults)
      return faults.length === 0 ? { _tag: "Good", value: rules } : { _tag: "Faulty", faults }
    }
    case "hook": {
      const fault = typeof value === "string" && value !== "" ? null : policyFault(value)
      return fault === null
        ? { _tag: "Good", value }
        : { _tag: "Bad", allowed: `expected a file of code, for example ./policy.ts: ${fault}` }
    }
    case "module": {
      // what a program gives in its place is looked at when the module would be loaded
      const isGiven = typeof value === "string" ? value !== "" : typeof value === "object"
      return isGiven
        ? { _tag: "Good", value }
        : { _tag: "Bad", allowed: "expected a module, for example ./extensions.ts" }
    }
    case "list": {
      const isNumber = (one: unknown): boolean => setting.isNumeric === true && isDigits(one)
      const items: readonly unknown[] | null = Array.isArray(value)
        ? value
        : isNumber(value)
          ? [value]
          : typeof value === "string"
            ? value.split(",")
            : null
      const texts = items?.map((item) => (isNumber(item) ? String(item) : item)) ?? null
      if (texts === null || texts.some((item) => typeof item !== "string" || item.trim() === "")) {
        return { _tag: "Bad", allowed: `expected ${setting.about}, separated by commas` }
      }
      return { _tag: "Good", value: (texts as readonly string[]).map((item) => item.trim()) }
    }
    case "peers": {
      const given = typeof value === "string" ? peersInText(value) : value
      const items: readonly unknown[] = Array.isArray(given) ? given : [given]
      const { peers, faults } = readPeers(items)
      return faults.length === 0
        ? { _tag: "Good", value: peers.map(({ text }) => text) }
        : {
            _tag: "Faulty",
            faults: faults.map(
              ({ index, entry, why }) =>
                `trusted_peers = ${entry.length > 80 ? `${entry.slice(0, 77)}...` : entry} (${at(index)}): ${why}`,
            ),
          }
    }
    case "choice":
      return setting.choices.includes(word)
        ? { _tag: "Good", value: word }
        : { _tag: "Bad", allowed: `expected ${setting.choices.join(" or ")}` }
  }
}

const flags = new Map([
  ["1", true],
  ["true", true],
  ["yes", true],
  ["on", true],
  ["0", false],
  ["false", false],
  ["no", false],
  ["off", false],
])

/** Read elsewhere: by the command line, by clients. */
const others: ReadonlySet<string> = new Set(["PRESENTLY_CONFIG", "PRESENTLY_TOKEN"])

const isSetting = (name: string): name is SettingName => Object.hasOwn(settings, name)

/** A value for a message: shortened, and without its password. */
const show = (value: unknown, name: SettingName): string => {
  const shown = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value))
  const setting: Setting = settings[name]
  const safe = setting.secret === true ? masked(shown) : shown
  return safe.length > 80 ? `${safe.slice(0, 77)}...` : safe
}
