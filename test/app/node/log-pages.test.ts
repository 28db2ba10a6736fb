/**
 * The log read in pages that are asked for before it is known where they begin.
 */
import assert from "node:assert/strict"
import { Effect } from "effect"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeLogPages } from "../../../src/app/node/log-pages.ts"
import { decisionOf } from "../../../src/app/testing/store-samples.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import type { RecordedDecision } from "../../../src/ports/event-store.ts"
import { StoreUnavailable } from "../../../src/ports/event-store.ts"

const row = (position: number): RecordedDecision => ({
  position,
  decision: decisionOf("sip:a@example.com" as Uri, position),
})

/** A log with decisions at these positions, whose answers come in any order. */
const logOf = (positions: readonly number[], delays: readonly number[]) => {
  let reads = 0
  let rows = 0
  const read = (after: number, max: number) =>
    Effect.suspend(() => {
      const page = positions.filter((position) => position > after).slice(0, max)
      rows += page.length
      return Effect.as(yields(delays[reads++ % delays.length]!), page.map(row))
    })
  return { read, reads: () => reads, rows: () => rows }
}

const yields = (times: number): Effect.Effect<void> =>
  times === 0 ? Effect.void : Effect.flatMap(Effect.yieldNow, () => yields(times - 1))

const readAll = (read: ReturnType<typeof logOf>["read"], from: number, rowsMax: number) =>
  Effect.gen(function* () {
    const pages = makeLogPages({ read }, from, rowsMax)
    const found: number[] = []
    for (let page = yield* pages.next; page !== null; page = yield* pages.next)
      found.push(...page.map(({ position }) => position))
    return found
  })

describe("a log read in pages", () => {
  it("gives every decision once and in order, whatever holes it has", { tags: ["L04"] }, () =>
    fc.assert(
      fc.asyncProperty(
        // what lies between two decisions
        fc.array(
          fc.oneof(
            fc.constant(1),
            fc.nat(40).map((gap) => gap + 1),
          ),
          { maxLength: 60 },
        ),
        fc.nat(30),
        fc.integer({ min: 1, max: 9 }),
        fc.array(fc.nat(7), { minLength: 1, maxLength: 9 }),
        async (gaps, from, rowsMax, delays) => {
          let last = 0
          const positions = gaps.map((gap) => (last += gap))
          const log = logOf(positions, delays)
          const found = await Effect.runPromise(readAll(log.read, from, rowsMax))
          assert.deepEqual(
            found,
            positions.filter((position) => position > from),
          )
        },
      ),
    ),
  )

  it("asks for the next pages of a dense log before it has the present one", { tags: ["L04"] }, async () => {
    const positions = Array.from({ length: 100 }, (_, index) => index + 1)
    const log = logOf(positions, [3])
    const found = await Effect.runPromise(
      Effect.gen(function* () {
        const pages = makeLogPages(log, 0, 10)
        yield* pages.next
        const before = log.reads()
        yield* pages.next
        return log.reads() - before
      }),
    )
    assert.equal(found, 3)
  })

  it("reads a log full of holes hardly more than once", { tags: ["L04"] }, async () => {
    const positions = Array.from({ length: 200 }, (_, index) => (index + 1) * 50)
    const log = logOf(positions, [1])
    await Effect.runPromise(readAll(log.read, 0, 10))
    assert.ok(log.rows() <= 210, `${log.rows()} rows`)
  })

  it(
    "fails with the store, leaves nothing under way, and misses nothing when it is asked again",
    { tags: ["L04"] },
    async () => {
      const positions = Array.from({ length: 60 }, (_, index) => index + 1)
      const log = logOf(positions, [2])
      let underWay = 0
      let fails = true
      const read = (after: number, max: number) => {
        if (after === 20 && fails) return Effect.fail(new StoreUnavailable({ cause: "away" }))
        return Effect.suspend(() => {
          underWay++
          return Effect.ensuring(
            log.read(after, max),
            Effect.sync(() => void underWay--),
          )
        })
      }
      await Effect.runPromise(
        Effect.gen(function* () {
          const pages = makeLogPages({ read }, 0, 10)
          const found: number[] = []
          const takeAll = Effect.gen(function* () {
            for (let page = yield* pages.next; page !== null; page = yield* pages.next)
              found.push(...page.map(({ position }) => position))
          })
          const failure = yield* Effect.flip(takeAll)
          assert.equal(failure._tag, "StoreUnavailable")
          assert.deepEqual(found, positions.slice(0, 20))
          assert.equal(underWay, 0)
          fails = false
          yield* takeAll
          assert.deepEqual(found, positions)
        }),
      )
    },
  )
})
