/**
 * The facts about the log as a whole: what retention and erasure have removed from it (`retention.ts`). They are part of
 * the storage contract in `events.ts`.
 */
import type { Millis, PackageName, Uri } from "../vocabulary.ts"

/** Old decisions were dropped from the log. Only in the stream of retention. */
export interface LogDropped {
  readonly _tag: "LogDropped"
  /** All decisions older than this instant. */
  readonly before: Millis
  /** The newest position among them. */
  readonly position: number
  readonly decisions: number
  /** The number of presentities of which nothing was left, and which are forgotten. */
  readonly forgotten: number
  /** In hex, over `droppedText` (`retention.ts`), if the log is sealed. Absent: it is not. */
  readonly signature?: string
}

/** Documents of one package were dropped from older decisions, which remain. Only in the stream of retention. */
export interface DocumentsDropped {
  readonly _tag: "DocumentsDropped"
  readonly packageName: PackageName
  /** Those published before this instant. */
  readonly before: Millis
  readonly documents: number
  /** In hex, over `droppedDocumentsText`, if the log is sealed. Absent: it is not. */
  readonly signature?: string
}

/** A person was erased from the log and cannot be identified any more. Only in the stream of retention. */
export interface PersonErased {
  readonly _tag: "PersonErased"
  /** The pseudonym of the person in the log since then. */
  readonly standIn: Uri
}
