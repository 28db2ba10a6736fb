/**
 * Calls as presence: what a presentity's dialogs say about it in a presence document (OpenSIPS `mix_dialog_presence`).
 *
 * Whoever is in a call or about to be is there, so the contribution is open or nothing; that nobody is there is not
 * for calls to say.
 */
import { mergedDialogs } from "./dialog-info-compose.ts"
import type { DialogInfo, DialogState } from "./dialog-info.ts"
import { child, element, isNamed, textOf, withChildren } from "./element.ts"
import type { Element, Node } from "./element.ts"
import type { EventPackage, Mixing } from "./event-package.ts"
import { withNotes } from "./pidf-compose.ts"
import { dataModelNamespace, idOf, pidfNamespace } from "./pidf-document.ts"
import type { Pidf } from "./pidf-document.ts"
import { rpidNamespace } from "./presence-rules-permissions.ts"

/** What the notes say, by the state of the foremost dialog. */
export type DialogPresenceTexts = Readonly<Record<LiveState, string>>

export const dialogPresenceTexts: DialogPresenceTexts = {
  confirmed: "On the phone",
  early: "Ringing",
  proceeding: "Proceeding",
  trying: "Proceeding",
}

/**
 * Calls of the `dialog` package told in `presence`.
 *
 * @param dialogs the package that reads the publications
 */
export const dialogsInPresence = (
  dialogs: EventPackage<DialogInfo>,
  texts: DialogPresenceTexts = dialogPresenceTexts,
): Mixing<Pidf> => ({
  from: dialogs as EventPackage,
  blend: (own, others, presentity) => {
    const calls = presenceOfDialogs(others as readonly DialogInfo[], texts)
    return withDialogs(own, calls === null ? null : { ...calls, entity: presentity })
  },
})

type LiveState = Exclude<DialogState, "terminated">

/** A call that is talked on counts more than one that rings, and that more than one hardly begun. */
const precedence: readonly LiveState[] = ["confirmed", "early", "proceeding", "trying"]

const tupleId = "tuple_mixingid"
const personId = "pers_mixingid"

/**
 * What the dialogs of live publications contribute to presence; null when there is no call.
 *
 * The note stands in the tuple and in the person, not at the root, where it would speak for other publications as well.
 *
 * @param documents oldest content first, as for composing
 * @returns with the entity of the newest document: whoever shows it alone puts the presentity there
 */
export const presenceOfDialogs = (
  documents: readonly DialogInfo[],
  texts: DialogPresenceTexts = dialogPresenceTexts,
): Pidf | null => {
  const states = new Set<DialogState>(mergedDialogs(documents).map(({ state }) => state))
  const foremost = precedence.find((state) => states.has(state))
  const newest = documents.at(-1)
  if (foremost === undefined || newest === undefined) return null
  const note = [texts[foremost]].filter((text) => text !== "")
  const basic = element(pidfNamespace, "basic", {}, ["open"])
  const tuple = element(pidfNamespace, "tuple", { id: tupleId }, [
    element(pidfNamespace, "status", {}, [basic]),
    ...note.map((text) => element(pidfNamespace, "note", {}, [text])),
  ])
  const activities = element(rpidNamespace, "activities", {}, [onThePhone], "rpid")
  const person = element(dataModelNamespace, "person", { id: personId }, [
    ...(foremost === "confirmed" ? [activities] : []),
    ...note.map((text) => element(dataModelNamespace, "note", {}, [text], "dm")),
  ])
  return {
    entity: newest.entity,
    attributes: [],
    tuples: [tuple],
    notes: [],
    persons: [{ ...person, prefix: "dm" }],
    devices: [],
    others: [],
  }
}

/** @source RFC 4480 §3.2; ringing is none of its activities */
const onThePhone = element(rpidNamespace, "on-the-phone", {}, [], "rpid")

/**
 * A composed presence document with the contribution in it.
 *
 * What calls say of the person goes into the person that was published, the newest of several: two person elements
 * would say that two sources contradict each other (RFC 4479 §3.2), and phones show one of them.
 *
 * @param document null: nothing was published
 */
export const withDialogs = (document: Pidf | null, contribution: Pidf | null): Pidf | null => {
  if (document === null || contribution === null) return document ?? contribution
  const isForeign = (element: Element): boolean => idOf(element) !== tupleId && idOf(element) !== personId
  const persons = document.persons.filter(isForeign)
  const published = persons.at(-1)
  const [mixed] = contribution.persons
  return {
    ...document,
    tuples: [...document.tuples.filter(isForeign), ...contribution.tuples],
    devices: document.devices.filter(isForeign),
    persons:
      published === undefined || mixed === undefined
        ? [...persons, ...contribution.persons]
        : [...persons.slice(0, -1), withPerson(published, mixed)],
  }
}

/** The published person with the activities and notes of the other; what it has already it does not get twice. */
const withPerson = (published: Element, mixed: Element): Element => {
  const activities = child(mixed, rpidNamespace, "activities")
  const notes = mixed.children.filter(isNote).filter((note) => !hasNote(published, note))
  const person = activities === null ? published : withActivities(published, activities)
  return notes.length === 0 ? person : withNotes(person, notes)
}

const isNote = (node: Node): node is Element => isNamed(node, dataModelNamespace, "note")

const hasNote = (person: Element, note: Element): boolean =>
  person.children.some((node) => isNote(node) && textOf(node).trim() === textOf(note))

const withActivities = (person: Element, additional: Element): Element => {
  const known = child(person, rpidNamespace, "activities")
  if (known === null) return withChildren(person, [additional, ...person.children])
  const isMissing = (node: Node): boolean =>
    node._tag === "Element" && child(known, node.namespace, node.name) === null
  const added = additional.children.filter(isMissing)
  if (added.length === 0) return person
  // RFC 4480 §3.2: an activity that is unknown is one that is not told, and this one is
  const kept = known.children.filter((node) => !isNamed(node, rpidNamespace, "unknown"))
  const activities = withChildren(known, [...kept, ...added])
  return withChildren(
    person,
    person.children.map((node) => (node === known ? activities : node)),
  )
}
