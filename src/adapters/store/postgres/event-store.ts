/**
 * The event store on PostgreSQL, through @effect/sql-pg: one statement per batch, one lock inside it: the row
 * of `writers`, which also says whether this process may write (`claim.ts`).
 *
 * Works alike on a server and on the embedded database (`embedded.ts`), which has a single session: no client-side
 * transaction is ever open here, so nothing can get between another caller's statements.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import { StoreUnavailable } from "../../../ports/event-store.ts"
import type { Appended, EventStore, RecordedDecision } from "../../../ports/event-store.ts"
import type { Decision } from "../../../domain/presentity/events.ts"
import { freeze, thaw } from "../../../domain/presentity/snapshot.ts"
import type { Snapshot } from "../../../domain/presentity/snapshot.ts"
import { fold } from "../../../domain/presentity/evolve.ts"
import { initial, isEmpty } from "../../../domain/presentity/state.ts"
import type { State } from "../../../domain/presentity/state.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import { claimOn, fenceOf, fencedOff, heldBy } from "../writer/claim.ts"
import { decodeRow } from "../encoding/event-codec.ts"
import { makeLandmarks } from "./landmarks.ts"
import { personKeysOf } from "../encryption/person-keys.ts"
import { encodeWithDigest } from "../integrity/hash-chain.ts"
import { encryptDecision } from "../encryption/encrypted-decision.ts"
import type { PersonKey } from "../../../ports/stored-events.ts"
import { unavailable } from "./unavailable.ts"
import type { LogIsTaken } from "../../../ports/claim.ts"

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

interface SnapshotRow {
  readonly stream: string
  readonly version: bigint
  readonly state: unknown
}

/** @param erasable encrypts what is personal, so that people can be erased; absent: yes. Either way all is read. */
export const makePostgresStore = (
  sql: PgClient.PgClient,
  { erasable = true }: { readonly erasable?: boolean } = {},
): EventStore["Service"] => {
  const persons = personKeysOf(sql)
  const claim = claimOn(sql)
  const eventsAfter = (rows: readonly EventRow[]) =>
    Effect.flatMap(persons.opening(rows), (keyOf) =>
      readable((): readonly RecordedDecision[] => rows.map((row) => recorded(row, keyOf))),
    )
  const eventsOf = (stream: Uri) => (rows: readonly Omit<EventRow, "stream">[]) =>
    eventsAfter(rows.map((row) => ({ ...row, stream })))

  const append = (
    decisions: readonly Decision[],
    requesters: readonly (Uri | null)[],
    isLearned = false,
  ): Effect.Effect<Appended, StoreUnavailable> => {
    const heads = headsOf(decisions)
    const { keyOf, fresh } = persons.draft()
    const sealed = decisions.map((one, index) =>
      erasable
        ? encryptDecision(one, requesters[index] ?? null, keyOf)
        : { origin: one.origin, stored: one.events },
    )
    const again = Effect.suspend(() =>
      Effect.andThen(
        persons.learn(fresh.map((one) => one.person)),
        Effect.suspend(() => append(decisions, requesters, true)),
      ),
    )
    if (fresh.length > 0 && !isLearned && persons.isLikelyStored()) return again.pipe(unavailable)
    const encoded = decisions.map((one, index) => {
      const { origin, stored } = sealed[index]!
      return encodeWithDigest({ ...one, origin, events: stored })
    })
    // `head` may be older than the lock: a stream that another writer has moved since is left alone by `went` and
    // `began`, which look again
    return sql<{ stored: string[]; position: bigint | null; keyed: bigint; held: bigint }>`
        WITH taken AS MATERIALIZED (
          SELECT w.shard FROM writers w WHERE w.shard = 0
            AND w.epoch = coalesce(${claim.epoch}::bigint, w.epoch) AND w.application = coalesce(${claim.application}::text, '')
          FOR NO KEY UPDATE),
        keyed AS (
          INSERT INTO person_keys (id, person, key)
          SELECT k.id, k.person, decode(k.key, 'hex') FROM unnest(${fresh.map((one) => one.id)}::text[],
            ${fresh.map((one) => one.person)}::text[], ${fresh.map((one) => Buffer.from(one.key).toString("hex"))}::text[])
            AS k(id, person, key) CROSS JOIN taken
          ON CONFLICT DO NOTHING RETURNING id),
        head AS MATERIALIZED (
          SELECT h.stream, h.expected, h.version, h.nonce, s.id AS known, s.hash, s.root,
            coalesce(s.id, nextval('streams_id_seq')) AS id,
            CASE WHEN s.id IS NULL THEN uuid_send(gen_random_uuid()) END AS salt
          FROM unnest(${heads.map((one) => one.stream)}::text[], ${heads.map((one) => one.expected)}::bigint[],
            ${heads.map((one) => one.version)}::bigint[], ${heads.map((one) => one.nonce)}::text[])
            AS h(stream, expected, version, nonce) CROSS JOIN taken LEFT JOIN streams s ON s.stream = h.stream
          WHERE (SELECT count(*) FROM keyed) = ${fresh.length}::bigint
            AND CASE WHEN s.id IS NULL THEN h.expected = 0 ELSE s.version = h.expected END),
        placed AS (
          SELECT nextval('events_pos_seq') AS pos, e.* FROM (
            SELECT head.id, head.version = head.expected + 1 AS is_alone, coalesce(head.hash, head.root, sha256(head.salt || convert_to(head.stream, 'UTF8'))) AS before,
              e.at, e.version, e.cause, e.origin, e.nonce, e.events, e.said
            FROM unnest(${decisions.map((one) => one.at)}::float8[], ${decisions.map((one) => one.stream)}::text[],
              ${decisions.map((one) => one.version)}::bigint[], ${decisions.map((one) => one.cause)}::text[],
              ${sealed.map((one) => one.origin)}::text[], ${decisions.map((one) => one.nonce)}::text[],
              ${encoded.map((one) => one.encoded)}::json[],
              ${encoded.map((one) => one.said)}::text[])
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
          (SELECT count(*) FROM keyed) AS keyed, (SELECT count(*) FROM taken) AS held`.pipe(
      Effect.flatMap(([row]): Effect.Effect<Appended, SqlError.SqlError | StoreUnavailable | LogIsTaken> => {
        if (Number(row?.held ?? 0) === 0) return fencedOff(sql)
        if (Number(row?.keyed ?? 0) !== fresh.length) {
          // some have a key already, of which nobody here knew
          return again
        }
        if (!isLearned && fresh.length > 0) persons.foundNone()
        persons.keep(fresh)
        const stored = new Set(row?.stored)
        if (row !== undefined && row.position !== null && stored.size === heads.length) {
          return Effect.succeed({ position: Number(row.position), conflicts: noConflicts })
        }
        return elsewhere(
          sql,
          heads.filter((one) => !stored.has(one.stream)),
        )
      }),
      unavailable,
    )
  }

  return {
    append: (decisions, requesters = []) => Effect.suspend(() => append(decisions, requesters)),

    load: (streams) =>
      // snapshots and what came after them in one statement; a stream never seen costs one look at its head
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
            readable(() => {
              const states = new Map<Uri, State>()
              for (const row of rows) {
                const stream = row.stream as Uri
                if (!isEvent(row)) states.set(stream, stateOf(row))
                else {
                  const { decision } = recorded(row, keyOf)
                  states.set(stream, fold(states.get(stream) ?? initial(stream), decision))
                }
              }
              return streams.map((stream) => states.get(stream) ?? initial(stream))
            }),
          ),
        ),
        unavailable,
      ),

    read: (after, max) =>
      sql<EventRow>`
        SELECT e.pos, e.at, h.stream, e.version, e.cause, e.origin, e.nonce, e.events
        FROM events e JOIN streams h ON h.id = e.stream
        WHERE e.pos > ${after}::bigint ORDER BY e.pos LIMIT ${max}::int`.pipe(
        Effect.flatMap(eventsAfter),
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

    ...makeLandmarks(sql),

    saveSnapshots: (states) =>
      heldBy(
        sql,
        sql<{ held: bigint }>`
        WITH fence AS MATERIALIZED (${fenceOf(sql)}), saved AS (
        INSERT INTO snapshots AS s (stream, version, state)
        SELECT h.id, f.version, nullif(f.state, '')::json
        FROM unnest(${states.map((one) => one.presentity)}::text[], ${states.map((one) => one.version)}::bigint[],
          ${states.map((one) => (isEmpty(one) ? "" : JSON.stringify(freeze(one))))}::text[])
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
        Effect.map(([row]) =>
          row === undefined ? null : { position: Number(row.pos), at: row.at.getTime() },
        ),
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

    claim,
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

/** Where each stream must stand, and where it goes. */
const headsOf = (decisions: readonly Decision[]) => {
  const heads = new Map<Uri, { stream: Uri; expected: number; version: number; nonce: string }>()
  for (const { stream, version, nonce } of decisions) {
    const head = heads.get(stream)
    if (head === undefined) heads.set(stream, { stream, expected: version - 1, version, nonce })
    else Object.assign(head, { version, nonce })
  }
  return [...heads.values()]
}

const isEvent = (row: SnapshotRow & Partial<EventRow>): row is SnapshotRow & EventRow => row.pos !== null

const recorded = (row: EventRow, keyOf: (id: string) => PersonKey | undefined): RecordedDecision => ({
  position: Number(row.pos),
  decision: {
    stream: row.stream as Uri,
    version: Number(row.version),
    at: row.at.getTime(),
    cause: row.cause,
    nonce: row.nonce,
    ...opened(row, keyOf),
  },
})

/** @throws Error that names the row, for whoever has to look at it */
const opened = (row: EventRow, keyOf: (id: string) => PersonKey | undefined) => {
  try {
    return decodeRow(row, keyOf)
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

const stateOf = (row: SnapshotRow & { readonly at?: Date | null }): State =>
  row.state === null
    ? {
        ...initial(row.stream as Uri),
        version: Number(row.version),
        // its next decision must not be earlier
        decidedAt: row.at?.getTime() ?? 0,
      }
    : thaw(row.state as Snapshot)

/** Which of these streams another writer moved; the others stand where an earlier attempt of ours put them. */
const elsewhere = (sql: PgClient.PgClient, heads: ReturnType<typeof headsOf>) =>
  sql<{ earlier: string[]; position: bigint | null }>`
    SELECT (SELECT max(pos) FROM events) AS position, ARRAY(
      SELECT h.stream
      FROM unnest(${heads.map((one) => one.stream)}::text[], ${heads.map((one) => one.version)}::bigint[],
        ${heads.map((one) => one.nonce)}::text[]) AS h(stream, version, nonce)
      JOIN streams s ON s.stream = h.stream AND s.version = h.version AND s.nonce = h.nonce) AS earlier`.pipe(
    Effect.map(([row]) => {
      const ours = new Set(row?.earlier)
      const moved = heads.map((one) => one.stream).filter((stream) => !ours.has(stream))
      return { position: Number(row?.position ?? 0), conflicts: new Set(moved) }
    }),
  )

const noConflicts: ReadonlySet<Uri> = new Set()
