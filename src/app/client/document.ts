/**
 * Presence documents as a client makes and shows them: one tuple out, a summary of all tuples in.
 */
import { xmlCodec } from "../../adapters/xml/codec.ts"
import { attribute, child, childrenNamed, element, textOf } from "../../domain/packages/element.ts"
import type { Element } from "../../domain/packages/element.ts"
import { dialogInfoNamespace } from "../../domain/packages/dialog-info-document.ts"
import { pidfNamespace } from "../../domain/packages/pidf.ts"
import type { Body } from "./wire.ts"

export interface Tuple {
  readonly id: string
  /** As written; null when the tuple has no basic status. */
  readonly basic: string | null
  readonly notes: readonly string[]
}

export interface Summary {
  readonly tuples: readonly Tuple[]
  /** Of the presentity as a whole. */
  readonly notes: readonly string[]
}

const pidfType = "application/pidf+xml"

/**
 * The id is always the same: what is published later from the same machine or another takes the place of what was
 * published before, as one expects of a command that is typed twice.
 */
const tupleId = "presently"

export const documentOf = (entity: string, basic: "open" | "closed", note: string | null): Body => {
  const status = element(pidfNamespace, "status", {}, [element(pidfNamespace, "basic", {}, [basic])])
  const notes = note === null ? [] : [element(pidfNamespace, "note", {}, [note])]
  const tuple = element(pidfNamespace, "tuple", { id: tupleId }, [status, ...notes])
  return {
    contentType: pidfType,
    text: xmlCodec.print(element(pidfNamespace, "presence", { entity }, [tuple])),
  }
}

/** Null for anything that is not a readable presence document. */
export const summaryOf = (body: Body | null): Summary | null => {
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

const notesOf = (of: Element): readonly string[] =>
  childrenNamed(of, pidfNamespace, "note").map((note) => textOf(note).trim())

/** `open`: some tuple is; `closed`: there is a document, and none is. */
export const shows = (summary: Summary | null, basic: "open" | "closed"): boolean =>
  summary !== null && summary.tuples.some((tuple) => tuple.basic === "open") === (basic === "open")

/** What a document shows in a few words: tuples of presence, the states of calls; null for any other. */
export const gistOf = (body: Body): string | null => {
  if (body.contentType.toLowerCase().startsWith("application/dialog-info+xml")) return callsOf(body)
  const summary = summaryOf(body)
  if (summary === null) return null
  const parts = [...summary.tuples.map(tupleText), ...summary.notes.map((note) => JSON.stringify(note))]
  return parts.length === 0 ? "a document without tuples" : parts.join(", ")
}

const tupleText = ({ id, basic, notes }: Tuple): string =>
  [`${basic ?? "no status"} [${id}]`, ...notes.map((note) => JSON.stringify(note))].join(" ")

/** @source RFC 4235 §4.1.1 */
const callsOf = ({ text }: Body): string | null => {
  const parsed = xmlCodec.parse(text)
  if (parsed._tag === "Malformed" || parsed.root.name !== "dialog-info") return null
  const calls = childrenNamed(parsed.root, dialogInfoNamespace, "dialog").map((dialog) => {
    const state = child(dialog, dialogInfoNamespace, "state")
    return `${state === null ? "no state" : textOf(state).trim()} [${attribute(dialog, "id") ?? ""}]`
  })
  return calls.length === 0 ? "no call" : calls.join(", ")
}
