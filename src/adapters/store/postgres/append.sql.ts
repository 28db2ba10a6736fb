/**
 * The call of an append: the function of migration 0012, which checks and writes everything in one go, under one lock, the row of
 * `writers`, which also says whether this program may write (`writer/claim.ts`).
 */
import type { PgClient } from "@effect/sql-pg"
import * as PgTypes from "@effect/sql-pg/PgTypes"
import { Effect, Result } from "effect"
import type { Decision } from "../../../domain/presentity/events.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import type { Appended } from "../../../ports/event-store.ts"
import type { PersonKey } from "../../../ports/stored-events.ts"
import type { ClientClaim } from "../writer/claim.ts"

/** A decision as it is stored. */
export interface AppendedDecision extends Pick<
  Decision,
  "stream" | "version" | "at" | "cause" | "origin" | "nonce"
> {
  /** The events as JSON. */
  readonly encoded: string
  /** The digest of what was decided, in hex (`integrity/hash-chain.ts`). */
  readonly said: string
}

/** Where a stream must stand, and where it goes. */
export interface AppendedHead {
  readonly stream: Uri
  readonly expected: number
  readonly version: number
  readonly nonce: string
}

/** What the function answers. */
export interface AppendOutcome {
  /** False when the fence kept this program out. */
  readonly held: boolean
  /** False when one of the persons has a key already: no decision was stored. */
  readonly keyed: boolean
  /** Streams that were written to; null: all of them. */
  readonly stored: readonly string[] | null
  /** The position of the newest decision that was written. */
  readonly position: bigint | null
}

/** Short, because the driver looks its prepared statements up by text and types. */
export const appendCall =
  "SELECT held, keyed, stored, pos FROM presently_append($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)"

/**
 * The parameters of `appendCall`, in their binary types: the driver infers none, so it has one prepared statement for all appends.
 *
 * @param streams how many streams the rows are of
 * @param fresh keys of persons that are new to this program
 */
export const appendParameters = (
  claim: ClientClaim,
  rows: readonly AppendedDecision[],
  streams: number,
  fresh: readonly PersonKey[],
): readonly PgTypes.Parameter[] => {
  const keys = fresh.length === 0 ? null : fresh
  return [
    PgTypes.int8(claim.epoch === null ? null : BigInt(claim.epoch)),
    PgTypes.text(claim.application),
    texts(rows.map((row) => row.stream)),
    column(
      rows.map((row) => BigInt(row.version)),
      PgTypes.OID.int8,
    ),
    column(
      rows.map((row) => row.at),
      PgTypes.OID.float8,
    ),
    texts(rows.map((row) => row.cause)),
    texts(rows.map((row) => row.origin)),
    texts(rows.map((row) => row.nonce)),
    texts(rows.map((row) => row.encoded)),
    texts(rows.map((row) => row.said)),
    PgTypes.bool(streams < rows.length),
    texts(keys === null ? null : keys.map((key) => key.id)),
    texts(keys === null ? null : keys.map((key) => key.person)),
    column(keys === null ? null : keys.map(({ key }) => key), PgTypes.OID.bytea),
  ]
}

const column = (values: readonly unknown[] | null, type: number): PgTypes.Parameter =>
  Result.getOrThrow(PgTypes.array(values, type))

const texts = (values: readonly string[] | null): PgTypes.Parameter => column(values, PgTypes.OID.text)

/** @param row the one row of `appendCall`, by position */
export const outcomeIn = (row: readonly unknown[] | undefined): AppendOutcome => {
  const [held, keyed, stored, position] = (row ?? [false, true, null, null]) as [
    boolean,
    boolean,
    readonly string[] | null,
    bigint | null,
  ]
  return { held, keyed, stored, position }
}

/** Which of these streams another writer moved; the others stand where an earlier attempt of ours put them. */
export const movedElsewhere = (sql: PgClient.PgClient, heads: readonly AppendedHead[]) =>
  sql<{ earlier: string[]; position: bigint | null }>`
    SELECT (SELECT max(pos) FROM events) AS position, ARRAY(
      SELECT h.stream
      FROM unnest(${heads.map((head) => head.stream)}::text[], ${heads.map((head) => head.version)}::bigint[],
        ${heads.map((head) => head.nonce)}::text[]) AS h(stream, version, nonce)
      JOIN streams s ON s.stream = h.stream AND s.version = h.version AND s.nonce = h.nonce) AS earlier`.pipe(
    Effect.map(([row]): Appended => {
      const ours = new Set(row?.earlier)
      const moved = heads.map((head) => head.stream).filter((stream) => !ours.has(stream))
      return { position: Number(row?.position ?? 0), conflicts: new Set(moved) }
    }),
  )
