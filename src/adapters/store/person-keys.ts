/**
 * Keys of persons: kept in the table `person_keys`, and those in use in memory.
 *
 * A writer makes the key of somebody new by itself and stores it in the statement that stores the first decision encrypted with
 * it. Had somebody else made one before, that statement stores nothing, and is tried again with the right one.
 */
import { randomBytes } from "node:crypto"
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import { keysIn, personKey } from "./sealed.ts"
import type { PersonKey } from "./sealed.ts"

/** In memory; some 400 octets each. */
const keysMax = 50_000

interface KeyRow {
  readonly id: string
  readonly person: string
  readonly key: Uint8Array
}

export interface PersonKeys {
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
    for (const [person, { id }] of byPerson) {
      if (byPerson.size <= keysMax) break
      byPerson.delete(person)
      byId.delete(id)
    }
  }
  const keepRows = (rows: readonly KeyRow[]): readonly PersonKey[] => {
    const keys = rows.map(({ id, person, key }) => personKey(id, person, key))
    keep(keys)
    return keys
  }
  return {
    draft: () => {
      const fresh: PersonKey[] = []
      const made = new Map<string, PersonKey>()
      const keyOf = (person: string): PersonKey => {
        const known = byPerson.get(person) ?? made.get(person)
        if (known !== undefined) return known
        const key = personKey(randomBytes(6).toString("hex"), person, randomBytes(32))
        made.set(person, key)
        fresh.push(key)
        return key
      }
      return { keyOf, fresh }
    },
    keep,
    learn: (persons) =>
      sql<KeyRow>`SELECT id, person, key FROM person_keys WHERE person = ANY(${persons}::text[])`.pipe(
        Effect.map((rows) => void keepRows(rows)),
      ),
    opening: (rows) =>
      Effect.suspend(() => {
        const needed = new Map<string, PersonKey | undefined>()
        for (const { events } of rows) for (const id of keysIn(events)) needed.set(id, byId.get(id))
        const get = (id: string) => needed.get(id)
        const unknown = [...needed].flatMap(([id, key]) => (key === undefined ? [id] : []))
        if (unknown.length === 0) return Effect.succeed(get)
        return sql<KeyRow>`SELECT id, person, key FROM person_keys WHERE id = ANY(${unknown}::text[])`.pipe(
          Effect.map((found) => {
            for (const key of keepRows(found)) needed.set(key.id, key)
            return get
          }),
        )
      }),
    forget: (person) => {
      const key = byPerson.get(person)
      byPerson.delete(person)
      if (key !== undefined) byId.delete(key.id)
    },
  }
}
