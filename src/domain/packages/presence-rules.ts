/**
 * Evaluates presence rules: which rules match a watcher, what they grant together, and when that may change.
 *
 * RFC 4745 §7 and §10 with the conditions of RFC 5025 §3.1. `presence-rules-document.ts` parses rules,
 * `presence-rules-permissions.ts` has the lattice of permissions, and `pidf-filter.ts` applies them to a document.
 */
import { canonicalUri, domainOf, sameUri } from "../uris.ts"
import { unreachable } from "../vocabulary.ts"
import type { Millis, Uri } from "../vocabulary.ts"
import { attribute, childrenNamed, textOf } from "./element.ts"
import type { Element } from "./element.ts"
import type { Pidf } from "./pidf-document.ts"
import type {
  Condition,
  IdentityCondition,
  OmaClass,
  Rule,
  RulesDocument,
} from "./presence-rules-document.ts"
import { holdsAt, nextEdge, readDateTime } from "./presence-rules-periods.ts"
import type { Period } from "./presence-rules-periods.ts"
import { combined, rpidNamespace } from "./presence-rules-permissions.ts"
import type { Permissions } from "./presence-rules-permissions.ts"

export { readRules } from "./presence-rules-document.ts"
export type { RulesDocument, RulesOptions } from "./presence-rules-document.ts"
export { everythingShown, nothingGranted } from "./presence-rules-permissions.ts"
export type { Permissions } from "./presence-rules-permissions.ts"

/** The requester: all URIs asserted for it (RFC 5025 §3.1.1.2). Empty: not authenticated. */
export interface Requester {
  readonly uris: readonly Uri[]
}

/** Everything besides the rules that determines whether a rule matches. */
export interface RuleQuestion {
  readonly requester: Requester
  /** As returned by `sphereOf`; null satisfies no sphere condition. */
  readonly sphere: string | null
  readonly now: Millis
}

/** One URI that counts as an identity of the requester. */
interface Identity {
  readonly uri: string
  readonly domain: string | null
}

/**
 * The ordinals, from 0 in document order, of the matching rules. O(rules × conditions).
 *
 * If the document has OMA's conditions, only the strongest matching class counts, together with the rules in no class.
 *
 * @source RFC 4745 §6 (every condition holds), §7
 */
export const matchingRules = (document: RulesDocument, circumstances: RuleQuestion): readonly number[] => {
  const identities = identitiesOf(circumstances.requester)
  const matching: number[] = []
  let strongest: number = omaClasses.length
  document.rules.forEach((rule, ordinal) => {
    if (!rule.conditions.every((condition) => isMet(condition, identities, circumstances))) return
    matching.push(ordinal)
    strongest = Math.min(strongest, rankOf(rule))
  })
  return matching.filter((ordinal) => {
    const rule = document.rules[ordinal]
    return rule !== undefined && (rule.omaClass === null || rankOf(rule) === strongest)
  })
}

/** Strongest first. */
const omaClasses: readonly OmaClass[] = ["anonymous-request", "identity", "external-list", "other-identity"]

const rankOf = ({ omaClass }: Rule): number =>
  omaClass === null ? omaClasses.length : omaClasses.indexOf(omaClass)

/** What these rules grant together; without any, the lowest value of everything (RFC 4745 §10.2). */
export const permissionsOf = (document: RulesDocument, matched: readonly number[]): Permissions =>
  combined(matched.flatMap((ordinal) => document.rules[ordinal]?.permissions ?? []))

/** All documents of a presentity as one: their rules apply together (RFC 5025 §9.7). */
export const unitedRules = (documents: readonly RulesDocument[]): RulesDocument => ({
  rules: documents.flatMap(({ rules }) => rules),
})

/** Whether any rule depends on the sphere. */
export const asksForSphere = ({ rules }: RulesDocument): boolean =>
  rules.some(({ conditions }) => conditions.some(({ _tag }) => _tag === "Sphere"))

/** The first instant after `now` at which a validity condition changes its value; null: none ever does. */
export const nextEvaluationAt = ({ rules }: RulesDocument, now: Millis): Millis | null =>
  earliest(
    rules.flatMap(({ conditions }) =>
      conditions.map((condition) =>
        condition._tag === "Validity" ? nextEdge(condition.periods, now) : null,
      ),
    ),
  )

const earliest = (instants: readonly (Millis | null)[]): Millis | null =>
  instants.reduce(
    (first, instant) => (first === null || (instant !== null && instant < first) ? instant : first),
    null,
  )

/**
 * The identities that a condition may examine. A requester without an identity is represented by the anonymous URI,
 * even if it was authenticated with a password (RFC 5025 §3.1.1.1).
 */
const identitiesOf = ({ uris }: Requester): readonly Identity[] =>
  uris.map(identityOf).filter(({ domain }) => domain !== anonymousDomain)

const anonymousDomain = "anonymous.invalid"

const identityOf = (text: string): Identity => {
  const uri = canonicalUri(text)
  return { uri, domain: domainOf(uri) }
}

const isMet = (
  condition: Condition,
  identities: readonly Identity[],
  { sphere, now }: RuleQuestion,
): boolean => {
  switch (condition._tag) {
    case "Identity":
      // Every kind of identity condition needs an identity: RFC 4745 §7.1.1.
      return condition.anyOf.some((alternative) => isIdentified(alternative, identities))
    case "Sphere":
      return sphere !== null && condition.values.includes(sphere.toLowerCase())
    case "Validity":
      return holdsAt(condition.periods, now)
    case "ExternalList":
      return condition.members.some((member) => identities.some(({ uri }) => sameUri(member, uri)))
    case "AnonymousRequest":
      return identities.length === 0
    case "OtherIdentity":
      return identities.length > 0
    case "Never":
      return false
    default:
      return unreachable(condition)
  }
}

/** @source RFC 4745 §7.1.2, §7.1.3; any of several identities may satisfy a condition, and any may be excepted */
const isIdentified = (condition: IdentityCondition, identities: readonly Identity[]): boolean => {
  if (condition._tag === "One") return identities.some(({ uri }) => sameUri(condition.uri, uri))
  const { domain, exceptUris, exceptDomains } = condition
  return (
    identities.some((identity) => domain === null || identity.domain === domain) &&
    !identities.some((identity) => identity.domain !== null && exceptDomains.includes(identity.domain)) &&
    !exceptUris.some((except) => identities.some(({ uri }) => sameUri(except, uri)))
  )
}

/**
 * The sphere on which all published persons with a sphere agree at `now`, in lower case; null: none has one, or two
 * differ.
 *
 * @source RFC 5025 §3.1.2; RFC 4480 §3.11 for its spellings and its `from` and `until`
 */
export const sphereOf = (documents: readonly Pidf[], now: Millis): string | null => {
  let common: string | null = null
  for (const sphere of spheresOf(documents)) {
    const value = holdsAt([periodOf(sphere)], now) ? valueOf(sphere) : null
    if (value === null) continue
    if (common !== null && common !== value) return null
    common = value
  }
  return common
}

/** The first instant after `now` at which a published sphere begins or ends; null: none does. */
export const nextSphereBoundary = (documents: readonly Pidf[], now: Millis): Millis | null =>
  earliest(
    spheresOf(documents)
      .flatMap((sphere) => {
        const { from, until } = periodOf(sphere)
        return from < until ? [from, until] : []
      })
      .filter((instant) => instant > now && instant < Infinity),
  )

const spheresOf = (documents: readonly Pidf[]): readonly Element[] =>
  documents.flatMap(({ persons }) =>
    persons.flatMap((person) => childrenNamed(person, rpidNamespace, "sphere")),
  )

/** Without bounds it always holds; with a bound that cannot be parsed it never does. */
const periodOf = (sphere: Element): Period => {
  const [from, until] = [attribute(sphere, "from"), attribute(sphere, "until")]
  const first = from === null ? -Infinity : readDateTime(from)
  const end = until === null ? Infinity : readDateTime(until)
  return first === null || end === null ? { from: 0, until: 0 } : { from: first, until: end }
}

/** RFC 4480 §3.11: an element (`<work/>`) or free text; `<unknown/>` is no sphere. */
const valueOf = (sphere: Element): string | null => {
  const inner = sphere.children.find((node): node is Element => node._tag === "Element")
  if (inner !== undefined) {
    if (inner.namespace === rpidNamespace && inner.name === "unknown") return null
    return inner.name.toLowerCase()
  }
  const text = textOf(sphere).trim()
  return text === "" ? null : text.toLowerCase()
}
