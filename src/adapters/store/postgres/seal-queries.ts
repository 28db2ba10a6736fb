/**
 * Seals in PostgreSQL, and the hashes that they are made of.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { RowHash, Seal, SealStore } from "../../../ports/log-audit.ts"
import { fenceOf } from "../writer/claim.ts"
import { answering } from "./unavailable.ts"

/** Rows of one statement: small ones. */
const pageRows = 5000

interface SealRow extends Omit<Seal, "at"> {
  readonly at: bigint
}

export const makeSeals = (sql: PgClient.PgClient): SealStore =>
  answering({
    /** By position, oldest first. */
    after: (position: bigint) =>
      sql<SealRow>`
      SELECT position, previous, (extract(epoch FROM at) * 1000)::bigint AS at, rows, digest, signature
      FROM seals WHERE position > ${String(position)}::bigint ORDER BY position LIMIT 1000`.pipe(
        Effect.map((rows) => rows.map(sealOf)),
      ),

    newest: sql<SealRow>`
    SELECT position, previous, (extract(epoch FROM at) * 1000)::bigint AS at, rows, digest, signature
    FROM seals ORDER BY position DESC LIMIT 1`.pipe(
      Effect.map(([row]) => (row === undefined ? null : sealOf(row))),
    ),

    /** Positions and hashes of decisions, in the order of the log. */
    hashes: (after: bigint) =>
      sql<{ pos: bigint; hash: Uint8Array | null }>`
      SELECT pos, hash FROM events WHERE pos > ${String(after)}::bigint ORDER BY pos LIMIT ${pageRows}::int`.pipe(
        Effect.map((rows) => rows.map(({ pos, hash }): RowHash => ({ position: pos, hash }))),
      ),

    /** @returns false: somebody else has sealed meanwhile, or has the log by now */
    add: ({ position, previous, at, rows, digest, signature }: Seal) =>
      sql`
      WITH fence AS MATERIALIZED (${fenceOf(sql)})
      INSERT INTO seals (position, previous, at, rows, digest, signature)
      SELECT ${String(position)}::bigint, ${String(previous)}::bigint, to_timestamp(${at}::float8 / 1000.0),
        ${String(rows)}::bigint, decode(${Buffer.from(digest).toString("hex")}, 'hex'),
        decode(${Buffer.from(signature).toString("hex")}, 'hex')
      FROM fence WHERE NOT EXISTS (SELECT FROM seals WHERE position > ${String(previous)}::bigint)
      ON CONFLICT DO NOTHING RETURNING position`.pipe(Effect.map((added) => added.length === 1)),

    unsealed: (after: bigint) =>
      sql<{ count: number; oldest: Date | null }>`
      SELECT count(*)::int AS count, min(at) AS oldest FROM events
      WHERE pos > ${String(after)}::bigint AND hash IS NOT NULL`.pipe(
        Effect.map(([row]) => ({ count: row?.count ?? 0, oldest: row?.oldest?.getTime() ?? null })),
      ),
  })

const sealOf = (row: SealRow): Seal => ({ ...row, at: Number(row.at) })
