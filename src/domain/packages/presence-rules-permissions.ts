/**
 * What presence rules grant a watcher, as a value with one spelling, and how grants are combined.
 *
 * A set of permissions is a point in a lattice: combining is the join, `nothingGranted` the bottom.
 * `presence-rules-document.ts` parses permissions, `pidf-filter.ts` applies them to a document.
 */
import type { SubHandling } from "../vocabulary.ts"
import { dataModelNamespace, pidfNamespace } from "./pidf-document.ts"

/** @source RFC 4480 §4 */
export const rpidNamespace = "urn:ietf:params:xml:ns:pidf:rpid"

/** @source RFC 5025 §3.2, §3.3; equal permissions are equal as data. */
export interface Permissions {
  /** `none-given`: no matching rule states one; RFC 5025 §3.2.1 then means block. */
  readonly handling: SubHandling | "none-given"
  readonly devices: Selection
  readonly persons: Selection
  readonly services: Selection
  /** `provide-all-attributes`: including those without a known name. */
  readonly allAttributes: boolean
  /** In alphabetical order; all of them if `allAttributes`. */
  readonly attributes: readonly AttributeName[]
  /** `full` if `allAttributes`. */
  readonly userInput: UserInput
  /** Ordered; empty if `allAttributes`. */
  readonly unknownAttributes: readonly UnknownAttribute[]
}

/** Which elements of one kind are visible: all, or those that a selector identifies (RFC 5025 §3.3.1). */
export interface Selection {
  readonly all: boolean
  /**
   * Ordered, without duplicates. With `all` only selectors by class remain, and those only while `class` is not
   * granted: naming a class also shows the label that matched (see `pidf-filter.ts`).
   */
  readonly selectors: readonly Selector[]
}

export interface Selector {
  readonly by: SelectorKind
  /** In canonical spelling if it is a URI. */
  readonly value: string
}
export type SelectorKind = "class" | "deviceID" | "occurrence-id" | "service-uri" | "service-uri-scheme"

/** Presence attributes with a boolean permission of their own (RFC 5025 §3.3.2.1 to §3.3.2.13), in order. */
export const attributeNames = [
  "activities",
  "class",
  "deviceID",
  "mood",
  "note",
  "place-is",
  "place-type",
  "privacy",
  "relationship",
  "sphere",
  "status-icon",
  "time-offset",
] as const
export type AttributeName = (typeof attributeNames)[number]

/** @source RFC 5025 §3.3.2.12, lowest first */
export const userInputs = ["false", "bare", "thresholds", "full"] as const
export type UserInput = (typeof userInputs)[number]

/**
 * The permission that governs elements of that name; null: they have none of their own.
 *
 * @source RFC 5025 §3.3.2; a note or deviceID is recognized in each namespace in which clients write it
 */
export const permissionFor = (namespace: string, name: string): AttributeName | "user-input" | null => {
  const isModel = namespace === pidfNamespace || namespace === dataModelNamespace
  if (name === "note" || name === "deviceID") return isModel ? name : null
  if (namespace !== rpidNamespace) return null
  return name === "user-input" ? name : (attributeNames.find((attribute) => attribute === name) ?? null)
}

/** @source RFC 5025 §3.3.2.14 */
export interface UnknownAttribute {
  readonly namespace: string
  /** Without a prefix; never contains white space. */
  readonly name: string
}

/** @source RFC 5025 §3.2.1, lowest first; `none-given` is below all of them */
export const handlings = ["none-given", "block", "confirm", "polite-block", "allow"] as const

const noneSelected: Selection = { all: false, selectors: [] }
const allSelected: Selection = { all: true, selectors: [] }

/** The lowest permissions, which hold without any matching rule (RFC 4745 §10.2). */
export const nothingGranted: Permissions = {
  handling: "none-given",
  devices: noneSelected,
  persons: noneSelected,
  services: noneSelected,
  allAttributes: false,
  attributes: [],
  userInput: "false",
  unknownAttributes: [],
}

/** Every transformation, and no action. */
export const everythingShown: Permissions = {
  handling: "none-given",
  devices: allSelected,
  persons: allSelected,
  services: allSelected,
  allAttributes: true,
  attributes: attributeNames,
  userInput: "full",
  unknownAttributes: [],
}

/**
 * The least permissions that grant everything that any of these grants. O(n log n) in the number of selectors and
 * names.
 *
 * @source RFC 4745 §10.2: booleans by or, ordered values by maximum, sets by union
 */
export const combined = (permissions: readonly Permissions[]): Permissions => {
  const [first, second] = permissions
  if (first === undefined) return nothingGranted
  if (second === undefined) return first
  const allAttributes = permissions.some((grant) => grant.allAttributes)
  const granted = new Set(permissions.flatMap(({ attributes }) => attributes))
  const showsClass = granted.has("class")
  const unknown = allAttributes ? [] : permissions.flatMap(({ unknownAttributes }) => unknownAttributes)
  const named = ordered(unknown, ({ name, namespace }) => `${name} ${namespace}`)
  return {
    handling: highest(
      handlings,
      permissions.map(({ handling }) => handling),
    ),
    devices: united(
      permissions.map(({ devices }) => devices),
      showsClass,
    ),
    persons: united(
      permissions.map(({ persons }) => persons),
      showsClass,
    ),
    services: united(
      permissions.map(({ services }) => services),
      showsClass,
    ),
    allAttributes,
    attributes: attributeNames.filter((name) => granted.has(name)),
    userInput: highest(
      userInputs,
      permissions.map(({ userInput }) => userInput),
    ),
    unknownAttributes: named,
  }
}

const united = (selections: readonly Selection[], showsClass: boolean): Selection => {
  const all = selections.some((selection) => selection.all)
  const selectors = selections.flatMap((selection) => selection.selectors)
  const telling = all ? selectors.filter(({ by }) => by === "class" && !showsClass) : selectors
  return { all, selectors: ordered(telling, ({ by, value }) => `${by} ${value}`) }
}

const highest = <Value>(scale: readonly [Value, ...Value[]], values: readonly Value[]): Value =>
  values.reduce((high, value) => (scale.indexOf(value) > scale.indexOf(high) ? value : high), scale[0])

/** In the order of their keys, one value for each key. */
const ordered = <Value>(values: readonly Value[], keyOf: (value: Value) => string): readonly Value[] => {
  if (values.length === 0) return []
  const byKey = new Map(values.map((value) => [keyOf(value), value]))
  return [...byKey.keys()].sort().flatMap((key) => byKey.get(key) ?? [])
}
