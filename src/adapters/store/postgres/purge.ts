/**
 * Makes bytes that the database no longer needs go from its files: dead rows of small tables, statistics, and the
 * write-ahead log.
 *
 * A checkpoint renames segments of the write-ahead log that are no longer needed, with what is in them, for later use. So the
 * present one is left first, and then all that exist are gone through once: switching to the next one fills the rest of a
 * segment with zeros.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"

const segmentsMax = 4096

/**
 * @param tables whose dead rows are to go
 * @returns what could not be done, one line each
 */
export const purge = Effect.fnUntraced(function* (sql: PgClient.PgClient, tables: readonly string[]) {
  const left: string[] = []
  const attempt = (what: string, work: Effect.Effect<unknown, { readonly message: string }>) =>
    work.pipe(
      Effect.asVoid,
      Effect.catch(() => Effect.sync(() => void left.push(what))),
    )
  for (const table of tables) {
    yield* attempt(
      `table ${table} could not be written anew: as its owner, VACUUM FULL ${table}`,
      sql.unsafe(`VACUUM FULL "${table}"`),
    )
  }
  // an ANALYZE would keep what is known of a table that has become empty
  yield* attempt(
    "the planner's statistics could not be written anew: as a superuser, DELETE FROM pg_statistic, then VACUUM FULL pg_statistic",
    Effect.andThen(
      sql`DELETE FROM pg_catalog.pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relname = ANY(${tables}::text[]))`,
      sql.unsafe("VACUUM FULL pg_catalog.pg_statistic"),
    ),
  )
  // an empty segment is not switched
  const next = Effect.andThen(
    sql`SELECT pg_logical_emit_message(true, 'presently', 'erase')::text`,
    sql`SELECT pg_switch_wal()::text`,
  )
  const log = Effect.gen(function* () {
    yield* next
    yield* sql.unsafe("CHECKPOINT")
    const [newest] = yield* sql<{ name: string | null }>`
      SELECT max(name) AS name FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'`
    for (let segment = 0; segment < segmentsMax; segment++) {
      const [now] = yield* sql<{ name: string }>`SELECT pg_walfile_name(pg_current_wal_lsn()) AS name`
      if (newest?.name == null || now === undefined || now.name > newest.name) break
      yield* next
    }
    yield* sql.unsafe("CHECKPOINT")
  })
  yield* attempt(
    "the write-ahead log could not be gone through: as a superuser, CHECKPOINT, then SELECT pg_switch_wal() once for each of its segments, then CHECKPOINT",
    log,
  )
  return left
})
