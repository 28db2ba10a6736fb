/**
 * Presence documents with everything that a privacy filter examines, written by hand or random.
 */
import fc from "fast-check"
import { canonical, element } from "../../src/domain/packages/element.ts"
import type { Attribute, Element, Node } from "../../src/domain/packages/element.ts"
import { dataModelNamespace, pidfNamespace } from "../../src/domain/packages/pidf.ts"
import type { Pidf } from "../../src/domain/packages/pidf.ts"
import {
  attributeNames,
  combined,
  rpidNamespace,
} from "../../src/domain/packages/presence-rules-permissions.ts"
import type {
  AttributeName,
  Permissions,
  Selector,
} from "../../src/domain/packages/presence-rules-permissions.ts"
import { nothingGranted } from "../../src/domain/packages/presence-rules.ts"

/** The attributes of RFC 4480 that hold text or elements, with something inside. */
const rpid = (name: string, ...inside: readonly (Node | string)[]): Element =>
  element(rpidNamespace, name, {}, inside, "r")

/** A presence attribute, sometimes an unknown one, in the wrong place, or a second time. */
const anyAttributeElement: fc.Arbitrary<Node> = fc.oneof(
  fc
    .constantFrom(...attributeNames)
    .filter((name) => name !== "note" && name !== "deviceID" && name !== "class")
    .map((name) => rpid(name, element(rpidNamespace, "note", {}, ["inner"]), "value")),
  fc.constantFrom("a", "b").map((label) => rpid("class", label)),
  fc
    .constantFrom("urn:x:1", "URN:X:1", "urn:x:2")
    .map((id) => element(dataModelNamespace, "deviceID", {}, [id])),
  fc.constantFrom(pidfNamespace, dataModelNamespace).map((ns) => element(ns, "note", {}, ["busy"])),
  fc
    .constantFrom(pidfNamespace, dataModelNamespace)
    .map((ns) => element(ns, "timestamp", {}, ["2026-01-01T00:00:00Z"])),
  fc
    .constantFrom("sip:a@b", "sip:a@B;x=1", "tel:+1", "mailto:a@b")
    .map((uri) => element(pidfNamespace, "contact", {}, [uri])),
  fc
    .constantFrom({ "idle-threshold": "600" }, { "last-input": "x", "idle-threshold": "60", id: "u" }, {})
    .map((given) => element(rpidNamespace, "user-input", given, ["idle"])),
  fc.constantFrom("f", "g", "mood").map((name) => element("urn:x", name, { secret: "1" }, ["secret"])),
  fc.constantFrom(rpid("service-class"), rpid("other"), element("", "f"), element(pidfNamespace, "f")),
  fc.constantFrom<Node>(
    { _tag: "Text", text: "\n  " },
    { _tag: "Comment", text: "hidden" },
    { _tag: "Text", text: "stray" },
  ),
)

const anyForeign: fc.Arbitrary<readonly Attribute[]> = fc.constantFrom(
  [],
  [{ namespace: "urn:x", name: "hint", prefix: "x", value: "1" }],
  [{ namespace: "http://www.w3.org/XML/1998/namespace", name: "lang", prefix: "xml", value: "de" }],
)

/** A reader never returns two adjacent texts. */
const asRead = (children: readonly Node[]): readonly Node[] =>
  children.filter((node, index) => node._tag !== "Text" || children[index - 1]?._tag !== "Text")

const anyPart = (
  namespace: string,
  name: string,
  id: string,
  inside: fc.Arbitrary<Node>,
): fc.Arbitrary<Element> =>
  fc.tuple(fc.array(inside, { maxLength: 5 }), anyForeign).map(([children, foreign]) => {
    const part = element(namespace, name, { id }, asRead(children))
    return { ...part, attributes: [...part.attributes, ...foreign] }
  })

const anyStatus = fc
  .array(
    fc.oneof(
      anyAttributeElement,
      fc.constantFrom("open", "closed").map((basic) => element(pidfNamespace, "basic", {}, [basic])),
    ),
    { maxLength: 3 },
  )
  .map((children): Node => element(pidfNamespace, "status", {}, asRead(children)))

const someOf = (namespace: string, name: string, ids: readonly string[], inside: fc.Arbitrary<Node>) =>
  fc
    .subarray([...ids])
    .chain((chosen) => fc.tuple(...chosen.map((id) => anyPart(namespace, name, id, inside))))

/** A composed document: everything that may be in one, densely. */
export const anyComposed: fc.Arbitrary<Pidf> = fc.record({
  entity: fc.constant("sip:alice@example.com"),
  attributes: fc.constantFrom([], [{ namespace: "urn:x", name: "hint", prefix: "x", value: "1" }]),
  tuples: someOf(pidfNamespace, "tuple", ["t1", "t2"], fc.oneof(anyAttributeElement, anyStatus)),
  notes: fc.array(
    fc.constantFrom("one", "two").map((text) => element(pidfNamespace, "note", {}, [text])),
    { maxLength: 2 },
  ),
  persons: someOf(dataModelNamespace, "person", ["p1", "p2"], anyAttributeElement),
  devices: someOf(dataModelNamespace, "device", ["d1", "d2"], anyAttributeElement),
  others: fc.array(fc.constantFrom(rpid("mood", "happy"), element("urn:x", "f", {}, ["root"])), {
    maxLength: 2,
  }),
})

const selectors: readonly Selector[] = [
  { by: "class", value: "a" },
  { by: "class", value: "b" },
  { by: "occurrence-id", value: "t1" },
  { by: "occurrence-id", value: "p2" },
  { by: "occurrence-id", value: "d1" },
  { by: "deviceID", value: "urn:x:1" },
  { by: "service-uri", value: "sip:a@b" },
  { by: "service-uri-scheme", value: "tel" },
]

const anySelection = fc.record({
  all: fc.boolean(),
  selectors: fc.uniqueArray(fc.constantFrom(...selectors), { maxLength: 2, selector: ({ value }) => value }),
})
const anyNames: fc.Arbitrary<readonly AttributeName[]> = fc.subarray([...attributeNames])

/** Permissions of any size, in canonical form. */
export const anyGrants: fc.Arbitrary<Permissions> = fc
  .record({
    devices: anySelection,
    persons: anySelection,
    services: anySelection,
    allAttributes: fc.constantFrom(false, false, false, true),
    attributes: anyNames,
    userInput: fc.constantFrom("false" as const, "bare" as const, "thresholds" as const, "full" as const),
    unknownAttributes: fc.subarray([
      { namespace: "urn:x", name: "f" },
      { namespace: "", name: "f" },
    ]),
  })
  .map((grants) => {
    const all = { attributes: [...attributeNames], userInput: "full" as const, unknownAttributes: [] }
    return combined([nothingGranted, { ...nothingGranted, ...grants, ...(grants.allAttributes ? all : {}) }])
  })

/** Whether nodes are a possible result of filtering: some are omitted, and others reduced in the same way. */
const isWithin = (less: readonly Node[], more: readonly Node[]): boolean => {
  let at = 0
  return less.every((node) => {
    while (at < more.length && !isPartOf(node, more[at] as Node)) at += 1
    at += 1
    return at <= more.length
  })
}

const isPartOf = (less: Node, more: Node): boolean => {
  if (less._tag !== "Element" || more._tag !== "Element")
    return less._tag === more._tag && JSON.stringify(less) === JSON.stringify(more)
  if (canonical(less) === canonical(more)) return true
  const attributes = more.attributes.map((attribute) => JSON.stringify(attribute))
  return (
    less.name === more.name &&
    less.namespace === more.namespace &&
    less.attributes.every((attribute) => attributes.includes(JSON.stringify(attribute))) &&
    isWithin(less.children, more.children)
  )
}

export const lists = ["tuples", "notes", "persons", "devices", "others"] as const

/** Whether a document contains nothing that the other does not, in the same order. */
export const isIn = (less: Pidf, more: Pidf): boolean =>
  less.entity === more.entity &&
  less.attributes.every((attribute) => more.attributes.includes(attribute)) &&
  lists.every((list) => isWithin(less[list], more[list]))
