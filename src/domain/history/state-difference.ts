/**
 * What one decision changed in a state, entry by entry. O(entries of the tables it touched).
 */
import type { State } from "../presentity/state.ts"
import { entries, get, values } from "../table.ts"
import type { Table } from "../table.ts"

/** A new, changed or removed (null) entry of one of the tables of a state. */
export interface ChangedEntry {
  readonly table: string
  readonly key: string
  readonly value: unknown
}

const tables = [
  "hardState",
  "subscriptions",
  "waiting",
  "rules",
  "verdicts",
  "sharingTags",
  "watchersChangedIn",
  "departed",
  "dialogs",
] as const

/** In a fixed order, so that equal differences are reported equally. */
export const changedBetween = (before: State, after: State): readonly ChangedEntry[] => {
  const changed: ChangedEntry[] = []
  const note = (
    table: string,
    left: Table<string | number, unknown>,
    right: Table<string | number, unknown>,
  ) => {
    if (left === right) return
    const differing: ChangedEntry[] = []
    for (const [key, value] of entries(right)) {
      if (get(left, key) !== value) differing.push({ table, key: String(key), value })
    }
    for (const [key] of entries(left)) {
      if (get(right, key) === undefined) differing.push({ table, key: String(key), value: null })
    }
    changed.push(...differing.sort((left, right) => (left.key < right.key ? -1 : 1)))
  }
  if (before.publications !== after.publications) {
    const names = new Set(
      [...entries(before.publications), ...entries(after.publications)].map(([name]) => name),
    )
    for (const name of [...names].sort()) {
      const [publicationsBefore, publicationsAfter] = [
        get(before.publications, name),
        get(after.publications, name),
      ]
      if (publicationsBefore === publicationsAfter) continue
      const value =
        publicationsAfter === undefined
          ? null
          : [...values(publicationsAfter)].sort((a, b) => a.createdIn - b.createdIn)
      changed.push({ table: "publications", key: name, value })
    }
  }
  if (before.retained !== after.retained) changed.push({ table: "retained", key: "", value: after.retained })
  for (const table of tables) {
    note(
      table,
      before[table] as Table<string | number, unknown>,
      after[table] as Table<string | number, unknown>,
    )
  }
  return changed
}
