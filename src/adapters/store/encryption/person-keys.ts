/**
 * Keys of persons: kept in the table `person_keys`, and those in use in memory.
 *
 * A writer makes the key of somebody it does not know and stores it in the statement that stores the first decision encrypted
 * with it. When there is one already, that statement stores nothing, and is tried again with the right one. While that is how it
 * goes, after a start or with more persons than there is memory for, keys are read first.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import type { PersonKey } from "../../../ports/stored-events.ts"
import { keysIn, newPersonKey } from "./encrypted-decision.ts"

/** In memory; some 400 octets each. */
const keysMax = 200_000

export interface PersonKeys {
  /** Whether persons that are not in memory are likely to have a key. */
  readonly isLikelyStored: () => boolean
  /** All that were new to this process were new to the store. */
  readonly foundNone: () => void
  /** Keys for one append: those in memory, and new ones. */
  readonly draft: () => { readonly keyOf: (person: string) => PersonKey; readonly fresh: PersonKey[] }
  /** They are stored now. */
  readonly keep: (keys: readonly PersonKey[]) => void
  /** Reads the keys of persons that have one. */
  readonly learn: (persons: readonly string[]) => Effect.Effect<void, SqlError.SqlError>
  /** Reads what rows need; then gives them by number. */
  readonly opening: (
    rows: readonly { readonly events: unknown }[],
  ) => Effect.Effect<(id: string) => PersonKey | undefined, SqlError.SqlError>
  readonly forget: (person: string) => void
}

/** One for each client: whoever forgets a key has forgotten it everywhere. */
export const personKeysOf = (sql: PgClient.PgClient): PersonKeys => {
  const known = all.get(sql)
  if (known !== undefined) return known
  const made = makePersonKeys(sql)
  all.set(sql, made)
  return made
}

const all = new WeakMap<PgClient.PgClient, PersonKeys>()

const makePersonKeys = (sql: PgClient.PgClient): PersonKeys => {
  const byPerson = new Map<string, PersonKey>()
  const byId = new Map<string, PersonKey>()
  const keep = (keys: readonly PersonKey[]): void => {
    for (const key of keys) {
      byPerson.set(key.person, key)
      byId.set(key.id, key)
    }
    for (const key of byPerson.values()) {
      if (byPerson.size <= keysMax) break
      byPerson.delete(key.person)
      byId.delete(key.id)
    }
  }
  const keepRows = (rows: readonly PersonKey[]): readonly PersonKey[] => {
    // who asks twice at once gets the same one
    const keys = rows.map((row) => byId.get(row.id) ?? row)
    keep(keys)
    return keys
  }
  let isLikelyStored = true
  return {
    isLikelyStored: () => isLikelyStored,
    foundNone: () => {
      isLikelyStored = false
    },
    draft: () => {
      const fresh: PersonKey[] = []
      const made = new Map<string, PersonKey>()
      const keyOf = (person: string): PersonKey => {
        const known = byPerson.get(person) ?? made.get(person)
        if (known !== undefined) return known
        const key = newPersonKey(person)
        made.set(person, key)
        fresh.push(key)
        return key
      }
      return { keyOf, fresh }
    },
    keep,
    learn: (persons) =>
      sql<PersonKey>`SELECT id, person, key FROM person_keys WHERE person = ANY(${persons}::text[])`.pipe(
        Effect.map((rows) => {
          isLikelyStored = rows.length > 0
          keepRows(rows)
        }),
      ),
    opening: (rows) =>
      Effect.suspend(() => {
        const needed = new Map<string, PersonKey | undefined>()
        for (const { events } of rows) for (const id of keysIn(events)) needed.set(id, byId.get(id))
        const get = (id: string) => needed.get(id)
        const unknown = [...needed].flatMap(([id, key]) => (key === undefined ? [id] : []))
        if (unknown.length === 0) return Effect.succeed(get)
        return sql<PersonKey>`SELECT id, person, key FROM person_keys WHERE id = ANY(${unknown}::text[])`.pipe(
          Effect.map((found) => {
            for (const key of keepRows(found)) needed.set(key.id, key)
            return get
          }),
        )
      }),
    forget: (person) => {
      const key = byPerson.get(person)
      if (key === undefined) return
      byPerson.delete(person)
      byId.delete(key.id)
    },
  }
}
