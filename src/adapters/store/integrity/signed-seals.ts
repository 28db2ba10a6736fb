/**
 * Seals: signed statements of what the log was at a position. What is signed is said here, and in docs/log.md in words.
 */
import { createHash, sign, verify } from "node:crypto"
import type { KeyObject } from "node:crypto"
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { fenceOf } from "../writer/claim.ts"

export interface Seal {
  /** Of the newest decision that it covers. */
  readonly position: bigint
  /** Of the seal before; the first follows the last decision that was stored before there was a chain. */
  readonly previous: bigint
  /** Milliseconds since 1970. */
  readonly at: number
  /** Decisions between the two. */
  readonly rows: bigint
  /** `digestOfRows` over the hashes of these, on top of the digest of the seal before. */
  readonly digest: Uint8Array
  readonly signature: Uint8Array
}

export type Unsigned = Omit<Seal, "signature">

/** Rows of one statement: small ones. */
const pageRows = 5000

/** What the digest of the first seal builds on. */
export const noDigest = Buffer.alloc(32)

/** SHA-256 of the digest of the seal before, then of each row its position (8 octets, big-endian) and its hash. */
export const digestOfRows = (before: Uint8Array) => {
  const digest = createHash("sha256").update(before)
  const position = Buffer.alloc(8)
  return {
    add: (row: RowHash): void => {
      position.writeBigInt64BE(row.position)
      digest.update(position).update(row.hash ?? noDigest)
    },
    end: (): Buffer => digest.digest(),
  }
}

/** The text that is signed. */
export const signedText = ({ position, previous, at, rows, digest }: Unsigned): string =>
  `presently seal 1\nposition ${position}\nprevious ${previous}\nat ${at}\nrows ${rows}\n` +
  `digest ${Buffer.from(digest).toString("hex")}\n`

export const signSeal = (seal: Unsigned, key: KeyObject): Seal => ({
  ...seal,
  signature: sign(null, Buffer.from(signedText(seal)), key),
})

export const isSigned = (seal: Seal, key: KeyObject): boolean =>
  verify(null, Buffer.from(signedText(seal)), key, seal.signature)

export interface RowHash {
  readonly position: bigint
  readonly hash: Uint8Array | null
}

interface SealRow extends Omit<Seal, "at"> {
  readonly at: bigint
}

export const makeSeals = (sql: PgClient.PgClient) => ({
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
      ON CONFLICT DO NOTHING RETURNING position`.pipe(Effect.map((rows_) => rows_.length === 1)),
})

export type Seals = ReturnType<typeof makeSeals>

const sealOf = (row: SealRow): Seal => ({ ...row, at: Number(row.at) })
