/**
 * Dialog information for tests: short documents written by hand, random ones with colliding ids, and a reader according
 * to RFC 4235.
 */
import fc from "fast-check"
import { xmlCodec } from "../../src/adapters/xml/codec.ts"
import { dialogInfo, dialogInfoNamespace } from "../../src/domain/packages/dialog-info.ts"
import type { DialogInfo, DialogState } from "../../src/domain/packages/dialog-info.ts"
import { attribute, canonical, element, withAttribute } from "../../src/domain/packages/element.ts"
import type { Element } from "../../src/domain/packages/element.ts"
import type { EventPackage, Source } from "../../src/domain/packages/event-package.ts"
import { invariant } from "../../src/domain/vocabulary.ts"
import type { Body, Uri } from "../../src/domain/vocabulary.ts"
import { anyElement } from "./xml-arbitraries.ts"

export const alice = "sip:alice@example.com" as Uri
const contentType = "application/dialog-info+xml"
export const states: readonly DialogState[] = ["trying", "proceeding", "early", "confirmed", "terminated"]

export const plain: EventPackage<DialogInfo> = dialogInfo({ xml: xmlCodec })

export const bodyOf = (text: string): Body => ({ contentType, text })

export const verdict = (text: string, eventPackage = plain): string => {
  const parsed = eventPackage.parse(bodyOf(text))
  return parsed._tag === "Unreadable" ? parsed.why : "read"
}

export const read = (text: string, eventPackage = plain): DialogInfo => {
  const parsed = eventPackage.parse(bodyOf(text))
  if (parsed._tag === "Unreadable") throw new Error(`${parsed.why}: ${text.slice(0, 500)}`)
  return parsed.document
}

/** A document with that content, from a publisher that uses another name for the presentity. */
export const written = (inside: string, attributes = 'version="0" state="full"'): string =>
  `<dialog-info xmlns="${dialogInfoNamespace}" xmlns:x="urn:x" ${attributes} entity="sip:someone@example.com">${inside}</dialog-info>`

export const partial = (inside: string): string => written(inside, 'version="1" state="partial"')

/** A dialog in short: its id, its state, and its Call-ID if stated. */
export const dialog = (id: string, state: DialogState, callId: string | null = null): string =>
  `<dialog id="${id}"${callId === null ? "" : ` call-id="${callId}"`}><state>${state}</state></dialog>`

/** Initial publications in order, a second apart, with keys 1, 2 …, or those given. */
const sources = (
  documents: readonly DialogInfo[],
  keys: readonly string[] = [],
): readonly Source<DialogInfo>[] =>
  documents.map((document, index) => ({
    key: keys[index] ?? `${index + 1}`,
    document,
    order: { at: index + 1, after: 0, receivedAt: 1000 * (index + 1) },
  }))

/** The same publications as a log has them in which their order was not recorded. */
export const composedUnordered = (
  eventPackage: EventPackage<DialogInfo>,
  documents: readonly DialogInfo[],
): DialogInfo | null =>
  eventPackage.compose({
    presentity: alice,
    documents: sources(documents).map(({ key, document }) => ({ key, document })),
    ended: [],
  })

export const composed = (
  eventPackage: EventPackage<DialogInfo>,
  documents: readonly DialogInfo[],
  ended: readonly DialogInfo[] = [],
): DialogInfo => {
  const all = { documents: sources(documents), ended: sources(ended, ["11", "12", "13", "14", "15"]) }
  const document = eventPackage.compose({ presentity: alice, ...all })
  if (document === null) throw new Error("nothing to show")
  return document
}

export const amended = (before: DialogInfo, modification: DialogInfo): DialogInfo => {
  invariant(plain.amend !== undefined, "dialog documents can be amended")
  return plain.amend(before, modification)
}

export const difference = (before: DialogInfo, after: DialogInfo): DialogInfo | null => {
  invariant(plain.difference !== undefined, "dialog documents can be compared")
  return plain.difference(before, after)
}

export const personal = (body: Body, version: number): Body => {
  invariant(plain.personalize !== undefined, "dialog documents are numbered")
  return plain.personalize(body, { watcher: "sip:bob@example.com" as Uri, version })
}

/** Each dialog in short: id, state, and Call-ID if stated. */
export const summary = (document: DialogInfo): readonly string[] =>
  document.dialogs.map(({ id, state, callId }) => `${id} ${state}${callId === null ? "" : ` ${callId}`}`)

/** The content of a document, independent of its prefixes. */
export const meaning = (document: DialogInfo): unknown => ({
  entity: document.entity,
  state: document.state,
  attributes: document.attributes.map(({ namespace, name, value }) => [namespace, name, value]),
  dialogs: document.dialogs.map(({ element, ...rest }) => ({
    ...rest,
    element: canonical(element),
  })),
  others: document.others.map(canonical),
})

/** What a watcher knows: the dialogs that have not ended, by id. */
export type ReaderTable = ReadonlyMap<string, string>

/**
 * What a watcher knows after a document, by RFC 4235 §4.3; an ended dialog is removed at once. Deliberately written in
 * terms of elements, like a watcher that shares no code with the package.
 */
export const afterReading = (table: ReaderTable, document: DialogInfo): ReaderTable => {
  const next = new Map(document.state === "full" ? [] : table)
  for (const { element } of document.dialogs) {
    const id = attribute(element, "id") ?? ""
    const state = element.children.find((node) => node._tag === "Element" && node.name === "state")
    if (state?._tag === "Element" && canonical(state).includes("terminated")) next.delete(id)
    else next.set(id, canonical(element))
  }
  return next
}

const anyState = fc.constantFrom(...states)
const inDialogs = (name: string, attributes = {}, children: readonly (Element | string)[] = []): Element =>
  element(dialogInfoNamespace, name, attributes, children)

const anyDialog = (
  ids: readonly string[],
  callIds: readonly (string | null)[],
): fc.Arbitrary<readonly [id: string, Element]> =>
  fc
    .record({
      id: fc.constantFrom(...ids),
      callId: fc.constantFrom(...callIds),
      remoteTag: fc.constantFrom(null, null, "", "r1", "r2"),
      state: anyState,
      spaces: fc.constantFrom("", " ", "\n  "),
      event: fc.constantFrom(null, "remote-bye"),
      extension: fc.option(anyElement),
    })
    .map(({ id, callId, remoteTag, state, spaces, event, extension }) => [
      id,
      inDialogs(
        "dialog",
        {
          id,
          ...(callId === null ? {} : { "call-id": callId }),
          ...(remoteTag === null ? {} : { "remote-tag": remoteTag }),
        },
        [
          ...(extension === null ? [] : [extension]),
          inDialogs("state", event === null ? {} : { event }, [`${spaces}${state}${spaces}`]),
          inDialogs("remote", {}, [inDialogs("identity", {}, ["sip:bob@example.com"])]),
        ],
      ),
    ])

export interface DialogInfoConstraints {
  readonly ids?: readonly string[]
  /** The Call-IDs to choose from; null: not stated. */
  readonly callIds?: readonly (string | null)[]
  /** Whether there may be root attributes and other elements. */
  readonly framed?: boolean
  readonly state?: "full" | "partial"
}

/** A document as published, with few ids and few calls, so that many collide. */
export const anyDialogInfo = (constraints: DialogInfoConstraints = {}): fc.Arbitrary<DialogInfo> => {
  const { ids = ["a", "b", "c", "a&<\"'>"], callIds = [null, "", "1", "2"], framed = true } = constraints
  return fc
    .record({
      dialogs: fc.uniqueArray(anyDialog(ids, callIds), { selector: ([id]) => id, maxLength: 4 }),
      others: fc.array(anyElement, { maxLength: framed ? 2 : 0 }),
      attribute: fc.constantFrom(null, ...(framed ? ["x", ' version="0000000000"'] : [])),
      state:
        constraints.state === undefined ? fc.constantFrom("full", "partial") : fc.constant(constraints.state),
      version: fc.constantFrom("0", "1", "4294967295"),
    })
    .map(({ dialogs, others, attribute: extra, state, version }) => {
      const children = [...dialogs.map(([, element]) => element), ...others]
      const root = inDialogs("dialog-info", { version, state, entity: "sip:someone@example.com" }, children)
      const extended = extra === null ? root : withAttribute(root, "extra", extra)
      return read(xmlCodec.print(extended))
    })
}

/** Several documents without common ids. */
export const anyDisjoint: fc.Arbitrary<readonly DialogInfo[]> = fc.tuple(
  anyDialogInfo({ ids: ["a", "b"], framed: false }),
  anyDialogInfo({ ids: ["c", "d"], framed: false }),
  anyDialogInfo({ ids: ["e"], framed: false }),
)
