/**
 * A log as it would have been written before texts were bound to their place: every encrypted row again in the form of then, with keys
 * of then, and the chain over it.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import {
  eventsIn,
  isEnvelope,
  encryptDecision,
} from "../../src/adapters/store/encryption/encrypted-decision.ts"
import { personKeysOf } from "../../src/adapters/store/encryption/person-keys.ts"
import { isPersonalOrigin, mapPersonalFields } from "../../src/adapters/store/encryption/personal-fields.ts"
import type { PersonalFieldMapper } from "../../src/adapters/store/encryption/personal-fields.ts"
import { encryptTextEarlier } from "../../src/adapters/store/encryption/siv.ts"
import { decodeRow } from "../../src/adapters/store/encryption/stored-row.ts"
import { encodeWithDigest, rowHash } from "../../src/adapters/store/integrity/hash-chain.ts"
import type { Decision, Event } from "../../src/domain/presentity/events.ts"
import type { Header, Uri } from "../../src/domain/vocabulary.ts"
import { unpackEvent } from "../../src/encoding/packed-events.ts"
import type { PersonKey, StoredEvents } from "../../src/ports/stored-events.ts"

interface Row {
  readonly pos: bigint
  /** Milliseconds since 1970. */
  readonly at: number
  readonly stream: bigint
  readonly version: bigint
  readonly cause: string
  readonly origin: string
  readonly nonce: string
  readonly events: StoredEvents
}

/** The key that somebody had then. */
const earlierKey = ({ id, person, key }: PersonKey): PersonKey => ({
  id: id.slice(0, 12),
  person,
  key: key.subarray(0, 32),
})

/** A row's events and origin as they stood then. */
const inEarlierForm = (
  row: Pick<Row, "origin" | "nonce" | "events">,
  keyOf: (id: string) => PersonKey | undefined,
): Pick<Row, "origin" | "events"> => {
  if (!isEnvelope(row.events)) return row
  const { of: person, by = [] } = row.events
  const seal = (id: string | undefined, text: string): string =>
    encryptTextEarlier(earlierKey(keyOf(id ?? "")!).key, text)
  const opened = decodeRow(row, keyOf)
  const sealed = opened.events.map((event, index): Event => {
    const places: (number | null)[] = []
    const note = (text: string): string => {
      places.push(placeOf(text))
      return text
    }
    mapPersonalFields(namedEvents(row)[index]!, {
      ...untouched,
      watcher: (uri) => note(uri) as Uri,
      theirs: note,
      address: note,
    })
    const again = (text: string): string => {
      const place = places.shift()!
      return `${place}.${seal(by[place!], text)}`
    }
    const touch: PersonalFieldMapper = {
      body: (body) => (body.dropped === undefined ? { ...body, text: seal(person, body.text) } : body),
      header: ([name, value]): Header => [name, seal(person, value)],
      shown: (digest) => digest,
      own: (text) => seal(person, text),
      watcher: (uri) => again(uri) as Uri,
      theirs: again,
      address: again,
    }
    return mapPersonalFields(event, touch)
  })
  const place = placeOf(row.origin)
  const origin = !isPersonalOrigin(opened.origin)
    ? opened.origin
    : place === null
      ? seal(person, opened.origin)
      : `${place}.${seal(by[place], opened.origin)}`
  const isClear = JSON.stringify(sealed) === JSON.stringify(opened.events) && origin === opened.origin
  const events: StoredEvents = isClear
    ? sealed
    : {
        ...(person === undefined ? {} : { of: person.slice(0, 12) }),
        ...(by.length === 0 ? {} : { by: by.map((id) => id.slice(0, 12)) }),
        events: sealed,
      }
  return { origin, events }
}

/**
 * Writes the rows of a store again: those up to a position as they were then, later ones as they are now, all of them with keys of
 * then. Nobody has keys in memory afterwards.
 */
export const makeEarlier = (sql: PgClient.PgClient, upTo: bigint) =>
  Effect.gen(function* () {
    const rows = yield* sql<Row & { readonly name: string }>`
      SELECT e.pos, (extract(epoch FROM e.at) * 1000)::float8 AS at, e.stream, h.stream AS name, e.version, e.cause, e.origin, e.nonce, e.events
      FROM events e JOIN streams h ON h.id = e.stream ORDER BY e.stream, e.version`
    const keyOf = yield* personKeysOf(sql).opening(rows)
    const persons = yield* sql<PersonKey>`SELECT id, person, key FROM person_keys`
    const byPerson = new Map(persons.map((key) => [key.person, earlierKey(key)]))
    const roots = yield* sql<{ id: bigint; root: Uint8Array }>`SELECT id, root FROM streams`
    const hashes = new Map(roots.map(({ id, root }) => [id, root]))
    for (const row of rows) {
      const said = { ...row, version: Number(row.version) }
      const written =
        row.pos <= upTo
          ? inEarlierForm(row, keyOf)
          : withKeys({ ...said, ...decodeRow(row, keyOf), stream: row.name as Uri }, row, keyOf, byPerson)
      const encoded = encodeWithDigest({ ...said, ...written })
      const hash = rowHash(hashes.get(row.stream)!, row.pos, row.stream, encoded.said)
      hashes.set(row.stream, hash)
      yield* sql`
        UPDATE events SET origin = ${written.origin}, events = ${encoded.encoded}::json, hash = ${hash}
        WHERE pos = ${String(row.pos)}::bigint`
      yield* sql`UPDATE streams SET hash = ${hash} WHERE id = ${String(row.stream)}::bigint`
    }
    yield* sql`UPDATE person_keys SET id = left(id, 12), key = substring(key FROM 1 FOR 32)`
    for (const { person } of persons) personKeysOf(sql).forget(person)
  })

/** The same form with other keys. */
const withKeys = (
  decision: Decision,
  { origin, events }: Row,
  keyOf: (id: string) => PersonKey | undefined,
  byPerson: ReadonlyMap<string, PersonKey>,
): Pick<Row, "origin" | "events"> => {
  if (!isEnvelope(events)) return { origin, events }
  const { by = [] } = events
  let place = placeOf(origin)
  const look = (text: string, watcher: Uri | null): string => {
    if (watcher === null) place ??= placeOf(text)
    return text
  }
  for (const event of namedEvents({ events, nonce: decision.nonce }))
    mapPersonalFields(event, { ...untouched, theirs: look, address: look })
  const requester = place === null ? null : (keyOf(by[place] ?? "")!.person as Uri)
  const sealed = encryptDecision(decision, requester, (person) => byPerson.get(person)!)
  return { origin: sealed.origin, events: sealed.stored }
}

/** The events of a row as they stand there, with their names. */
const namedEvents = ({ events, nonce }: Pick<Row, "events" | "nonce">): readonly Event[] =>
  eventsIn(events).map((event) => unpackEvent(event, nonce) as Event)

const untouched: PersonalFieldMapper = {
  body: (body) => body,
  header: (header) => header,
  shown: (digest) => digest,
  own: (text) => text,
  watcher: (uri) => uri,
  theirs: (text) => text,
  address: (text) => text,
}

/** The place of the key of a watcher's text; null: it is the presentity's, or in clear. */
const placeOf = (stored: string): number | null =>
  /^\d+[:@]/.test(stored) ? Number.parseInt(stored, 10) : null
