/**
 * All iterations of a program, which end when presence is closed.
 */
import { Deferred, Exit } from "effect"
import type { Effect } from "effect"
import { makeMailbox } from "./mailbox.ts"
import { FellBehind } from "./refused.ts"

export interface Iterations {
  /** An iteration began; `end` is called when presence has been closed. */
  readonly began: (end: () => void) => void
  /** The iteration ended by itself. */
  readonly left: (end: () => void) => void
  /** What is put from the start of the iteration on. @param from starts putting, and returns a function that stops it */
  readonly live: <T>(
    queue: "notifications" | "decisions",
    from: (put: (item: T) => void) => () => void,
  ) => AsyncIterable<T>
  readonly isClosed: () => boolean
  /** Resolves when presence is being closed. */
  readonly closing: Effect.Effect<void>
  /** Begins to close: new iterations end at once. */
  readonly close: () => void
  /** Ends all remaining iterations. */
  readonly end: () => void
}

/** @param queueMax items kept for a slow reader; one more ends its iteration with FellBehind */
export const makeIterations = (queueMax: number): Iterations => {
  const open = new Set<() => void>()
  const closing = Deferred.makeUnsafe<void>()
  let isClosed = false
  return {
    began: (end) => void open.add(end),
    left: (end) => void open.delete(end),
    live: <T>(queue: "notifications" | "decisions", from: (put: (item: T) => void) => () => void) => ({
      [Symbol.asyncIterator]: () => {
        const mailbox = makeMailbox<T>(queueMax, () => new FellBehind({ queue, max: queueMax }))
        const stop = from(mailbox.put)
        const leave = (): void => {
          stop()
          open.delete(end)
        }
        const end = (): void => {
          leave()
          mailbox.end()
        }
        const iterator = mailbox.iterate(leave)
        if (isClosed) end()
        else open.add(end)
        return iterator
      },
    }),
    isClosed: () => isClosed,
    closing: Deferred.await(closing),
    close: () => {
      isClosed = true
      Deferred.doneUnsafe(closing, Exit.void)
    },
    end: () => {
      for (const end of open) end()
    },
  }
}
