/**
 * Who may watch a package at all: policies by package and domain, and the lists of lines and mailboxes.
 *
 * Plain data and functions of their arguments. URIs are compared as addresses of record (`uris.ts`); identities have
 * been verified before, by digest authentication or by a trusted peer.
 */
import type { EventPackage, Packages } from "../packages/event-package.ts"
import type { PackageName, Uri, WatchPolicy } from "../vocabulary.ts"

/** What the settings say. The keys of lists are presentities, the values addresses of record. */
export interface Watching {
  /**
   * By `PACKAGE@DOMAIN`, `PACKAGE`, `*@DOMAIN` or `*`, where the domain is that of the presentity; the first match in
   * this order applies. The asterisk covers every package except watcher information and those that consult rules by
   * default: these must be named to change them.
   */
  readonly policies: Readonly<Record<string, WatchPolicy>>
  /** Only the line itself and its members may watch a listed line or hold what `linePackages` show. */
  readonly lineMembers: Readonly<Record<string, readonly Uri[]>>
  /** Further owners of a mailbox: of its message-summary, and of the watcher information of that package. */
  readonly mailboxOwners: Readonly<Record<string, readonly Uri[]>>
}

/** Every package with its own policy, and no lists. */
export const ownPolicies: Watching = { policies: {}, lineMembers: {}, mailboxOwners: {} }

/** The same settings, except that one package consults rules whatever they say. */
export const askingRulesOf = (
  packageName: PackageName,
  watching: Watching | undefined,
  packages: Packages,
): Watching => {
  const { policies, ...lists } = watching ?? { ...ownPolicies, policies: withoutSettings(packages) }
  const defaults = Object.entries(policies).filter(([key]) => !key.startsWith(`${packageName}@`))
  return { ...lists, policies: { ...Object.fromEntries(defaults), [packageName]: "rules" } }
}

/** The policies that `policyOf` applies without settings. */
const withoutSettings = (packages: Packages): Watching["policies"] => {
  const ruled = packages.names().filter((name) => packages.find(name)?.rules !== undefined)
  return { "*": "everybody", ...Object.fromEntries(ruled.map((name) => [name, "rules" as const])) }
}

/** The packages that a phone sharing a line watches. */
const linePackages: ReadonlySet<PackageName> = new Set(["dialog", "dialog;sla", "call-info", "line-seize"])

const mailboxPackage = "message-summary"

/**
 * The policy of a package for a presentity.
 *
 * Watcher information belongs to the presentity (RFC 3857 §4.6): only a setting that names that very package can open
 * it to others. Likewise `presence` keeps its rules unless it is named.
 *
 * @param watching absent: no settings, so that packages with rules of their own consult them and all others admit every
 *   watcher
 */
export const policyOf = (
  eventPackage: EventPackage,
  presentity: Uri,
  watching: Watching | undefined,
): WatchPolicy => {
  const isTemplate = eventPackage.watcherInfoOf !== undefined
  if (watching === undefined) {
    return isTemplate ? "owner" : eventPackage.rules === undefined ? "everybody" : "rules"
  }
  const { policies } = watching
  const domain = asksDomains(policies) ? domainOfRecord(presentity) : null
  const own =
    (domain === null ? undefined : given(policies, `${eventPackage.name}@${domain}`)) ??
    given(policies, eventPackage.name)
  if (own !== undefined) return own
  if (isTemplate) return "owner"
  if (eventPackage.watchers === "rules") return "rules"
  const general = (domain === null ? undefined : given(policies, `*@${domain}`)) ?? given(policies, "*")
  return general ?? eventPackage.watchers ?? "owner"
}

/**
 * The key in `policies` that applies to a package and a presentity, null: none, so that the package's own policy
 * applies; and the key that would take precedence over all existing ones.
 */
export const policyKey = (
  eventPackage: EventPackage,
  presentity: Uri,
  { policies }: Watching,
): { readonly counts: string | null; readonly own: string } => {
  const domain = domainOfRecord(presentity)
  const isNamed = eventPackage.watcherInfoOf !== undefined || eventPackage.watchers === "rules"
  const keys = [
    ...(domain === null ? [] : [`${eventPackage.name}@${domain}`]),
    eventPackage.name,
    ...(isNamed ? [] : [...(domain === null ? [] : [`*@${domain}`]), "*"]),
  ]
  const counts = keys.find((key) => Object.hasOwn(policies, key)) ?? null
  return { counts, own: counts === null || counts.startsWith("*") ? eventPackage.name : counts }
}

/** Most settings name no domain; then addresses need not be parsed. */
const asksDomains = (policies: Watching["policies"]): boolean => {
  let known = withDomains.get(policies)
  if (known === undefined) {
    known = Object.keys(policies).some((key) => key.includes("@"))
    withDomains.set(policies, known)
  }
  return known
}

const withDomains = new WeakMap<Watching["policies"], boolean>()

/** The domain of an address of record, whose host has one spelling; null: a telephone number. */
const domainOfRecord = (uri: Uri): string | null =>
  uri.startsWith("sip:") ? uri.slice(uri.indexOf("@") + 1 || "sip:".length) : null

/** Users choose the names of packages and URIs, so `constructor` must be a name like any other. */
const given = <V>(record: Readonly<Record<string, V>>, key: string): V | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined

/** Whether a list excludes a watcher from a line, whatever the policy. */
export const isKeptOut = (
  eventPackage: EventPackage,
  presentity: Uri,
  watcher: Uri,
  watching: Watching | undefined,
): boolean => {
  if (watching === undefined || !linePackages.has(eventPackage.name)) return false
  const members = given(watching.lineMembers, presentity)
  return members !== undefined && watcher !== presentity && !members.includes(watcher)
}

/** Whether `owner`, `domain` or `everybody` admits a watcher; for `rules` the document decides. */
export const isLetIn = (
  policy: Exclude<WatchPolicy, "rules">,
  eventPackage: EventPackage,
  presentity: Uri,
  watcher: Uri,
  watching: Watching | undefined,
): boolean =>
  policy === "everybody" ||
  isOwner(eventPackage, presentity, watcher, watching) ||
  (policy === "domain" && isColleague(presentity, watcher))

const isOwner = (
  eventPackage: EventPackage,
  presentity: Uri,
  watcher: Uri,
  watching: Watching | undefined,
): boolean => {
  // two requests without an identity are not from the same person
  if (domainOfRecord(watcher) === anonymousDomain) return false
  if (watcher === presentity) return true
  if (watching === undefined || mailboxOf(eventPackage) !== mailboxPackage) return false
  return given(watching.mailboxOwners, presentity)?.includes(watcher) === true
}

/**
 * The address of a watcher under which it watches: the first one, unless that would not be admitted and another one is
 * that of the presentity or belongs to the line. Rules are consulted for the first address only, because what they deny
 * to one address of a person must not be obtained with another.
 */
export const watchingAs = (
  eventPackage: EventPackage,
  presentity: Uri,
  watcher: Uri,
  also: readonly Uri[],
  watching: Watching | undefined,
): Uri => {
  const policy = policyOf(eventPackage, presentity, watching)
  if (policy === "rules") return watcher
  const isIn = (uri: Uri): boolean =>
    !isKeptOut(eventPackage, presentity, uri, watching) &&
    isLetIn(policy, eventPackage, presentity, uri, watching)
  return isIn(watcher) ? watcher : (also.find(isIn) ?? watcher)
}

/** The package itself, or the one whose watchers it reports, at any number of levels. */
const mailboxOf = ({ name }: EventPackage): PackageName => name.replace(/(?:\.winfo)+$/, "")

/** Telephone numbers have no domain, and an anonymous watcher belongs to none. */
const isColleague = (presentity: Uri, watcher: Uri): boolean => {
  const domain = domainOfRecord(watcher)
  return domain !== null && domain !== anonymousDomain && domain === domainOfRecord(presentity)
}

/** The domain of the anonymous URI (RFC 3323 §4.1.1.3). */
const anonymousDomain = "anonymous.invalid"
