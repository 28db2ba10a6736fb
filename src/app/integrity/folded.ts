/**
 * The result of folding a log, and what was found on the way.
 */
import type { State } from "../../domain/presentity/state.ts"
import type { Uri } from "../../domain/vocabulary.ts"

/** Something wrong in the log or beside it. */
export interface LogFinding {
  readonly table: "events" | "streams" | "snapshots" | "landmarks" | "seals" | "checkpoints"
  readonly key: string
  readonly column: string
  readonly log: string | number | null
  readonly found: string | number | null
}

/** The column of findings about who signed something, and not about what is in the log. */
export const signatureColumn = "signature"

export interface Folded {
  /** Folded up to here. */
  position: number
  /** Only presentities with something alive. */
  readonly states: Map<Uri, State>
  /** Versions of every stream that was read. */
  readonly versions: Map<Uri, number>
  /** Streams with unreadable or missing decisions: nothing about them is certain. */
  readonly broken: Set<Uri>
  /** Streams whose beginning is no longer in the log: their snapshots are trusted. */
  readonly truncated: Set<Uri>
  readonly findings: LogFinding[]
  decisions: number
  landmarksWritten: number
  /** Streams whose oldest decisions were dropped, and that continue from the landmark there. */
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
