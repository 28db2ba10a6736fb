/**
 * Parses presence rules: a common-policy document (RFC 4745) with the permissions of RFC 5025.
 *
 * What cannot be understood never grants anything: an unknown condition makes its rule match nobody, and an unknown
 * action or transformation is skipped. A document is only refused if its rules could not be named. `presence-rules.ts`
 * evaluates the rules.
 */
import { canonicalDomain, canonicalUri } from "../uris.ts"
import type { SubHandling } from "../vocabulary.ts"
import { attribute, childrenNamed, isNamed, textOf } from "./element.ts"
import type { Element, XmlCodec } from "./element.ts"
import { readDateTime, unitedPeriods } from "./presence-rules-periods.ts"
import type { Period } from "./presence-rules-periods.ts"
import {
  attributeNames,
  combined,
  everythingShown,
  handlings,
  nothingGranted,
  permissionFor,
  userInputs,
} from "./presence-rules-permissions.ts"
import type { Permissions, Selection, Selector, SelectorKind } from "./presence-rules-permissions.ts"

/** @source RFC 4745 §13 */
const commonPolicyNamespace = "urn:ietf:params:xml:ns:common-policy"
/** @source RFC 5025 §7 */
const presenceRulesNamespace = "urn:ietf:params:xml:ns:pres-rules"
/** Open Mobile Alliance, XML Document Management, which adds conditions. */
const omaPolicyNamespace = "urn:oma:xml:xdm:common-policy"

/** Rules as plain data, in document order. */
export interface RulesDocument {
  readonly rules: readonly Rule[]
}

export interface Rule {
  readonly id: string
  /** All must hold; an empty list matches everyone. */
  readonly conditions: readonly Condition[]
  /** The kind of its first condition about identity if OMA's conditions are understood, otherwise null. */
  readonly omaClass: OmaClass | null
  readonly permissions: Permissions
}

export type OmaClass = "anonymous-request" | "identity" | "external-list" | "other-identity"

export type Condition =
  | { readonly _tag: "Identity"; readonly anyOf: readonly IdentityCondition[] }
  /** In lower case. */
  | { readonly _tag: "Sphere"; readonly values: readonly string[] }
  /** Disjoint and in order. */
  | { readonly _tag: "Validity"; readonly periods: readonly Period[] }
  /** Canonical URIs. */
  | { readonly _tag: "ExternalList"; readonly members: readonly string[] }
  | { readonly _tag: "AnonymousRequest" }
  | { readonly _tag: "OtherIdentity" }
  | { readonly _tag: "Never" }

/** URIs and domains are canonical. */
export type IdentityCondition =
  | { readonly _tag: "One"; readonly uri: string }
  | {
      readonly _tag: "Many"
      /** Null: any domain, or none. */
      readonly domain: string | null
      readonly exceptUris: readonly string[]
      readonly exceptDomains: readonly string[]
    }

export interface RulesOptions {
  /** A rule without transformations grants all of them, as in OpenSIPS; according to RFC 5025 §3.3 it grants none. */
  readonly legacyPermissive?: boolean
  /** Whether OMA's conditions are understood; otherwise they are unknown conditions. */
  readonly oma?: boolean
  /**
   * The URIs on the resource list named by an anchor; null: there is no such list. It is asked while parsing, so rules
   * must be parsed again when a list changes.
   */
  readonly resolveList?: (anchor: string) => readonly string[] | null
}

export type RulesResult =
  | { readonly _tag: "Parsed"; readonly rules: RulesDocument }
  | { readonly _tag: "Unreadable"; readonly why: string }

/**
 * Parses one rules document; total.
 *
 * @source RFC 4745 §6, §13; RFC 5025 §3
 */
export const readRules = (text: string, xml: XmlCodec, options: RulesOptions = {}): RulesResult => {
  const read = xml.parse(text)
  if (read._tag === "Malformed") return { _tag: "Unreadable", why: read.why }
  if (!isNamed(read.root, commonPolicyNamespace, "ruleset"))
    return { _tag: "Unreadable", why: "root is not <ruleset> of common policy" }
  const elements = childrenNamed(read.root, commonPolicyNamespace, "rule")
  const ids = new Set<string>()
  for (const element of elements) {
    const id = attribute(element, "id")?.trim() ?? ""
    if (id === "") return { _tag: "Unreadable", why: "<rule> without id" }
    if (ids.has(id))
      return { _tag: "Unreadable", why: `two rules with id ${JSON.stringify(id.slice(0, 64))}` }
    ids.add(id)
  }
  return { _tag: "Parsed", rules: { rules: elements.map((element) => readRule(element, options)) } }
}

const readRule = (rule: Element, options: RulesOptions): Rule => {
  const inside = (name: string): readonly Element[] =>
    childrenNamed(rule, commonPolicyNamespace, name).flatMap(elementsOf)
  const written = inside("conditions")
  const conditions = written.map((element) => readCondition(element, options))
  const isImpossible = hasStrayConditions(rule) || conditions.some(({ _tag }) => _tag === "Never")
  return {
    id: attribute(rule, "id")?.trim() ?? "",
    conditions: isImpossible ? [{ _tag: "Never" }] : conditions,
    omaClass: options.oma === true ? omaClassOf(written) : null,
    permissions: readPermissions(inside("actions"), inside("transformations"), options),
  }
}

const elementsOf = (element: Element): readonly Element[] =>
  element.children.filter((node) => node._tag === "Element")

/** Conditions in a wrong namespace: their author did not intend to match everyone. */
const hasStrayConditions = (rule: Element): boolean =>
  elementsOf(rule).some(
    (element) =>
      element.name.toLowerCase() === "conditions" && !isNamed(element, commonPolicyNamespace, "conditions"),
  )

const omaClasses: readonly OmaClass[] = ["anonymous-request", "external-list", "other-identity"]

const omaClassOf = (conditions: readonly Element[]): OmaClass | null => {
  for (const { namespace, name } of conditions) {
    if (namespace === commonPolicyNamespace && name === "identity") return "identity"
    const oma =
      namespace === omaPolicyNamespace ? omaClasses.find((className) => className === name) : undefined
    if (oma !== undefined) return oma
  }
  return null
}

/** @source RFC 4745 §7: an unknown condition is false */
const readCondition = (condition: Element, options: RulesOptions): Condition => {
  const { namespace, name } = condition
  if (namespace === commonPolicyNamespace) {
    if (name === "identity") return { _tag: "Identity", anyOf: elementsOf(condition).flatMap(readIdentity) }
    if (name === "sphere") return { _tag: "Sphere", values: spheresOf(condition) }
    if (name === "validity") return { _tag: "Validity", periods: readPeriods(condition) }
  }
  if (namespace === omaPolicyNamespace && options.oma === true) {
    if (name === "anonymous-request") return { _tag: "AnonymousRequest" }
    if (name === "other-identity") return { _tag: "OtherIdentity" }
    if (name === "external-list") return { _tag: "ExternalList", members: membersOf(condition, options) }
  }
  return { _tag: "Never" }
}

/**
 * One way to satisfy an identity condition, or none. An alternative that is not fully understood, because of its own
 * attributes or of a child that may narrow it, identifies nobody.
 *
 * @source RFC 4745 §7.1
 */
const readIdentity = (element: Element): readonly IdentityCondition[] => {
  if (element.namespace !== commonPolicyNamespace) return []
  const inside = elementsOf(element)
  if (element.name === "one") {
    const id = attribute(element, "id")?.trim() ?? ""
    return id === "" || inside.length > 0 ? [] : [{ _tag: "One", uri: canonicalUri(id) }]
  }
  if (element.name !== "many") return []
  if (!inside.every((child) => isNamed(child, commonPolicyNamespace, "except"))) return []
  const written = attribute(element, "domain")
  const domain = written === null ? null : canonicalDomain(written)
  // RFC 4745 §7.1.3: a domain without an ASCII form equals no domain.
  if (written !== null && domain === null) return []
  const values = (name: string): readonly string[] => inside.flatMap((child) => attribute(child, name) ?? [])
  return [
    {
      _tag: "Many",
      domain,
      exceptUris: values("id").map(canonicalUri),
      exceptDomains: values("domain").flatMap((except) => canonicalDomain(except) ?? []),
    },
  ]
}

/** COMPAT(OpenSIPS): its clients write the sphere as text; RFC 4745 §7.3 puts it into `value`. */
const spheresOf = (condition: Element): readonly string[] =>
  (attribute(condition, "value") ?? textOf(condition)).toLowerCase().split(/\s+/).filter(Boolean)

/**
 * Pairs of `from` and `until`, united; none if any of them is broken, because its intention is unknown.
 *
 * @source RFC 4745 §7.4
 */
const readPeriods = (condition: Element): readonly Period[] => {
  const elements = elementsOf(condition)
  const periods: Period[] = []
  for (let at = 0; at < elements.length; at += 2) {
    const [from, until] = [instantOf(elements[at], "from"), instantOf(elements[at + 1], "until")]
    if (from === null || until === null) return []
    periods.push({ from, until })
  }
  return unitedPeriods(periods)
}

const instantOf = (element: Element | undefined, name: string): number | null =>
  element !== undefined && isNamed(element, commonPolicyNamespace, name)
    ? readDateTime(textOf(element))
    : null

/** OMA XML Document Management: each `<entry anc="…">` names a list by its URI. */
const membersOf = (condition: Element, { resolveList }: RulesOptions): readonly string[] => {
  const anchors = childrenNamed(condition, omaPolicyNamespace, "entry").flatMap(
    (entry) => attribute(entry, "anc")?.trim() || [],
  )
  return anchors.flatMap((anchor) => resolveList?.(anchor) ?? []).map(canonicalUri)
}

const readPermissions = (
  actions: readonly Element[],
  transformations: readonly Element[],
  { legacyPermissive = false }: RulesOptions,
): Permissions => {
  const shown =
    legacyPermissive && transformations.length === 0
      ? [everythingShown]
      : transformations.map(readTransformation)
  // At least two, because combining also gives each permission its one spelling.
  return combined([nothingGranted, ...actions.map(readAction), ...shown])
}

/** @source RFC 5025 §3.2.1 */
const readAction = (action: Element): Permissions => {
  if (!isNamed(action, presenceRulesNamespace, "sub-handling")) return nothingGranted
  const text = textOf(action).trim()
  const handling = handlings.find(
    (candidate): candidate is SubHandling => candidate === text && candidate !== "none-given",
  )
  return handling === undefined ? nothingGranted : { ...nothingGranted, handling }
}

/** @source RFC 5025 §3.3 */
const readTransformation = (transformation: Element): Permissions => {
  const { namespace, name } = transformation
  if (namespace !== presenceRulesNamespace || !name.startsWith("provide-")) return nothingGranted
  const attributeName = name.slice("provide-".length)
  switch (attributeName) {
    case "devices":
      return { ...nothingGranted, devices: readSelection(transformation, attributeName) }
    case "persons":
      return { ...nothingGranted, persons: readSelection(transformation, attributeName) }
    case "services":
      return { ...nothingGranted, services: readSelection(transformation, attributeName) }
    case "all-attributes": {
      const { allAttributes, attributes, userInput } = everythingShown
      return { ...nothingGranted, allAttributes, attributes, userInput }
    }
    case "user-input": {
      const text = textOf(transformation).trim()
      return { ...nothingGranted, userInput: userInputs.find((candidate) => candidate === text) ?? "false" }
    }
    case "unknown-attribute":
      return readUnknownAttribute(transformation)
    default: {
      const known = attributeNames.find((candidate) => candidate === attributeName)
      return known === undefined || !isTrue(transformation)
        ? nothingGranted
        : { ...nothingGranted, attributes: [known] }
    }
  }
}

/** The booleans of XML Schema; capital letters are accepted as well, as in OpenSIPS. */
const isTrue = (element: Element): boolean => /^\s*(?:true|1)\s*$/i.test(textOf(element))

/** The members of each set in RFC 5025 §3.3.1. */
const selectorKinds: Readonly<Record<"devices" | "persons" | "services", readonly SelectorKind[]>> = {
  devices: ["class", "deviceID", "occurrence-id"],
  persons: ["class", "occurrence-id"],
  services: ["class", "occurrence-id", "service-uri", "service-uri-scheme"],
}

const readSelection = (element: Element, kind: "devices" | "persons" | "services"): Selection => {
  const members = elementsOf(element).filter(({ namespace }) => namespace === presenceRulesNamespace)
  return {
    all: members.some(({ name }) => name === `all-${kind}`),
    selectors: members.flatMap((member): readonly Selector[] => {
      const selectorKind = selectorKinds[kind].find((candidate) => candidate === member.name)
      const text = textOf(member).trim()
      if (selectorKind === undefined || text === "") return []
      return [
        {
          by: selectorKind,
          value: selectorKind === "deviceID" || selectorKind === "service-uri" ? canonicalUri(text) : text,
        },
      ]
    }),
  }
}

/** @source RFC 5025 §3.3.2.14: an attribute with a permission of its own is not granted this way */
const readUnknownAttribute = (element: Element): Permissions => {
  const name = attribute(element, "name")?.trim() ?? ""
  const namespace = attribute(element, "ns")?.trim() ?? ""
  if (!isTrue(element) || name === "" || /\s/.test(name) || permissionFor(namespace, name) !== null)
    return nothingGranted
  return { ...nothingGranted, unknownAttributes: [{ namespace, name }] }
}
