/**
 * The cost of work: processor time, compared with that of the same work on more input. Never wall-clock time, which
 * depends on what else the machine does.
 */

/** Below this the processor clock is too coarse. */
const measurableMicros = 1_000
/**
 * Measures again until one result is good: other threads of this process count as well, other work evicts caches,
 * garbage is collected, code is compiled.
 */
const attemptsMax = 15

const microsOf = (work: () => void): number => {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return user + system
}

interface Measured {
  /** Microseconds of processor time for one run. */
  readonly micros: number
  /** The number of runs needed for a measurement. */
  readonly runs: number
}

/** @param from the number of runs that was sufficient before */
const costOf = (work: () => void, from = 1): Measured => {
  for (let runs = from; ; runs *= 3) {
    const micros = microsOf(() => {
      for (let run = 0; run < runs; run++) work()
    })
    if (micros >= measurableMicros) return { micros: micros / runs, runs }
  }
}

/**
 * Fails if the cost is more than proportional: eight times the input may take up to 24 times the processor time, since
 * more of it misses the caches; quadratic work takes 64 times.
 *
 * @param title what is measured, for the failure message
 * @param work prepares input of the given size and returns the work on it
 * @param size of the smaller input; eight times as much should stay below 20 kB, because larger texts are allocated
 *   differently
 * @throws with the measured times, if every measurement exceeds the bound
 */
export const assertLinear = (title: string, work: (size: number) => () => void, size: number): void => {
  const factor = 8
  const [small, large] = [work(size), work(factor * size)]
  // until everything is compiled, even little work is slow
  const { runs } = costOf(small)
  large()
  let [least, most] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let measured = 0; measured < 2; measured++) least = Math.min(least, costOf(small, runs).micros)
  for (let attempt = 1; ; attempt++) {
    most = Math.min(most, costOf(large).micros)
    if (most <= 3 * factor * least) return
    if (attempt === attemptsMax) break
    least = Math.min(least, costOf(small, runs).micros)
  }
  throw new Error(`${title}: ${factor} times as much takes ${(most / least).toFixed(1)} times the processor`)
}
