/**
 * Several publications of one presentity into one presence document.
 *
 * The shape of a composition, for both settings of `idCollision`:
 * - what is published counts by element; documents are frames;
 * - each list is in the order of publications, oldest content first;
 * - nothing is made up: no timestamp, no state. Only ids are given out, and only where two clash.
 */
import { canonical, child, element, isNamed, withChildren } from "./element.ts"
import type { Attribute, Element, Node } from "./element.ts"
import type { Composition, Source } from "./event-package.ts"
import { closedTuple, dataModelNamespace, freeName, idOf, identifiedKinds, withId } from "./pidf-document.ts"
import type { IdentifiedKind, Lists, Pidf } from "./pidf-document.ts"

/**
 * What becomes of two publications' elements with one id.
 *
 * - `newest`: the newer one stands for both, as in OpenSIPS.
 * - `rename`: both stay. The publication with key `1` keeps its ids, any other has its key after each id (`t1.2`), clash
 *   or no clash: what a tuple is called depends on its own publication only and never changes because another one came
 *   or went.
 */
export type IdCollision = "newest" | "rename"

/** Null when there is neither a publication nor the ended form of one. O(elements). */
export const compose = (input: Composition<Pidf>, idCollision: IdCollision): Pidf | null => {
  const { presentity, documents, ended } = input
  const naming = namingOf(documents, idCollision)
  const parts = placeNotes(named(documents, naming), naming)
  const closed = closedTuples(ended, naming)
  if (documents.length === 0 && closed.length === 0) return null
  return {
    entity: presentity,
    attributes: rootAttributes(documents),
    tuples: [...parts.flatMap(({ lists }) => lists.tuples), ...closed],
    notes: once(parts.map(({ lists }) => lists.notes)),
    persons: parts.flatMap(({ lists }) => lists.persons),
    devices: parts.flatMap(({ lists }) => lists.devices),
    others: once(parts.map(({ lists }) => lists.others)),
  }
}

/** One publication's share of the composed document. */
interface Part {
  readonly key: string
  readonly lists: Lists
}

/** The ids of the composed document while it is being made. */
interface Naming {
  readonly idCollision: IdCollision
  /** Each id given so far, with what has it. */
  readonly given: Map<string, IdentifiedKind>
  /** Elements that were kept under another id, by kind and own id. */
  readonly renamed: Set<string>
  readonly counts: Map<string, number>
  /** All ids that some element would like: what is renamed keeps clear of them. Made when first asked for. */
  readonly wanted: () => ReadonlySet<string>
}

const namingOf = (documents: readonly Source<Pidf>[], idCollision: IdCollision): Naming => {
  let wanted: Set<string> | null = null
  return {
    idCollision,
    given: new Map(),
    renamed: new Set(),
    counts: new Map(),
    wanted: () => (wanted ??= ownNames(documents, idCollision)),
  }
}

const ownNames = (documents: readonly Source<Pidf>[], idCollision: IdCollision): Set<string> => {
  const names = new Set<string>()
  for (const { key, document } of documents) {
    for (const kind of identifiedKinds)
      for (const node of document[kind]) names.add(ownName(idOf(node), key, idCollision))
  }
  return names
}

/**
 * Settles which elements stay and under which ids.
 *
 * Goes from the newest to the oldest, so that with `newest` a newer element keeps its id; an older one of the same
 * kind gives way to it, an older one of another kind is a different thing and is renamed (RFC 3863 §4.1.2).
 */
const named = (documents: readonly Source<Pidf>[], naming: Naming): readonly Part[] => {
  const parts: Part[] = []
  for (const { key, document } of documents.toReversed()) {
    const { notes, others } = document
    const tuples = staying(document.tuples, "tuples", key, naming)
    const persons = staying(document.persons, "persons", key, naming)
    const devices = staying(document.devices, "devices", key, naming)
    parts.push({ key, lists: { tuples, notes, persons, devices, others } })
  }
  return parts.reverse()
}

const staying = (
  list: readonly Element[],
  kind: IdentifiedKind,
  key: string,
  naming: Naming,
): readonly Element[] => {
  const { idCollision, given, renamed } = naming
  const kept: Element[] = []
  for (const node of list) {
    const own = ownName(idOf(node), key, idCollision)
    const holder = given.get(own)
    if (holder === undefined) {
      given.set(own, kind)
      kept.push(withId(node, own))
    } else if (idCollision === "rename" || (holder !== kind && !renamed.has(`${kind} ${own}`))) {
      renamed.add(`${kind} ${own}`)
      kept.push(withId(node, give(`${own}.${key}`, kind, naming)))
    }
  }
  return kept
}

const hasNumber = /\.(?:0|[1-9][0-9]*)$/

/**
 * The id of an element in the composed document, as far as its own publication decides it.
 *
 * With `rename` this is one-to-one when keys are decimal numbers: an id under key 1 that ends like a suffix gets a
 * suffix too, so that no other id under another key comes to the same name.
 */
const ownName = (id: string, key: string, idCollision: IdCollision): string =>
  idCollision === "newest" || (key === "1" && !hasNumber.test(id)) ? id : `${id}.${key}`

/** Gives away the name, or the first of `name.2`, `name.3` … that nothing has or would like to have. */
const give = (name: string, kind: IdentifiedKind, { given, counts, wanted }: Naming): string => {
  const isTaken = (id: string): boolean => given.has(id) || wanted().has(id)
  const free = isTaken(name) ? freeName(name, isTaken, counts) : name
  given.set(free, kind)
  return free
}

/**
 * Keeps a note about the presentity with what its publisher said about it.
 *
 * A note at the root holds for every person that has none of its own (RFC 4479 §5). So notes stay at the root only as
 * long as each such person's publisher wrote all of them, or when there is no such person. Otherwise each publication's
 * notes move into its own persons without note or, when it has none, into a person made to hold them: several persons
 * are how the data model says that sources differ.
 */
const placeNotes = (parts: readonly Part[], naming: Naming): readonly Part[] => {
  if (parts.length < 2 || parts.every(({ lists }) => lists.notes.length === 0)) return parts
  const own = parts.map(({ lists }) => new Set(lists.notes.map(canonical)))
  const all = new Set(own.flatMap((keys) => [...keys]))
  const fits = parts.every(
    ({ lists }, index) => own[index]?.size === all.size || lists.persons.every(hasNote),
  )
  return fits ? parts : parts.map((part) => withNotesInPersons(part, naming))
}

const hasNote = (person: Element): boolean => child(person, dataModelNamespace, "note") !== null

const withNotesInPersons = ({ key, lists }: Part, naming: Naming): Part => {
  if (lists.notes.length === 0) return { key, lists }
  const notes = lists.notes.map((note): Element => ({ ...note, namespace: dataModelNamespace, prefix: "dm" }))
  if (!lists.persons.every(hasNote)) {
    const persons = lists.persons.map((person) => (hasNote(person) ? person : withNotes(person, notes)))
    return { key, lists: { ...lists, notes: [], persons } }
  }
  const id = give(`note.${key}`, "persons", naming)
  const holder = element(dataModelNamespace, "person", { id }, notes, "dm")
  return { key, lists: { ...lists, notes: [], persons: [...lists.persons, holder] } }
}

/** @source RFC 4479 §8.3: notes come before the timestamp. */
export const withNotes = (person: Element, notes: readonly Node[]): Element => {
  const found = person.children.findIndex((node) => isNamed(node, dataModelNamespace, "timestamp"))
  const at = found === -1 ? person.children.length : found
  return withChildren(person, person.children.toSpliced(at, 0, ...notes))
}

/** All elements in order, those that mean the same as an earlier one of another publication left out. */
export const once = (lists: readonly (readonly Element[])[]): readonly Element[] => {
  const filled = lists.filter((list) => list.length > 0)
  if (filled.length < 2) return filled[0] ?? []
  const seen = new Set<string>()
  return filled.flatMap((list) => {
    const keys = list.map(canonical)
    const fresh = list.filter((_, index) => !seen.has(keys[index] ?? ""))
    for (const key of keys) seen.add(key)
    return fresh
  })
}

/** Attributes of all roots; of two with one name the newer. */
export const rootAttributes = (
  documents: readonly Source<{ readonly attributes: readonly Attribute[] }>[],
): readonly Attribute[] => {
  const byName = new Map<string, Attribute>()
  for (const { document } of documents) {
    for (const item of document.attributes) byName.set(`${item.name} ${item.namespace}`, item)
  }
  return [...byName.values()]
}

/** What ended publications leave behind for one notification: their services, closed, where no live element has the id. */
const closedTuples = (ended: readonly Source<Pidf>[], { idCollision, given }: Naming): readonly Element[] => {
  const closed: Element[] = []
  for (const { key, document } of ended) {
    for (const tuple of document.tuples) {
      const id = ownName(idOf(tuple), key, idCollision)
      if (given.has(id)) continue
      given.set(id, "tuples")
      closed.push(closedTuple(id))
    }
  }
  return closed
}
