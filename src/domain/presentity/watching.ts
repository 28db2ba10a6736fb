/**
 * Who may watch a package at all: policies by package and domain, and the lists of lines and mailboxes.
 *
 * Plain data and functions of arguments. URIs are compared as addresses of record (`uris.ts`); who really is who was found
 * out before, by digest or by a trusted peer.
 */
import type { EventPackage, Packages } from "../packages/event-package.ts"
import type { PackageName, Uri, WatchPolicy } from "../vocabulary.ts"

/** What settings say. Keys of lists are presentities, values addresses of record. */
export interface Watching {
  /**
   * By `PACKAGE@DOMAIN`, `PACKAGE`, `*@DOMAIN` or `*`; the domain is the presentity's. What is first in this order counts. The
   * asterisk stands for every package but those that ask rules by themselves and watcher information: these are named or stay.
   */
  readonly policies: Readonly<Record<string, WatchPolicy>>
  /** Of a line that is listed nobody but itself and these may watch or hold what `linePackages` show. */
  readonly lineMembers: Readonly<Record<string, readonly Uri[]>>
  /** Further owners of a mailbox: of its message-summary, and of the watcher information of that. */
  readonly mailboxOwners: Readonly<Record<string, readonly Uri[]>>
}

/** Every package as it says itself, and no lists. */
export const ownPolicies: Watching = { policies: {}, lineMembers: {}, mailboxOwners: {} }

/** The same settings, but that one package asks rules whatever they say of it. */
export const askingRulesOf = (
  packageName: PackageName,
  watching: Watching | undefined,
  packages: Packages,
): Watching => {
  const { policies, ...lists } = watching ?? { ...ownPolicies, policies: withoutSettings(packages) }
  const defaults = Object.entries(policies).filter(([key]) => !key.startsWith(`${packageName}@`))
  return { ...lists, policies: { ...Object.fromEntries(defaults), [packageName]: "rules" } }
}

/** As `policyOf` has it where there are no settings. */
const withoutSettings = (packages: Packages): Watching["policies"] => {
  const ruled = packages.names().filter((name) => packages.find(name)?.rules !== undefined)
  return { "*": "everybody", ...Object.fromEntries(ruled.map((name) => [name, "rules" as const])) }
}

/** What a phone that shares a line watches. */
const linePackages: ReadonlySet<PackageName> = new Set(["dialog", "dialog;sla", "call-info", "line-seize"])

const mailboxPackage = "message-summary"

/**
 * The policy of a package for a presentity.
 *
 * Watcher information is its owner's (RFC 3857 §4.6): of the settings only one that names that very package makes it
 * anybody else's, and likewise presence stays with its rules.
 *
 * @param watching absent: no settings; then packages with rules of their own ask them, and all others let everybody watch
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
 * The entry of `policies` that counts for a package and a presentity, null: none, the package says so itself; and the one that
 * would count before all there are.
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

/** Most settings do not: then nothing is looked for in addresses. */
const asksDomains = (policies: Watching["policies"]): boolean => {
  let known = withDomains.get(policies)
  if (known === undefined) {
    known = Object.keys(policies).some((key) => key.includes("@"))
    withDomains.set(policies, known)
  }
  return known
}

const withDomains = new WeakMap<Watching["policies"], boolean>()

/** Of an address of record, whose host is in its one spelling; null: a telephone number. */
const domainOfRecord = (uri: Uri): string | null =>
  uri.startsWith("sip:") ? uri.slice(uri.indexOf("@") + 1 || "sip:".length) : null

/** Names of packages and URIs are somebody's choice: `constructor` is no more than another one. */
const given = <V>(record: Readonly<Record<string, V>>, key: string): V | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined

/** Whether a list keeps a watcher away from a line, whatever the policy. */
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

/** Whether `owner`, `domain` or `everybody` lets a watcher in; what `rules` say is in a document. */
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
  // two who give no identity are not the same one
  if (domainOfRecord(watcher) === anonymousDomain) return false
  if (watcher === presentity) return true
  if (watching === undefined || mailboxOf(eventPackage) !== mailboxPackage) return false
  return given(watching.mailboxOwners, presentity)?.includes(watcher) === true
}

/**
 * Which of a watcher's addresses it watches by: the first, but the one to which the presentity or the line belongs when the
 * first would not be let in. Rules are asked about the first alone: what they keep from one of somebody's addresses they need
 * not know by another.
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

/** The package itself, or that whose watchers it is about, however many levels down. */
const mailboxOf = ({ name }: EventPackage): PackageName => name.replace(/(?:\.winfo)+$/, "")

/** Telephone numbers have no domain, and who gives no identity is nobody's colleague. */
const isColleague = (presentity: Uri, watcher: Uri): boolean => {
  const domain = domainOfRecord(watcher)
  return domain !== null && domain !== anonymousDomain && domain === domainOfRecord(presentity)
}

/** RFC 3323 §4.1.1.3 */
const anonymousDomain = "anonymous.invalid"
