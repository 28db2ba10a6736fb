/**
 * What it takes to erase somebody: where the log speaks of a person, and taking that away.
 *
 * What is encrypted goes with the key. What is not (names of streams, saved states, rows of tables, dead letters) is found by
 * the person's URI as JSON writes it.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { Snapshot } from "../../../domain/presentity/snapshot.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import { readStoredSnapshot } from "../../../encoding/stored-snapshot.ts"
import type { ClearRow, ErasureStore, SavedState } from "../../../ports/log-retention.ts"
import { moduleTableNames } from "../../../ports/presence-tables.ts"
import type { TableNames } from "../../../ports/presence-tables.ts"
import type { PersonKey, StoredEvents } from "../../../ports/stored-events.ts"
import { personKeysOf } from "../encryption/person-keys.ts"
import { documentsIn } from "../encryption/stored-texts.ts"
import { otherServers } from "./connections.ts"
import { purge } from "./purge.ts"
import { answering } from "./unavailable.ts"

const rowsPerPage = 500

/** @param names what the presence tables are called */
export const makeErasureQueries = (
  sql: PgClient.PgClient,
  names: TableNames = moduleTableNames,
): ErasureStore => {
  return answering({ ...personOf(sql), ...decisionsOf(sql), ...savedOf(sql), ...filesOf(sql, names) })
}

/** A URI as JSON has it. */
const quoted = (person: Uri): string => JSON.stringify(person)

/** Whom the log knows, and how. */
const personOf = (sql: PgClient.PgClient) => ({
  servers: otherServers(sql),

  isKnown: (person: Uri) =>
    sql`
        SELECT FROM streams WHERE stream = ${person} UNION ALL SELECT FROM person_keys WHERE person = ${person}
        UNION ALL SELECT FROM snapshots WHERE state IS NOT NULL AND strpos(state::text, ${quoted(person)}) > 0
        UNION ALL SELECT FROM landmarks WHERE strpos(state::text, ${quoted(person)}) > 0`.pipe(
      Effect.map((rows) => rows.length > 0),
    ),

  keyOf: (person: Uri) =>
    sql<{ id: string; key: Uint8Array }>`SELECT id, key FROM person_keys WHERE person = ${person}`.pipe(
      Effect.map(([row]): PersonKey | null => (row === undefined ? null : { ...row, person })),
    ),

  /** Streams in which something of that person may be alive. */
  aliveIn: (person: Uri) =>
    sql<{ stream: string }>`
        SELECT h.stream FROM snapshots f JOIN streams h ON h.id = f.stream
        WHERE f.state IS NOT NULL AND (h.stream = ${person} OR strpos(f.state::text, ${quoted(person)}) > 0)
        ORDER BY 1`.pipe(Effect.map((rows) => rows.map(({ stream }) => stream as Uri))),
})

/** Decisions that speak of a person, or may. */
const decisionsOf = (sql: PgClient.PgClient) => ({
  /** Decisions that are not encrypted and may speak of a person, by position. */
  clearRows: (person: Uri, after: bigint) =>
    sql<Omit<ClearRow, "position"> & { readonly pos: bigint }>`
        SELECT e.pos, h.stream, e.version, e.origin, e.events FROM events e JOIN streams h ON h.id = e.stream
        WHERE e.pos > ${String(after)}::bigint
          AND (json_typeof(e.events) = 'array' OR e.events->'of' IS NULL AND e.events->'by' IS NULL)
          AND (h.stream = ${person} OR strpos(e.events::text, ${quoted(person)}) > 0)
        ORDER BY e.pos LIMIT ${rowsPerPage}::int`.pipe(
      Effect.map((rows) => rows.map(({ pos, ...row }): ClearRow => ({ ...row, position: pos }))),
    ),

  /** Decisions of the stream of a person in which something may stand in clear that is encrypted now, by position. */
  earlierRows: (person: Uri, after: bigint) =>
    sql<{
      readonly pos: bigint
      readonly at: Date
      readonly origin: string
      readonly events: unknown
    }>`
        SELECT e.pos, e.at, e.origin, e.events FROM streams h JOIN events e ON e.stream = h.id
        WHERE h.stream = ${person} AND e.pos > ${String(after)}::bigint
          AND (e.events::text ~ '"shown":"[^:~@"]|"parameters":"[^:@"]' OR strpos(e.origin, ' source ') > 0)
        ORDER BY e.pos LIMIT ${rowsPerPage}::int`.pipe(
      Effect.map((rows) =>
        rows.map(({ pos, at, origin, events }) => ({
          position: pos,
          at: at.getTime(),
          origin,
          events: events as StoredEvents,
        })),
      ),
    ),

  /** Decisions with documents of others than that person, with the texts of these. */
  documents: (person: Uri, after: bigint) =>
    sql<{
      readonly pos: bigint
      readonly stream: string
      readonly version: bigint
      readonly events: unknown
    }>`
        SELECT e.pos, h.stream, e.version, e.events FROM events e JOIN streams h ON h.id = e.stream
        WHERE e.pos > ${String(after)}::bigint AND h.stream <> ${person}
          AND e.events::text ~ '"(body|rules)":[{]|"headers":'
        ORDER BY e.pos LIMIT ${rowsPerPage}::int`.pipe(
      Effect.flatMap((rows) =>
        Effect.map(personKeysOf(sql).opening(rows), (keyOf) =>
          rows.map(({ pos, stream, version, events }) => ({
            position: pos,
            stream: stream as Uri,
            version: Number(version),
            texts: documentsIn(events as StoredEvents, keyOf),
          })),
        ),
      ),
    ),
})

/** Saved states that speak of a person, and what goes with them. */
const savedOf = (sql: PgClient.PgClient) => ({
  /** Landmarks of the stream of a person, except the one that its log begins with. */
  dropLandmarks: (person: Uri) =>
    sql`
        DELETE FROM landmarks WHERE NOT is_beginning AND stream = (SELECT id FROM streams WHERE stream = ${person})`.pipe(
      Effect.asVoid,
    ),

  /** Landmarks of the streams of others that speak of a person, except those that a log begins with; oldest first. */
  landmarksOf: (person: Uri) =>
    sql<{ stream: string; version: bigint }>`
        SELECT h.stream, l.version FROM landmarks l JOIN streams h ON h.id = l.stream
        WHERE NOT l.is_beginning AND h.stream <> ${person} AND strpos(l.state::text, ${quoted(person)}) > 0
        ORDER BY l.stream, l.version`.pipe(
      Effect.map((rows) =>
        rows.map(({ stream, version }) => ({ stream: stream as Uri, version: Number(version) })),
      ),
    ),

  /** Other saved states that speak of a person. */
  saved: (person: Uri) =>
    sql<SavedState>`
        SELECT stream, version, state FROM landmarks WHERE strpos(state::text, ${quoted(person)}) > 0
        UNION ALL
        SELECT stream, NULL, state FROM snapshots
        WHERE state IS NOT NULL AND strpos(state::text, ${quoted(person)}) > 0`.pipe(
      Effect.map((rows) =>
        rows.map((row): SavedState => ({ ...row, state: readStoredSnapshot(row.state) as Snapshot })),
      ),
    ),

  put: ({ stream, version, state }: SavedState) =>
    Effect.asVoid(
      version === null
        ? sql`UPDATE snapshots SET state = ${JSON.stringify(state)}::json WHERE stream = ${String(stream)}::bigint`
        : sql`UPDATE landmarks SET state = ${JSON.stringify(state)}::json
            WHERE stream = ${String(stream)}::bigint AND version = ${String(version)}::bigint`,
    ),

  /** The name goes with the salt that binds it to the chain, the key with all that it opens. */
  shred: (person: Uri, pseudonym: Uri) =>
    Effect.gen(function* () {
      yield* sql`UPDATE streams SET stream = ${pseudonym}, salt = NULL WHERE stream = ${person}`
      yield* sql`DELETE FROM person_keys WHERE person = ${person}`
      yield* sql`
          DELETE FROM webhook_dead_letters WHERE presentity = ${person} OR strpos(body, ${quoted(person)}) > 0`
      yield* sql`DELETE FROM webhooks WHERE presentity = ${person}`
      yield* Effect.sync(() => personKeysOf(sql).forget(person))
    }),
})

/** What is left in the files of the database. */
const filesOf = (sql: PgClient.PgClient, names: TableNames) => ({
  scrub: purge(sql, [...smallTables, ...Object.values(names)]),
})

/** Tables whose dead rows may speak of a person, beside the presence tables. */
const smallTables = ["streams", "snapshots", "landmarks", "person_keys", "webhooks", "webhook_dead_letters"]
