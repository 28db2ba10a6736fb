/**
 * A bounded queue between a producer and a consumer that uses `for await`.
 */

export interface Mailbox<T> {
  readonly put: (item: T) => void
  /** Items in the queue can still be taken; then the iteration ends. */
  readonly end: () => void
  /** @param left called once when the consumer left before the end, or fell behind */
  readonly iterate: (left: () => void) => AsyncIterator<T>
}

/**
 * @param max items that may wait; one more, and nothing is put any more: the waiting items are delivered, then the iteration
 *   throws
 * @param overflow the error thrown then
 */
export const makeMailbox = <T>(max: number, overflow: () => Error): Mailbox<T> => {
  let items: T[] = []
  const takers: { readonly resolve: (result: IteratorResult<T>) => void }[] = []
  let ended = false
  let fault: Error | null = null
  let leave = (): void => {}
  return {
    put: (item) => {
      if (ended || fault !== null) return
      const taker = takers.shift()
      if (taker !== undefined) return taker.resolve({ done: false, value: item })
      if (items.length < max) return void items.push(item)
      fault = overflow()
      leave()
    },
    end: () => {
      ended = true
      for (const taker of takers.splice(0)) taker.resolve({ done: true, value: undefined })
    },
    iterate: (left) => {
      leave = left
      return {
        next: () => {
          const item = items.shift()
          if (item !== undefined) return Promise.resolve({ done: false, value: item })
          if (fault !== null) {
            const thrown = fault
            // thrown once; then the iteration is over, as after any error
            fault = null
            ended = true
            return Promise.reject(thrown)
          }
          if (ended) return Promise.resolve({ done: true, value: undefined })
          return new Promise((resolve) => takers.push({ resolve }))
        },
        return: () => {
          items = []
          fault = null
          if (!ended) {
            ended = true
            for (const taker of takers.splice(0)) taker.resolve({ done: true, value: undefined })
            left()
          }
          return Promise.resolve({ done: true, value: undefined })
        },
      }
    },
  }
}
