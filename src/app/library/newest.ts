/**
 * The notifications of one watcher, which takes them at its own pace: only the newest waits, and says how many were skipped.
 *
 * A notification counts as taken when the watcher asks for the next one, or leaves.
 */
import type { Sink } from "./delivery.ts"
import type { Notification } from "./requests.ts"

export interface Newest {
  readonly sink: Sink
  /** Nothing more comes; what waits can still be taken. */
  readonly end: () => void
  /** @param left called when the watcher leaves before the end */
  readonly iterate: (left: () => void) => AsyncIterator<Notification>
}

interface Waiting {
  readonly notification: Notification
  readonly taken: () => void
}

/** @param ended called when the subscription has ended, or `end` was called */
export const makeNewest = (ended: () => void = () => {}): Newest => {
  /** At most two: the newest state, and the end of the subscription. */
  let waiting: Waiting[] = []
  const takers: ((result: IteratorResult<Notification>) => void)[] = []
  /** Delivered, and not yet taken. */
  let held: (() => void) | null = null
  let isOver = false

  const done = { done: true, value: undefined } as const

  const release = (): void => {
    const taken = held
    held = null
    taken?.()
  }

  const hand = ({ notification, taken }: Waiting): IteratorResult<Notification> => {
    // the next one was asked for already
    if (takers.length > 0) taken()
    else held = taken
    return { done: false, value: notification }
  }

  const end = (): void => {
    if (isOver) return
    isOver = true
    for (const taker of takers.splice(0)) taker(done)
    ended()
  }

  /** Replaces a waiting notification by a newer one. */
  const merged = (older: Waiting, { notification, taken }: Waiting): Waiting => ({
    notification: { ...notification, skipped: notification.skipped + older.notification.skipped + 1 },
    taken: () => {
      older.taken()
      taken()
    },
  })

  return {
    sink: (notification, taken) => {
      if (isOver) return taken()
      const newer = { notification, taken }
      const taker = takers.shift()
      const [older] = waiting
      if (taker !== undefined) taker(hand(newer))
      else if (older === undefined || notification.state === "terminated") waiting.push(newer)
      else waiting = [merged(older, newer)]
      if (notification.state === "terminated") end()
    },
    end,
    iterate: (leave) => ({
      next: () => {
        release()
        const next = waiting.shift()
        if (next !== undefined) return Promise.resolve(hand(next))
        return isOver ? Promise.resolve(done) : new Promise((resolve) => takers.push(resolve))
      },
      return: () => {
        release()
        for (const { taken } of waiting) taken()
        waiting = []
        if (!isOver) leave()
        return Promise.resolve(done)
      },
    }),
  }
}
