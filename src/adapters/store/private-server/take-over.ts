/**
 * Takes over the log of an earlier version, which kept it in a database within the process (PGlite): every table is copied
 * row by row into the new database, and both are compared before the copy counts.
 *
 * The earlier database is not opened itself: a copy of its files is, brought to the present layout as a start would have
 * done. What its files look like inside differs from those of a server, so rows are all that can be copied.
 */
import { execFileSync } from "node:child_process"
import { chmodSync, mkdirSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted } from "effect"
import type { SqlClient } from "effect/sql"
import { migrate } from "../postgres/migrations.ts"
import { entries, serverEntries } from "../postgres/private-folder.ts"
import { messageOf } from "../writer/fitness.ts"
import { unusable } from "./site.ts"
import type { Site } from "./site.ts"

type Sql = PgClient.PgClient

/** Rows of one statement. */
const pageSize = 500

export const earlierPackage = "@electric-sql/pglite"

/** Whether the package is here that reads and keeps databases within the process. */
export const hasEarlierPackage = (): boolean => {
  try {
    createRequire(join(import.meta.dirname, "here.js")).resolve(earlierPackage)
    return true
  } catch {
    return false
  }
}

/** @throws DataFolderUnusable with one line */
export const takeOver = async (site: Site, url: string): Promise<void> => {
  if (!hasEarlierPackage()) {
    throw unusable(
      site,
      `it holds a log that an earlier version kept within its process: npm install ${earlierPackage} beside presently and ` +
        "start once more, and the log is copied; nothing in it was changed",
    )
  }
  const { embeddedClient } = await import("../postgres/embedded.ts")
  const scratch = join(site.path, serverEntries.takingOver)
  rmSync(scratch, { recursive: true, force: true })
  mkdirSync(scratch, { mode: 0o700 })
  try {
    execFileSync("cp", ["-a", site.earlier, join(scratch, entries.database)], {
      stdio: ["ignore", "ignore", "pipe"],
    })
    chmodSync(join(scratch, entries.database), 0o700)
    await Effect.runPromise(Effect.scoped(copyAll(embeddedClient(scratch, null), url)))
  } catch (cause) {
    throw unusable(
      site,
      `the log of an earlier version cannot be taken over: ${messageOf(cause)}; it is as it was`,
    )
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

const copyAll = Effect.fnUntraced(function* <E>(
  earlier: Layer.Layer<Sql | SqlClient.SqlClient, E>,
  url: string,
) {
  const from = yield* Layer.build(earlier)
  const to = yield* Layer.build(
    PgClient.layer({ url: Redacted.make(url), maxConnections: 1, applicationName: "presently takes over" }),
  )
  const source = Context.get(from, PgClient.PgClient)
  const target = Context.get(to, PgClient.PgClient)
  yield* Effect.provideContext(migrate, from)
  yield* Effect.provideContext(migrate, to)
  for (const sql of [source, target]) yield* sql.unsafe("SET timezone TO 'UTC'")
  // no trigger of ours fires: what they would have done is in the rows
  yield* target.unsafe("SET session_replication_role TO replica")
  yield* copyPartitions(source, target)
  const tables = yield* tablesOf(source)
  const made = yield* tablesOf(target)
  const known = new Set(made.map(({ name }) => name))
  // rows that the layout begins with
  yield* target.unsafe(`TRUNCATE ${made.map(({ quoted }) => quoted).join(", ")}`)
  for (const table of tables) {
    if (!known.has(table.name)) yield* makeTable(source, target, table)
    yield* copyTable(source, target, table)
  }
  yield* copySequences(source, target)
  for (const table of tables) {
    const [before, after] = [yield* sumOf(source, table), yield* sumOf(target, table)]
    if (before !== after) {
      return yield* Effect.fail(
        new Error(`the copy of ${table.name} differs (${before}, and ${after} in the copy)`),
      )
    }
  }
  yield* target.unsafe("CHECKPOINT")
})

interface Table {
  readonly name: string
  /** In the order of the table, without those that are computed. */
  readonly columns: string
  readonly quoted: string
  /** What puts the rows in order. */
  readonly order: string
}

const tablesOf = (sql: Sql) =>
  sql.unsafe<Table>(
    `SELECT c.relname::text AS name, quote_ident(c.relname) AS quoted,
       (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns,
       coalesce((SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY array_position(i.indkey::int2[], a.attnum))
          FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
          WHERE i.indrelid = c.oid AND i.indisprimary),
         (SELECT quote_ident(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'pos'), '1') AS "order"
     FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
     ORDER BY c.relname`,
  )

/** A month's part of the log is a table of its own. */
const copyPartitions = Effect.fnUntraced(function* (source: Sql, target: Sql) {
  const partitions = yield* source.unsafe<{ month: string }>(
    `SELECT replace(substr(c.relname, 8), '_', '-') || '-01 00:00:00+00' AS month
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_[0-9]{4}_[0-9]{2}$' ORDER BY 1`,
  )
  for (const { month } of partitions)
    yield* target.unsafe("SELECT presently_make_partition($1::timestamptz)", [month])
})

/** A table that a setting named, with what belongs to it. */
const makeTable = Effect.fnUntraced(function* (source: Sql, target: Sql, { name, quoted }: Table) {
  const statements = yield* source.unsafe<{ text: string }>(
    `WITH t AS (SELECT c.oid FROM pg_class c WHERE c.relname = $1 AND c.relnamespace = current_schema()::regnamespace)
     SELECT text FROM (
       SELECT 1 AS turn, format('CREATE SEQUENCE IF NOT EXISTS %I', s.relname) AS text
       FROM t JOIN pg_depend d ON d.refobjid = t.oid AND d.deptype = 'a' JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
       UNION ALL
       SELECT 2, 'CREATE TABLE ${quoted} (' || string_agg(format('%I %s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
           coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), ''), CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END),
           ', ' ORDER BY a.attnum) || ')'
       FROM t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
         LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
       UNION ALL
       SELECT 3, format('ALTER SEQUENCE %I OWNED BY %I.%I', s.relname, $1, a.attname)
       FROM t JOIN pg_depend d ON d.refobjid = t.oid AND d.deptype = 'a' JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
         JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
       UNION ALL
       SELECT 4, format('ALTER TABLE %I ADD CONSTRAINT %I %s', $1, k.conname, pg_get_constraintdef(k.oid))
       FROM t JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype IN ('p', 'u', 'c')
       UNION ALL
       SELECT 5, pg_get_indexdef(i.indexrelid) FROM t JOIN pg_index i ON i.indrelid = t.oid
       WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
     ) made ORDER BY turn`,
    [name],
  )
  for (const { text } of statements) yield* target.unsafe(text)
})

const copyTable = Effect.fnUntraced(function* (source: Sql, target: Sql, { quoted, columns, order }: Table) {
  // text keeps every digit of what is copied
  const insert = `INSERT INTO ${quoted} (${columns}) OVERRIDING SYSTEM VALUE
    SELECT ${columns} FROM json_populate_recordset(NULL::${quoted}, $1::json)`
  yield* source.withTransaction(
    Effect.gen(function* () {
      yield* source.unsafe(
        `DECLARE copied NO SCROLL CURSOR FOR
         SELECT row_to_json(t)::text AS row FROM (SELECT ${columns} FROM ${quoted} ORDER BY ${order}) t`,
      )
      for (let isMore = true; isMore;) {
        const page = yield* source.unsafe<{ row: string }>(`FETCH ${pageSize} FROM copied`)
        isMore = page.length === pageSize
        if (page.length > 0) yield* target.unsafe(insert, [`[${page.map(({ row }) => row).join()}]`])
      }
    }),
  )
})

const copySequences = Effect.fnUntraced(function* (source: Sql, target: Sql) {
  const sequences = yield* source.unsafe<{ name: string; last: string | null }>(
    `SELECT quote_ident(sequencename) AS name, last_value::text AS last FROM pg_sequences WHERE schemaname = current_schema()`,
  )
  for (const { name, last } of sequences) {
    if (last !== null)
      yield* target.unsafe("SELECT setval($1::text::regclass, $2::text::bigint)", [name, last])
  }
})

/** How many rows a table has, and a sum over all of them, whatever their order. */
const sumOf = (sql: Sql, { quoted, columns }: Table) =>
  sql
    .unsafe<{ sum: string }>(
      `SELECT count(*) || ' rows, sum ' ||
         coalesce(sum(('x' || substr(md5(ROW(${columns})::text), 1, 15))::bit(60)::bigint), 0)::text AS sum FROM ${quoted}`,
    )
    .pipe(Effect.map(([row]) => row?.sum ?? ""))
