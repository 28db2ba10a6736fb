/**
 * What it takes to make the log forget: which decisions are old, what has to stay of them, and taking them away in pieces
 * that hold nobody up for long.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { freeze } from "../../../domain/presentity/snapshot.ts"
import type { State } from "../../../domain/presentity/state.ts"
import type { Millis, PackageName, Uri } from "../../../domain/vocabulary.ts"
import { readStoredSnapshot } from "../../../encoding/stored-snapshot.ts"
import { deletedPerStatement } from "../../../ports/log-retention.ts"
import type { ExpiringStream, LandmarkKey, OldRow, RetentionStore } from "../../../ports/log-retention.ts"
import type { StoredEvents } from "../../../ports/stored-events.ts"
import { personKeysOf } from "../encryption/person-keys.ts"
import { fenced } from "../writer/claim.ts"
import { otherPrograms } from "./connections.ts"
import { makePartitions } from "./migrations.ts"
import { answering } from "./unavailable.ts"

/** Streams, or rows, of one statement. */
const streamsPerPage = 200
const rowsPerPage = 500

/** How long everybody may have to wait behind us for the log, when somebody who reads it keeps us waiting. */
const lockPatience = "500ms"

interface ExpiringStreamRow {
  readonly number: bigint
  readonly stream: string | null
  readonly version: bigint
  readonly at: Date
  readonly position: bigint
  readonly decisions: bigint
  readonly newest: bigint | null
  readonly snapshot_version: bigint | null
  readonly snapshot: unknown
  readonly is_out_of_order: boolean
}

export const makeRetention = (sql: PgClient.PgClient): RetentionStore => {
  const retention = { ...partitionsOf(sql), ...streamsOf(sql), ...keysOf(sql), ...documentsOf(sql) }
  /** Whoever lost the log drops nothing of it. */
  const own =
    <Args extends readonly unknown[], A, E>(write: (...args: Args) => Effect.Effect<A, E>) =>
    (...args: Args) =>
      fenced(sql, write(...args))
  return answering({
    ...retention,
    keepBeginnings: own(retention.keepBeginnings),
    deleteStrays: own(retention.deleteStrays),
    deleteLandmarks: own(retention.deleteLandmarks),
    forget: own(retention.forget),
    dropKeys: own(retention.dropKeys),
    saveDocumentsGone: own(retention.saveDocumentsGone),
    rewrite: own(retention.rewrite),
    rewriteLandmarks: own(retention.rewriteLandmarks),
  })
}

/** Months of the log, and decisions outside of them. */
const partitionsOf = (sql: PgClient.PgClient) => ({
  makePartitions: (now: Date) =>
    fenced(sql, makePartitions(now)).pipe(Effect.provideService(SqlClient.SqlClient, sql)),

  /** How far the tables are, and with them snapshots. */
  shown: sql<{ pos: bigint }>`SELECT pos FROM checkpoints WHERE name = 'tables'`.pipe(
    Effect.map(([row]) => Number(row?.pos ?? 0)),
  ),

  /** Months of the log that have a partition of their own, oldest first: `2026-01` with what it is called. */
  months: sql<{ name: string }>`
    SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_[0-9]{4}_[0-9]{2}$' ORDER BY 1`.pipe(
    Effect.map((rows) => rows.map(({ name }) => ({ name, month: `${name.slice(7, 11)}-${name.slice(12)}` }))),
  ),

  /** How many decisions there are between two instants, by month or day (UTC), oldest first. O(them). */
  amounts: (unit: "month" | "day", from: Millis, before: Millis) =>
    sql<{ begin: Date; count: bigint }>`
      SELECT date_trunc(${unit}::text, at, 'UTC') AS begin, count(*) AS count FROM events
      WHERE at >= to_timestamp(${from}::float8 / 1000.0) AND at < to_timestamp(${before}::float8 / 1000.0)
      GROUP BY 1 ORDER BY 1`.pipe(
      Effect.map((rows) =>
        rows.map(({ begin, count }) => ({ begin: begin.getTime(), count: Number(count) })),
      ),
    ),

  /** About how many there are from an instant on: by their positions. O(1). */
  size: (from: Millis) =>
    sql<{ size: bigint }>`
      SELECT coalesce((SELECT pos FROM events ORDER BY pos DESC LIMIT 1) - (SELECT pos FROM events
        WHERE at >= to_timestamp(${from}::float8 / 1000.0) ORDER BY pos LIMIT 1) + 1, 0) AS size`.pipe(
      Effect.map(([row]) => Number(row?.size ?? 0)),
    ),

  /** Whether there are decisions older than that outside those. */
  hasStrays: (before: Millis) =>
    sql`SELECT FROM events_default WHERE at < to_timestamp(${before}::float8 / 1000.0) LIMIT 1`.pipe(
      Effect.map((rows) => rows.length > 0),
    ),

  /** @returns false: somebody reads the log and lets nobody near it */
  dropMonth: (name: string) =>
    fenced(
      sql,
      sql.unsafe(
        `DO $drop$ BEGIN PERFORM set_config('lock_timeout', '${lockPatience}', true); DROP TABLE IF EXISTS ${name}; END $drop$`,
      ),
    ).pipe(
      Effect.as(true),
      Effect.catchIf(isTimeout, () => Effect.succeed(false)),
    ),

  /** @returns how many were deleted; fewer than a statement may: that was all */
  deleteStrays: (before: Millis) =>
    sql`
      DELETE FROM events_default WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM events_default WHERE at < to_timestamp(${before}::float8 / 1000.0)
        LIMIT ${deletedPerStatement}::int)) RETURNING 1 AS one`.pipe(Effect.map((rows) => rows.length)),
})

const expiringStream = (row: ExpiringStreamRow): ExpiringStream => ({
  number: row.number,
  stream: (row.stream ?? `stream ${row.number}`) as Uri,
  version: Number(row.version),
  at: row.at.getTime(),
  position: Number(row.position),
  decisions: Number(row.decisions),
  newest: Number(row.newest ?? 0),
  snapshotVersion: row.snapshot_version === null ? null : Number(row.snapshot_version),
  snapshot: readStoredSnapshot(row.snapshot),
  isOutOfOrder: row.is_out_of_order,
})

/** Streams that lose decisions. */
const streamsOf = (sql: PgClient.PgClient) => ({
  /** Streams with decisions older than that, by number. */
  leaving: (before: Millis, after: bigint) =>
    sql<ExpiringStreamRow>`
      SELECT g.stream AS number, h.stream, g.version, l.at, g.position, g.decisions, h.version AS newest,
        f.version AS snapshot_version, f.state AS snapshot,
        EXISTS (SELECT FROM events k WHERE k.stream = g.stream AND k.version < g.version
          AND k.at >= to_timestamp(${before}::float8 / 1000.0)) AS is_out_of_order
      FROM (SELECT stream, max(version) AS version, max(pos) AS position, count(*) AS decisions FROM events
        WHERE at < to_timestamp(${before}::float8 / 1000.0) AND stream > ${String(after)}::bigint
        GROUP BY stream ORDER BY stream LIMIT ${streamsPerPage}::int) g
      JOIN events l ON l.stream = g.stream AND l.version = g.version
      LEFT JOIN streams h ON h.id = g.stream LEFT JOIN snapshots f ON f.stream = g.stream
      ORDER BY g.stream`.pipe(Effect.map((rows) => rows.map(expiringStream))),

  /** Keeps states of streams with the hash of their newest decision: the next one builds on that. */
  keepBeginnings: (states: readonly State[]) =>
    sql`
      INSERT INTO landmarks (stream, version, at, state, is_beginning, hash)
      SELECT h.id, f.version, e.at, f.state, true, e.hash
      FROM unnest(${states.map((one) => one.presentity)}::text[], ${states.map((one) => one.version)}::bigint[],
        ${states.map((one) => JSON.stringify(freeze(one)))}::json[]) AS f(stream, version, state)
      JOIN streams h ON h.stream = f.stream JOIN events e ON e.stream = h.id AND e.version = f.version
      ON CONFLICT (stream, version) DO UPDATE SET is_beginning = true, hash = excluded.hash, at = excluded.at`.pipe(
      Effect.asVoid,
    ),

  /** Landmarks older than the beginning of their stream. */
  deleteLandmarks: (before: Millis) =>
    sql`
      DELETE FROM landmarks l USING (
        SELECT o.stream, o.version FROM landmarks o
        WHERE o.at < to_timestamp(${before}::float8 / 1000.0) AND EXISTS (
          SELECT FROM landmarks n WHERE n.stream = o.stream AND n.version > o.version AND n.is_beginning)
        LIMIT ${deletedPerStatement}::int) old
      WHERE l.stream = old.stream AND l.version = old.version RETURNING 1 AS one`.pipe(
      Effect.map((rows) => rows.length),
    ),

  /** Forgets streams of which no decision is left and nothing alive, unless they get one at this moment. */
  forget: (after: bigint) =>
    sql<{ last: bigint; forgotten: bigint }>`
      WITH empty AS MATERIALIZED (
        SELECT h.id, h.version FROM streams h JOIN snapshots f ON f.stream = h.id AND f.version = h.version
        JOIN landmarks l ON l.stream = h.id AND l.version = h.version AND l.is_beginning
        WHERE h.id > ${String(after)}::bigint AND f.state IS NULL
          AND NOT EXISTS (SELECT FROM events e WHERE e.stream = h.id)
        ORDER BY h.id LIMIT ${streamsPerPage}::int),
      gone AS (DELETE FROM streams h USING empty WHERE h.id = empty.id AND h.version = empty.version RETURNING h.id),
      snapshots_gone AS (DELETE FROM snapshots f USING gone WHERE f.stream = gone.id),
      landmarks_gone AS (DELETE FROM landmarks l USING gone WHERE l.stream = gone.id)
      SELECT max(id) AS last, (SELECT count(*) FROM gone) AS forgotten FROM empty`.pipe(
      Effect.map(([row]) =>
        row?.last == null ? null : { last: row.last, forgotten: Number(row.forgotten) },
      ),
    ),
})

/** Keys of persons of whom nothing is left. */
const keysOf = (sql: PgClient.PgClient) => ({
  /** Keys that no decision needs up to the newest one, and where that is. O(the log). */
  unusedKeys: Effect.gen(function* () {
    const [last] = yield* sql<{ pos: bigint }>`SELECT coalesce(max(pos), 0) AS pos FROM events`
    const rows = yield* sql<{ id: string }>`
      WITH used AS (
        SELECT e.events->>'of' AS id FROM events e WHERE json_typeof(e.events) = 'object'
        UNION
        SELECT by.id FROM events e CROSS JOIN LATERAL json_array_elements_text(e.events->'by') AS by(id)
        WHERE json_typeof(e.events) = 'object')
      SELECT k.id FROM person_keys k LEFT JOIN used USING (id) WHERE used.id IS NULL`
    return { ids: rows.map(({ id }) => id), position: last?.pos ?? 0n }
  }),

  /** Drops those that no later decision needs either. Nobody may write to the log meanwhile. */
  dropKeys: (ids: readonly string[], position: bigint) =>
    sql<{ person: string }>`
      DELETE FROM person_keys k WHERE k.id = ANY(${ids}::text[]) AND NOT EXISTS (
        SELECT FROM events e WHERE e.pos > ${String(position)}::bigint AND strpos(e.events::text, k.id) > 0)
      RETURNING person`.pipe(
      Effect.map((rows) => {
        for (const { person } of rows) personKeysOf(sql).forget(person)
        return rows.length
      }),
    ),

  otherPrograms: otherPrograms(sql),
})

/** Documents that are too old. */
const documentsOf = (sql: PgClient.PgClient) => ({
  /** Up to when documents of a package are gone for sure. */
  documentsGone: (packageName: PackageName) =>
    sql<{ at: Date }>`SELECT at FROM checkpoints WHERE name = ${`documents ${packageName}`}`.pipe(
      Effect.map(([row]) => row?.at.getTime() ?? 0),
    ),

  saveDocumentsGone: (packageName: PackageName, before: Millis) =>
    sql`
      INSERT INTO checkpoints (name, pos, at)
      VALUES (${`documents ${packageName}`}, 0, to_timestamp(${before}::float8 / 1000.0))
      ON CONFLICT (name) DO UPDATE SET at = excluded.at`.pipe(Effect.asVoid),

  /** Decisions between two instants that name a package, by position; as they stand. */
  oldRows: (from: Millis, before: Millis, packageName: PackageName, after: bigint) =>
    sql<{ pos: bigint; at: Date; events: unknown }>`
      SELECT pos, at, events FROM events
      WHERE at >= to_timestamp(${from}::float8 / 1000.0) AND at < to_timestamp(${before}::float8 / 1000.0)
        AND pos > ${String(after)}::bigint
        AND strpos(events::text, ${`"packageName":${JSON.stringify(packageName)}`}) > 0
      ORDER BY pos LIMIT ${rowsPerPage}::int`.pipe(
      Effect.map((rows) =>
        rows.map((row): OldRow => ({
          position: row.pos,
          at: row.at,
          events: row.events as StoredEvents,
        })),
      ),
    ),

  /** The keys that rows need, by number. */
  opening: (rows: readonly OldRow[]) => personKeysOf(sql).opening(rows),

  rewrite: (rows: readonly OldRow[]) =>
    sql`
      UPDATE events e SET events = n.events
      FROM unnest(${rows.map((one) => String(one.position))}::bigint[], ${rows.map((one) => one.at.getTime())}::float8[],
        ${rows.map((one) => JSON.stringify(one.events))}::json[]) AS n(pos, at, events)
      WHERE e.pos = n.pos AND e.at = to_timestamp(n.at / 1000.0)`.pipe(Effect.asVoid),

  /** Landmarks older than that, by stream and version. */
  oldLandmarks: (before: Millis, after: LandmarkKey | null) =>
    sql<{ stream: bigint; version: bigint; state: unknown }>`
      SELECT stream, version, state FROM landmarks
      WHERE at < to_timestamp(${before}::float8 / 1000.0)
        AND (stream, version) > (${String(after?.stream ?? 0n)}::bigint, ${String(after?.version ?? 0n)}::bigint)
      ORDER BY stream, version LIMIT 100`,

  rewriteLandmarks: (rows: readonly (LandmarkKey & { readonly state: object })[]) =>
    sql`
      UPDATE landmarks l SET state = n.state
      FROM unnest(${rows.map((one) => String(one.stream))}::bigint[], ${rows.map((one) => String(one.version))}::bigint[],
        ${rows.map((one) => JSON.stringify(one.state))}::json[]) AS n(stream, version, state)
      WHERE l.stream = n.stream AND l.version = n.version`.pipe(Effect.asVoid),
})

/** Somebody else's lock, and not a database that is away. */
const isTimeout = (error: unknown): boolean => /lock timeout|55P03/.test(textOf(error))

const textOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const inner = (error as { readonly reason?: unknown }).reason ?? error.cause
  const code = (error as { readonly code?: unknown }).code
  return `${error.message} ${typeof code === "string" ? code : ""} ${inner === undefined || inner === error ? "" : textOf(inner)}`
}
