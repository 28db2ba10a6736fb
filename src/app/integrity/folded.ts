/**
 * What folding a log gives, and what it finds on the way.
 */
import type { State } from "../../domain/presentity/state.ts"
import type { Uri } from "../../domain/vocabulary.ts"

/** Something in the log or beside it that is not as it should be. */
export interface LogFinding {
  readonly table: "events" | "streams" | "snapshots" | "landmarks" | "seals" | "checkpoints"
  readonly key: string
  readonly column: string
  readonly log: string | number | null
  readonly found: string | number | null
}

export interface Folded {
  /** Up to here. */
  position: number
  /** Only what has something alive. */
  readonly states: Map<Uri, State>
  /** Of every stream that was read. */
  readonly versions: Map<Uri, number>
  /** Streams of which something cannot be read or is missing: nothing about them is sure. */
  readonly broken: Set<Uri>
  /** Streams whose beginning is no longer in the log: their snapshots are believed. */
  readonly truncated: Set<Uri>
  readonly findings: LogFinding[]
  decisions: number
  landmarksWritten: number
  /** Streams whose oldest decisions were dropped, and that are taken from the landmark there. */
  begun: number
}

export const nothingFolded = (): Folded => ({
  position: 0,
  states: new Map(),
  versions: new Map(),
  broken: new Set(),
  truncated: new Set(),
  findings: [],
  decisions: 0,
  landmarksWritten: 0,
  begun: 0,
})
