/**
 * Waiting for a condition instead of for time.
 */

/** A guard against a test that hangs, and no expectation: no machine is so busy that this is short. */
export const patienceMillis = 300_000

const pauseMillis = 10

/**
 * Waits until something holds, and asks again every few milliseconds.
 *
 * @param description what is waited for, for the failure
 * @returns what the condition gave at last, when it gave more than true
 * @throws when it does not hold after five minutes
 */
export const holds = async <A>(
  description: string | (() => string),
  condition: () => A | Promise<A>,
  patience = patienceMillis,
): Promise<A> => {
  const until = performance.now() + patience
  for (;;) {
    const value = await condition()
    if (value !== false && value !== null && value !== undefined) return value
    if (performance.now() > until)
      throw new Error(`never: ${typeof description === "string" ? description : description()}`)
    await new Promise((resolve) => setTimeout(resolve, pauseMillis))
  }
}

/**
 * Starts to look at the clock, for what must not happen before its time. There is no counterpart for what must not happen
 * late: a machine may be busy for as long as it likes.
 */
export const notBefore = (): ((millis: number) => void) => {
  const since = performance.now()
  return (millis) => {
    const passed = performance.now() - since
    // timers of Node may be a millisecond early
    if (passed < millis - 2)
      throw new Error(`after ${passed.toFixed(0)} ms, which is before its time: ${millis} ms`)
  }
}
