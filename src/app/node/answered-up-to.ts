/**
 * Up to which place in the log no NOTIFY is without an answer: looked at now and then, so that a NOTIFY costs nothing.
 */
import type { Millis, Position } from "../../domain/vocabulary.ts"

export interface Answered {
  /**
   * @param position the log's end
   * @param at no NOTIFY of a decision up to there was issued later
   * @param oldest issue time of the oldest NOTIFY without an answer; null: there is none
   */
  readonly note: (position: Position, at: Millis, oldest: Millis | null) => void
  readonly upTo: () => Position
}

/** Looks that are remembered: one a second, and no NOTIFY waits longer for its answer than some 50 s. */
const looksMax = 128

/** @param from up to where that is known already */
export const makeAnswered = (from: Position = 0): Answered => {
  let looks: { readonly position: Position; readonly at: Millis }[] = []
  let upTo: Position = from
  /** A clock that is set back makes no look earlier than those before it: what it issued while it stood ahead is not passed by. */
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
      // where there is no room for more, the older ones say enough
      if (looks.length < looksMax) looks.push({ position, at: latest })
    },
    upTo: () => upTo,
  }
}
