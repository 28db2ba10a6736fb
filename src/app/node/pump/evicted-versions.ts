/**
 * Versions of presentities that had nothing alive when they left memory: they save a second attempt when such a presentity comes
 * back.
 *
 * Two generations: when the newer one is full, the older one is forgotten whole. To forget the oldest entry of one map again and
 * again costs ten times as much, since a `Map` walks over every place that was freed before it.
 */
import type { State } from "../../../domain/presentity/state.ts"
import type { Uri } from "../../../domain/vocabulary.ts"

export type EvictedVersion = Pick<State, "version" | "decidedAt">

export interface EvictedVersions {
  readonly keep: (presentity: Uri, version: EvictedVersion) => void
  /** Gives what is known of a presentity, and forgets it. */
  readonly take: (presentity: Uri) => EvictedVersion | undefined
  readonly forget: (presentity: Uri) => void
  readonly size: () => number
}

/** Kept at most; the newest half of them always is. */
const evictedMax = 100_000

export const makeEvictedVersions = (max = evictedMax): EvictedVersions => {
  let newer = new Map<Uri, EvictedVersion>()
  let older = new Map<Uri, EvictedVersion>()
  const forget = (presentity: Uri): void => {
    newer.delete(presentity)
    older.delete(presentity)
  }
  return {
    keep: (presentity, version) => {
      older.delete(presentity)
      newer.set(presentity, version)
      if (newer.size < max / 2) return
      older = newer
      newer = new Map()
    },
    take: (presentity) => {
      const known = newer.get(presentity) ?? older.get(presentity)
      if (known !== undefined) forget(presentity)
      return known
    },
    forget,
    size: () => newer.size + older.size,
  }
}
