/**
 * A source in a SQLite file, through the client that comes with Node.
 */
import { existsSync } from "node:fs"
import { Effect } from "effect"
import { SourceUnavailable, reasonOf } from "./source.ts"
import type { Source, SourceRow } from "./source.ts"

/** @param file path of a file that is there */
export const openSqlite = Effect.fnUntraced(function* (file: string) {
  const name = `SQLite in ${file}`
  const unavailable = (cause: unknown) => new SourceUnavailable({ source: name, why: reasonOf(cause) })
  if (!existsSync(file)) return yield* unavailable("there is no such file")
  const { DatabaseSync } = yield* Effect.promise(() => import("node:sqlite"))
  const database = yield* Effect.acquireRelease(
    Effect.try({ try: () => new DatabaseSync(file, { readOnly: true }), catch: unavailable }),
    (open) => Effect.sync(() => open.close()),
  )
  const run = (statement: string, values: readonly string[] = []) =>
    Effect.try({
      try: () => database.prepare(statement).all(...values) as readonly SourceRow[],
      catch: unavailable,
    })
  yield* Effect.try({ try: () => database.exec("BEGIN"), catch: unavailable })
  const source: Source = {
    name,
    identity: null,
    hasTable: (table) =>
      Effect.map(
        run("SELECT 1 AS found FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?", [table]),
        (rows) => rows.length > 0,
      ),
    rows: run,
  }
  return source
})
