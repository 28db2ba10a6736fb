/**
 * Items put by one side and taken by the other with `for await`.
 */

export interface Mailbox<T> {
  readonly put: (item: T) => void
  /** What is in it can still be taken; then the iteration ends. */
  readonly end: () => void
  /** @param left called when the taker goes away before the end */
  readonly iterate: (left: () => void) => AsyncIterator<T>
}

export const makeMailbox = <T>(): Mailbox<T> => {
  const items: T[] = []
  const takers: ((result: IteratorResult<T>) => void)[] = []
  let ended = false
  return {
    put: (item) => {
      if (ended) return
      const taker = takers.shift()
      if (taker === undefined) items.push(item)
      else taker({ done: false, value: item })
    },
    end: () => {
      ended = true
      for (const taker of takers.splice(0)) taker({ done: true, value: undefined })
    },
    iterate: (left) => ({
      next: () => {
        const item = items.shift()
        if (item !== undefined) return Promise.resolve({ done: false, value: item })
        if (ended) return Promise.resolve({ done: true, value: undefined })
        return new Promise((resolve) => takers.push(resolve))
      },
      return: () => {
        items.length = 0
        if (!ended) left()
        return Promise.resolve({ done: true, value: undefined })
      },
    }),
  }
}
