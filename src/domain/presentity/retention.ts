/**
 * What was dropped from the log because it was old: facts in a stream of their own, for they are about the whole log.
 *
 * They are written by whoever drops (`app/retention`), not decided here: nothing that lives depends on them.
 */
import type { Millis, PackageName, Uri } from "../vocabulary.ts"

/** The stream that says what was dropped; no presentity has such a name. */
export const retentionStream = "presently:retention" as Uri

/** How far retention has come. */
export interface Retained {
  /** Decisions older than this are gone; 0: none. */
  readonly before: Millis
  /** Of decisions up to this position some are gone; 0: none. */
  readonly position: number
  /** Of whoever dropped them, over `droppedText`; absent: nobody signed that. */
  readonly signature?: string
  readonly documents: readonly RetainedDocuments[]
  /** What those are called who were erased; absent: nobody was. */
  readonly erased?: readonly Uri[]
}

/** Documents of a package that are older than that are gone. */
export interface RetainedDocuments {
  readonly packageName: PackageName
  readonly before: Millis
  readonly signature?: string
}

export const nothingDropped: Retained = { before: 0, position: 0, documents: [] }

export const withLogDropped = (
  { documents, erased }: Retained,
  { before, position, signature }: Omit<Retained, "documents" | "erased">,
): Retained => ({
  before,
  position,
  ...signed(signature),
  documents,
  ...(erased === undefined ? {} : { erased }),
})

/** Whoever is erased twice, because the first attempt was cut off, is one. */
export const withPersonErased = (retained: Retained, standIn: Uri): Retained => {
  const { erased = [] } = retained
  return erased.includes(standIn) ? retained : { ...retained, erased: [...erased, standIn] }
}

export const withDocumentsDropped = (
  retained: Retained,
  { packageName, before, signature }: RetainedDocuments,
): Retained => ({
  ...retained,
  documents: [
    ...retained.documents.filter((documents) => documents.packageName !== packageName),
    { packageName, before, ...signed(signature) },
  ].sort((left, right) => (left.packageName < right.packageName ? -1 : 1)),
})

const signed = (signature: string | undefined) => (signature === undefined ? {} : { signature })

/** What is signed of decisions that were dropped. */
export const droppedText = ({ before, position }: Pick<Retained, "before" | "position">): string =>
  `presently dropped 1\nbefore ${before}\nposition ${position}\n`

/** What is signed of documents that were dropped. */
export const droppedDocumentsText = ({ packageName, before }: RetainedDocuments): string =>
  `presently dropped documents 1\npackage ${packageName}\nbefore ${before}\n`
