/**
 * The chain of the log as somebody sees it who checks it: rows and heads page by page, as they stand.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { lowest } from "../../../ports/log-audit.ts"
import type { ChainHead, ChainRow, LogChain } from "../../../ports/log-audit.ts"
import { answering } from "./unavailable.ts"

/** Rows of one statement: a database within the process blocks the event loop for each. */
const pageRows = 1000

type FoundRow = Omit<ChainRow, "position"> & { readonly pos: bigint }

export const makeChainAudit = (sql: PgClient.PgClient): LogChain =>
  answering({
    /** Position of the newest row that may be without a hash. */
    begun: sql<{ pos: bigint }>`SELECT pos FROM checkpoints WHERE name = 'chain'`.pipe(
      Effect.map(([row]) => row?.pos ?? 0n),
    ),

    /** By stream and version; `after` is the last row of the page before. */
    rows: (after: ChainRow | null) =>
      sql<FoundRow>`
      SELECT e.pos, (extract(epoch FROM e.at) * 1000000)::bigint AS at, e.stream, e.version, e.cause, e.origin,
        e.nonce, e.events::text AS events, e.hash
      FROM events e
      WHERE (e.stream, e.version) >= (${String(after?.stream ?? lowest)}::bigint, ${String(after?.version ?? lowest)}::bigint)
        AND (e.stream, e.version, e.pos, (extract(epoch FROM e.at) * 1000000)::bigint)
          > (${String(after?.stream ?? lowest)}::bigint, ${String(after?.version ?? lowest)}::bigint,
            ${String(after?.position ?? lowest)}::bigint, ${String(after?.at ?? lowest)}::bigint)
      ORDER BY e.stream, e.version, e.pos, e.at LIMIT ${pageRows}::int`.pipe(
        Effect.map((rows) => rows.map(({ pos, ...row }): ChainRow => ({ ...row, position: pos }))),
      ),

    /** By number. */
    heads: (after: bigint) =>
      sql<
        Omit<ChainHead, "beginnings"> & {
          readonly beginnings: readonly [string, number, string | null][] | null
        }
      >`
      SELECT h.id, h.stream AS name, h.salt, h.root, h.version, h.nonce, h.hash,
        (SELECT json_agg(json_build_array(l.version::text, extract(epoch FROM l.at) * 1000, encode(l.hash, 'hex')))
          FROM landmarks l WHERE l.stream = h.id AND l.is_beginning) AS beginnings
      FROM streams h WHERE h.id > ${String(after)}::bigint ORDER BY h.id LIMIT ${pageRows}::int`.pipe(
        Effect.map((rows) =>
          rows.map((row): ChainHead => ({
            ...row,
            beginnings: (row.beginnings ?? []).map(([version, at, hash]) => ({
              version: BigInt(version),
              at,
              hash: hash === null ? null : Buffer.from(hash, "hex"),
            })),
          })),
        ),
      ),
  })
