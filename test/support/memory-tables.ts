/**
 * The three tables in memory, written like those of a database: by key, from the given state.
 */
import { Effect } from "effect"
import type { State } from "../../src/domain/presentity/state.ts"
import { nameOf, rowOf, rowsOf } from "../../src/domain/projections/layout.ts"
import type { TableRow } from "../../src/domain/projections/layout.ts"
import type { PresenceTables, TableChange } from "../../src/ports/presence-tables.ts"

export interface MemoryTables {
  readonly service: PresenceTables["Service"]
  /** Every row, by table and name. */
  readonly rows: () => Readonly<Record<string, TableRow>>
}

export const makeMemoryTables = (): MemoryTables => {
  const rows = new Map<string, TableRow>()
  const write = ({ state, keys }: TableChange): void => {
    for (const key of keys) {
      const name = `${key.table} ${nameOf(state, key)}`
      const row = rowOf(state, key)
      if (row === undefined) rows.delete(name)
      else rows.set(name, row)
    }
  }
  return {
    service: { together: (work) => work, write: (changes) => Effect.sync(() => changes.forEach(write)) },
    rows: () => sorted(rows),
  }
}

/** The rows of these states, named as above. */
export const rowsNamed = (states: Iterable<State>): Readonly<Record<string, TableRow>> => {
  const found = new Map<string, TableRow>()
  for (const state of states) {
    for (const key of rowsOf(state)) {
      const row = rowOf(state, key)
      if (row !== undefined) found.set(`${key.table} ${nameOf(state, key)}`, row)
    }
  }
  return sorted(found)
}

const sorted = (rows: ReadonlyMap<string, TableRow>): Readonly<Record<string, TableRow>> =>
  Object.fromEntries([...rows].sort(([left], [right]) => (left < right ? -1 : 1)))
