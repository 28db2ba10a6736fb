/**
 * A first-in, first-out queue in blocks: nothing is copied when it grows or shrinks, and removed items are
 * released.
 */

export interface Queue<Item> {
  readonly push: (item: Item) => void
  /** The oldest item; undefined if the queue is empty. */
  readonly first: () => Item | undefined
  /** Removes the oldest item. */
  readonly shift: () => void
}

const blockItems = 512

interface Block<Item> {
  readonly items: (Item | undefined)[]
  next: Block<Item> | null
}

const block = <Item>(): Block<Item> => ({ items: [], next: null })

export const makeQueue = <Item>(): Queue<Item> => {
  let head = block<Item>()
  let tail = head
  let from = 0
  return {
    push: (item) => {
      if (tail.items.length === blockItems) {
        const next = block<Item>()
        tail.next = next
        tail = next
      }
      tail.items.push(item)
    },
    first: () => head.items[from],
    shift: () => {
      if (from >= head.items.length) return
      head.items[from] = undefined
      from++
      if (from < head.items.length) return
      if (head.next !== null) head = head.next
      else if (from === blockItems) head = tail = block()
      else return
      from = 0
    },
  }
}
