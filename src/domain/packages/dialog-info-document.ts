/**
 * Dialog information documents: how they are parsed and written (RFC 4235 §4).
 *
 * A dialog is kept as published, including everything that this file does not interpret; beside it stands what
 * decisions need: id, identity and state. `dialog-info-compose.ts` combines several documents.
 */
import type { Body, Uri } from "../vocabulary.ts"
import { attribute, childrenNamed, isNamed, textOf, withChildren } from "./element.ts"
import type { Attribute, Element, XmlCodec } from "./element.ts"
import type { Parsed } from "./event-package.ts"
import { readFrame, renderFrame } from "./numbered-document.ts"
import type { NumberedFormat } from "./numbered-document.ts"

export const dialogInfoNamespace = "urn:ietf:params:xml:ns:dialog-info"
export const dialogInfoType = "application/dialog-info+xml"

const format: NumberedFormat<"full" | "partial"> = {
  contentType: dialogInfoType,
  namespace: dialogInfoNamespace,
  name: "dialog-info",
  states: ["full", "partial"],
  hasEntity: true,
}

/** @source RFC 4235 §3.7.1: the states of a call, in the order in which it passes through them */
const dialogStates = ["trying", "proceeding", "early", "confirmed", "terminated"] as const
export type DialogState = (typeof dialogStates)[number]

/** One `<dialog>`. Parts of its identity that are missing or empty are null. */
export interface DialogEntry {
  /** Unique in its document. */
  readonly id: string
  readonly callId: string | null
  readonly localTag: string | null
  readonly remoteTag: string | null
  readonly state: DialogState
  readonly element: Element
  /** The element with session descriptions, which only those see who ask for them. Absent: it has none. */
  readonly described?: Element
}

/** One dialog information document, parsed and sorted. */
export interface DialogInfo {
  readonly entity: string
  /** `full`: there are no other dialogs; `partial`: the document says nothing about others. */
  readonly state: "full" | "partial"
  /** As published; null: not stated. A document that we send gets its version when it is sent. */
  readonly version: number | null
  /** Attributes of the root besides `version`, `state` and `entity`. */
  readonly attributes: readonly Attribute[]
  readonly dialogs: readonly DialogEntry[]
  /** Child elements of the root other than dialogs, unchanged. */
  readonly others: readonly Element[]
}

/** The document of a presentity that has no dialogs, or has published none. */
export const withoutDialogs = (presentity: Uri): DialogInfo => ({
  entity: presentity,
  state: "full",
  version: null,
  attributes: [],
  dialogs: [],
  others: [],
})

/** The same dialog, terminated: how and why it reached its last known state no longer holds and is removed. */
export const terminated = (dialog: DialogEntry): DialogEntry => {
  if (dialog.state === "terminated") return dialog
  const children = dialog.element.children.map((node) =>
    isNamed(node, dialogInfoNamespace, "state")
      ? { ...node, attributes: [], children: [{ _tag: "Text" as const, text: "terminated" }] }
      : node,
  )
  const { id, callId, localTag, remoteTag } = dialog
  const element = withChildren(dialog.element, children)
  return { id, callId, localTag, remoteTag, state: "terminated", element }
}

/**
 * Parses a published document; total.
 *
 * @source RFC 4235 §4.1
 */
export const parse = (body: Body, xml: XmlCodec): Parsed<DialogInfo> => {
  const frame = readFrame(body, format, xml)
  if (typeof frame === "string") return unreadable(frame)
  const { children, ...rest } = frame
  const dialogs = entriesOf(children.filter(isDialog))
  if (typeof dialogs === "string") return unreadable(dialogs)
  const others = children.filter((element) => !isDialog(element))
  return { _tag: "Parsed", document: { ...rest, dialogs, others } }
}

const unreadable = (why: string): Parsed<DialogInfo> => ({ _tag: "Unreadable", why })

const isDialog = (element: Element): boolean => isNamed(element, dialogInfoNamespace, "dialog")

/** @returns a text that names the fault if a dialog cannot be identified, or its state cannot be determined */
const entriesOf = (elements: readonly Element[]): readonly DialogEntry[] | string => {
  const entries = new Map<string, DialogEntry>()
  for (const element of elements) {
    const id = attribute(element, "id") ?? ""
    if (id.trim() === "") return "<dialog> without id"
    if (entries.has(id)) return "two <dialog> with one id"
    const states = childrenNamed(element, dialogInfoNamespace, "state")
    const [first] = states
    if (first === undefined) return "<dialog> without state"
    if (states.length > 1) return "<dialog> with two states"
    const text = textOf(first).trim()
    // COMPAT(Kamailio's pua_dialoginfo): a starting call has the state `Trying`; the spelling of all other states is
    // correct
    const spelt = text === "Trying" ? "trying" : text
    const state = dialogStates.find((candidate) => candidate === spelt)
    if (state === undefined) return "<dialog> in a state that RFC 4235 does not know"
    const [callId, localTag, remoteTag] = [
      nonEmpty(element, "call-id"),
      nonEmpty(element, "local-tag"),
      nonEmpty(element, "remote-tag"),
    ]
    const written = state === text ? element : withState(element, first, state)
    entries.set(id, { id, callId, localTag, remoteTag, state, element: written })
  }
  return [...entries.values()]
}

/** In the spelling of RFC 4235 §4.4, so that watchers can parse it. */
const withState = (dialog: Element, present: Element, state: DialogState): Element =>
  withChildren(
    dialog,
    dialog.children.map((node) =>
      node === present ? withChildren(present, [{ _tag: "Text", text: state }]) : node,
    ),
  )

/** COMPAT(several phones): a tag that is not known yet is sent as an empty attribute. */
const nonEmpty = (element: Element, name: string): string | null => {
  const value = attribute(element, name)?.trim() ?? ""
  return value === "" ? null : value
}

/** Writes a document without its version, which is inserted when it is sent. */
export const render = (document: DialogInfo, xml: XmlCodec): Body => {
  const { dialogs, others, ...frame } = document
  return renderFrame(
    { ...frame, children: [...dialogs.map(({ element }) => element), ...others] },
    format,
    xml,
  )
}
