/**
 * The one persistent map: replacing an entry gives a new table and leaves the old one as it was.
 *
 * Wraps effect's HashMap, so that rollback is keeping the old reference. Keys are strings or integers only. Iteration
 * order is not meaningful: whoever needs an order sorts by an explicit field.
 */
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"

export type Table<K extends string | number, V> = HashMap.HashMap<K, V>

/** One for all: a presentity has ten tables, and most of them stay empty. */
export const emptyTable = <K extends string | number, V>(): Table<K, V> => noEntries

const noEntries: Table<never, never> = HashMap.empty()

/** The value at `key`, or undefined. O(log₃₂ n). */
export const get = <K extends string | number, V>(table: Table<K, V>, key: K): V | undefined =>
  Option.getOrUndefined(HashMap.get(table, key))

export const has = <K extends string | number, V>(table: Table<K, V>, key: K): boolean =>
  HashMap.has(table, key)

/** A table in which `key` holds `value`. O(log₃₂ n). */
export const set = <K extends string | number, V>(table: Table<K, V>, key: K, value: V): Table<K, V> =>
  HashMap.set(table, key, value)

/** Many `set`s that share their intermediate nodes. */
export const setAll = <K extends string | number, V>(
  table: Table<K, V>,
  entries: Iterable<readonly [K, V]>,
): Table<K, V> =>
  HashMap.mutate(table, (draft) => {
    for (const [key, value] of entries) HashMap.set(draft, key, value)
  })

export const remove = <K extends string | number, V>(table: Table<K, V>, key: K): Table<K, V> =>
  HashMap.remove(table, key)

export const values = <K extends string | number, V>(table: Table<K, V>): IterableIterator<V> =>
  HashMap.values(table)

export const entries = <K extends string | number, V>(table: Table<K, V>): IterableIterator<[K, V]> =>
  HashMap.entries(table)

export const size = <K extends string | number, V>(table: Table<K, V>): number => HashMap.size(table)
