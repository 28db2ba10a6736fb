/**
 * The position in the log up to which every NOTIFY has an outcome. Sampled periodically, so that a NOTIFY
 * costs nothing.
 */
import type { Millis, Position } from "../../domain/vocabulary.ts"

export interface Answered {
  /**
   * @param position the end of the log @param at no NOTIFY of a decision up to there was issued later @param
   * oldest issue time of the oldest NOTIFY without an outcome; null if there is none
   */
  readonly note: (position: Position, at: Millis, oldest: Millis | null) => void
  readonly upTo: () => Position
}

/** Samples kept: one a second, and no NOTIFY waits for its outcome longer than about 50 s. */
const looksMax = 128

/** @param from the position up to which that is already known */
export const makeAnswered = (from: Position = 0): Answered => {
  let looks: { readonly position: Position; readonly at: Millis }[] = []
  let upTo: Position = from
  /** Monotonic, even if the clock is set back: otherwise NOTIFYs issued while it was ahead would be skipped. */
  let latest: Millis = 0
  return {
    note: (position, at, oldest) => {
      if (oldest === null) {
        upTo = Math.max(upTo, position)
        looks = []
        latest = 0
        return
      }
      latest = Math.max(latest, at, oldest)
      const passed = looks.findLast((look) => look.at < oldest)
      if (passed !== undefined) {
        upTo = Math.max(upTo, passed.position)
        looks = looks.filter((look) => look.at >= oldest)
      }
      // when full, the older samples suffice
      if (looks.length < looksMax) looks.push({ position, at: latest })
    },
    upTo: () => upTo,
  }
}
