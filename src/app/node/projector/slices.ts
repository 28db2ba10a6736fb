/**
 * What is written is cut into slices, for which the event loop is held up for a few milliseconds each: a state becomes text as a
 * whole, at some 15 microseconds for each of its subscriptions and publications, and a row of a table takes as long.
 */
import type { State } from "../../../domain/presentity/state.ts"
import { size, values } from "../../../domain/table.ts"

/** Subscriptions and publications, or rows, of one statement. */
const weightMax = 250

/** Presentities of one statement. */
const countMax = 100

/** How much there is to be written of a state: its subscriptions, publications and remembered watchers. */
export const weightOf = (state: State): number => {
  let weight = 1 + size(state.subscriptions) + size(state.waiting)
  for (const publications of values(state.publications)) weight += size(publications)
  return weight
}

/** Fills slices in order; an item larger than the maximum gets its own. */
export function* slicesOf<Item>(
  items: Iterable<Item>,
  weigh: (item: Item) => number,
): IterableIterator<readonly Item[]> {
  let slice: Item[] = []
  let weight = 0
  for (const item of items) {
    const more = weigh(item)
    if (slice.length > 0 && (slice.length === countMax || weight + more > weightMax)) {
      yield slice
      slice = []
      weight = 0
    }
    slice.push(item)
    weight += more
  }
  if (slice.length > 0) yield slice
}
