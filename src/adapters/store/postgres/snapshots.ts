/**
 * Snapshots and checkpoints on PostgreSQL: what is saved to save folding, and how far it is.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { freeze, thaw } from "../../../domain/presentity/snapshot.ts"
import type { Snapshot } from "../../../domain/presentity/snapshot.ts"
import { initial, isEmpty } from "../../../domain/presentity/state.ts"
import type { State } from "../../../domain/presentity/state.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import { readStoredSnapshot, storedSnapshot } from "../../../encoding/stored-snapshot.ts"
import type { EventStore } from "../../../ports/event-store.ts"
import { fenceOf, heldBy } from "../writer/claim.ts"
import { unavailable } from "./unavailable.ts"

export interface SnapshotRow {
  readonly stream: string
  readonly version: bigint
  readonly state: unknown
}

type Store = EventStore["Service"]

export const makeSnapshots = (
  sql: PgClient.PgClient,
): Pick<Store, "saveSnapshots" | "snapshots" | "behind" | "saveCheckpoint" | "checkpoint"> => ({
  ...snapshotsOf(sql),
  ...checkpointsOf(sql),
})

const snapshotsOf = (sql: PgClient.PgClient): Pick<Store, "saveSnapshots" | "snapshots" | "behind"> => ({
  saveSnapshots: (states) =>
    heldBy(
      sql,
      sql<{ held: bigint }>`
        WITH fence AS MATERIALIZED (${fenceOf(sql)}), saved AS (
        INSERT INTO snapshots AS s (stream, version, state)
        SELECT h.id, f.version, nullif(f.state, '')::json
        FROM unnest(${states.map((one) => one.presentity)}::text[], ${states.map((one) => one.version)}::bigint[],
          ${states.map((one) => (isEmpty(one) ? "" : JSON.stringify(storedSnapshot(freeze(one)))))}::text[])
          AS f(stream, version, state)
        JOIN streams h ON h.stream = f.stream CROSS JOIN fence
        ON CONFLICT (stream) DO UPDATE SET version = excluded.version, state = excluded.state
          WHERE s.version < excluded.version)
        SELECT count(*) AS held FROM fence`,
    ).pipe(unavailable),

  snapshots: (after, max) =>
    sql<SnapshotRow>`
        SELECT h.stream, f.version, f.state FROM snapshots f JOIN streams h ON h.id = f.stream
        WHERE f.state IS NOT NULL AND f.stream > coalesce((SELECT id FROM streams WHERE stream = ${after}), 0)
        ORDER BY f.stream LIMIT ${max}::int`.pipe(
      Effect.map((rows) => rows.map((row) => stateOf(row))),
      unavailable,
    ),

  behind: (upTo, after, max) =>
    sql<{ stream: string; version: bigint }>`
        SELECT h.stream, coalesce(f.version, 0) AS version FROM streams h LEFT JOIN snapshots f ON f.stream = h.id
        WHERE h.id > coalesce((SELECT id FROM streams WHERE stream = ${after}), 0)
          AND h.version > coalesce(f.version, 0)
          AND (SELECT e.pos FROM events e WHERE e.stream = h.id AND e.version > coalesce(f.version, 0)
            ORDER BY e.version LIMIT 1) <= ${upTo}::bigint
        ORDER BY h.id LIMIT ${max}::int`.pipe(
      Effect.map((rows) =>
        rows.map(({ stream, version }) => ({ stream: stream as Uri, version: Number(version) })),
      ),
      unavailable,
    ),
})

const checkpointsOf = (sql: PgClient.PgClient): Pick<Store, "saveCheckpoint" | "checkpoint"> => ({
  saveCheckpoint: (name, { position, at }) =>
    heldBy(
      sql,
      sql<{ held: bigint }>`
        WITH fence AS MATERIALIZED (${fenceOf(sql)}), saved AS (
        INSERT INTO checkpoints (name, pos, at)
        SELECT ${name}::text, ${position}::bigint, to_timestamp(${at}::float8 / 1000.0) FROM fence
        ON CONFLICT (name) DO UPDATE SET pos = excluded.pos, at = excluded.at)
        SELECT count(*) AS held FROM fence`,
    ).pipe(unavailable),

  checkpoint: (name) =>
    sql<{ pos: bigint; at: Date }>`SELECT pos, at FROM checkpoints WHERE name = ${name}`.pipe(
      Effect.map(([row]) => (row === undefined ? null : { position: Number(row.pos), at: row.at.getTime() })),
      unavailable,
    ),
})

export const stateOf = (row: SnapshotRow & { readonly at?: Date | null }): State =>
  row.state === null
    ? {
        ...initial(row.stream as Uri),
        version: Number(row.version),
        // its next decision must not be earlier
        decidedAt: row.at?.getTime() ?? 0,
      }
    : thaw(readStoredSnapshot(row.state) as Snapshot)
