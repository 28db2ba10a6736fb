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
  /** By package: documents older than that are gone. */
  readonly documents: readonly (readonly [PackageName, Millis])[]
}

export const nothingDropped: Retained = { before: 0, position: 0, documents: [] }

/** With the documents of a package gone up to an instant. */
export const withoutDocuments = (
  { documents, ...rest }: Retained,
  packageName: PackageName,
  before: Millis,
): Retained => ({
  ...rest,
  documents: [...documents.filter(([name]) => name !== packageName), [packageName, before] as const].sort(
    ([one], [other]) => (one < other ? -1 : 1),
  ),
})
