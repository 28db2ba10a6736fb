/**
 * The queue and the map of transactions: what goes in comes out, in order and by key.
 */
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { makeQueue } from "../../../src/adapters/sip/queue.ts"
import { makeShardedMap } from "../../../src/adapters/sip/sharded-map.ts"

describe("queue", () => {
  it("gives items in the order in which they came, over any number of blocks", () => {
    // positive: so many are pushed; negative: so many are shifted
    const steps = fc.array(fc.integer({ min: -1_500, max: 1_500 }), { maxLength: 20 })
    fc.assert(
      fc.property(steps, (counts) => {
        const queue = makeQueue<number>()
        let [pushed, shifted] = [0, 0]
        for (const count of counts)
          for (let left = Math.abs(count); left > 0; left--) {
            if (count > 0) queue.push(pushed++)
            else if (shifted < pushed) {
              assert.strictEqual(queue.first(), shifted++)
              queue.shift()
            } else {
              assert.isUndefined(queue.first())
              queue.shift()
            }
          }
        assert.strictEqual(queue.first(), shifted < pushed ? shifted : undefined)
      }),
      { numRuns: 25 },
    )
  })
})

describe("sharded map", () => {
  it("is a map", () => {
    const keys = fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom("", "a", "__proto__"))
    fc.assert(
      fc.property(fc.array(fc.tuple(keys, fc.option(fc.nat()))), (steps) => {
        const map = makeShardedMap<number>()
        const model = new Map<string, number>()
        for (const [key, value] of steps) {
          if (value === null) {
            map.delete(key)
            model.delete(key)
          } else {
            map.set(key, value)
            model.set(key, value)
          }
        }
        for (const [key] of steps) {
          assert.strictEqual(map.get(key), model.get(key))
          assert.strictEqual(map.has(key), model.has(key))
        }
      }),
    )
  })
})
