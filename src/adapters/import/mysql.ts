/**
 * A source on MySQL or MariaDB: one connection, one read-only transaction, one snapshot.
 *
 * The client is an optional package and is loaded when a source asks for it.
 */
import { Effect } from "effect"
import { SourceClientMissing, SourceUnavailable, reasonOf, withoutPassword } from "./source.ts"
import type { Source, SourceRow } from "./source.ts"

/** @param url `mysql://…` or `mariadb://…` */
export const openMysql = Effect.fnUntraced(function* (url: string) {
  const name = `MySQL at ${withoutPassword(url)}`
  const unavailable = (cause: unknown) => new SourceUnavailable({ source: name, why: reasonOf(cause) })
  const { createConnection } = yield* Effect.tryPromise({
    try: () => import("mysql2/promise"),
    catch: () => new SourceClientMissing({ source: name, npmPackage: "mysql2" }),
  })
  const uri = url.replace(/^mariadb:/, "mysql:")
  const connection = yield* Effect.acquireRelease(
    Effect.tryPromise({
      try: () => createConnection({ uri, charset: "utf8mb4", connectTimeout: 10_000 }),
      catch: unavailable,
    }),
    (open) => Effect.promise(() => open.end().catch(() => {})),
  )
  const run = (statement: string, values: readonly string[] = []) =>
    Effect.tryPromise({
      try: async () => (await connection.query(statement, [...values]))[0] as readonly SourceRow[],
      catch: unavailable,
    })
  yield* run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
  yield* run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
  const source: Source = {
    name,
    identity: null,
    hasTable: (table) =>
      Effect.map(
        run(
          "SELECT 1 AS found FROM information_schema.tables WHERE table_schema = database() AND table_name = ?",
          [table],
        ),
        (rows) => rows.length > 0,
      ),
    rows: run,
  }
  return source
})
