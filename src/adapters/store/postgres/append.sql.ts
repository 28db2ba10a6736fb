/**
 * The statement of an append: all that it checks and writes in one go, under one lock, the row of `writers`, which also says
 * whether this program may write (`writer/claim.ts`).
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
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
  /** The digest of what was said, in hex (`integrity/hash-chain.ts`). */
  readonly said: string
}

/** Where a stream must stand, and where it goes. */
export interface AppendedHead {
  readonly stream: Uri
  readonly expected: number
  readonly version: number
  readonly nonce: string
}

export interface AppendRow {
  /** Streams that were written to. */
  readonly stored: readonly string[]
  /** The position of the newest decision that was written. */
  readonly position: bigint | null
  /** How many of the keys were new. */
  readonly keyed: bigint
  /** 1 when this program may write, 0 when the fence kept it out. */
  readonly held: bigint
}

/**
 * Writes decisions and the keys that they are encrypted with; nothing of a stream that stands elsewhere, and nothing at all when
 * one of the persons has a key already.
 *
 * `head` may be older than the lock: a stream that another writer has moved since is left alone by `went` and `began`, which look
 * again.
 */
export const appendStatement = (
  sql: PgClient.PgClient,
  claim: ClientClaim,
  rows: readonly AppendedDecision[],
  heads: readonly AppendedHead[],
  fresh: readonly PersonKey[],
) =>
  sql<AppendRow>`
        WITH taken AS MATERIALIZED (
          SELECT w.shard FROM writers w WHERE w.shard = 0
            AND w.epoch = coalesce(${claim.epoch}::bigint, w.epoch) AND w.application = coalesce(${claim.application}::text, '')
          FOR NO KEY UPDATE),
        keyed AS (
          INSERT INTO person_keys (id, person, key)
          SELECT k.id, k.person, decode(k.key, 'hex') FROM unnest(${fresh.map((key) => key.id)}::text[],
            ${fresh.map((key) => key.person)}::text[], ${fresh.map(({ key }) => Buffer.from(key).toString("hex"))}::text[])
            AS k(id, person, key) CROSS JOIN taken
          ON CONFLICT DO NOTHING RETURNING id),
        head AS MATERIALIZED (
          SELECT h.stream, h.expected, h.version, h.nonce, s.id AS known, s.hash, s.root,
            coalesce(s.id, nextval('streams_id_seq')) AS id,
            CASE WHEN s.id IS NULL THEN uuid_send(gen_random_uuid()) END AS salt
          FROM unnest(${heads.map((head) => head.stream)}::text[], ${heads.map((head) => head.expected)}::bigint[],
            ${heads.map((head) => head.version)}::bigint[], ${heads.map((head) => head.nonce)}::text[])
            AS h(stream, expected, version, nonce) CROSS JOIN taken LEFT JOIN streams s ON s.stream = h.stream
          WHERE (SELECT count(*) FROM keyed) = ${fresh.length}::bigint
            AND CASE WHEN s.id IS NULL THEN h.expected = 0 ELSE s.version = h.expected END),
        placed AS (
          SELECT nextval('events_pos_seq') AS pos, e.* FROM (
            SELECT head.id, head.version = head.expected + 1 AS is_alone, coalesce(head.hash, head.root, sha256(head.salt || convert_to(head.stream, 'UTF8'))) AS before,
              e.at, e.version, e.cause, e.origin, e.nonce, e.events, e.said
            FROM unnest(${rows.map((row) => row.at)}::float8[], ${rows.map((row) => row.stream)}::text[],
              ${rows.map((row) => row.version)}::bigint[], ${rows.map((row) => row.cause)}::text[],
              ${rows.map((row) => row.origin)}::text[], ${rows.map((row) => row.nonce)}::text[],
              ${rows.map((row) => row.encoded)}::json[],
              ${rows.map((row) => row.said)}::text[])
              WITH ORDINALITY AS e(at, stream, version, cause, origin, nonce, events, said, n)
            JOIN head USING (stream) ORDER BY e.n) e),
        chained AS MATERIALIZED (
          SELECT pos, at, id, version, cause, origin, nonce, events,
            sha256(before || int8send(pos) || int8send(id) || decode(said, 'hex')) AS hash
          FROM placed WHERE is_alone
          UNION ALL
          SELECT pos, at, id, version, cause, origin, nonce, events, presently_chain(before,
            int8send(pos) || int8send(id) || decode(said, 'hex')) OVER (PARTITION BY id ORDER BY pos)
          FROM placed WHERE NOT is_alone),
        began AS (
          INSERT INTO streams (id, stream, salt, root, version, nonce, hash) OVERRIDING SYSTEM VALUE
          SELECT id, stream, salt, sha256(salt || convert_to(stream, 'UTF8')), head.version, head.nonce, chained.hash
          FROM head JOIN chained USING (id, version) WHERE known IS NULL
          ON CONFLICT DO NOTHING
          RETURNING id, stream),
        went AS (
          UPDATE streams s SET version = head.version, nonce = head.nonce, hash = chained.hash
          FROM head JOIN chained USING (id, version)
          WHERE s.id = head.known AND s.version = head.expected
          RETURNING s.id, s.stream),
        moved AS MATERIALIZED (SELECT id, stream FROM began UNION ALL SELECT id, stream FROM went),
        written AS (
          INSERT INTO events (pos, at, stream, version, cause, origin, nonce, events, hash) OVERRIDING SYSTEM VALUE
          SELECT e.pos, to_timestamp(e.at / 1000.0), e.id, e.version, e.cause, e.origin, e.nonce, e.events, e.hash
          FROM chained e JOIN moved USING (id)
          RETURNING pos)
        SELECT ARRAY(SELECT stream FROM moved) AS stored, (SELECT max(pos) FROM written) AS position,
          (SELECT count(*) FROM keyed) AS keyed, (SELECT count(*) FROM taken) AS held`

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
