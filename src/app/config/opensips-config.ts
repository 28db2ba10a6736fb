/**
 * Converts an OpenSIPS or Kamailio script to our settings: parameters of the presence modules keep their names, each one that
 * means something else here gets a comment, and everything without a counterpart is named with its line.
 */
import { ConfigInvalid, parseAddress, readConfig } from "./config.ts"
import { readScript } from "./opensips-script.ts"
import type { Script, ScriptCall, ScriptParameter } from "./opensips-script.ts"
import type { Setting } from "./setting-kinds.ts"
import { settings } from "./settings.ts"
import type { SettingName } from "./settings.ts"
import { settingLine } from "./text.ts"

export interface Imported {
  /** The configuration file to be written. */
  readonly text: string
  /** Parameters without a counterpart, and why. */
  readonly missed: readonly { readonly line: number; readonly what: string }[]
  readonly hasSecret: boolean
}

export const importOpensips = (text: string, source: string): Imported => {
  const script = readScript(text)
  const missed = script.unread.map(({ line, what }) => ({ line, what }))
  const taken = new Map<SettingName, Taken>()
  for (const parameter of script.parameters) {
    const outcome = take(parameter)
    if (outcome === null) continue
    if (typeof outcome === "string") {
      const { module, name, value, line } = parameter
      missed.push({ line, what: `${module}: ${name} = ${hidden(value)} is not taken over: ${outcome}` })
    } else for (const wish of outcome) put(taken, wish, parameter.line, missed)
  }
  takeModules(script, taken)
  takeSockets(script, taken, missed)
  for (const call of script.calls) {
    const advice = adviceFor(call)
    if (advice !== null) missed.push({ line: call.line, what: advice })
  }
  const lines = [...taken].map(([name, { value, line, why }]) => {
    const where = line === 0 ? "" : ` (line ${line})`
    const comment = why === "" ? "" : `# ${name}${where}: ${why}\n`
    return `${comment}${settingLine(name, value)}\n`
  })
  return {
    text: `# Settings of presently, from ${source}\n\n${lines.join("")}${peersOf(script)}${calls(script)}`,
    missed: missed.toSorted((left, right) => left.line - right.line),
    hasSecret: [...taken.keys()].some((name) => (settings[name] as Setting).secret === true),
  }
}

/** One setting to be written. */
interface Taken {
  readonly value: unknown
  /** 0: it does not come from a single line. */
  readonly line: number
  /** What it means here, where that differs; empty: the same. */
  readonly why: string
}

interface Wish {
  readonly name: SettingName
  readonly value: unknown
  readonly why?: string
}

const put = (
  taken: Map<SettingName, Taken>,
  { name, value, why = "" }: Wish,
  line: number,
  missed: { line: number; what: string }[],
): void => {
  const setting: Setting = settings[name]
  const known = taken.get(name)
  const joined =
    setting.kind === "list" && known !== undefined
      ? [...new Set([...(known.value as readonly string[]), ...(value as readonly string[])])]
      : value
  if (known !== undefined && setting.kind !== "list" && known.value !== value) {
    const what = `${name} = ${hidden(String(value))} is not taken over: line ${known.line} says something else, which stands`
    missed.push({ line, what })
    return
  }
  const idle = setting.idle === undefined ? "" : `changes nothing: ${setting.idle}`
  taken.set(name, { value: joined, line, why: [why, idle].filter((reason) => reason !== "").join("; ") })
}

const modules = new Set([
  "presence",
  "presence_xml",
  "presence_mwi",
  "presence_dialoginfo",
  "presence_callinfo",
  "presence_reginfo",
  "presence_xcapdiff",
  "presence_dfks",
  "presence_conference",
  "xcap",
  "xcap_client",
])

/** Parameters under other names: converts the value, or says why it cannot be converted. */
const readers: Readonly<Record<string, (value: string) => readonly Wish[] | string>> = {
  "clusterer sharing_tag": (value) => {
    const [, name = "", state = ""] = /^([^/=]+)(?:\/\d+)?=(active|backup)$/.exec(value) ?? []
    if (name === "") return "expected NAME/CLUSTER=active or NAME/CLUSTER=backup"
    return [{ name: "cluster_sharing_tags", value: [`${name}=${state}`], why: "there is one cluster only" }]
  },
  "presence max_expires": (value) => [
    ...most("max_expires_publish", value),
    ...most("max_expires_subscribe", value),
  ],
  "presence min_expires": (value) => [
    { name: "min_expires_publish", value: Number(value) },
    { name: "min_expires_subscribe", value: Number(value) },
  ],
  "presence max_expires_publish": (value) => most("max_expires_publish", value),
  "presence max_expires_subscribe": (value) => most("max_expires_subscribe", value),
  "presence timeout_rm_subs": (value) => [{ name: "end_sub_on_timeout", value: Number(value) !== 0 }],
  "presence expires_offset": (value) =>
    Number(value) < 0
      ? [{ name: "expires_offset", value: 0, why: `${value} counts as 0, there as here` }]
      : [{ name: "expires_offset", value: Number(value) }],
  "presence waiting_subs_daysno": (value) =>
    Number(value) > 30
      ? [{ name: "waiting_subs_daysno", value: 30, why: `${value} counts as 30, there as here` }]
      : [{ name: "waiting_subs_daysno", value: Number(value) }],
  "presence clean_period": (value) => [
    {
      name: "clean_period",
      value: Number(value),
      ...(Number(value) <= 0 ? { why: "publications expire all the same" } : {}),
    },
  ],
  "presence db_update_period": (value) => [
    {
      name: "db_update_period",
      value: Number(value),
      why:
        Number(value) <= 0
          ? "the tables are written at the stop and every db_update_decisions changes; subscriptions expire all the same"
          : "how far the tables may lag; the log is written at once",
    },
  ],
  "presence cluster_sharing_tags": (value) => [{ name: "cluster_sharing_tags", value: [value] }],
  "presence bla_presentity_spec": (value) =>
    ["$ru", "$tu", "$fu"].includes(value)
      ? [{ name: "bla_presentity_spec", value }]
      : "a script sets that variable; $ru, $tu and $fu are known, else Contact user at From domain",
  "xcap_client query_period": () =>
    "no XCAP server is asked by HTTP; see integrated_xcap_server and rules_dir",
}

const most = (name: "max_expires_publish" | "max_expires_subscribe", value: string): readonly Wish[] =>
  Number(value) <= 0
    ? [{ name, value: 3600, why: `${value} counts as 3600 there` }]
    : [{ name, value: Number(value) }]

/** Kamailio's parameters about its processes and its database, which have no effect here. */
const needless = new Set(
  [
    "subs_db_mode publ_cache fetch_rows notifier_processes notifier_poll_rate db_table_lock_type send_fast_notify",
    "local_log_level local_log_facility startup_mode cseq_offset retrieve_order",
  ].flatMap((names) => names.split(" ")),
)

/** Null: the parameter does not concern presence; text: why it cannot be converted. */
const take = ({ module, name, value }: ScriptParameter): readonly Wish[] | string | null => {
  if (/^pua(?:_|$)/.test(module)) {
    return "this server does not publish for others; let that server stay, send its PUBLISH here, and list it in trusted_peers with publishes_for"
  }
  const reader = readers[`${module} ${name}`]
  if (reader === undefined && !modules.has(module)) return null
  const wishes = reader === undefined ? plain(module, name, value) : reader(value)
  if (wishes === null || typeof wishes === "string") return wishes
  const fault = wishes.map(faultOf).find((outcome) => outcome !== null)
  return fault ?? wishes
}

const plain = (module: string, name: string, value: string): readonly Wish[] | string | null => {
  if (module === "presence" && needless.has(name)) return null
  if (name === "db_url") {
    if (/^postgres(?:ql)?:/.test(value)) {
      const url = value.replace(/^postgres(?:ql)?:/, "postgres:")
      return [
        {
          name: "database_url",
          value: url,
          why: "tables are made there, and the log; give it a database of its own",
        },
      ]
    }
    return "the log is kept in PostgreSQL or in a folder; set database_url or data"
  }
  // `default_expires` of another module concerns another package
  const isKnown =
    Object.hasOwn(settings, name) && (name !== "default_expires" || module === "presence_reginfo")
  if (!isKnown) return "there is no such setting here"
  const known = name as SettingName
  const setting: Setting = settings[known]
  if (setting.kind === "int") {
    const isSize = name.endsWith("_htable_size") && Number(value) < 1
    return [{ name: known, value: isSize ? 9 : /^-?\d+$/.test(value) ? Number(value) : value }]
  }
  if (setting.kind === "flag")
    return [{ name: known, value: /^-?\d+$/.test(value) ? Number(value) !== 0 : value }]
  if (setting.kind === "list") return [{ name: known, value: value.split(",").map((item) => item.trim()) }]
  return [
    {
      name: known,
      value,
      ...(name === "server_address" ? { why: "the URI itself, without display name" } : {}),
    },
  ]
}

/** Why the setting does not accept the value; null when it does. */
const faultOf = ({ name, value }: Wish): string | null => {
  try {
    readConfig({ flags: {}, set: [], env: {}, file: null, defaults: {}, own: { [name]: value } })
    return null
  } catch (error) {
    if (!(error instanceof ConfigInvalid)) throw error
    return error.faults[0]?.replace(/^.*? \(option\): /, "") ?? ""
  }
}

const takeModules = ({ modules: loaded }: Script, taken: Map<SettingName, Taken>): void => {
  const has = (name: string): boolean => loaded.some((loading) => loading.name === name)
  const isOpen = taken.get("force_active")?.value === true
  if (has("presence_xml") && !isOpen && taken.get("integrated_xcap_server")?.value !== true) {
    taken.set("policy", { value: "rules", line: 0, why: "presence_xml asks the rules of each presentity" })
  }
  if (has("presence_xcapdiff")) {
    const value = ["xcap-diff=application/xcap-diff+xml"]
    taken.set("pass_through", { value, line: 0, why: "for presence_xcapdiff" })
  }
}

const takeSockets = (
  { sockets }: Script,
  taken: Map<SettingName, Taken>,
  missed: { line: number; what: string }[],
): void => {
  for (const { text, line } of sockets) {
    const address = text.split(" ")[0] ?? ""
    const whole = /:\d+$/.test(address) ? address : `${address}:5060`
    const parsed = parseAddress(/^(?:udp|tcp):/.test(whole) ? whole : `udp:${whole}`)
    if (parsed === null) {
      const what = `socket ${text} is not taken over: presently listens on udp:IP:PORT and tcp:IP:PORT`
      missed.push({ line, what })
    } else {
      const why = "beyond loopback serve wants users_file or trusted_peers, or insecure_no_auth"
      const value = [/^(?:udp|tcp):/.test(whole) ? whole : `udp:${whole}`]
      put(taken, { name: "listen", value, why }, line, missed)
    }
  }
}

/**
 * The script's server as a trusted peer, where it stays in front: as a comment, because only its operator knows whether it
 * authenticates phones.
 */
const peersOf = ({ modules: loaded, sockets }: Script): string => {
  const publishers = loaded.filter(({ name }) => /^pua(?:_|$)/.test(name)).map(({ name }) => name)
  const isProxy = loaded.some(({ name }) => name === "rr" || name === "auth" || name === "registrar")
  if (publishers.length === 0 && !isProxy) return ""
  const addresses = sockets.flatMap(({ text }) => {
    const [, address = ""] =
      /^(?:[a-z]+:)?(\[[0-9a-f.:]+\]|\d+\.\d+\.\d+\.\d+)(?::\d+)?(?: |$)/i.exec(text) ?? []
    return address === "" || /^(?:0\.0\.0\.0|\[::\])$/.test(address) ? [] : [address]
  })
  const said = publishers.length === 0 ? "" : `;publishes_for=DOMAIN`
  const entries = [...new Set(addresses.length === 0 ? ["ADDRESS"] : addresses)].map(
    (address) => `${address};identity=pai${said}`,
  )
  return (
    "# If that server stays in front, it is a trusted peer: it asks who a phone is and says so in P-Asserted-Identity" +
    `${publishers.length === 0 ? "" : `, and ${publishers.join(", ")} publishes for DOMAIN without it`}.\n` +
    "# identity=from believes From instead. See docs/behind-a-proxy.md.\n" +
    `# ${settingLine("trusted_peers", entries)}\n`
  )
}

/** What replaces a call; null when nothing is needed. */
const adviceFor = ({ name, args }: ScriptCall): string | null => {
  const written = `${name}(${args.join(", ")})`
  const rule = ruleFor({ name, args, line: 0 })
  if (rule === null) return null
  return rule === ""
    ? `${written}: no rule of ${name} says that; write it as code in request_policy`
    : `${written}: write ${name}: [${rule}], with what the script asks before it as conditions`
}

/** The rule with the same outcome; null: none is needed, empty: there is none. */
const ruleFor = ({ name, args }: ScriptCall): string | null => {
  const [first = "", second = ""] = args.map((argument) => argument.trim())
  if (name === "handle_publish") {
    if (first === "") return null
    const header = /^\$\(?hdr\(([^)]+)\)\)?$/.exec(first)?.[1]
    if (header !== undefined) return `{sender: header ${header}}`
    if (first === "$fu") return "{sender: from}"
    if (/^\$\(?ct\b/.test(first)) return "{sender: contact}"
    return /^sips?:[^$]+$/.test(first) ? `{sender: "${first}"}` : ""
  }
  const outcomes = [
    first === "" || first === "0" ? [] : first === "1" ? ["force_active: true"] : [""],
    second === "" ? [] : /^[\w.-]+$/.test(second) ? [`sharing_tag: ${second}`] : [""],
  ].flat()
  if (outcomes.length === 0) return null
  return outcomes.includes("") ? "" : `{${outcomes.join(", ")}}`
}

/** A comment for each call that does more than the plain one. */
const calls = ({ calls: all }: Script): string =>
  all
    .map((call) => ({ call, rule: ruleFor(call) }))
    .filter(({ rule }) => rule !== null && rule !== "")
    .map(
      ({ call, rule }) =>
        `# line ${call.line}, under the conditions it has there:\n# ${call.name}: [${rule}]\n`,
    )
    .join("")

const hidden = (value: string): string => value.replace(/\/\/.*@/, "//***@")
