/**
 * A source on PostgreSQL: one connection, one read-only transaction, one snapshot.
 */
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted } from "effect"
import { SourceUnavailable, reasonOf, withoutPassword } from "./source.ts"
import type { Source, SourceRow } from "./source.ts"

/** @param url `postgres://…` */
export const openPostgres = Effect.fnUntraced(function* (url: string) {
  const name = `PostgreSQL at ${withoutPassword(url)}`
  const unavailable = (cause: unknown) => new SourceUnavailable({ source: name, why: reasonOf(cause) })
  const client = yield* Layer.build(
    PgClient.layer({
      url: Redacted.make(url),
      applicationName: "presently import",
      maxConnections: 1,
      startupParameters: { default_transaction_read_only: "on" },
    }),
  ).pipe(Effect.mapError(unavailable))
  const sql = Context.get(client, PgClient.PgClient)
  const run = (statement: string, values: readonly string[] = []) => {
    let number = 0
    const numbered = statement.replaceAll("?", () => `$${++number}`)
    return sql.unsafe<SourceRow>(numbered, [...values]).pipe(Effect.mapError(unavailable))
  }
  yield* run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
  const [row] = yield* run(identityQuery)
  const source: Source = {
    name,
    identity: String(row?.["identity"]),
    hasTable: (table) =>
      Effect.map(run("SELECT to_regclass(?)::text AS found", [table]), ([one]) => one?.["found"] != null),
    rows: run,
  }
  return source
})

/** Server and database in one word: when it was started, and the number of the database in it. */
const identityQuery = `SELECT pg_postmaster_start_time()::text || ' ' || oid::text AS identity
  FROM pg_database WHERE datname = current_database()`

/** The same of a database that is open already, to tell whether an import would read and write the same one. */
export const identityOf = Effect.flatMap(PgClient.PgClient, (sql) =>
  Effect.map(sql.unsafe<{ readonly identity: string }>(identityQuery), ([row]) => row?.identity),
)
