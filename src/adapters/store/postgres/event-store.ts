/**
 * The event store on PostgreSQL, through @effect/sql-pg: appending (`append.ts`), reading, and what is saved to save folding
 * (`snapshots.ts`, `landmarks.ts`).
 *
 * It works alike on a server and on a database within the process (`embedded.ts`), which has a single session: no transaction of the
 * client is ever open here, so nothing can get between the statements of another caller.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { fold } from "../../../domain/presentity/evolve.ts"
import { initial } from "../../../domain/presentity/state.ts"
import type { State } from "../../../domain/presentity/state.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import { StoreUnavailable } from "../../../ports/event-store.ts"
import type { EventStore, RecordedDecision } from "../../../ports/event-store.ts"
import type { PersonKey } from "../../../ports/stored-events.ts"
import { personKeysOf } from "../encryption/person-keys.ts"
import type { PersonKeys } from "../encryption/person-keys.ts"
import { decodeRow } from "../encryption/stored-row.ts"
import { claimOn } from "../writer/claim.ts"
import { sharedConnection } from "./append-connection.ts"
import type { AppendConnection } from "./append-connection.ts"
import { makeAppend } from "./append.ts"
import { makeLandmarks } from "./landmarks.ts"
import { makeSnapshots, stateOf } from "./snapshots.ts"
import type { SnapshotRow } from "./snapshots.ts"
import { unavailable } from "./unavailable.ts"

interface EventRow {
  readonly pos: bigint
  readonly at: Date
  readonly stream: string
  readonly version: bigint
  readonly cause: string
  readonly origin: string
  readonly nonce: string
  readonly events: unknown
}

export interface PostgresStoreOptions {
  /** Encrypts what is personal, so that people can be erased; absent: yes. Either way everything is read. */
  readonly erasable?: boolean
  /** What appends go over; absent: the connections of the client. */
  readonly appends?: AppendConnection
}

export const makePostgresStore = (
  sql: PgClient.PgClient,
  { erasable = true, appends = sharedConnection(sql) }: PostgresStoreOptions = {},
): EventStore["Service"] => {
  const persons = personKeysOf(sql)
  return {
    append: makeAppend(sql, appends, erasable),
    load: makeLoad(sql, persons),
    ...makeReads(sql, persons),
    ...makeLandmarks(sql),

    ...makeSnapshots(sql),

    claim: claimOn(sql),
  }
}

/** Snapshots and what came after them in one statement; a stream never seen costs one look at its head. */
const makeLoad =
  (sql: PgClient.PgClient, persons: PersonKeys): EventStore["Service"]["load"] =>
  (streams) =>
    sql<SnapshotRow & Partial<EventRow>>`
        WITH asked AS (
          SELECT h.id, h.stream, s.version, s.state
          FROM unnest(${streams}::text[]) AS a(stream)
          JOIN streams h ON h.stream = a.stream LEFT JOIN snapshots s ON s.stream = h.id)
        SELECT stream, version, state, NULL AS pos,
          CASE WHEN state IS NULL THEN
            (SELECT e.at FROM events e WHERE e.stream = asked.id AND e.version = asked.version) END AS at, NULL AS cause, NULL AS origin, NULL AS nonce,
          NULL AS events
        FROM asked WHERE version IS NOT NULL
        UNION ALL
        (SELECT asked.stream, e.version, NULL, e.pos, e.at, e.cause, e.origin, e.nonce, e.events
        FROM asked JOIN events e ON e.stream = asked.id AND e.version > coalesce(asked.version, 0)
        ORDER BY e.stream, e.version)`.pipe(
      Effect.flatMap((rows) =>
        Effect.flatMap(persons.opening(rows.filter(isEvent)), (keyOf) =>
          readable(() => statesIn(streams, rows, keyOf)),
        ),
      ),
      unavailable,
    )

const statesIn = (
  streams: readonly Uri[],
  rows: readonly (SnapshotRow & Partial<EventRow>)[],
  keyOf: (id: string) => PersonKey | undefined,
): readonly State[] => {
  const states = new Map<Uri, State>()
  for (const row of rows) {
    const stream = row.stream as Uri
    if (!isEvent(row)) states.set(stream, stateOf(row))
    else {
      const { decision } = recorded(row, keyOf, "events")
      states.set(stream, fold(states.get(stream) ?? initial(stream), decision))
    }
  }
  return streams.map((stream) => states.get(stream) ?? initial(stream))
}

const makeReads = (
  sql: PgClient.PgClient,
  persons: PersonKeys,
): Pick<EventStore["Service"], "read" | "history" | "historyBack"> => {
  const eventsAfter = (rows: readonly EventRow[], only?: "events") =>
    Effect.flatMap(persons.opening(rows), (keyOf) =>
      readable((): readonly RecordedDecision[] => rows.map((row) => recorded(row, keyOf, only))),
    )
  const eventsOf = (stream: Uri) => (rows: readonly Omit<EventRow, "stream">[]) =>
    eventsAfter(rows.map((row) => ({ ...row, stream })))
  return {
    read: (after, max, only) =>
      sql<EventRow>`
        SELECT e.pos, e.at, h.stream, e.version, e.cause, e.origin, e.nonce, e.events
        FROM events e JOIN streams h ON h.id = e.stream
        WHERE e.pos > ${after}::bigint ORDER BY e.pos LIMIT ${max}::int`.pipe(
        Effect.flatMap((rows) => eventsAfter(rows, only)),
        unavailable,
      ),

    history: (stream, afterVersion, max) =>
      sql<Omit<EventRow, "stream">>`
        SELECT e.pos, e.at, e.version, e.cause, e.origin, e.nonce, e.events
        FROM events e
        WHERE e.stream = (SELECT id FROM streams WHERE stream = ${stream}) AND e.version > ${afterVersion}::bigint
        ORDER BY e.version LIMIT ${max}::int`.pipe(Effect.flatMap(eventsOf(stream)), unavailable),

    historyBack: (stream, beforeVersion, max) =>
      sql<Omit<EventRow, "stream">>`
        SELECT e.pos, e.at, e.version, e.cause, e.origin, e.nonce, e.events
        FROM events e
        WHERE e.stream = (SELECT id FROM streams WHERE stream = ${stream}) AND e.version < ${beforeVersion}::bigint
        ORDER BY e.version DESC LIMIT ${max}::int`.pipe(Effect.flatMap(eventsOf(stream)), unavailable),
  }
}

/**
 * What every connection is told. The statements here look up by key and run for ever in the shape they were planned in,
 * so a plan made while a table was small must not read all of it later, and must not be made again for each batch.
 */
export const sessionSettings = {
  plan_cache_mode: "force_generic_plan",
  enable_seqscan: "off",
  jit: "off",
} as const

const isEvent = (row: SnapshotRow & Partial<EventRow>): row is SnapshotRow & EventRow => row.pos !== null

const recorded = (
  row: EventRow,
  keyOf: (id: string) => PersonKey | undefined,
  only?: "events",
): RecordedDecision => ({
  position: Number(row.pos),
  decision: {
    stream: row.stream as Uri,
    version: Number(row.version),
    at: row.at.getTime(),
    cause: row.cause,
    nonce: row.nonce,
    ...opened(row, keyOf, only),
  },
})

/** @throws Error that names the row, for whoever has to look at it */
const opened = (row: EventRow, keyOf: (id: string) => PersonKey | undefined, only?: "events") => {
  try {
    return decodeRow(row, keyOf, only)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`${row.stream} version ${row.version} at position ${row.pos} cannot be read: ${why}`, {
      cause,
    })
  }
}

/** A row that is not what was written is no state of anybody. */
const readable = <A>(read: () => A): Effect.Effect<A, StoreUnavailable> =>
  Effect.try({ try: read, catch: (cause) => new StoreUnavailable({ cause }) })
