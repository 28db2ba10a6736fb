/**
 * Calls as presence: what the dialogs of a presentity contribute to its presence document (OpenSIPS
 * `mix_dialog_presence`).
 *
 * A person who is in a call, or about to be, is present, so the contribution is open or absent; calls cannot show that
 * somebody is not there.
 */
import { mergedDialogs } from "./dialog-info-merge.ts"
import type { DialogInfo, DialogState } from "./dialog-info.ts"
import { child, element, isNamed, textOf, withChildren } from "./element.ts"
import type { Element, Node } from "./element.ts"
import type { EventPackage, Mixing, Source } from "./event-package.ts"
import { withNotes } from "./pidf-compose.ts"
import { dataModelNamespace, idOf, pidfNamespace } from "./pidf-document.ts"
import type { Pidf } from "./pidf-document.ts"
import { rpidNamespace } from "./presence-rules-permissions.ts"

/** The text of the notes, by the state of the foremost dialog. */
export type DialogPresenceTexts = Readonly<Record<LiveState, string>>

export const dialogPresenceTexts: DialogPresenceTexts = {
  confirmed: "On the phone",
  early: "Ringing",
  proceeding: "Proceeding",
  trying: "Proceeding",
}

/**
 * Shows calls of the `dialog` package in `presence`.
 *
 * @param dialogs the package that parses the publications
 */
export const dialogsInPresence = (
  dialogs: EventPackage<DialogInfo>,
  texts: DialogPresenceTexts = dialogPresenceTexts,
): Mixing<Pidf> => ({
  from: dialogs as EventPackage,
  blend: (own, others, presentity, sources) => {
    const calls = presenceOfDialogs(
      others as readonly DialogInfo[],
      texts,
      sources as readonly Source<DialogInfo>[] | undefined,
    )
    return withDialogs(own, calls === null ? null : { ...calls, entity: presentity })
  },
})

const withoutOrder = (document: DialogInfo, index: number): Source<DialogInfo> => ({
  key: `${index + 1}`,
  document,
})

type LiveState = Exclude<DialogState, "terminated">

/** An established call takes precedence over a ringing one, and that over one that has just begun. */
const precedence: readonly LiveState[] = ["confirmed", "early", "proceeding", "trying"]

const tupleId = "tuple_mixingid"
const personId = "pers_mixingid"

/**
 * The contribution to presence of the dialogs in live publications; null: there is no call.
 *
 * The note stands in the tuple and in the person, not at the root, where it would also apply to other publications.
 *
 * @param documents oldest content first, as for composition
 * @param sources the same with their order. Absent: it is not known
 * @returns with the entity of the newest document, which the caller replaces by the presentity if it is shown alone
 */
export const presenceOfDialogs = (
  documents: readonly DialogInfo[],
  texts: DialogPresenceTexts = dialogPresenceTexts,
  sources: readonly Source<DialogInfo>[] = documents.map(withoutOrder),
): Pidf | null => {
  const states = new Set<DialogState>(mergedDialogs(sources).map(({ state }) => state))
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

/** @source RFC 4480 §3.2, which has no activity for ringing */
const onThePhone = element(rpidNamespace, "on-the-phone", {}, [], "rpid")

/**
 * A composed presence document that includes the contribution.
 *
 * What calls say about the person is added to the published person, the newest of several. Two person elements would
 * mean that two sources contradict each other (RFC 4479 §3.2), and phones show only one of them.
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

/** The published person with the activities and notes of the other one that it does not have yet. */
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
  // RFC 4480 §3.2: `unknown` means that no activity is known, and now one is
  const kept = known.children.filter((node) => !isNamed(node, rpidNamespace, "unknown"))
  const activities = withChildren(known, [...kept, ...added])
  return withChildren(
    person,
    person.children.map((node) => (node === known ? activities : node)),
  )
}
