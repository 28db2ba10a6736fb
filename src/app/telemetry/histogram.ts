/**
 * Durations as a histogram of plain numbers: one addition per observation.
 */

export interface Histogram {
  /** Upper bounds, in seconds. */
  readonly bounds: readonly number[]
  /** Observations up to each bound and above the one before; one more for those above the last. */
  readonly counts: readonly number[]
  readonly sum: () => number
  /** Adds `times` observations of the same value. */
  readonly observe: (seconds: number, times?: number) => void
}

/** From a millisecond to ten seconds. */
const usual = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const

export const makeHistogram = (bounds: readonly number[] = usual): Histogram => {
  const counts: number[] = Array.from({ length: bounds.length + 1 }, () => 0)
  let sum = 0
  return {
    bounds,
    counts,
    sum: () => sum,
    observe: (seconds, times = 1) => {
      // a clock that was set back has measured nothing
      const value = seconds < 0 ? 0 : seconds
      let index = 0
      while (index < bounds.length && value > bounds[index]!) index += 1
      counts[index]! += times
      sum += value * times
    },
  }
}
