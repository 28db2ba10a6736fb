/**
 * Places that failed a short while ago: where a name leads to several, they are tried last.
 *
 * Bounded in number and time. A place that answers is forgotten; one that is still marked when nothing else is left is
 * tried all the same, so that a mark never keeps a NOTIFY from being sent.
 *
 * @source RFC 3263 §4.3, RFC 3261 §21.5.4
 */
import type { Place } from "./allowances.ts"

export interface DeadTargets {
  /** @param millis for how long; absent: as long as the limits say */
  readonly add: (place: Place, millis?: number) => void
  readonly remove: (place: Place) => void
  readonly has: (place: Place) => boolean
  readonly size: () => number
}

const targetsMax = 10_000
/** The longest Retry-After that is believed. */
const longestMs = 600_000

export const makeDeadTargets = (usualMs: number, clock: () => number): DeadTargets => {
  /** Until when, the oldest first. */
  const dead = new Map<Place, number>()
  return {
    add: (place, millis = usualMs) => {
      dead.delete(place)
      if (usualMs === 0 || millis === 0) return
      if (dead.size >= targetsMax) {
        const [oldest] = dead.keys()
        dead.delete(oldest!)
      }
      dead.set(place, clock() + Math.min(millis, longestMs))
    },
    remove: (place) => {
      if (dead.size > 0) dead.delete(place)
    },
    has: (place) => {
      if (dead.size === 0) return false
      const until = dead.get(place)
      if (until === undefined) return false
      if (until > clock()) return true
      dead.delete(place)
      return false
    },
    size: () => dead.size,
  }
}

/** What lives before what is dead, each in its order. */
export const livingFirst = <T>(all: readonly T[], isDead: (target: T) => boolean): readonly T[] => {
  const dead = all.filter(isDead)
  return dead.length === 0 ? all : [...all.filter((target) => !dead.includes(target)), ...dead]
}
