/**
 * Waits for a condition instead of for time.
 */

/** Protects against a test that hangs; it is no expectation, because no machine is so busy that this is too short. */
export const patienceMillis = 300_000

const pauseMillis = 10

/**
 * Waits until a condition holds, checking it every few milliseconds.
 *
 * @param description what is awaited, for the failure message
 * @returns the last value of the condition, if it is more than true
 * @throws if the condition does not hold after five minutes
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
 * Starts a measurement for what must not happen too early. There is no counterpart for what must not happen too late,
 * because a machine may be busy for any time.
 *
 * Servers go by the machine's clock, which may be corrected meanwhile by some milliseconds: so the clock that has gone further counts.
 */
export const notBefore = (): ((millis: number) => void) => {
  const since = { steady: performance.now(), clock: Date.now() }
  return (millis) => {
    const passed = Math.max(performance.now() - since.steady, Date.now() - since.clock)
    // timers of Node may fire a millisecond early
    if (passed < millis - 2)
      throw new Error(`after ${passed.toFixed(0)} ms, which is before its time: ${millis} ms`)
  }
}
