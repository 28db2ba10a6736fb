/**
 * Who may watch which package, as the settings say: `watch_policy`, `line_members`, `mailbox_owners`.
 *
 * They apply where watchers are authorized at all (`asksRules`); `domain/presentity/watching.ts` defines what they mean.
 */
import type { EventPackage, Packages } from "../../domain/packages/event-package.ts"
import { ownPolicies, policyOf } from "../../domain/presentity/watching.ts"
import type { Watching } from "../../domain/presentity/watching.ts"
import { canonicalDomain, domainOf } from "../../domain/uris.ts"
import type { PackageName, Uri, WatchPolicy } from "../../domain/vocabulary.ts"
import { presentityOf } from "../presentity-uri.ts"
import type { Config } from "./config.ts"
import { didYouMean } from "./did-you-mean.ts"

const watchPolicies: readonly WatchPolicy[] = ["owner", "domain", "everybody", "rules"]

/** The settings that say who may watch. */
export type WatchSettings = Pick<Config, "watch_policy" | "line_members" | "mailbox_owners">

interface Fault {
  readonly setting: keyof WatchSettings
  readonly entry: string
  readonly why: string
}

interface Read {
  readonly watching: Watching
  readonly faults: readonly Fault[]
}

/**
 * @param packages null: names of packages are not checked
 * @param served domains served; empty: all
 */
const read = (settings: WatchSettings, packages: Packages | null, served: readonly string[]): Read => {
  const faults: Fault[] = []
  const domains = new Set(served.map((name) => canonicalDomain(name) ?? name))
  const policies: Record<string, WatchPolicy> = {}
  for (const entry of settings.watch_policy) {
    const fault = (why: string): void => void faults.push({ setting: "watch_policy", entry, why })
    const equals = entry.lastIndexOf("=")
    const [target, policy] = [entry.slice(0, Math.max(0, equals)), entry.slice(equals + 1)]
    const at = target.indexOf("@")
    const name = at < 0 ? target : target.slice(0, at)
    const domain = at < 0 ? null : canonicalDomain(target.slice(at + 1))
    if (equals <= 0 || name === "") {
      fault("expected PACKAGE=POLICY or PACKAGE@DOMAIN=POLICY, for example dialog=owner")
    } else if (!isPolicy(policy)) {
      const hint = didYouMean(policy, watchPolicies) || `; there are ${watchPolicies.join(", ")}`
      fault(`there is no policy ${policy}${hint}`)
    } else if (name !== "*" && name.includes("*")) {
      const plain =
        packages?.find(name.replace("*", "dialog")) === null ? "dialog" : name.replace("*", "dialog")
      fault(`the asterisk stands alone for all packages; name each, for example ${plain}=${policy}`)
    } else if (name !== "*" && packages !== null && packages.find(name) === null) {
      const hint = didYouMean(name, packages.names()) || `; there are ${packages.names().join(", ")}`
      fault(`there is no event package ${name}${hint}`)
    } else if (at >= 0 && (domain === null || domain === "")) {
      fault(
        `${target.slice(at + 1) || "an empty name"} is no domain; write for example ${name}@example.com=${policy}`,
      )
    } else if (domain !== null && domains.size > 0 && !domains.has(domain)) {
      fault(`${domain} is not served; domain = ${[...domains].join(", ")}`)
    } else {
      const key = domain === null ? name : `${name}@${domain}`
      if (Object.hasOwn(policies, key) && policies[key] !== policy)
        fault(`${key} is given twice, as ${policies[key]} too; leave one of them out`)
      else policies[key] = policy
    }
  }
  return {
    watching: {
      policies,
      lineMembers: lists("line_members", settings.line_members, domains, faults),
      mailboxOwners: lists("mailbox_owners", settings.mailbox_owners, domains, faults),
    },
    faults,
  }
}

const isPolicy = (text: string): text is WatchPolicy => (watchPolicies as readonly string[]).includes(text)

const examples = { line_members: "sip:desk@example.com", mailbox_owners: "sip:support@example.com" } as const

/** `URI=URI|URI…`, split where another URI begins, because a user part may contain an equals sign. */
const lists = (
  setting: "line_members" | "mailbox_owners",
  entries: readonly string[],
  domains: ReadonlySet<string>,
  faults: Fault[],
): Readonly<Record<string, readonly Uri[]>> => {
  const found: Record<string, readonly Uri[]> = {}
  for (const entry of entries) {
    const fault = (why: string): void => void faults.push({ setting, entry, why })
    const [, name = "", rest = ""] = /^(.+?)=((?:sips?|pres|tel):.*)$/is.exec(entry) ?? []
    const whose = name === "" ? null : presentityOf(name)
    const texts = rest === "" ? [] : rest.split("|")
    const uris = texts.map(presentityOf)
    const odd = texts[uris.indexOf(null)]
    const domain = whose === null ? null : domainOf(whose)
    if (whose === null || odd !== undefined) {
      const what = odd === undefined ? "" : `${odd === "" ? "an empty name" : odd} is no URI of a person; `
      fault(
        `${what}expected URI=URI or URI=URI|URI…, for example ${examples[setting]}=sip:alice@example.com|sip:bob@example.com`,
      )
    } else if (domain !== null && domains.size > 0 && !domains.has(domain)) {
      fault(`${domain} is not served; domain = ${[...domains].join(", ")}`)
    } else if (Object.hasOwn(found, whose)) {
      fault(`${whose} is listed twice; write one entry with all of them`)
    } else found[whose] = uris.flatMap((uri) => uri ?? [])
  }
  return found
}

/** The parsed policies. Entries with errors are left out: a server does not start with one. */
export const watchingOf = (settings: WatchSettings): Watching => read(settings, null, []).watching

/** One line for each entry that is not valid. */
export const watchFaults = (
  config: WatchSettings & Pick<Config, "domain" | "sources">,
  packages: Packages,
): readonly string[] =>
  read(config, packages, config.domain).faults.map(
    ({ setting, entry, why }) => `${setting} = ${entry} (${config.sources[setting]}): ${why}`,
  )

/** As a program gives it (`Presence.make`); keys as in the settings. */
export interface WatchOptions {
  /** By `PACKAGE`, `PACKAGE@DOMAIN`, `*@DOMAIN` or `*`; packages left out have their own policy. */
  readonly policies?: Readonly<Record<string, WatchPolicy>>
  /** For each line, the only identities that may watch or hold it. */
  readonly lineMembers?: Readonly<Record<string, readonly string[]>>
  /** For each mailbox, the additional owners of its message-summary. */
  readonly mailboxOwners?: Readonly<Record<string, readonly string[]>>
}

/** @throws Error with a line for each entry that is not valid */
export const watchingFrom = (options: WatchOptions, packages: Packages): Watching => {
  const listed = (lists: Readonly<Record<string, readonly string[]>> = {}): readonly string[] =>
    Object.entries(lists).map(([presentity, uris]) => `${presentity}=${uris.map(withScheme).join("|")}`)
  const { watching, faults } = read(
    {
      watch_policy: Object.entries(options.policies ?? {}).map(([key, policy]) => `${key}=${policy}`),
      line_members: listed(options.lineMembers),
      mailbox_owners: listed(options.mailboxOwners),
    },
    packages,
    [],
  )
  if (faults.length === 0) return watching
  const names = { watch_policy: "policies", line_members: "lineMembers", mailbox_owners: "mailboxOwners" }
  throw new Error(
    faults.map(({ setting, entry, why }) => `watching.${names[setting]}: ${entry}: ${why}`).join("\n"),
  )
}

const withScheme = (text: string): string => (/^[a-z][a-z0-9+.-]*:/i.test(text) ? text : `sip:${text}`)

/** The policy of an open server: everybody may watch, except watcher information. */
export const openPolicies = "everybody may watch, but lists of watchers are for their owner"

/** Every package and watcher information with its policy, and what sets it. */
export interface PolicyRow {
  readonly packageName: PackageName
  readonly policy: WatchPolicy
  /** Whether a setting sets it, and not the package. */
  readonly isSet: boolean
  /** Domains with a different policy. */
  readonly elsewhere: readonly { readonly domain: string; readonly policy: WatchPolicy }[]
}

/** One row for each package that can be subscribed to. */
export const policyRows = (watching: Watching, packages: Packages): readonly PolicyRow[] => {
  const domains = new Set(
    Object.keys(watching.policies).flatMap((key) =>
      key.includes("@") ? [key.slice(key.indexOf("@") + 1)] : [],
    ),
  )
  const policyIn = (eventPackage: EventPackage, domain: string, settings: Watching): WatchPolicy =>
    policyOf(eventPackage, `sip:somebody@${domain}` as Uri, settings)
  // a domain that no setting can name
  const nowhere = "invalid"
  return packages.names().flatMap((name): readonly PolicyRow[] => {
    const eventPackage = packages.find(name)
    if (eventPackage === null) return []
    const policy = policyIn(eventPackage, nowhere, watching)
    const elsewhere = [...domains].flatMap((domain) => {
      const policyThere = policyIn(eventPackage, domain, watching)
      return policyThere === policy ? [] : [{ domain, policy: policyThere }]
    })
    return [
      {
        packageName: name,
        policy,
        isSet: policy !== policyIn(eventPackage, nowhere, ownPolicies),
        elsewhere,
      },
    ]
  })
}

/** All policies in one line: `rules: presence; domain: dialog, dialog;sla; owner: reg, lists of watchers`. */
export const policiesInWords = (watching: Watching | undefined, packages: Packages): string => {
  if (watching === undefined) return openPolicies
  const namesByPolicy = new Map<string, string[]>()
  const note = (policy: WatchPolicy, name: string): void =>
    void namesByPolicy.set(policy, [...(namesByPolicy.get(policy) ?? []), name])
  const rows = policyRows(watching, packages)
  const [templates, plain] = [rows.filter(isTemplate), rows.filter((row) => !isTemplate(row))]
  for (const { packageName, policy, elsewhere } of plain) {
    note(policy, packageName)
    for (const row of elsewhere) note(row.policy, `${packageName}@${row.domain}`)
  }
  for (const { packageName, policy, elsewhere } of templates) {
    if (policy !== "owner") note(policy, packageName)
    for (const row of elsewhere) note(row.policy, `${packageName}@${row.domain}`)
  }
  note("owner", templates.some(({ policy }) => policy !== "owner") ? "other *.winfo" : "*.winfo")
  const order = ["rules", "domain", "owner", "everybody"]
  return [...namesByPolicy]
    .sort(([left], [right]) => order.indexOf(left) - order.indexOf(right))
    .map(([policy, names]) => `${policy}: ${names.join(", ")}`)
    .join(" | ")
}

const isTemplate = ({ packageName }: PolicyRow): boolean => packageName.endsWith(".winfo")

/** Packages whose policy is `rules`: their own, or one that a setting gives them. */
export const ruledPackages = (settings: WatchSettings, packages: Packages): ReadonlySet<PackageName> => {
  const { policies } = read(settings, null, []).watching
  const byRules = Object.entries(policies).flatMap(([key, policy]) =>
    policy === "rules" ? [key.split("@")[0]] : [],
  )
  return new Set(
    packages
      .names()
      .filter(
        (name) =>
          packages.find(name)?.watchers === "rules" || byRules.includes(name) || byRules.includes("*"),
      ),
  )
}

/**
 * The package that a folder below `rules_dir` holds rules for: its name, with `;` written as `%3B` where a file system or a tool
 * dislikes it; `presence` for `rules_dir` itself. Null: no package has that name, or can have rules.
 */
export const packageOfFolder = (folder: string, packages: Packages): PackageName | null => {
  const name = folder.replace(/\/+$/, "")
  if (name === "" || name === ".") return packages.find("presence") === null ? null : "presence"
  let plain: string
  try {
    plain = decodeURIComponent(name)
  } catch {
    return null
  }
  return packages.find(plain) === null ? null : plain
}
