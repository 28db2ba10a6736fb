/**
 * The tables are what the log says, however they came about; and whatever else is in them is found and put right.
 */
import assert from "node:assert/strict"
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Layer, Redacted, Scope } from "effect"
import fc from "fast-check"
import { afterAll, beforeAll, describe, it } from "vitest"
import { makePostgresStore } from "../../src/adapters/store/postgres/event-store.ts"
import { makePartitions, migrate } from "../../src/adapters/store/postgres/migrations.ts"
import { makePresenceTables } from "../../src/adapters/store/postgres/presence-tables.ts"
import { decisionOf, freshStream } from "../../src/app/testing/store-samples.ts"
import { fold } from "../../src/domain/presentity/evolve.ts"
import { freeze } from "../../src/domain/presentity/snapshot.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import { layouts, rowsOf } from "../../src/domain/projections/layout.ts"
import type { TableName } from "../../src/domain/projections/layout.ts"
import { anySteps } from "../support/arbitraries.ts"
import { play } from "../support/history.ts"
import { worlds } from "../support/machine.ts"
import { sharedPostgres } from "../support/postgres.ts"
import { emptyStore, project, verified } from "../support/projected.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

describe.skipIf(cluster === null)("tables and log", () => {
  const scope = Effect.runSync(Scope.make())
  let sql: PgClient.PgClient
  beforeAll(async () => {
    const layer = PgClient.layer({ url: Redacted.make(cluster!.database()), maxConnections: 3 })
    const services = await Effect.runPromise(Layer.buildWithScope(layer, scope))
    await Effect.runPromise(
      migrate.pipe(Effect.andThen(makePartitions(new Date())), Effect.provideContext(services)),
    )
    sql = await Effect.runPromise(Effect.provideContext(PgClient.PgClient, services))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const anyWorld = fc.constantFrom(...worlds)
  /** After which decisions the tables are written. */
  const anyFlushes = fc.array(fc.nat({ max: 12 }), { maxLength: 8 }).map((gaps) => {
    const at = new Set<number>()
    let decision = 0
    for (const gap of gaps) at.add((decision += gap + 1))
    return at
  })

  it(
    "whenever the tables are written, they are the log at that position, row by row",
    { tags: ["L05", "OPS-db_update_period"] },
    async () => {
      await fc.assert(
        fc.asyncProperty(anyWorld, anySteps, anyFlushes, async (world, steps, flushes) => {
          await emptyStore(sql)
          const run = play(world, steps)
          await project(sql, run, (decision) => flushes.has(decision))
          const quick = await verified(sql)
          assert.deepEqual(quick.differences, [])
          assert.equal(quick.ahead, 0)
          const whole = await verified(sql, { fromStart: true })
          assert.deepEqual(whole.differences, [])
          assert.equal(whole.decisions + whole.lag, run.log.length)
        }),
        { numRuns: 20 },
      )
    },
  )

  it(
    "rows and snapshots of a write that was cut off are told as that, and are no difference",
    { tags: ["L05"] },
    async () => {
      let ahead = 0
      await fc.assert(
        fc.asyncProperty(anyWorld, anySteps, anySteps, async (world, early, late) => {
          await emptyStore(sql)
          const first = play(world, early).log.length
          const run = play(world, [...early, ...late])
          await project(sql, run, (decision) => decision === first - 1)
          // as the embedded database writes them: piece by piece, and the checkpoint last
          const states = [...run.states.values()]
          const changes = states.map((state) => ({ state, keys: rowsOf(state) }))
          await Effect.runPromise(makePresenceTables(sql).write(changes))
          await Effect.runPromise(makePostgresStore(sql).saveSnapshots(states.slice(0, 1)))
          for (const fromStart of [false, true]) {
            const found = await verified(sql, { fromStart })
            assert.deepEqual(found.differences, [])
            ahead += found.ahead
          }
        }),
        { numRuns: 10 },
      )
      assert.notEqual(ahead, 0)
    },
  )

  /** One row added, deleted, or with another value in one column; false: there was nothing to spoil. */
  const spoil = async (kind: "changed" | "deleted" | "added", which: number): Promise<boolean> => {
    const rows = await Effect.runPromise(
      sql<{ name: TableName; id: number }>`
        SELECT 'presentity' AS name, id FROM presentity UNION ALL SELECT 'active_watchers', id FROM active_watchers
        UNION ALL SELECT 'watchers', id FROM watchers ORDER BY 1, 2`,
    )
    const row = rows[which % rows.length]
    if (row === undefined) return false
    const run = (text: string) => Effect.runPromise(sql.unsafe(text))
    if (kind === "deleted") await run(`DELETE FROM ${row.name} WHERE id = ${row.id}`)
    else if (kind === "added") {
      const columns = layouts[row.name].columns.map((column) =>
        column === "event" ? "'stranger'" : column === "etag" ? `'spoilt ${which}'` : column,
      )
      await run(`INSERT INTO ${row.name} (${layouts[row.name].columns.join()})
        SELECT ${columns.join()} FROM ${row.name} WHERE id = ${row.id}`)
    } else {
      const { columns } = layouts[row.name]
      const column = columns[which % columns.length]!
      const isNumber = /expires|time|cseq|status|^version$/.test(column)
      const isBytes = column === "body" || column === "extra_hdrs"
      const value = isNumber
        ? `CASE WHEN ${column} = 2147483647 THEN 0 ELSE ${column} + 1 END`
        : isBytes
          ? `coalesce(${column}, '') || '\\xff'::bytea`
          : `CASE WHEN coalesce(${column}, '') = 'spoilt' THEN 'other' ELSE 'spoilt' END`
      await run(`UPDATE ${row.name} SET ${column} = ${value} WHERE id = ${row.id}`)
    }
    return true
  }

  it(
    "a row changed in any column, deleted or added is found, and repaired, with nothing else touched",
    { tags: ["L05"] },
    async () => {
      let spoilt = 0
      const property = fc.asyncProperty(
        anyWorld,
        fc.array(anySteps, { minLength: 2, maxLength: 4 }),
        fc.array(fc.tuple(fc.constantFrom("changed", "changed", "deleted", "added"), fc.nat()), {
          minLength: 6,
          maxLength: 6,
        }),
        fc.boolean(),
        async (world, steps, faults, fromStart) => {
          await emptyStore(sql)
          const run = play(world, steps.flat())
          await project(sql, run, (decision) => decision === run.log.length - 1)
          for (const [kind, which] of faults) {
            if (!(await spoil(kind as "changed", which))) continue
            spoilt++
            const found = await verified(sql)
            assert.notEqual(found.differences.length, 0, `${kind} ${which}`)
            const repair = await verified(sql, { repair: true, fromStart })
            assert.deepEqual(repair.differences, found.differences)
            // a row under another name is one too many and one too few
            assert.ok(repair.repaired === 1 || repair.repaired === 2)
            assert.deepEqual((await verified(sql)).differences, [])
          }
        },
      )
      await fc.assert(property, { numRuns: 20 })
      // a fault that is drawn counts when there is a row for it
      for (let more = 0; more < 40 && spoilt < 100; more++) await fc.assert(property, { numRuns: 1 })
      assert.ok(spoilt >= 100, `${spoilt} faults`)
    },
  )

  it(
    "a rebuild makes every landmark from the log; one that is spoilt is found and made again",
    { tags: ["L04"] },
    async () => {
      await emptyStore(sql)
      const store = makePostgresStore(sql)
      const alone = [freshStream(), freshStream()]
      const all = Array.from({ length: 1020 }, (_, index) => index + 1)
      for (const stream of alone) {
        for (let start = 0; start < all.length; start += 100) {
          const part = all.slice(start, start + 100)
          await Effect.runPromise(store.append(part.map((version) => decisionOf(stream, version))))
        }
      }
      await Effect.runPromise(store.saveCheckpoint("tables", { position: 1_000_000_000, at: 0 }))
      assert.equal((await verified(sql, { fromStart: true })).differences.length > 0, true)
      await verified(sql, { fromStart: true, repair: true })
      for (const stream of alone) {
        const states = all.map((version) => decisionOf(stream, version))
        for (const version of [500, 1000]) {
          const state = states.slice(0, version).reduce((so, one) => fold(so, one), initial(stream))
          const found = await Effect.runPromise(store.landmarkBefore(stream, version + 17))
          assert.deepEqual(freeze(found!), freeze(state))
        }
      }
      assert.deepEqual((await verified(sql, { fromStart: true })).differences, [])
      await Effect.runPromise(
        sql`UPDATE landmarks SET state = (SELECT state FROM landmarks WHERE version = 1000 LIMIT 1) WHERE version = 500`,
      )
      const spoilt = await verified(sql, { fromStart: true })
      assert.deepEqual(
        spoilt.differences.map(({ table, key }) => `${table} ${key}`).sort(),
        alone.map((stream) => `landmarks ${stream} version 500`).sort(),
      )
      assert.equal((await verified(sql, { fromStart: true, repair: true })).repaired, 2)
      assert.deepEqual((await verified(sql, { fromStart: true })).differences, [])
    },
  )
})
