/**
 * Dialog information documents: what is read of them, and how they are written (RFC 4235 §4).
 *
 * A dialog is kept as it was published, with all that this file does not know; beside it stands what deciding needs: id,
 * identity and state. What several documents say together is in `dialog-info-compose.ts`.
 */
import type { Body, Uri } from "../vocabulary.ts"
import { attribute, childrenNamed, isNamed, textOf, withChildren } from "./element.ts"
import type { Attribute, Element, XmlCodec } from "./element.ts"
import type { Parsed } from "./event-package.ts"

export const dialogInfoNamespace = "urn:ietf:params:xml:ns:dialog-info"
export const dialogInfoType = "application/dialog-info+xml"
const xmlNamespace = "http://www.w3.org/XML/1998/namespace"

/** @source RFC 4235 §3.7.1: the states of a call, in the order it goes through them */
const dialogStates = ["trying", "proceeding", "early", "confirmed", "terminated"] as const
export type DialogState = (typeof dialogStates)[number]

/** One `<dialog>`. What of its identity is not said, or is empty, is null. */
export interface DialogEntry {
  /** Unique in its document. */
  readonly id: string
  readonly callId: string | null
  readonly localTag: string | null
  readonly remoteTag: string | null
  readonly state: DialogState
  readonly element: Element
}

/** One dialog information document, read and sorted. */
export interface DialogInfo {
  readonly entity: string
  /** `full`: there are no dialogs but these; `partial`: of others nothing is said. */
  readonly state: "full" | "partial"
  /** As published; null when nothing was said. A document of ours gets its version when it is sent. */
  readonly version: number | null
  /** Attributes of the root besides `version`, `state` and `entity`. */
  readonly attributes: readonly Attribute[]
  readonly dialogs: readonly DialogEntry[]
  /** Child elements of the root that are no dialogs, as they stand. */
  readonly others: readonly Element[]
}

/** A presentity that is in no dialog, or published none. */
export const withoutDialogs = (presentity: Uri): DialogInfo => ({
  entity: presentity,
  state: "full",
  version: null,
  attributes: [],
  dialogs: [],
  others: [],
})

/** The same dialog, ended: how and why it got into its last known state is no longer true and goes. */
export const terminated = (dialog: DialogEntry): DialogEntry => {
  if (dialog.state === "terminated") return dialog
  const children = dialog.element.children.map((node) =>
    isNamed(node, dialogInfoNamespace, "state")
      ? { ...node, attributes: [], children: [{ _tag: "Text" as const, text: "terminated" }] }
      : node,
  )
  return { ...dialog, state: "terminated", element: withChildren(dialog.element, children) }
}

/**
 * Reads a published document; total.
 *
 * @source RFC 4235 §4.1; phones leave out `version` and `state`, so these are read when there and not missed.
 */
export const parse = (body: Body, xml: XmlCodec): Parsed<DialogInfo> => {
  const read = xml.parse(body.text)
  if (read._tag === "Malformed") return unreadable(read.why)
  const { root } = read
  if (!isNamed(root, dialogInfoNamespace, "dialog-info")) return unreadable("root is not <dialog-info>")
  const entity = attribute(root, "entity")
  if (entity === null || entity.trim() === "") return unreadable("<dialog-info> without entity")
  if (/\p{Cc}/u.test(entity)) return unreadable("entity with a control character")
  const version = versionOf(root)
  if (version === undefined) return unreadable("version is not a 32-bit number")
  const state = attribute(root, "state")?.trim() ?? "full"
  if (state !== "full" && state !== "partial") return unreadable("state is neither full nor partial")
  const children = inheriting(root)
  const dialogs = entriesOf(children.filter(isDialog))
  if (typeof dialogs === "string") return unreadable(dialogs)
  const attributes = root.attributes.filter(({ namespace, name }) =>
    namespace === "" ? !ownAttributes.includes(name) : namespace !== xmlNamespace,
  )
  const others = children.filter((one) => !isDialog(one))
  return { _tag: "Parsed", document: { entity, state, version, attributes, dialogs, others } }
}

const ownAttributes = ["version", "state", "entity"]

const unreadable = (why: string): Parsed<DialogInfo> => ({ _tag: "Unreadable", why })

const isDialog = (of: Element): boolean => isNamed(of, dialogInfoNamespace, "dialog")

/** Holds the place of the version in a rendered document: as long as the longest, and read as if nothing was said. */
const placeholder = "0000000000"
const versionMax = 0xffff_ffff

/** @returns undefined when it says something, but not a version (RFC 4235 §4.1) */
const versionOf = (root: Element): number | null | undefined => {
  const text = attribute(root, "version")?.trim()
  if (text === undefined || text === placeholder) return null
  return /^[0-9]+$/.test(text) && Number(text) <= versionMax ? Number(text) : undefined
}

/** The root's child elements, each with the `xml:lang` and its like that it had by inheritance: the root is rewritten. */
const inheriting = (root: Element): readonly Element[] => {
  const inherited = root.attributes.filter(({ namespace }) => namespace === xmlNamespace)
  return root.children
    .filter((node) => node._tag === "Element")
    .map((one) => {
      const missing = inherited.filter(({ name }) => attribute(one, name, xmlNamespace) === null)
      return missing.length === 0 ? one : { ...one, attributes: [...one.attributes, ...missing] }
    })
}

/** @returns what is wrong when there is a dialog that cannot be told from others, or whose state cannot be told */
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
    const state = dialogStates.find((one) => one === text)
    if (state === undefined) return "<dialog> in a state that RFC 4235 does not know"
    const [callId, localTag, remoteTag] = [
      said(element, "call-id"),
      said(element, "local-tag"),
      said(element, "remote-tag"),
    ]
    entries.set(id, { id, callId, localTag, remoteTag, state, element })
  }
  return [...entries.values()]
}

/** COMPAT(several phones): a tag that is not known yet is sent as an empty attribute. */
const said = (of: Element, name: string): string | null => {
  const value = attribute(of, name)?.trim() ?? ""
  return value === "" ? null : value
}

/**
 * Writes a document, but for its version: equal documents give equal bodies, and `withVersion` makes one for a watcher.
 *
 * @source RFC 4235 §4.1
 */
export const render = (document: DialogInfo, xml: XmlCodec): Body => {
  const { state, entity, attributes, dialogs, others } = document
  const own = { version: placeholder, state, entity }
  const root: Element = {
    _tag: "Element",
    namespace: dialogInfoNamespace,
    name: "dialog-info",
    prefix: "",
    attributes: [
      ...Object.entries(own).map(([name, value]) => ({ namespace: "", name, prefix: "", value })),
      ...attributes,
    ],
    children: [...dialogs.map(({ element }) => element), ...others],
  }
  return { contentType: dialogInfoType, text: xml.print(root) }
}

/** What stands in the root's tag of a rendered document, and can stand nowhere before it: values have no bare quotes. */
const versionPlace = ` version="${placeholder}"`

/**
 * A rendered document with its version; any other body as it is. O(length), no XML is read.
 *
 * @source RFC 4235 §4.1: versions belong to a subscription
 * @param version not more than 2^32 - 1
 */
export const withVersion = (body: Body, version: number): Body => {
  const at = body.text.indexOf(versionPlace)
  if (at === -1) return body
  const rest = body.text.slice(at + versionPlace.length)
  return { ...body, text: `${body.text.slice(0, at)} version="${version}"${rest}` }
}
