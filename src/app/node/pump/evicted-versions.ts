/**
 * Versions of presentities that had nothing alive when they were evicted from memory; they save a conflict
 * when such a presentity returns.
 *
 * Two generations: when the newer is full, the older is dropped as a whole. Deleting the oldest entries of
 * one `Map` one by one costs ten times as much, because it scans over all slots freed before.
 */
import type { State } from "../../../domain/presentity/state.ts"
import type { Uri } from "../../../domain/vocabulary.ts"

export type EvictedVersion = Pick<State, "version" | "decidedAt">

export interface EvictedVersions {
  readonly keep: (presentity: Uri, version: EvictedVersion) => void
  /** Removes and returns what is known about a presentity. */
  readonly take: (presentity: Uri) => EvictedVersion | undefined
  readonly forget: (presentity: Uri) => void
  readonly size: () => number
}

/** Maximum; at least the newest half is always kept. */
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
