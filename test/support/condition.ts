/**
 * Waiting for a condition instead of for time.
 */

/** A guard against a test that hangs, and no expectation: no machine is so busy that this is short. */
export const patienceMillis = 120_000

const pauseMillis = 10

/**
 * Waits until something holds, and asks again every few milliseconds.
 *
 * @param what what is waited for, for the failure
 * @returns what the condition gave at last, when it gave more than true
 * @throws when it does not hold after two minutes
 */
export const holds = async <A>(
  what: string | (() => string),
  condition: () => A | Promise<A>,
  patience = patienceMillis,
): Promise<A> => {
  const until = performance.now() + patience
  for (;;) {
    const found = await condition()
    if (found !== false && found !== null && found !== undefined) return found
    if (performance.now() > until) throw new Error(`never: ${typeof what === "string" ? what : what()}`)
    await new Promise((resolve) => setTimeout(resolve, pauseMillis))
  }
}
