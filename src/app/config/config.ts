/**
 * Settings from flags, environment, file and defaults, in this order of precedence, all checked at once.
 *
 * Every error is one line that names key, value, source and what is allowed; a server does not start with one.
 */
import { isIP } from "node:net"
import { Data } from "effect"
import { advertiseFaults } from "../../adapters/sip/advertised.ts"
import { idleDialogFaults } from "../../adapters/sip/device.ts"
import { aliasFaults } from "../../adapters/sip/domain-aliases.ts"
import { hostListFaults, networkListFaults } from "../../adapters/sip/hosts.ts"
import { notifyToFaults } from "../../adapters/sip/notify-to.ts"
import { outboundFaults } from "../../adapters/sip/outbound-proxy.ts"
import { profileFaults, profileForm } from "../../adapters/sip/phone-profiles.ts"
import { isTransportName, presumedName, transportNames } from "../../adapters/sip/transports/names.ts"
import type { TransportName } from "../../adapters/sip/transports/names.ts"
import type { Extensions } from "../extensions/extensions.ts"
import { checkValue } from "./check-value.ts"
import { gather } from "./gather.ts"
import type { Given } from "./gather.ts"
import { parseHostPort, withoutScheme, withoutSecureScheme } from "./host-port.ts"
import { chooseLog } from "./log-choice.ts"
import { masked } from "./masked-url.ts"
import type { RequestPolicy } from "./request-policy-hook.ts"
import type { PublishRule, SubscribeRule } from "./request-policy-rules.ts"
import type { Setting } from "./setting-kinds.ts"
import { settings } from "./settings.ts"
import type { SettingName } from "./settings.ts"
import { peerAdvice } from "./trusted-peers.ts"

export class ConfigInvalid extends Data.TaggedError("ConfigInvalid")<{
  readonly faults: readonly string[]
  /** The same configuration with defaults in place of what cannot be read, to find further errors; absent: there are none. */
  readonly rest?: {
    readonly config: Config
    /** Names of settings that were replaced by their defaults. */
    readonly faulty: ReadonlySet<string>
    /** Whether all other settings are as given: every file could be read, and every name is known. */
    readonly isWhole: boolean
  }
}> {
  override get message(): string {
    return this.faults.join("\n")
  }
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
  readonly transport: TransportName
  readonly host: string
  readonly port: number
}

export interface Config extends Omit<Settings, "listen" | "admin"> {
  readonly listen: readonly Address[]
  /** `isSecure`: over HTTPS. */
  readonly admin: { readonly host: string; readonly port: number; readonly isSecure: boolean } | null
  /** Where each value comes from, for `config print` and for messages. */
  readonly sources: Readonly<Record<SettingName, string>>
  /** One line for each given value that has no effect. */
  readonly notices: readonly string[]
  /** One line for each value in force that leaves out something it should say, with what to write. */
  readonly advice: readonly string[]
}

/** @throws ConfigInvalid with every error found */
export const readConfig = (given: Given): Config => {
  const faults: string[] = []
  const { values, sources, notices } = readValues(given, faults)
  const listen = (values["listen"] as readonly string[]).map((address) => {
    const parsed = parseAddress(address)
    if (parsed === null) {
      faults.push(
        `listen = ${address} (${sources["listen"]}): expected TRANSPORT:HOST:PORT with ${transportNames.join(", ")} as the transport and an IP address, ` +
          "for example udp:127.0.0.1:5060",
      )
    }
    return parsed ?? { transport: presumedName, host: "", port: 0 }
  })
  const admin = readAdmin(values["admin"] as string | null, sources, faults)
  findDatabaseFaults(values, sources, faults)
  chooseLog(values, sources, faults, notices)
  findDisagreements(values, sources, faults)
  const config = { ...values, listen, admin, sources, notices, advice: [] } as unknown as Config
  if (faults.length > 0) throw new ConfigInvalid({ faults, rest: restOf(config, faults) })
  const advice = peerAdvice({
    entries: values["trusted_peers"] as readonly string[],
    source: sources["trusted_peers"]!,
    domains: values["domain"] as readonly string[],
    isOpen: values["insecure_no_auth"] === true && values["users_file"] === null,
  })
  return { ...config, advice }
}

interface ReadValues {
  readonly values: Record<string, unknown>
  readonly sources: Record<string, string>
  readonly notices: string[]
}

/** Each setting by itself: the value given, or the default. */
const readValues = (given: Given, faults: string[]): ReadValues => {
  const raw = gather(given, faults)
  const values: Record<string, unknown> = {}
  const sources: Record<string, string> = {}
  const notices: string[] = []
  for (const [name, setting] of Object.entries(settings) as [SettingName, Setting][]) {
    const sourced = raw.get(name)
    if (sourced === undefined) {
      values[name] = name in given.defaults ? given.defaults[name] : setting.default
      sources[name] = "default"
      continue
    }
    const source = sourced.at()
    const checked = checkValue(setting, sourced.value, sourced.at)
    values[name] = checked._tag === "Good" ? checked.value : setting.default
    if (checked._tag === "Bad")
      faults.push(`${name} = ${show(sourced.value, name)} (${source}): ${checked.allowed}`)
    else if (checked._tag === "Faulty") faults.push(...checked.faults)
    sources[name] = source
    if (setting.idle !== undefined) notices.push(`${name} (${source}) changes nothing: ${setting.idle}`)
    else if (name === "db_update_period" && Number(sourced.value) <= 0) {
      notices.push(`${name} = ${String(sourced.value)} (${source}): ${neverWritten}`)
    }
  }
  return { values, sources, notices }
}

const readAdmin = (
  admin: string | null,
  sources: ReadValues["sources"],
  faults: string[],
): Config["admin"] => {
  if (admin === null || admin === "off") return null
  const isSecure = /^https:\/\//i.test(admin)
  const address = parseHostPort(isSecure ? withoutSecureScheme(admin) : admin)
  if (address === null) faults.push(`admin = ${admin} (${sources["admin"]}): ${expectedAddress(admin)}`)
  return address === null ? null : { ...address, isSecure }
}

/** Accepts `db_url` for `database_url` when only that is given. */
const findDatabaseFaults = (
  values: ReadValues["values"],
  sources: ReadValues["sources"],
  faults: string[],
): void => {
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
}

/** Errors in values that are well-formed, by themselves or in combination with another. */
const findDisagreements = (
  values: ReadValues["values"],
  sources: ReadValues["sources"],
  faults: string[],
): void => {
  for (const entry of idleDialogFaults(values["idle_dialog"] as readonly string[])) {
    faults.push(
      `idle_dialog = ${entry} (${sources["idle_dialog"]}): expected dialog=USER-AGENT or dialog;sla=USER-AGENT, ` +
        "for example dialog=Yealink*, or none alone",
    )
  }
  for (const entry of profileFaults(values["phone_profiles"] as readonly string[])) {
    faults.push(`phone_profiles = ${entry} (${sources["phone_profiles"]}): ${profileForm}`)
  }
  for (const entry of hostListFaults(values["notify_targets"] as readonly string[])) {
    faults.push(
      `notify_targets = ${entry} (${sources["notify_targets"]}): expected an address, a network or a host name, ` +
        "for example 192.0.2.7, 10.0.0.0/8 or *.example.com",
    )
  }
  for (const entry of notifyToFaults(values["notify_to"] as readonly string[])) {
    faults.push(
      `notify_to = ${entry} (${sources["notify_to"]}): expected auto, contact or source, or NETWORK= one of them, ` +
        "for example 10.0.0.0/8=contact",
    )
  }
  for (const name of ["proxy_protocol_from", "forwarded_for_from"] as const)
    for (const entry of networkListFaults(values[name] as readonly string[])) {
      faults.push(
        `${name} = ${entry} (${sources[name]}): expected an address or a network, for example 192.0.2.7 or 10.0.0.0/24`,
      )
    }
  for (const entry of advertiseFaults(
    values["advertise"] as readonly string[],
    values["listen"] as readonly string[],
  )) {
    faults.push(
      `advertise = ${entry} (${sources["advertise"]}): expected HOST[:PORT], or an entry of listen, = and HOST[:PORT], ` +
        "for example 203.0.113.7 or udp:0.0.0.0:5060=203.0.113.7:15060",
    )
  }
  for (const { entry, why } of aliasFaults(
    values["domain_aliases"] as readonly string[],
    values["domain"] as readonly string[],
  ))
    faults.push(`domain_aliases = ${entry} (${sources["domain_aliases"]}): ${why}`)
  const listened = (values["listen"] as readonly string[]).map((address) => address.split(":")[0]!)
  for (const entry of outboundFaults(values["outbound_proxy"] as readonly string[], listened))
    faults.push(
      `outbound_proxy = ${entry} (${sources["outbound_proxy"]}): expected a sip URI over UDP, TCP, or TLS where tls: is listened on, ` +
        "DESTINATION=URI or from:NETWORK=URI, or direct in its place, for example 10.8.0.0/16=sip:10.8.0.1;lr",
    )
  const minMax = [
    ["min_expires_publish", "max_expires_publish"],
    ["min_expires_subscribe", "max_expires_subscribe"],
  ] as const
  for (const [min, max] of minMax) {
    const [least, most] = [Number(values[min]), Number(values[max])]
    if (least > most) faults.push(`${min} = ${least} (${sources[min]}): must not be above ${max} = ${most}`)
  }
}

/** What remains of an invalid configuration, to find further errors. */
const restOf = (config: Config, faults: readonly string[]): NonNullable<ConfigInvalid["rest"]> => {
  const isOf = (name: string, fault: string): boolean =>
    /^[ ,]/.test(fault.slice(name.length)) && fault.startsWith(name)
  const names = Object.keys(settings).filter((name) => faults.some((fault) => isOf(name, fault)))
  const isWhole = faults.every((fault) => names.some((name) => isOf(name, fault)))
  return { config, faulty: new Set(names), isWhole }
}

const neverWritten =
  "the tables are written at the stop and every db_update_decisions changes; subscriptions end at their own deadline all the same"

/** `udp:192.0.2.1:5060`, `tcp:[2001:db8::1]:5060` */
export const parseAddress = (address: string): Address | null => {
  const colon = address.indexOf(":")
  const transport = address.slice(0, colon)
  const rest = parseHostPort(address.slice(colon + 1))
  if (!isTransportName(transport) || rest === null || isIP(rest.host) === 0) return null
  return { transport, ...rest }
}

/** A suggestion for an address that cannot be read; the usual reason is a URI scheme. */
const expectedAddress = (text: string): string => {
  const bare = withoutScheme(text)
  return bare !== text && parseHostPort(bare) !== null
    ? `without a scheme: write ${bare}`
    : "expected HOST:PORT, https://HOST:PORT or off, for example 127.0.0.1:5080"
}

/** A value for a message: shortened, and without its password. */
const show = (value: unknown, name: SettingName): string => {
  const shown = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value))
  const setting: Setting = settings[name]
  const safe = setting.secret === true ? masked(shown) : shown
  return safe.length > 80 ? `${safe.slice(0, 77)}...` : safe
}
