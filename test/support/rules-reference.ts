/**
 * Presence rules by brute force: rules are sets of people, instants and grants, and matching is membership.
 *
 * It knows nothing of URIs, XML or lattices: people and domains are names; `rules-arbitraries.ts` writes them into
 * documents.
 */

/** All people; those without a domain cannot match one. */
export const people = [
  { name: "bob", domain: "example" },
  { name: "carol", domain: "example" },
  { name: "bob-elsewhere", domain: "other" },
  { name: "bob-secure", domain: "example" },
  { name: "dave", domain: "bücher" },
  { name: "phone", domain: null },
] as const
export type PersonName = (typeof people)[number]["name"]
export type DomainName = "example" | "other" | "bücher" | "nobody's"

export type Except = { readonly id: PersonName } | { readonly domain: DomainName | "broken" } | "empty"
export type Alternative =
  | { readonly one: PersonName }
  | { readonly many: DomainName | "anyone" | "broken"; readonly except: readonly Except[] }
  | "unknown"
export type Period = readonly [from: number, until: number]
export type ModelCondition =
  | { readonly identity: readonly Alternative[] }
  | { readonly sphere: readonly string[] }
  | { readonly validity: readonly Period[] | "broken" }
  | { readonly list: readonly PersonName[] }
  | "anonymous"
  | "other"
  | "unknown"
export interface ModelRule {
  readonly conditions: readonly ModelCondition[]
  readonly handling: number | null
  /** Each the name of one permission; see `atoms`. */
  readonly grants: readonly string[]
}
export interface ModelCase {
  readonly requester: readonly PersonName[]
  readonly sphere: string | null
  readonly now: number
}

const names = (isMeant: (person: (typeof people)[number]) => boolean): ReadonlySet<string> =>
  new Set(people.filter(isMeant).map(({ name }) => name))

const meet = (left: ReadonlySet<string>, right: ReadonlySet<string>): boolean =>
  [...left].some((name) => right.has(name))

const excepted = (except: Except): ReadonlySet<string> => {
  if (except === "empty") return new Set()
  return "id" in except ? new Set([except.id]) : names(({ domain }) => domain === except.domain)
}

const identifies = (alternative: Alternative, requester: ReadonlySet<string>): boolean => {
  if (alternative === "unknown" || ("many" in alternative && alternative.many === "broken")) return false
  if ("one" in alternative) return requester.has(alternative.one)
  const within =
    alternative.many === "anyone" ? names(() => true) : names(({ domain }) => domain === alternative.many)
  return meet(requester, within) && alternative.except.every((e) => !meet(requester, excepted(e)))
}

const holds = (condition: ModelCondition, { requester, sphere, now }: ModelCase, oma: boolean): boolean => {
  const present: ReadonlySet<string> = new Set(requester)
  if (condition === "unknown") return false
  if (condition === "anonymous") return oma && present.size === 0
  if (condition === "other") return oma && present.size > 0
  if ("list" in condition) return oma && meet(present, new Set<string>(condition.list))
  if ("identity" in condition)
    return condition.identity.some((alternative) => identifies(alternative, present))
  if ("sphere" in condition) return sphere !== null && condition.sphere.includes(sphere)
  if (condition.validity === "broken") return false
  const instants = condition.validity.flatMap(([from, until]) =>
    Array.from({ length: Math.max(0, until - from) }, (_, index) => from + index),
  )
  return instants.includes(now)
}

const strength = ({ conditions }: ModelRule): number => {
  const kinds = conditions.map((condition) => {
    if (typeof condition === "string") return { anonymous: 4, other: 1, unknown: 0 }[condition]
    return "identity" in condition ? 3 : "list" in condition ? 2 : 0
  })
  return kinds.find((kind) => kind > 0) ?? 0
}

/** Ordinals of the rules that match. */
export const referenceMatches = (
  rules: readonly ModelRule[],
  question: ModelCase,
  oma: boolean,
): number[] => {
  const all = rules.flatMap((rule, at) =>
    rule.conditions.every((condition) => holds(condition, question, oma)) ? [at] : [],
  )
  const strengths = all.map((at) => strength(rules[at] as ModelRule))
  const best = Math.max(...strengths)
  return oma ? all.filter((_, at) => strengths[at] === 0 || strengths[at] === best) : all
}

/** What the rules with those ordinals grant. */
export const referenceGrants = (
  rules: readonly ModelRule[],
  matched: readonly number[],
): { readonly handling: number; readonly grants: ReadonlySet<string> } => ({
  handling: Math.max(-1, ...matched.map((at) => rules[at]?.handling ?? -1)),
  grants: new Set(matched.flatMap((at) => rules[at]?.grants ?? [])),
})
