/**
 * Reads pages as they are needed, and gives one item at a time.
 */
import { Effect } from "effect"

export interface OneByOne<A, E> {
  /** The next item; null: there is none. */
  readonly peek: Effect.Effect<A | null, E>
  readonly take: () => void
}

/**
 * @param read the items after a place, in order; none: the end
 * @param from the place before the first
 */
export const oneByOne = <A, E>(
  read: (after: bigint) => Effect.Effect<readonly A[], E>,
  placeOf: (item: A) => bigint,
  from: bigint,
): OneByOne<A, E> => {
  let page: readonly A[] = []
  let next = 0
  let after = from
  return {
    peek: Effect.gen(function* () {
      if (next >= page.length) {
        page = yield* read(after)
        next = 0
        const last = page.at(-1)
        if (last !== undefined) after = placeOf(last)
      }
      return page[next] ?? null
    }),
    take: () => void next++,
  }
}
