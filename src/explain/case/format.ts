/**
 * A case: the history of one or more streams in one self-contained file. JSON Lines:
 *
 *     case            who wrote it, when, and the world that decisions were made in
 *     stream          a stream, and its state before its first decision
 *     decision …      each with the digest of what left and what changed
 *     end-of-stream   digests of its NOTIFYs, of its last state, and of its lines as they stand
 *     …               more streams
 *     end             how much there is, and the digest of all lines before this one
 *
 * Streams follow each other, so that writers and readers hold one of them at a time. Fields are only ever added; a
 * change of meaning needs a new `format`.
 */
import { Schema } from "effect"
import type { RecordedDecision } from "../../domain/history/moments.ts"
import { freeze, thaw } from "../../domain/presentity/snapshot.ts"
import type { Snapshot } from "../../domain/presentity/snapshot.ts"
import type { State } from "../../domain/presentity/state.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import { decodeAbout } from "../../encoding/about-codec.ts"
import { decodeEvents } from "../../encoding/event-codec.ts"
import { CaseWorldSchema } from "./world.ts"
import type { CaseWorld } from "./world.ts"

export const caseFormat = 1

/** Maximum number of characters of one line: a state with tens of thousands of watchers fits. */
export const lineMax = 256 * 1024 * 1024

export interface CaseHeader {
  /** The versions of presently that wrote it, and of Node. */
  readonly presently: string
  readonly node: string
  /** When it was written; ISO 8601, UTC. */
  readonly writtenAt: string
  readonly anonymized: boolean
  /** As requested; null: from the first, or to the last. */
  readonly since: string | null
  readonly until: string | null
  readonly world: CaseWorld
}

export interface StreamDigests {
  readonly state: string
  readonly notifications: string
}

export type CaseItem =
  | ({ readonly _tag: "case" } & CaseHeader)
  | { readonly _tag: "stream"; readonly state: State }
  | { readonly _tag: "decision"; readonly recorded: RecordedDecision; readonly digest: string }
  | ({ readonly _tag: "end-of-stream"; readonly stream: Uri; readonly decisions: number } & StreamDigests)
  | { readonly _tag: "end"; readonly streams: number; readonly decisions: number }

/** @returns without a line end; the caller, which counts them, adds `lines` to the two kinds of end */
export const lineOf = (item: CaseItem, lines?: string): string => {
  const v = 1
  switch (item._tag) {
    case "case": {
      const { _tag: kind, ...header } = item
      return JSON.stringify({ v, kind, format: caseFormat, ...header })
    }
    case "stream":
      return JSON.stringify({ v, kind: item._tag, stream: item.state.presentity, state: freeze(item.state) })
    case "decision": {
      const { position, decision } = item.recorded
      const { version, at, cause, origin, nonce, events, about } = decision
      const { digest } = item
      return JSON.stringify({
        v,
        kind: item._tag,
        position,
        version,
        at,
        cause,
        origin,
        nonce,
        events,
        about,
        digest,
      })
    }
    case "end-of-stream":
    case "end": {
      const { _tag: kind, ...end } = item
      return JSON.stringify({ v, kind, ...end, lines })
    }
  }
}

const { Boolean, Int, Finite, NullOr, String, Struct, Unknown } = Schema

const Line = Schema.Union([
  Struct({
    kind: Schema.Literal("case"),
    format: Int,
    presently: String,
    node: String,
    writtenAt: String,
    anonymized: Boolean,
    since: NullOr(String),
    until: NullOr(String),
    world: CaseWorldSchema,
  }),
  Struct({ kind: Schema.Literal("stream"), stream: String, state: Unknown }),
  Struct({
    kind: Schema.Literal("decision"),
    position: Int,
    version: Int,
    at: Finite,
    cause: String,
    origin: String,
    nonce: String,
    events: Unknown,
    about: Schema.optionalKey(Unknown),
    digest: String,
  }),
  Struct({
    kind: Schema.Literal("end-of-stream"),
    stream: String,
    decisions: Int,
    state: String,
    notifications: String,
    lines: String,
  }),
  Struct({ kind: Schema.Literal("end"), streams: Int, decisions: Int, lines: String }),
])

const decodeLine = Schema.decodeUnknownSync(Line)

/** An item as in its line, and what its line states about the previous lines. */
export interface ReadLine {
  readonly item: CaseItem
  readonly lines: string | null
}

/**
 * @param stream to which the line belongs; null: none
 * @throws Error naming the fault
 */
export const readLine = (text: string, stream: Uri | null): ReadLine => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new Error("it is no JSON")
  }
  const version = typeof json === "object" && json !== null && "v" in json ? json.v : undefined
  const kind = typeof json === "object" && json !== null && "kind" in json ? json.kind : undefined
  if (kind === "case" && "format" in (json as object)) {
    const { format } = json as { readonly format: unknown }
    if (format !== caseFormat)
      throw new Error(
        `its format is ${JSON.stringify(format)}, this presently reads ${caseFormat}: take a newer one`,
      )
  }
  if (version !== 1 && kindFault(kind) === null) throw new Error("it has no version 1 of a line")
  let line: typeof Line.Type
  try {
    line = decodeLine(json)
  } catch (cause) {
    throw new Error(kindFault(kind) ?? reasonOf(cause), { cause })
  }
  switch (line.kind) {
    case "case": {
      const { kind: _tag, format: _, world, ...header } = line
      // unknown fields are ignored; the rest is checked
      return { item: { _tag, ...header, world: world as CaseWorld }, lines: null }
    }
    case "stream": {
      const { state: frozen } = line
      return { item: { _tag: "stream", state: thawed(frozen, line.stream) }, lines: null }
    }
    case "decision": {
      const { position, version, at, cause, origin, nonce, digest } = line
      if (stream === null) throw new Error("it stands in no stream")
      const events = decodeEvents(line.events)
      const known = line.about === undefined ? {} : { about: decodeAbout(line.about) }
      const decision = { stream, version, at: at as Millis, cause, origin, nonce, events, ...known }
      return { item: { _tag: "decision", recorded: { position, decision }, digest }, lines: null }
    }
    case "end-of-stream": {
      const { kind: _tag, lines, stream: name, ...end } = line
      return { item: { _tag, ...end, stream: name as Uri }, lines }
    }
    case "end": {
      const { kind: _tag, lines, ...end } = line
      return { item: { _tag, ...end }, lines }
    }
  }
}

const kindFault = (kind: unknown): string | null =>
  typeof kind === "string" && ["case", "stream", "decision", "end-of-stream", "end"].includes(kind)
    ? null
    : `it is of no kind there is in a case${kind === undefined ? "" : `: ${JSON.stringify(kind).slice(0, 40)}`}`

const thawed = (frozen: unknown, stream: string): State => {
  const snapshot = frozen as Snapshot
  if (typeof frozen !== "object" || frozen === null || snapshot.shape !== 1 || snapshot.presentity !== stream)
    throw new Error(`it holds no state of ${stream}`)
  try {
    return thaw(snapshot)
  } catch {
    throw new Error(`the state of ${stream} cannot be read`)
  }
}

export const reasonOf = (cause: unknown): string =>
  (cause instanceof Error ? cause.message : JSON.stringify(cause)).replaceAll(/\s+/g, " ").slice(0, 300)
