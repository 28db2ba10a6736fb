/**
 * A bucketed timing wheel: which presentity must be looked at next.
 *
 * One entry per key, moved only when its deadline gets earlier; a refresh therefore does no timer work, and when the
 * old deadline comes, the look finds nothing due and arms again. Time is an argument.
 */
import type { Millis } from "../vocabulary.ts"

export interface Deadlines<K> {
  /** Makes sure `key` comes up at `at` or earlier. O(1). */
  readonly arm: (key: K, at: Millis) => void
  readonly disarm: (key: K) => void
  /** Whether `key` would come up at `now`. O(1). */
  readonly isDue: (key: K, now: Millis) => boolean
  /** Takes out every key whose deadline is `now` or earlier, earliest first. O(buckets passed + keys due). */
  readonly due: (now: Millis) => readonly K[]
  readonly size: () => number
}

const bucketMillis = 128

/** Buckets by which time may go back before all keys are put where they belong then. */
const backMax = 8

export const makeDeadlines = <K>(): Deadlines<K> => {
  const armed = new Map<K, Millis>()
  const buckets = new Map<number, Set<K>>()
  /** Every bucket below this one is empty: a deadline that is already past goes into this one. */
  let cursor = Number.NEGATIVE_INFINITY

  const bucketOf = (at: Millis): number => Math.max(cursor, Math.floor(at / bucketMillis))

  /** Time has gone back: what was put into the bucket of the present is due later than all that comes now. O(keys). */
  const turnBack = (to: number): void => {
    cursor = to
    buckets.clear()
    for (const [key, at] of armed) put(key, at)
  }

  const put = (key: K, at: Millis): void => {
    const bucket = bucketOf(at)
    const keys = buckets.get(bucket)
    if (keys === undefined) buckets.set(bucket, new Set([key]))
    else keys.add(key)
  }

  const take = (key: K): void => {
    const at = armed.get(key)
    if (at === undefined) return
    armed.delete(key)
    const bucket = bucketOf(at)
    const keys = buckets.get(bucket)
    keys?.delete(key)
    if (keys?.size === 0) buckets.delete(bucket)
  }

  return {
    arm: (key, at) => {
      const before = armed.get(key)
      if (before !== undefined) {
        if (before <= at) return
        take(key)
      }
      armed.set(key, at)
      put(key, at)
    },
    disarm: take,
    isDue: (key, now) => (armed.get(key) ?? Number.POSITIVE_INFINITY) <= now,
    due: (now) => {
      const last = Math.floor(now / bucketMillis)
      if (last < cursor - backMax) turnBack(last)
      const found: [Millis, K][] = []
      for (const bucket of passedBuckets(buckets, cursor, last)) {
        for (const key of buckets.get(bucket) ?? []) {
          const at = armed.get(key)
          if (at !== undefined && at <= now) found.push([at, key])
        }
      }
      for (const [, key] of found) take(key)
      // whatever is left lies in bucket `last` or above: all that was in lower ones was due
      cursor = Math.max(cursor, last)
      return found.sort(([left], [right]) => left - right).map(([, key]) => key)
    },
    size: () => armed.size,
  }
}

/** The buckets that hold something between two numbers, whichever way of finding them is shorter. */
function* passedBuckets(
  buckets: ReadonlyMap<number, unknown>,
  from: number,
  to: number,
): IterableIterator<number> {
  if (to - from > buckets.size) {
    for (const bucket of buckets.keys()) if (bucket <= to || bucket === from) yield bucket
    return
  }
  for (let bucket = from; bucket <= Math.max(from, to); bucket++) if (buckets.has(bucket)) yield bucket
}
