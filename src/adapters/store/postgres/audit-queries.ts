/**
 * The store as somebody sees it who checks it: heads, events, snapshots and the rows of the three tables, page by page,
 * as they stand, whether they make sense or not.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { freeze } from "../../../domain/presentity/snapshot.ts"
import { isEmpty } from "../../../domain/presentity/state.ts"
import type { State } from "../../../domain/presentity/state.ts"
import { layouts } from "../../../domain/projections/layout.ts"
import type { TableName, TableRow, Value } from "../../../domain/projections/layout.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import { readStoredSnapshot, storedSnapshot } from "../../../encoding/stored-snapshot.ts"
import type {
  Beginning,
  FoundRow,
  Gap,
  Head,
  LogAudit,
  LogTimes,
  LoggedDecision,
  Positions,
} from "../../../ports/log-audit.ts"
import { moduleTableNames } from "../../../ports/presence-tables.ts"
import type { TableNames } from "../../../ports/presence-tables.ts"
import type { PersonKey } from "../../../ports/stored-events.ts"
import { personKeysOf } from "../encryption/person-keys.ts"
import { decodeRow } from "../encryption/stored-row.ts"
import { makeLandmarks } from "./landmarks.ts"
import { answering } from "./unavailable.ts"

/** Rows of one statement: a database within the process blocks the event loop for each. */
const pageRows = 1000

/** @param names what the presence tables are called */
export const makeAudit = (sql: PgClient.PgClient, names: TableNames = moduleTableNames): LogAudit =>
  answering({ ...logOf(sql), ...statesOf(sql), ...rowsOf(sql, names) })

/** What was decided. */
const logOf = (sql: PgClient.PgClient) => ({
  positions: Effect.gen(function* () {
    const [row] = yield* sql<{ tables: bigint; last: bigint; lag: bigint; given: bigint }>`
      SELECT c.pos AS tables, (SELECT coalesce(max(pos), 0) FROM events) AS last,
        (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM events_pos_seq) AS given,
        (SELECT count(*) FROM events WHERE pos > c.pos) AS lag
      FROM (SELECT coalesce((SELECT pos FROM checkpoints WHERE name = 'tables'), 0) AS pos) c`
    const positions: Positions = {
      tables: Number(row?.tables ?? 0),
      last: Number(row?.last ?? 0),
      lag: Number(row?.lag ?? 0),
      given: Number(row?.given ?? 0),
    }
    return positions
  }),

  times: sql<{ shown: Date | null; waiting: Date | null; newest: Date | null }>`
    SELECT (SELECT at FROM checkpoints WHERE name = 'tables') AS shown,
      (SELECT at FROM events WHERE pos > coalesce((SELECT pos FROM checkpoints WHERE name = 'tables'), 0)
        ORDER BY pos LIMIT 1) AS waiting,
      (SELECT at FROM events ORDER BY pos DESC LIMIT 1) AS newest`.pipe(
    Effect.map(([row]): LogTimes => ({
      shown: row?.shown?.getTime() ?? null,
      waiting: row?.waiting?.getTime() ?? null,
      newest: row?.newest?.getTime() ?? null,
    })),
  ),

  /** Streams whose decisions are not numbered one after the other up to their head. */
  gaps: gapsIn(sql),

  /** Decisions in the order in which they were stored. */
  decisions: (after: number, upTo: number) =>
    sql<EventRow>`
      SELECT e.pos, e.at, coalesce(h.stream, 'stream ' || e.stream) AS stream, e.version, e.origin, e.nonce, e.events
      FROM events e LEFT JOIN streams h ON h.id = e.stream
      WHERE e.pos > ${after}::bigint AND e.pos <= ${upTo}::bigint ORDER BY e.pos LIMIT ${pageRows}::int`.pipe(
      Effect.flatMap(loggedBy(sql)),
    ),

  /** Decisions of one stream, oldest first. */
  history: (stream: Uri, afterVersion: number, upToVersion: number) =>
    sql<EventRow>`
      SELECT e.pos, e.at, h.stream, e.version, e.origin, e.nonce, e.events
      FROM streams h JOIN events e ON e.stream = h.id
      WHERE h.stream = ${stream} AND e.version > ${afterVersion}::bigint AND e.version <= ${upToVersion}::bigint
      ORDER BY e.version LIMIT ${pageRows}::int`.pipe(Effect.flatMap(loggedBy(sql))),

  /** Streams by name, with their snapshots. */
  heads: (after: string) =>
    sql<{ stream: string; version: bigint; snapshot_version: bigint | null; state: unknown }>`
      SELECT h.stream, h.version, s.version AS snapshot_version, s.state
      FROM streams h LEFT JOIN snapshots s ON s.stream = h.id
      WHERE h.stream > ${after} ORDER BY h.stream LIMIT ${pageRows}::int`.pipe(
      Effect.map((rows) =>
        rows.map((row): Head => ({
          stream: row.stream as Uri,
          version: Number(row.version),
          snapshotVersion: row.snapshot_version === null ? null : Number(row.snapshot_version),
          snapshot: readStoredSnapshot(row.state),
        })),
      ),
    ),
})

const gapsIn = (sql: PgClient.PgClient) =>
  sql<{ stream: string; head: bigint | null; first: bigint; last: bigint; count: bigint }>`
    SELECT coalesce(h.stream, 'stream ' || e.stream) AS stream, h.version AS head, e.first, e.last, e.count
    FROM (SELECT stream, min(version) AS first, max(version) AS last, count(*) AS count FROM events GROUP BY stream) e
    LEFT JOIN streams h ON h.id = e.stream
    WHERE h.id IS NULL OR h.version <> e.last OR e.count <> e.last - e.first + 1
    ORDER BY 1`.pipe(
    Effect.map((rows) =>
      rows.map(({ stream, head, first, last, count }): Gap => ({
        stream,
        why:
          head === null
            ? "has events and no head"
            : head === last
              ? `has ${count} decisions from ${first} to ${last}`
              : `its head stands at ${head}, its newest decision is ${last}`,
      })),
    ),
  )

/** What is saved of it: snapshots and landmarks. */
const statesOf = (sql: PgClient.PgClient) => ({
  /** Numbers of streams that have a snapshot and are not known otherwise. */
  orphans: sql<{ stream: bigint }>`
    SELECT s.stream FROM snapshots s LEFT JOIN streams h ON h.id = s.stream
    WHERE h.id IS NULL ORDER BY s.stream`.pipe(Effect.map((rows) => rows.map((row) => row.stream))),

  /** Whatever was there before, older or newer. */
  putSnapshots: (states: readonly State[]) =>
    sql`
      INSERT INTO snapshots (stream, version, state)
      SELECT h.id, f.version, nullif(f.state, '')::json
      FROM unnest(${states.map((one) => one.presentity)}::text[], ${states.map((one) => one.version)}::bigint[],
        ${states.map((one) => (isEmpty(one) ? "" : JSON.stringify(storedSnapshot(freeze(one)))))}::text[])
        AS f(stream, version, state)
      JOIN streams h ON h.stream = f.stream
      ON CONFLICT (stream) DO UPDATE SET version = excluded.version, state = excluded.state`.pipe(
      Effect.asVoid,
    ),

  /** What stands at the versions of these states, in their order, as JSON says it; null: nothing. */
  landmarks: (states: readonly State[]) =>
    sql<{ state: unknown }>`
      SELECT l.state
      FROM unnest(${states.map((one) => one.presentity)}::text[], ${states.map((one) => one.version)}::bigint[])
        WITH ORDINALITY AS f(stream, version, n)
      LEFT JOIN streams s ON s.stream = f.stream
      LEFT JOIN landmarks l ON l.stream = s.id AND l.version = f.version ORDER BY f.n`.pipe(
      Effect.map((rows) => rows.map((row) => row.state)),
    ),

  /** The newest landmark of each stream at which older decisions were dropped, by number of the stream. */
  beginnings: (after: Beginning | null) =>
    sql<{ number: bigint; stream: string; state: unknown }>`
      SELECT DISTINCT ON (l.stream) l.stream AS number, h.stream, l.state
      FROM landmarks l JOIN streams h ON h.id = l.stream
      WHERE l.is_beginning AND l.stream > ${String(after?.number ?? 0n)}::bigint
      ORDER BY l.stream, l.version DESC LIMIT 200`.pipe(
      Effect.map((rows) => rows.map((row): Beginning => ({ ...row, stream: row.stream as Uri }))),
    ),

  landmarkBefore: makeLandmarks(sql).landmarkBefore,

  putLandmarks: makeLandmarks(sql).saveLandmarks,

  putTablesCheckpoint: (position: number) =>
    sql`UPDATE checkpoints SET pos = ${position}::bigint WHERE name = 'tables'`.pipe(Effect.asVoid),

  deleteSnapshots: (streams: readonly bigint[]) =>
    sql`DELETE FROM snapshots WHERE stream = ANY(${streams.map(String)}::bigint[])`.pipe(Effect.asVoid),
})

/** Rows of the presence tables. */
const rowsOf = (sql: PgClient.PgClient, names: TableNames) => ({
  /** Rows of one of the three tables by `id`. */
  rows: (table: TableName, after: number) =>
    sql<Record<string, unknown> & { readonly id: number }>`
      SELECT * FROM ${sql(nameIn(names, table))} WHERE id > ${after}::int ORDER BY id LIMIT ${pageRows}::int`.pipe(
      Effect.map((rows) => rows.map((row): FoundRow => ({ id: row.id, row: rowIn(table, row) }))),
    ),

  deleteRows: (table: TableName, ids: readonly number[]) =>
    sql`DELETE FROM ${sql(nameIn(names, table))} WHERE id = ANY(${ids}::int[])`.pipe(Effect.asVoid),
})

const nameIn = (names: TableNames, table: TableName): string =>
  table === "active_watchers" ? names.activeWatchers : names[table]

interface EventRow {
  readonly pos: bigint
  readonly at: Date
  readonly stream: string
  readonly version: bigint
  readonly origin: string
  readonly nonce: string
  readonly events: unknown
}

const loggedBy = (sql: PgClient.PgClient) => (rows: readonly EventRow[]) =>
  Effect.map(personKeysOf(sql).opening(rows), (keyOf) => rows.map((row) => logged(row, keyOf)))

const logged = (row: EventRow, keyOf: (id: string) => PersonKey | undefined): LoggedDecision => {
  let events: LoggedDecision["events"]
  try {
    events = decodeRow(row, keyOf).events
  } catch (cause) {
    events = (cause instanceof Error ? cause.message : String(cause)).replaceAll(/\s+/g, " ")
  }
  return {
    position: Number(row.pos),
    stream: row.stream as Uri,
    version: Number(row.version),
    at: row.at.getTime(),
    events,
  }
}

/** The columns there ought to be; one that is missing or of another type is null. */
const rowIn = (table: TableName, found: Readonly<Record<string, unknown>>): TableRow => {
  const row: Record<string, Value> = {}
  for (const column of layouts[table].columns) {
    const value = found[column]
    if (value instanceof Uint8Array) row[column] = textOf(Buffer.from(value), column)
    else row[column] = typeof value === "string" || typeof value === "number" ? value : null
  }
  return row
}

/** As rows say it: headers by octets, bodies as UTF-8; a body that is none is shown by its octets. */
const textOf = (octets: Buffer, column: string): string => {
  if (column === "extra_hdrs") return octets.toString("latin1")
  const text = octets.toString("utf8")
  return Buffer.from(text, "utf8").equals(octets) ? text : `\\x${octets.toString("hex")}`
}
