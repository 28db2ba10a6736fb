/**
 * When somebody who waits may take the log: never as long as its holder may trust its memory.
 */
import fc from "fast-check"
import { assert, describe, it } from "vitest"
import { driftMillis, seen, standingOf } from "../../../../src/adapters/store/writer/sighting.ts"
import type { SeenRow, Sighting } from "../../../../src/adapters/store/writer/sighting.ts"

const leaseSeconds = 2
const row = (more: Partial<SeenRow>): SeenRow => ({
  epoch: 1n,
  application: "presently writer a",
  session: 100,
  lock: 7,
  lease: leaseSeconds,
  lives: true,
  turn: "0",
  ...more,
})

describe("a log that somebody has", () => {
  it(
    "is taken at no moment at which its holder is sure, whenever it asks, is looked at, and loses its session",
    { tags: ["OPS-writer"] },
    () => {
      fc.assert(
        fc.property(
          fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 20 }),
          fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 60 }),
          fc.integer({ min: 0, max: 20_000 }),
          (questions, looks, ends) => {
            let at = 0
            const asked = questions.map((gap) => (at += gap)).filter((one) => one < ends)
            let now = 0
            let sighting: Sighting | null = null
            for (const gap of looks) {
              now += gap
              const last = asked.findLast((one) => one <= now) ?? 0
              const lives = now < ends
              sighting = seen(sighting, row({ lives, turn: lives ? String(last) : null }), now)
              const isSure = now < last + leaseSeconds * 1000
              if (isSure) assert.notStrictEqual(standingOf(sighting, now, false), "free")
            }
          },
        ),
      )
    },
  )

  it(
    "is free when a lease has passed in which its holder asked nothing, with or without a session",
    { tags: ["OPS-writer"] },
    () => {
      for (const lives of [true, false]) {
        const one = row({ lives, turn: lives ? "1" : null })
        const first = seen(null, one, 500)
        const over = 500 + leaseSeconds * 1000 + driftMillis
        assert.strictEqual(
          standingOf(seen(first, one, over - 1), over - 1, false),
          lives ? "held" : "returning",
        )
        assert.strictEqual(standingOf(seen(first, one, over), over, false), "free")
      }
    },
  )

  it(
    "is waited for anew when its holder has come back under the same epoch",
    { tags: ["OPS-writer"] },
    () => {
      const gone = seen(null, row({ lives: false, turn: null }), 0)
      const back = seen(gone, row({ session: 101, lock: 8, turn: "5" }), 1900)
      assert.strictEqual(standingOf(back, 2500, false), "held")
    },
  )

  it("is free at once when it was handed back, or the process has ended", { tags: ["OPS-writer"] }, () => {
    assert.strictEqual(standingOf(seen(null, row({ application: "" }), 0), 0, false), "free")
    assert.strictEqual(standingOf(seen(null, row({}), 0), 0, true), "free")
  })

  it("is held as long as there is a session of which nothing can be seen", { tags: ["OPS-writer"] }, () => {
    const one = row({ turn: null })
    assert.strictEqual(standingOf(seen(seen(null, one, 0), one, 1e9), 1e9, false), "held")
  })
})
