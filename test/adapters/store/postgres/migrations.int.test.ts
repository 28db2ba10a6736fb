/**
 * Logs that were written before a migration, carried over by it: nothing is lost, and they go on.
 */
import { readFileSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import type { Layer } from "effect"
import type { SqlClient } from "effect/sql"
import { makeAudit } from "../../../../src/adapters/store/postgres/audit-queries.ts"
import { makeChainAudit } from "../../../../src/adapters/store/postgres/chain-queries.ts"
import { embeddedClient } from "../../../../src/adapters/store/postgres/embedded.ts"
import { makePostgresStore } from "../../../../src/adapters/store/postgres/event-store.ts"
import { makePartitions, migrate } from "../../../../src/adapters/store/postgres/migrations.ts"
import { checkChain } from "../../../../src/app/integrity/check-chain.ts"
import type { LogFinding } from "../../../../src/app/integrity/folded.ts"
import { decisionOf, freshStream } from "../../../../src/app/testing/store-samples.ts"
import { fold } from "../../../../src/domain/presentity/evolve.ts"
import { nothingDropped } from "../../../../src/domain/presentity/retention.ts"
import { freeze } from "../../../../src/domain/presentity/snapshot.ts"
import { initial } from "../../../../src/domain/presentity/state.ts"
import { sharedPostgres } from "../../../support/postgres.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

const migrations = join(import.meta.dirname, "../../../../migrations")

/** What the first release made: one row per decision with the stream's name in it, no number, no hash. */
const oldest = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const files = readdirSync(migrations)
    .filter((file) => file.endsWith(".sql") && Number.parseInt(file, 10) <= 5)
    .sort()
  yield* sql`CREATE TABLE presently_migrations (
    migration_id integer PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(), name text NOT NULL)`
  for (const file of files) {
    const script = readFileSync(join(migrations, file), "utf8")
    yield* sql.unsafe(`DO $whole$ BEGIN EXECUTE $script$${script}$script$; END $whole$`)
    const name = file.slice(5, -".sql".length)
    yield* sql`INSERT INTO presently_migrations (migration_id, name) VALUES (${Number.parseInt(file, 10)}, ${name})`
  }
})

const databases: readonly [string, () => Layer.Layer<PgClient.PgClient | SqlClient.SqlClient, unknown>][] = [
  ["PGlite", () => embeddedClient(null)],
  ...(cluster === null
    ? []
    : [
        [
          "PostgreSQL",
          () => PgClient.layer({ url: Redacted.make(cluster.database()), maxConnections: 2 }),
        ] as [string, () => Layer.Layer<PgClient.PgClient | SqlClient.SqlClient, unknown>],
      ]),
]

describe.each(databases)("a log of the first layout on %s", (_, open) => {
  it(
    "is carried over with snapshots and places, goes on, and is proved from there on",
    { tags: ["L04", "T39"] },
    async () => {
      const [one, other, orphan] = [freshStream(), freshStream(), freshStream()]
      const decisions = [1, 2, 3].flatMap((version) => [decisionOf(one, version), decisionOf(other, version)])
      const stateOf = (stream: string, version: number) =>
        decisions
          .filter((each) => each.stream === stream && each.version <= version)
          .reduce((state, each) => fold(state, each), initial(one))
      const result = await Effect.runPromise(
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          yield* oldest
          yield* makePartitions(new Date(decisions[0]!.at))
          for (const { stream, version, at, cause, origin, nonce, events } of decisions) {
            yield* sql`INSERT INTO events (at, stream, version, cause, origin, nonce, events)
            VALUES (${new Date(at)}, ${stream}, ${version}, ${cause}, ${origin}, ${nonce}, ${JSON.stringify(events)}::json)`
            yield* sql`INSERT INTO streams AS s (stream, version, prev, nonce) VALUES (${stream}, ${version}, ${version - 1}, ${nonce})
            ON CONFLICT (stream) DO UPDATE SET version = excluded.version, prev = excluded.prev, nonce = excluded.nonce`
          }
          yield* sql`INSERT INTO snapshots VALUES (${one}, 2, ${JSON.stringify(freeze(stateOf(one, 2)))}::json), (${orphan}, 1, NULL)`
          yield* sql`INSERT INTO events (at, stream, version, cause, origin, nonce, events) VALUES (now(), ${orphan}, 1, '', '', '', '[]')`

          yield* migrate
          const store = makePostgresStore(sql)
          const history = yield* store.history(one, 0, 10)
          const read = yield* store.read(0, 10)
          const states = yield* store.load([one, other])
          const again = yield* store.append([decisionOf(one, 3)])
          const next = yield* store.append([4, 5].flatMap((n) => [decisionOf(one, n), decisionOf(other, n)]))
          const findings: LogFinding[] = []
          const chain = yield* checkChain(makeChainAudit(sql), nothingDropped, findings)
          const gaps = yield* makeAudit(sql).gaps
          yield* sql`UPDATE events SET hash = NULL WHERE version = 5`
          const spoilt: LogFinding[] = []
          yield* checkChain(makeChainAudit(sql), nothingDropped, spoilt)
          return { history, read, states, again, next, findings, chain, gaps, spoilt }
        }).pipe(Effect.provide(open()), Effect.scoped),
      )
      assert.deepStrictEqual(
        result.history.map(({ decision }) => decision),
        decisions.filter(({ stream }) => stream === one),
      )
      assert.deepStrictEqual(
        result.read.slice(0, 6).map(({ position, decision }) => [position, decision]),
        decisions.map((decision, index) => [index + 1, decision]),
      )
      assert.deepStrictEqual(result.states.map(freeze), [
        freeze(stateOf(one, 3)),
        freeze({ ...stateOf(other, 3), presentity: other }),
      ])
      assert.deepStrictEqual([result.again.conflicts.size, result.next.conflicts.size], [0, 0])
      // what the old layout let happen is still there to be found
      assert.deepStrictEqual(
        result.gaps.map(({ stream, why }) => `${stream} ${why}`),
        [`${orphan} its head stands at 0, its newest decision is 1`],
      )
      assert.deepStrictEqual(result.chain, { rows: 4, unchained: 7, beginnings: 0 })
      assert.deepStrictEqual([...new Set(result.findings.map(({ key }) => key))], [orphan])
      assert.isAtLeast(result.spoilt.filter(({ found }) => found === "its hash is gone").length, 2)
    },
  )
})
