/**
 * The content of documents in a few words: the tuples of presence, the states of calls.
 */
import { xmlCodec } from "../adapters/xml/codec.ts"
import { dialogInfoNamespace } from "../domain/packages/dialog-info-document.ts"
import { attribute, child, childrenNamed, textOf } from "../domain/packages/element.ts"
import type { Element } from "../domain/packages/element.ts"
import { pidfNamespace } from "../domain/packages/pidf.ts"
import type { Body } from "../domain/vocabulary.ts"

/** The part of a body that is examined. */
type Content = Pick<Body, "contentType" | "text">

export interface Tuple {
  readonly id: string
  /** As written; null: the tuple has no basic status. */
  readonly basic: string | null
  readonly notes: readonly string[]
}

export interface Summary {
  readonly tuples: readonly Tuple[]
  /** Notes about the presentity as a whole. */
  readonly notes: readonly string[]
}

const pidfType = "application/pidf+xml"

/** Null for anything except a valid presence document. */
export const summaryOf = (body: Content | null): Summary | null => {
  if (body === null || !body.contentType.toLowerCase().startsWith(pidfType)) return null
  const parsed = xmlCodec.parse(body.text)
  if (parsed._tag === "Malformed" || parsed.root.name !== "presence") return null
  return {
    tuples: childrenNamed(parsed.root, pidfNamespace, "tuple").map(tupleOf),
    notes: notesOf(parsed.root),
  }
}

const tupleOf = (tuple: Element): Tuple => {
  const status = child(tuple, pidfNamespace, "status")
  const basic = status === null ? null : child(status, pidfNamespace, "basic")
  return {
    id: attribute(tuple, "id") ?? "",
    basic: basic === null ? null : textOf(basic).trim(),
    notes: notesOf(tuple),
  }
}

const notesOf = (element: Element): readonly string[] =>
  childrenNamed(element, pidfNamespace, "note").map((note) => textOf(note).trim())

/** `open`: some tuple is; `closed`: there is a document, and no tuple is open. */
export const shows = (summary: Summary | null, basic: "open" | "closed"): boolean =>
  summary !== null && summary.tuples.some((tuple) => tuple.basic === "open") === (basic === "open")

/** The content of a document in a few words: tuples of presence, the states of calls; null for any other. */
export const gistOf = (body: Content): string | null => {
  if (body.contentType.toLowerCase().startsWith("application/dialog-info+xml")) return callsOf(body)
  const summary = summaryOf(body)
  if (summary === null) return null
  const parts = [...summary.tuples.map(tupleText), ...summary.notes.map((note) => JSON.stringify(note))]
  return parts.length === 0 ? "a document without tuples" : parts.join(", ")
}

const tupleText = ({ id, basic, notes }: Tuple): string =>
  [`${basic ?? "no status"} [${id}]`, ...notes.map((note) => JSON.stringify(note))].join(" ")

/** @source RFC 4235 §4.1.1 */
const callsOf = ({ text }: Content): string | null => {
  const parsed = xmlCodec.parse(text)
  if (parsed._tag === "Malformed" || parsed.root.name !== "dialog-info") return null
  const calls = childrenNamed(parsed.root, dialogInfoNamespace, "dialog").map((dialog) => {
    const state = child(dialog, dialogInfoNamespace, "state")
    return `${state === null ? "no state" : textOf(state).trim()} [${attribute(dialog, "id") ?? ""}]`
  })
  return calls.length === 0 ? "no call" : calls.join(", ")
}

/** The content of a document in a few words: tuples of presence, otherwise its type and size. */
export const bodyInWords = (body: Body | null): string =>
  body === null
    ? "no body"
    : body.dropped !== undefined
      ? `${body.contentType}, dropped by retention`
      : (gistOf(body) ?? `${body.contentType}, ${new TextEncoder().encode(body.text).length} bytes`)

/** The content of a document in a few words. */
export const shownText = (body: Body | null): string => {
  if (body === null) return "no document"
  const summary = summaryOf(body)
  if (summary !== null) {
    const notes = summary.notes.map((note) => JSON.stringify(note))
    const tuples = summary.tuples.map(({ basic, notes: own }) =>
      [basic ?? "no status", ...own.map((note) => JSON.stringify(note))].join(" "),
    )
    return [...tuples, ...notes].join(", ") || "an empty document"
  }
  const states = [...body.text.matchAll(/<(?:\w+:)?state>([\w-]+)<|\bstatus="([\w-]+)"/g)].map(
    ([, stateElement, stateAttribute]) => stateElement ?? stateAttribute,
  )
  return `${body.contentType} of ${body.text.length}${states.length === 0 ? "" : ` (${states.slice(0, 8).join(" ")})`}`
}
