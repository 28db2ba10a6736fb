/**
 * What retention has dropped from the log because of its age. These facts have a stream of their own, because they
 * concern the log as a whole.
 *
 * They are written by the code that drops (`app/retention`) and not decided here, since no live state depends on them.
 */
import type { Millis, PackageName, Uri } from "../vocabulary.ts"

/** The stream of the facts of retention; no presentity can have this name. */
export const retentionStream = "presently:retention" as Uri

/** How far retention has progressed. */
export interface Retained {
  /** Decisions older than this have been dropped; 0: none. */
  readonly before: Millis
  /** Some of the decisions up to this position have been dropped; 0: none. */
  readonly position: number
  /** The signature over `droppedText` by the server that dropped them. Absent: it was not signed. */
  readonly signature?: string
  readonly documents: readonly RetainedDocuments[]
  /** The pseudonyms of the persons who were erased. Absent: nobody was. */
  readonly erased?: readonly Uri[]
}

/** Documents of one package that are older than a given instant have been dropped. */
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

/** A person whose erasure was interrupted and repeated is listed once. */
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

/** The signed text about dropped decisions. */
export const droppedText = ({ before, position }: Pick<Retained, "before" | "position">): string =>
  `presently dropped 1\nbefore ${before}\nposition ${position}\n`

/** The signed text about dropped documents. */
export const droppedDocumentsText = ({ packageName, before }: RetainedDocuments): string =>
  `presently dropped documents 1\npackage ${packageName}\nbefore ${before}\n`
