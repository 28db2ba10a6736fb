/**
 * The care of a log in PostgreSQL: `LogAdmin` over one client.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { StoreUnavailable } from "../../../ports/event-store.ts"
import type { DatabaseServer, LogAdmin, StoreLayout } from "../../../ports/log-admin.ts"
import { moduleTableNames } from "../../../ports/presence-tables.ts"
import type { TableNames } from "../../../ports/presence-tables.ts"
import { claimOn, holderNow } from "../writer/claim.ts"
import { makeAudit } from "./audit-queries.ts"
import { makeChainAudit } from "./chain-queries.ts"
import { makeClockWitness } from "./clock-witness.ts"
import { makeErasureQueries } from "./erasure-queries.ts"
import { makePostgresStore } from "./event-store.ts"
import { newestMigration } from "./migrations.ts"
import { exclusively, makePresenceTables } from "./presence-tables.ts"
import { makeRetention } from "./retention-queries.ts"
import { makeSeals } from "./seal-queries.ts"
import { answering, unavailable } from "./unavailable.ts"

/** @param names what the presence tables are called */
export const makeLogAdmin = (
  sql: PgClient.PgClient,
  names: TableNames = moduleTableNames,
): LogAdmin["Service"] => ({
  store: makePostgresStore(sql),
  tables: makePresenceTables(sql, names),
  tableNames: names,
  audit: makeAudit(sql, names),
  chain: makeChainAudit(sql),
  seals: makeSeals(sql),
  retention: makeRetention(sql),
  erasure: makeErasureQueries(sql, names),
  witness: makeClockWitness(sql),
  layout: makeLayout(sql),
  claim: claimOn(sql),
  holder: unavailable(holderNow(sql)),
  consistently: (work) => consistently(sql, work),
  exclusively: (work) => exclusively(sql, work),
})

/** Does work in one transaction that sees the database as it is now and writes nothing. */
const consistently = <A, E, R>(
  sql: PgClient.PgClient,
  work: Effect.Effect<A, E, R>,
): Effect.Effect<A, E | StoreUnavailable, R> =>
  sql
    .withTransaction(Effect.andThen(sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY`, work))
    .pipe(
      Effect.catchTag("SqlError", (cause) => Effect.fail(new StoreUnavailable({ cause }))),
    ) as Effect.Effect<A, E | StoreUnavailable, R>

interface ServerRow {
  readonly number: number
  readonly version: string
  readonly clock: number
  readonly sync: string
  readonly fsync: string
  readonly encoding: string
  readonly may: boolean
}

const makeLayout = (sql: PgClient.PgClient): StoreLayout => ({
  newest: newestMigration(),
  ...answering({
    server: sql<ServerRow>`
      SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version,
        extract(epoch FROM clock_timestamp())::float8 * 1000 AS clock, current_setting('synchronous_commit') AS sync,
        current_setting('fsync') AS fsync, current_setting('server_encoding') AS encoding,
        coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may`.pipe(
      Effect.map(([row]): DatabaseServer => {
        const { sync, may, ...server } = row!
        return { ...server, synchronousCommit: sync, mayCreate: may }
      }),
    ),
    done: sql<{ done: number }>`
      SELECT coalesce(max(migration_id), 0)::int AS done FROM presently_migrations`.pipe(
      Effect.map(([row]) => row?.done ?? 0),
    ),
    present: (names: readonly string[]) =>
      sql<{ name: string }>`
        SELECT t.name FROM unnest(${names}::text[]) WITH ORDINALITY AS t(name, n)
        WHERE to_regclass('"' || t.name || '"') IS NOT NULL ORDER BY t.n`.pipe(
        Effect.map((rows) => rows.map(({ name }) => name)),
      ),
    owned: sql<{ name: string }>`SELECT table_name AS name FROM version`.pipe(
      Effect.map((rows) => rows.map(({ name }) => name)),
    ),
  }),
})
