/**
 * Landmarks on PostgreSQL: whole states of streams at some of their versions, for whoever wants to know what was.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { freeze, thaw } from "../../../domain/presentity/snapshot.ts"
import type { Snapshot } from "../../../domain/presentity/snapshot.ts"
import type { EventStore } from "../../../ports/event-store.ts"
import { fenceOf, heldBy } from "../writer/claim.ts"
import { unavailable } from "./unavailable.ts"

type Landmarks = Pick<
  EventStore["Service"],
  "saveLandmarks" | "landmarkAt" | "landmarkBefore" | "landmarksBack"
>

interface LandmarkRow {
  readonly state: unknown
}

export const makeLandmarks = (sql: PgClient.PgClient): Landmarks => {
  const newest = Effect.map(([row]: readonly LandmarkRow[]) => (row === undefined ? null : thawed(row)))
  return {
    saveLandmarks: (states) =>
      heldBy(
        sql,
        sql<{ held: bigint }>`
        WITH fence AS MATERIALIZED (${fenceOf(sql)}), saved AS (
        INSERT INTO landmarks (stream, version, at, state)
        SELECT s.id, f.version, to_timestamp(f.at / 1000.0), f.state
        FROM unnest(${states.map((one) => one.presentity)}::text[], ${states.map((one) => one.version)}::bigint[],
          ${states.map((one) => one.decidedAt)}::float8[],
          ${states.map((one) => JSON.stringify(freeze(one)))}::json[]) AS f(stream, version, at, state)
        JOIN streams s ON s.stream = f.stream CROSS JOIN fence
        ON CONFLICT (stream, version) DO UPDATE SET at = excluded.at, state = excluded.state)
        SELECT count(*) AS held FROM fence`,
      ).pipe(unavailable),

    landmarkAt: (stream, at) =>
      sql<LandmarkRow>`
        SELECT l.state FROM landmarks l
        WHERE l.stream = (SELECT id FROM streams WHERE stream = ${stream})
          AND l.at <= to_timestamp(${at}::float8 / 1000.0)
        ORDER BY l.at DESC, l.version DESC LIMIT 1`.pipe(newest, unavailable),

    landmarkBefore: (stream, version) =>
      sql<LandmarkRow>`
        SELECT l.state FROM landmarks l
        WHERE l.stream = (SELECT id FROM streams WHERE stream = ${stream}) AND l.version <= ${version}::bigint
        ORDER BY l.version DESC LIMIT 1`.pipe(newest, unavailable),

    landmarksBack: (stream, beforeVersion, max) =>
      sql<LandmarkRow>`
        SELECT l.state FROM landmarks l
        WHERE l.stream = (SELECT id FROM streams WHERE stream = ${stream}) AND l.version < ${beforeVersion}::bigint
        ORDER BY l.version DESC LIMIT ${max}::int`.pipe(
        Effect.map((rows) => rows.map(thawed)),
        unavailable,
      ),
  }
}

const thawed = ({ state }: LandmarkRow) => thaw(state as Snapshot)
