/**
 * One watcher that takes its notifications as it can: only the newest waits for it, and says how many were left out.
 *
 * A notification counts as taken when its taker asks for the next one, or goes away: only then it has done with it.
 */
import type { Sink } from "./delivery.ts"
import type { Notification } from "./requests.ts"

export interface Newest {
  readonly sink: Sink
  /** Nothing more comes; what waits can still be taken. */
  readonly end: () => void
  /** @param left called when the taker goes away before the end */
  readonly iterate: (left: () => void) => AsyncIterator<Notification>
}

interface Waiting {
  readonly notification: Notification
  readonly taken: () => void
}

/** @param ended called when the subscription has ended, or `end` was called */
export const makeNewest = (ended: () => void = () => {}): Newest => {
  /** At most two: the newest state, and that the subscription has ended. */
  let waiting: Waiting[] = []
  const takers: ((result: IteratorResult<Notification>) => void)[] = []
  /** Handed over and not done with. */
  let held: (() => void) | null = null
  let isOver = false

  const done = { done: true, value: undefined } as const

  const release = (): void => {
    const taken = held
    held = null
    taken?.()
  }

  const hand = ({ notification, taken }: Waiting): IteratorResult<Notification> => {
    // somebody has asked for the one after it already
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

  /** The newer one in place of one that nobody has taken yet. */
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
      const one = { notification, taken }
      const taker = takers.shift()
      const [older] = waiting
      if (taker !== undefined) taker(hand(one))
      else if (older === undefined || notification.state === "terminated") waiting.push(one)
      else waiting = [merged(older, one)]
      if (notification.state === "terminated") end()
    },
    end,
    iterate: (leave) => ({
      next: () => {
        release()
        const one = waiting.shift()
        if (one !== undefined) return Promise.resolve(hand(one))
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
