/**
 * Advice on which setting leaves existing watchers as they are. Each suggestion is tried on their actual
 * states before it is made.
 */
import type { EventPackage } from "../../domain/packages/event-package.ts"
import { policyChanges } from "../../domain/presentity/apply-policies.ts"
import type { PolicyChange } from "../../domain/presentity/apply-policies.ts"
import type { Context } from "../../domain/presentity/context.ts"
import type { State } from "../../domain/presentity/state.ts"
import { isKeptOut, policyKey } from "../../domain/presentity/watching.ts"
import type { Watching } from "../../domain/presentity/watching.ts"
import type { PackageName, Uri, WatchPolicy } from "../../domain/vocabulary.ts"

/** A change for one watcher, with the presentity watched. */
export type NamedChange = PolicyChange & { readonly presentity: Uri }

/** The result of examining all watchers. */
export interface PoliciesFound {
  readonly changes: ReadonlyMap<Uri, readonly PolicyChange[]>
  readonly state: (presentity: Uri) => State | undefined
  /** The context they were examined in, with the settings in force. */
  readonly context: Context
}

/** Narrowest first. */
const order: readonly WatchPolicy[] = ["owner", "domain", "everybody", "rules"]

/** Lines that are spelled out; if there are more, only the setting is named. */
const linesMax = 3

/** The setting that leaves the watchers of one package as they are, for a message. */
export const adviceFor = (
  packageName: PackageName,
  changes: readonly NamedChange[],
  found: PoliciesFound,
): string => {
  const eventPackage = found.context.packages.find(packageName)
  const present = found.context.limits.watching
  if (eventPackage === null || present === undefined) return none
  const see = "see docs/watching.md"
  const byRules = changes.some(({ policy }) => policy === "rules")
  if (changes.some(({ policy }) => policy === null)) return `${none}; ${see}`
  const presentities = new Set(changes.map(({ presentity }) => presentity))
  const lists = listsFor(eventPackage, changes, present)
  const keys = [
    ...new Set([...presentities].map((presentity) => policyKey(eventPackage, presentity, present).own)),
  ].sort()
  const tried = candidatesFor(changes, byRules)
  for (const policy of [null, ...tried]) {
    if (policy === null && lists.length === 0) continue
    const policies = policy === null ? {} : Object.fromEntries(keys.map((key) => [key, policy]))
    const candidate = withEntries(present, policies, lists)
    if (!leaves(packageName, changes, found, candidate)) continue
    const parts = [
      ...(policy === null ? [] : [policyLine(keys, policy, present)]),
      ...(lists.length === 0 ? [] : [listLine(lists)]),
    ]
    const general =
      policy === "everybody" &&
      lists.length === 0 &&
      !keys.some((key) => Object.hasOwn(present.policies, key)) &&
      leaves(packageName, changes, found, withEntries(present, { "*": "everybody" }, []))
        ? ", *=everybody all but presence and lists of watchers"
        : ""
    const also = byRules ? "; rules that let them in do as well" : ""
    return `${parts.join(" with ")} keeps them${general}${also}; ${see}`
  }
  return byRules ? `rules that let them in keep them; ${see}` : `${none}; ${see}`
}

const none = "no single setting keeps all of them"

/** The policy that admitted them all before, then all others, unless rules protect the presentity. */
const candidatesFor = (changes: readonly NamedChange[], byRules: boolean): readonly WatchPolicy[] => {
  const former = new Set(changes.map(({ formerly }) => formerly))
  const [first] = former
  const shared = former.size === 1 && first !== undefined && first !== "members" ? [first] : []
  return [...shared, ...(byRules ? [] : order.filter((policy) => policy !== shared[0]))]
}

interface ListEntry {
  readonly line: Uri
  readonly members: readonly Uri[]
}

/** The lines, each with the watchers that `line_members` keeps out added to its members. */
const listsFor = (
  eventPackage: EventPackage,
  changes: readonly NamedChange[],
  present: Watching,
): readonly ListEntry[] => {
  const out = changes.filter(({ presentity, watcher }) =>
    isKeptOut(eventPackage, presentity, watcher, present),
  )
  return [...Map.groupBy(out, ({ presentity }) => presentity)]
    .map(([line, kept]) => ({
      line,
      members: [...new Set([...(present.lineMembers[line] ?? []), ...kept.map(({ watcher }) => watcher)])],
    }))
    .sort((first, second) => (first.line < second.line ? -1 : 1))
}

const withEntries = (
  present: Watching,
  policies: Watching["policies"],
  lists: readonly ListEntry[],
): Watching => ({
  ...present,
  policies: { ...present.policies, ...policies },
  lineMembers: {
    ...present.lineMembers,
    ...Object.fromEntries(lists.map(({ line, members }) => [line, members])),
  },
})

/** Whether nothing would change for any of them with these settings. */
const leaves = (
  packageName: PackageName,
  changes: readonly NamedChange[],
  { state, context }: PoliciesFound,
  watching: Watching,
): boolean => {
  const candidate: Context = { ...context, limits: { ...context.limits, watching } }
  return [...Map.groupBy(changes, ({ presentity }) => presentity)].every(([presentity, own]) => {
    const present = state(presentity)
    const named = new Set(own.map(({ no: id }) => id))
    return (
      present !== undefined &&
      !policyChanges(present, candidate).some(
        (change) => change.packageName === packageName && change.isSeen && named.has(change.no),
      )
    )
  })
}

const policyLine = (keys: readonly string[], policy: WatchPolicy, { policies }: Watching): string => {
  const entries = keys.map((key) =>
    Object.hasOwn(policies, key) ? `${key}=${policy} (instead of ${policies[key]})` : `${key}=${policy}`,
  )
  return `watch_policy = ${entries.join(", ")}`
}

const listLine = (lists: readonly ListEntry[]): string =>
  lists.length > linesMax
    ? "line_members that names them"
    : `line_members = ${lists.map(({ line, members }) => `${line}=${members.join("|")}`).join(", ")}`
