/**
 * What work costs: processor time, compared with that of the same work on more. Never time on the wall, which says what
 * else the machine does.
 */

/** Below this the clock of the processor says little. */
const measurableMicros = 1_000
/**
 * Measured anew until one is good: other threads of this process count as well, other work evicts caches, garbage is
 * collected, code is compiled.
 */
const attemptsMax = 15

const microsOf = (work: () => void): number => {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return user + system
}

interface Measured {
  /** Microseconds of processor of one run. */
  readonly micros: number
  /** How many runs it takes for a measurement. */
  readonly runs: number
}

/** @param from how many runs were enough before */
const costOf = (work: () => void, from = 1): Measured => {
  for (let runs = from; ; runs *= 3) {
    const micros = microsOf(() => {
      for (let run = 0; run < runs; run++) work()
    })
    if (micros >= measurableMicros) return { micros: micros / runs, runs }
  }
}

/**
 * Fails when the work takes more than in proportion: eight times as much may take up to 24 times the processor, since more
 * passes the caches; what is quadratic takes 64 times.
 *
 * @param title what is measured, for the failure
 * @param work is given how much, prepares it, and gives the work
 * @param size of the smaller one; eight times as much should stay below 20 kB, since larger texts get their memory otherwise
 * @throws with what it took, when it is more at every measurement
 */
export const assertLinear = (title: string, work: (size: number) => () => void, size: number): void => {
  const factor = 8
  const [small, large] = [work(size), work(factor * size)]
  // until everything is compiled, little work is dear
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
