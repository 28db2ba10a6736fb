/**
 * Fibers that wait for something to become true of the pump, without asking again and again.
 *
 * Each waits for a condition of its own, which is looked at when it begins to wait and whenever the pump says that something has
 * changed. Both happen synchronously, so no change is missed in between; with a latch, a fiber that was put off between its look and
 * its wait would miss one.
 */
import { Effect } from "effect"

export interface Waiting {
  /** Succeeds when the condition holds. It is looked at often, so it has to be cheap. */
  readonly until: (condition: () => boolean) => Effect.Effect<void>
  /** Something may have changed: whoever waited for it goes on. O(1) when nobody waits. */
  readonly changed: () => void
  /** How many wait. */
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
