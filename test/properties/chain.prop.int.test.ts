/**
 * The chains of the log: whatever is changed in it afterwards is found, byte by byte and row by row.
 */
import assert from "node:assert/strict"
import { generateKeyPairSync } from "node:crypto"
import { PgClient } from "@effect/sql-pg"
import { Data, Effect, Exit, Layer, Redacted, Scope } from "effect"
import fc from "fast-check"
import { afterAll, beforeAll, describe, it } from "vitest"
import { makeChainAudit } from "../../src/adapters/store/postgres/chain-queries.ts"
import { makePostgresStore } from "../../src/adapters/store/postgres/event-store.ts"
import { makeLogAdmin } from "../../src/adapters/store/postgres/log-admin.ts"
import { makePartitions, migrate } from "../../src/adapters/store/postgres/migrations.ts"
import { makeSeals } from "../../src/adapters/store/postgres/seal-queries.ts"
import { checkChain } from "../../src/app/integrity/check-chain.ts"
import { checkSeals } from "../../src/app/integrity/check-seals.ts"
import type { LogFinding } from "../../src/app/integrity/folded.ts"
import { makeSealer } from "../../src/app/node/seal-signer.ts"
import { decisionOf, freshStream } from "../../src/app/testing/store-samples.ts"
import { nothingDropped } from "../../src/domain/presentity/retention.ts"
import { anySteps } from "../support/arbitraries.ts"
import { play } from "../support/history.ts"
import { worlds } from "../support/machine.ts"
import { sharedPostgres } from "../support/postgres.ts"
import { emptyStore, project, verified } from "../support/projected.ts"
import { allowTampering, displace, flip, forge } from "../support/tampering.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

/** Ends a transaction without a trace. */
class Undone extends Data.TaggedError("Undone")<{ readonly found: readonly LogFinding[] | null }> {}

describe.skipIf(cluster === null)("the chains of the log", () => {
  const scope = Effect.runSync(Scope.make())
  let sql: PgClient.PgClient
  beforeAll(async () => {
    const layer = PgClient.layer({ url: Redacted.make(cluster!.database()), maxConnections: 2 })
    const services = await Effect.runPromise(Layer.buildWithScope(layer, scope))
    await Effect.runPromise(
      migrate.pipe(Effect.andThen(makePartitions(new Date())), Effect.provideContext(services)),
    )
    sql = await Effect.runPromise(Effect.provideContext(PgClient.PgClient, services))
    await Effect.runPromise(allowTampering(sql))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const checked = Effect.gen(function* () {
    const findings: LogFinding[] = []
    const report = yield* checkChain(makeChainAudit(sql), nothingDropped, findings)
    return { ...report, findings }
  })

  /** What is found after a change that is undone afterwards; null: it could not be made. */
  const foundAfter = (
    change: Effect.Effect<string | null, unknown>,
    look: Effect.Effect<{ readonly findings: readonly LogFinding[] }, unknown> = checked,
  ): Promise<readonly LogFinding[] | null> => {
    const changed = Effect.gen(function* () {
      const done = yield* change
      return yield* new Undone({ found: done === null ? null : (yield* look).findings })
    })
    const undone = Effect.mapError(sql.withTransaction(changed), (error) => error as unknown)
    return Effect.runPromise(Effect.flip(undone) as Effect.Effect<unknown>).then((error) => {
      if (error instanceof Undone) return error.found
      throw error
    })
  }

  /** A history of several presentities, some of its decisions stored together. */
  const fill = async (
    steps: Parameters<typeof play>[1],
    together: number,
    stored: (batch: number) => Promise<void> = async () => {},
  ): Promise<number> => {
    await emptyStore(sql)
    const store = makePostgresStore(sql)
    const log = play(worlds[0]!, steps).log.map((one, index) => ({
      ...one,
      origin: `udp:192.0.2.1:5060 call ${index}`,
      nonce: `${one.nonce}-${index}`,
    }))
    for (let start = 0; start < log.length; start += together) {
      const { conflicts } = await Effect.runPromise(store.append(log.slice(start, start + together)))
      assert.equal(conflicts.size, 0)
      await stored(start / together)
    }
    return log.length
  }

  const anyHistory = fc.tuple(
    fc.array(anySteps, { minLength: 2, maxLength: 4 }).map((all) => all.flat()),
    fc.integer({ min: 1, max: 40 }),
  )
  const anyTable = fc.constantFrom("events" as const, "streams" as const)

  it(
    "a log as it was written is proved whole, however decisions were stored together",
    { tags: ["T39"] },
    async () => {
      await fc.assert(
        fc.asyncProperty(anyHistory, async ([steps, together]) => {
          const rows = await fill(steps, together)
          assert.deepEqual(await Effect.runPromise(checked), {
            rows,
            unchained: 0,
            beginnings: 0,
            findings: [],
          })
        }),
        { numRuns: 15, endOnFailure: true },
      )
    },
  )

  it(
    "a flipped bit in any column of any row of events and streams is found, each of them",
    { tags: ["T39"] },
    async () => {
      let flipped = 0
      const columns = new Set<string>()
      await fc.assert(
        fc.asyncProperty(
          anyHistory,
          fc.array(
            fc.tuple(
              anyTable,
              fc.record({ row: fc.nat(), column: fc.nat(), byte: fc.nat(), bit: fc.nat({ max: 7 }) }),
            ),
            { minLength: 30, maxLength: 30 },
          ),
          async ([steps, together], changes) => {
            if ((await fill(steps, together)) === 0) return
            for (const [table, at] of changes) {
              let what = "" as string | null
              const found = await foundAfter(
                Effect.tap(flip(sql, table, at), (done) => Effect.sync(() => (what = done))),
              )
              if (found === null) continue
              assert.notEqual(found.length, 0, what!)
              flipped++
              columns.add(what!.split(" ")[0]!)
            }
          },
        ),
        { numRuns: 10, endOnFailure: true },
      )
      assert.ok(flipped >= 100, `${flipped} flipped`)
      assert.equal(columns.size, 16, [...columns].join())
    },
  )

  it(
    "rows deleted, inserted, exchanged, and newest ones cut off are found, each of them",
    { tags: ["T39"] },
    async () => {
      const done = { deleted: 0, inserted: 0, swapped: 0, truncated: 0 }
      await fc.assert(
        fc.asyncProperty(
          anyHistory,
          fc.array(
            fc.tuple(
              fc.constantFrom("deleted", "inserted", "swapped", "truncated") as fc.Arbitrary<
                keyof typeof done
              >,
              anyTable,
              fc.nat({ max: 1000 }),
              fc.nat({ max: 1000 }),
            ),
            { minLength: 20, maxLength: 20 },
          ),
          async ([steps, together], changes) => {
            if ((await fill(steps, together)) === 0) return
            for (const [kind, table, row, other] of changes) {
              const found = await foundAfter(displace(sql, kind, table, row, other))
              if (found === null) continue
              assert.notEqual(found.length, 0, `${table} ${kind} ${row} ${other}`)
              done[kind]++
            }
          },
        ),
        { numRuns: 10, endOnFailure: true },
      )
      for (const [kind, count] of Object.entries(done)) assert.ok(count >= 20, `${count} ${kind}`)
    },
  )

  it(
    "verify says what does not fit and where, beside the tables, and repairs nothing of it",
    { tags: ["T39"] },
    async () => {
      await emptyStore(sql)
      const run = play(worlds[0]!, fc.sample(anySteps, { seed: 7, numRuns: 3 }).flat())
      await project(sql, run, (decision) => decision === run.log.length - 1)
      const good = await verified(sql, { chain: true })
      assert.deepEqual([good.differences, good.chain?.rows], [[], run.log.length])
      await Effect.runPromise(
        sql`UPDATE events SET origin = origin || '!' WHERE pos = (SELECT min(pos) FROM events)`,
      )
      const bad = await verified(sql, { chain: true })
      const { stream, version } = run.log[0]!
      assert.match(
        bad.differences.map(({ table, key, found }) => `${table} ${key}: ${found}`).join("\n"),
        new RegExp(
          `^events ${stream} version ${version} at position \\d+: it is not what was written there, or what`,
        ),
      )
      assert.equal(bad.differences.length, 1)
      assert.equal((await verified(sql)).differences.length, 0)
    },
  )

  const { privateKey, publicKey } = generateKeyPairSync("ed25519")

  /** Chain and seals together. */
  const sealChecked = Effect.gen(function* () {
    const { findings } = yield* checked
    const chain = findings.length
    const report = yield* checkSeals(makeSeals(sql), publicKey, 0n, nothingDropped, findings)
    return { ...report, findings, chain }
  })

  const sealed = async ([steps, together]: readonly [Parameters<typeof play>[1], number]) => {
    const sealer = makeSealer(makeLogAdmin(sql), privateKey, 1)
    return await fill(steps, together, (stored) =>
      stored % 3 === 0 ? Effect.runPromise(sealer.seal) : Promise.resolve(),
    )
  }

  it(
    "what was sealed cannot be rewritten, also not with every hash after it; what was not yet, can",
    { tags: ["T39"] },
    async () => {
      const outcomes = { found: 0, unsealed: 0 }
      await fc.assert(
        fc.asyncProperty(
          anyHistory,
          fc.array(fc.nat(), { minLength: 8, maxLength: 8 }),
          async (history, rows) => {
            await sealed(history)
            const good = await Effect.runPromise(sealChecked)
            // so short that nobody has signed anything
            if (good.position === null) return
            assert.deepEqual(good.findings, [])
            await Effect.runPromise(makePostgresStore(sql).append([decisionOf(freshStream(), 1)]))
            for (const row of [...rows, "newest" as const]) {
              let where = 0n
              const forged = Effect.map(forge(sql, row), (pos) => {
                where = pos
                return "forged"
              })
              const found = (await foundAfter(forged, sealChecked))!
              // the chain alone cannot tell
              assert.equal(found.filter(({ table }) => table !== "seals").length, 0)
              const isSealed: boolean = where <= BigInt(good.position)
              assert.equal(found.length > 0, isSealed)
              outcomes[isSealed ? "found" : "unsealed"]++
            }
          },
        ),
        { numRuns: 12, endOnFailure: true },
      )
      assert.ok(outcomes.found >= 8 && outcomes.unsealed >= 1, JSON.stringify(outcomes))
    },
  )

  it(
    "a flipped bit of a seal, one that is gone, one of another key, and none at all are found",
    { tags: ["T39"] },
    async () => {
      await sealed([fc.sample(anySteps, { seed: 3, numRuns: 4 }).flat(), 2])
      const { seals } = await Effect.runPromise(sealChecked)
      assert.ok(seals > 2, `${seals} seals`)
      let flipped = 0
      await fc.assert(
        fc.asyncProperty(
          fc.record({ row: fc.nat(), column: fc.nat(), byte: fc.nat(), bit: fc.nat({ max: 7 }) }),
          async (at) => {
            const found = await foundAfter(flip(sql, "seals", at), sealChecked)
            if (found === null) return
            assert.notEqual(found.length, 0)
            flipped++
          },
        ),
        {
          numRuns: 60,
          endOnFailure: true,
          // the sign of the last position
          examples: [[{ row: 9, column: 0, byte: 0, bit: 7 }]],
        },
      )
      assert.ok(flipped >= 40, `${flipped} flipped`)
      const other = makeSealer(makeLogAdmin(sql), generateKeyPairSync("ed25519").privateKey, 1)
      for (const change of [
        sql`DELETE FROM seals WHERE position = (SELECT min(position) FROM seals)`,
        sql`DELETE FROM seals`,
        Effect.andThen(sql`DELETE FROM seals WHERE position = (SELECT max(position) FROM seals)`, other.seal),
      ]) {
        const found = await foundAfter(Effect.as(change, "changed"), sealChecked)
        assert.notEqual(found!.length, 0)
      }
    },
  )
})
