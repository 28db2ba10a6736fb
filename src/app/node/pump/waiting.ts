/**
 * Fibers that wait for a condition on the pump, without polling.
 *
 * A condition is checked when the wait begins and whenever the pump reports a change. Both happen
 * synchronously, so no change is missed in between; with a latch, a fiber suspended between check and wait
 * could miss one.
 */
import { Effect } from "effect"

export interface Waiting {
  /** Completes when the condition holds. It is checked often, so it must be cheap. */
  readonly until: (condition: () => boolean) => Effect.Effect<void>
  /** Reports a possible change. O(1) if nobody waits. */
  readonly changed: () => void
  /** The number of waiting fibers. */
  readonly count: () => number
}

interface Waiter {
  readonly condition: () => boolean
  readonly goOn: () => void
}

export const makeWaiting = (): Waiting => {
  const waiters = new Set<Waiter>()
  return {
    until: (condition) =>
      Effect.callback<void>((resume) => {
        if (condition()) return resume(Effect.void)
        const waiter: Waiter = { condition, goOn: () => resume(Effect.void) }
        waiters.add(waiter)
        return Effect.sync(() => void waiters.delete(waiter))
      }),
    changed: () => {
      if (waiters.size === 0) return
      for (const waiter of waiters) {
        if (!waiter.condition()) continue
        waiters.delete(waiter)
        waiter.goOn()
      }
    },
    count: () => waiters.size,
  }
}
