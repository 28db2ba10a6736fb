/**
 * The function that appends decides of any batch as the store in memory does: what is stored, where, and what is refused.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Layer, Redacted, Scope } from "effect"
import fc from "fast-check"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { makeMemoryLog } from "../../../../src/adapters/store/memory.ts"
import { ownConnection } from "../../../../src/adapters/store/postgres/append-connection.ts"
import { makePostgresStore } from "../../../../src/adapters/store/postgres/event-store.ts"
import { makePartitions, migrate } from "../../../../src/adapters/store/postgres/migrations.ts"
import { decisionOf, freshStream } from "../../../../src/app/testing/store-samples.ts"
import type { Decision } from "../../../../src/domain/presentity/events.ts"
import type { Uri } from "../../../../src/domain/vocabulary.ts"
import { on } from "../../../support/checked-store.ts"
import { sharedPostgres } from "../../../support/postgres.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

/** For each decision a stream, and by how much its version is not the one that comes next there. */
const batches = fc.array(
  fc.array(fc.record({ stream: fc.nat(4), off: fc.constantFrom(0, 0, 0, 0, 0, 0, -1, 1) }), {
    minLength: 1,
    maxLength: 7,
  }),
  { minLength: 1, maxLength: 6 },
)

describe.skipIf(cluster === null)("appends of a role that gets no connection more", () => {
  it("go over the connections of its client", { tags: ["L04"] }, async () => {
    const url = cluster!.database()
    const role = `narrow_${new URL(url).pathname.slice(1)}`
    await on(url, `CREATE ROLE ${role} LOGIN SUPERUSER`)
    await Effect.runPromise(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* migrate
        yield* makePartitions(new Date())
        // superusers are exempt from limits: the limit counts from here on
        yield* sql.unsafe(`ALTER ROLE ${role} CONNECTION LIMIT 1 NOSUPERUSER`)
        const store = makePostgresStore(sql, { appends: ownConnection(sql, yield* Effect.scope) })
        const stream = freshStream()
        for (const version of [1, 2, 3]) {
          const { conflicts } = yield* store.append([decisionOf(stream, version)])
          assert.equal(conflicts.size, 0)
        }
      }).pipe(
        Effect.provide(
          PgClient.layer({
            url: Redacted.make(url.replace("postgres@", `${role}@`)),
            multiplex: true,
            maxConnections: 1,
          }),
        ),
        Effect.scoped,
      ),
    )
  })
})

describe.skipIf(cluster === null)("appends", () => {
  const scope = Effect.runSync(Scope.make())
  let sql: PgClient.PgClient
  beforeAll(async () => {
    const layer = PgClient.layer({
      url: Redacted.make(cluster!.database()),
      multiplex: true,
      maxConnections: 4,
    })
    const services = await Effect.runPromise(Layer.buildWithScope(layer, scope))
    await Effect.runPromise(
      migrate.pipe(Effect.andThen(makePartitions(new Date())), Effect.provideContext(services)),
    )
    sql = await Effect.runPromise(Effect.provideContext(PgClient.PgClient, services))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  it(
    "new streams, known ones, several decisions of one, stale ones and repeated batches end as in memory",
    { tags: ["L04"] },
    async () => {
      const store = makePostgresStore(sql, { appends: ownConnection(sql, scope) })
      await fc.assert(
        fc.asyncProperty(batches, fc.nat(5), async (plan, repeated) => {
          const streams = Array.from({ length: 5 }, freshStream)
          const memory = makeMemoryLog()
          const stands = new Map<Uri, number>()
          const begin = (await Effect.runPromise(store.append([decisionOf(freshStream(), 1)]))).position
          const written: (readonly Decision[])[] = []
          for (const [index, places] of plan.entries()) {
            const next = new Map<Uri, number>()
            const fresh = places.map(({ stream: place, off }) => {
              const stream = streams[place]!
              // the first of a stream may be too early or too late; those after it follow it
              const version = next.has(stream)
                ? next.get(stream)! + 1
                : Math.max(1, (stands.get(stream) ?? 0) + 1 + off)
              next.set(stream, version)
              return decisionOf(stream, version, { nonce: `${index} ${stream} ${version}` })
            })
            const batch = index === repeated && index > 0 ? written[index - 1]! : fresh
            written.push(batch)
            const expected = memory.append(batch)
            const { position, conflicts } = await Effect.runPromise(store.append(batch))
            assert.deepEqual([...conflicts].toSorted(), [...expected.conflicts].toSorted())
            assert.equal(position - begin, expected.position)
            for (const stream of streams) stands.set(stream, memory.load(stream).version)
          }
          const read = await Effect.runPromise(store.read(begin, 1000))
          const inMemory = memory.read(0, 1000)
          assert.deepEqual(
            read.map(({ position, decision }) => ({ position: position - begin, decision })),
            inMemory.map(({ position, decision }) => ({ position, decision })),
          )
        }),
        { numRuns: Number(process.env["PRESENTLY_TEST_RUNS"] ?? 40) },
      )
    },
  )

  it("an append after its connection has ended goes over another", { tags: ["L04"] }, async () => {
    const store = makePostgresStore(sql, { appends: ownConnection(sql, scope) })
    const stream = freshStream()
    await Effect.runPromise(store.append([decisionOf(stream, 1)]))
    await Effect.runPromise(sql`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'SELECT held%'`)
    // told of the end, or finding out: it may fail once, as with any connection that ends
    const second = store.append([decisionOf(stream, 2)])
    await Effect.runPromise(Effect.retry(second, { times: 1 }))
    const { position, conflicts } = await Effect.runPromise(store.append([decisionOf(stream, 3)]))
    assert.equal(conflicts.size, 0)
    const rows = await Effect.runPromise(store.history(stream, 0, 10))
    assert.deepEqual(
      rows.map(({ decision }) => decision.version),
      [1, 2, 3],
    )
    assert.equal(rows.at(-1)!.position, position)
  })

  it("an append that is given up does not hold up the next one", { tags: ["L04"] }, async () => {
    const store = makePostgresStore(sql, { appends: ownConnection(sql, scope) })
    const stream = freshStream()
    await Effect.runPromise(store.append([decisionOf(stream, 1)]))
    await Effect.runPromise(
      sql.withTransaction(
        Effect.gen(function* () {
          // nobody's append gets past this until the transaction ends
          yield* sql`SELECT FROM writers WHERE shard = 0 FOR UPDATE`
          // outside of the transaction, over whichever connection
          const stuck = Effect.runFork(store.append([decisionOf(stream, 2, { nonce: "stuck" })]))
          for (let waiting = 0; waiting === 0;) {
            // a transaction sees the activity of others as it was when it first looked
            yield* sql`SELECT pg_stat_clear_snapshot()`
            const [row] = yield* sql<{ count: number }>`
              SELECT count(*)::int AS count FROM pg_stat_activity
              WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'SELECT held%'`
            waiting = row!.count
          }
          stuck.interruptUnsafe()
          yield* Effect.yieldNow
        }),
      ),
    )
    const next = decisionOf(stream, 2, { nonce: "next" })
    const outcome = await Effect.runPromise(store.append([next]))
    const [row] = await Effect.runPromise(store.history(stream, 1, 1))
    // whichever of the two came first, the other one stored nothing
    assert.equal(row!.decision.nonce, outcome.conflicts.has(stream) ? "stuck" : "next")
  })
})
