/**
 * What a presence document is made of, once read: shared by reading (`pidf.ts`) and composing (`pidf-compose.ts`).
 */
import type { Uri } from "../vocabulary.ts"
import { attribute, element, withAttribute } from "./element.ts"
import type { Attribute, Element } from "./element.ts"

export const pidfNamespace = "urn:ietf:params:xml:ns:pidf"
export const dataModelNamespace = "urn:ietf:params:xml:ns:pidf:data-model"

/** One presence document, read and sorted. */
export interface Pidf {
  readonly entity: string
  /** Attributes of the root besides `entity`. */
  readonly attributes: readonly Attribute[]
  /** Tuples, persons and devices have ids that are distinct among all three kinds. */
  readonly tuples: readonly Element[]
  readonly notes: readonly Element[]
  readonly persons: readonly Element[]
  readonly devices: readonly Element[]
  /** Children that are none of these, as they stand. */
  readonly others: readonly Element[]
  /** It is for a phone that reads XPIDF. Absent: PIDF. */
  readonly isXpidf?: true
}

/** The device of what the server's own registrar publishes: it counts only while nothing else is published. */
export const registrarDevice = "registrar"

export const identifiedKinds = ["tuples", "persons", "devices"] as const
/** The lists whose elements need an id. */
export type IdentifiedKind = (typeof identifiedKinds)[number]
export type Lists = Pick<Pidf, IdentifiedKind | "notes" | "others">

export const idOf = (node: Element): string => attribute(node, "id") ?? ""

export const withId = (node: Element, id: string): Element =>
  idOf(node) === id ? node : withAttribute(node, "id", id)

/** The first free of `id.2`, `id.3` …; `counts` remembers where each id has got to, so that n names cost O(n). */
export const freeName = (
  id: string,
  isTaken: (name: string) => boolean,
  counts: Map<string, number>,
): string => {
  let count = counts.get(id) ?? 2
  while (isTaken(`${id}.${count}`)) count += 1
  counts.set(id, count + 1)
  return `${id}.${count}`
}

/** A service that is known to be closed, and nothing else about it. */
export const closedTuple = (id: string): Element => {
  const basic = element(pidfNamespace, "basic", {}, ["closed"])
  return element(pidfNamespace, "tuple", { id }, [element(pidfNamespace, "status", {}, [basic])])
}

/** What is shown of a presentity that published nothing, when something must be shown. */
export const offline = (presentity: Uri): Pidf => ({
  entity: presentity,
  attributes: [],
  tuples: [closedTuple("offline")],
  notes: [],
  persons: [],
  devices: [],
  others: [],
})
