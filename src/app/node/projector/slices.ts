/**
 * Splits writes into slices, so that each blocks the event loop for a few milliseconds only: serializing a
 * state takes about 15 microseconds for each subscription and publication, and a row of a table as long.
 */
import type { State } from "../../../domain/presentity/state.ts"
import { size, values } from "../../../domain/table.ts"

/** Subscriptions and publications, or rows, in one statement. */
const weightMax = 250

/** Presentities in one statement. */
const countMax = 100

/** The size of a state for writing: its subscriptions, publications and waiting watchers. */
export const weightOf = (state: State): number => {
  let weight = 1 + size(state.subscriptions) + size(state.waiting)
  for (const publications of values(state.publications)) weight += size(publications)
  return weight
}

/** Fills slices in order; an item larger than the maximum gets a slice of its own. */
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
