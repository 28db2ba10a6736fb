import { deepStrictEqual } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import {
  addOutstanding,
  hasOutstanding,
  holdsOutstanding,
  isNothingOutstanding,
  moveBackOutstanding,
  noOutstandingNotifies,
  oldestOutstanding,
  settleOutstanding,
} from "../../../src/domain/engine/outstanding-notifies.ts"

const numbers = [1, 2, 3]
const cseqs = [1, 2, 3, 4, 5]

const step = fc.record({
  move: fc.constantFrom("add", "add", "settle", "settle", "move back"),
  no: fc.constantFrom(...numbers),
  cseq: fc.constantFrom(...cseqs),
  at: fc.nat(1000),
})

describe("NOTIFYs under way", () => {
  it("are those that were added and have not ended, each with its time, in whatever order they end", () => {
    let most = 0
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
        const notifies = noOutstandingNotifies()
        const model = new Map<string, number>()
        for (const { move, no, cseq, at } of steps) {
          const key = `${no} ${cseq}`
          if (move === "add") {
            addOutstanding(notifies, no, cseq, at)
            model.set(key, at)
          } else if (move === "settle") {
            deepStrictEqual(settleOutstanding(notifies, no, cseq), model.get(key) ?? null)
            model.delete(key)
          } else {
            moveBackOutstanding(notifies, at, 7)
            for (const [known, issued] of model) if (issued > at) model.set(known, issued - 7)
          }
          most = Math.max(most, model.size)
          deepStrictEqual(isNothingOutstanding(notifies), model.size === 0)
          deepStrictEqual(oldestOutstanding(notifies), model.size === 0 ? null : Math.min(...model.values()))
          for (const known of numbers) {
            deepStrictEqual(
              hasOutstanding(notifies, known),
              cseqs.some((number) => model.has(`${known} ${number}`)),
            )
            for (const number of cseqs)
              deepStrictEqual(holdsOutstanding(notifies, known, number), model.has(`${known} ${number}`))
          }
        }
      }),
    )
    deepStrictEqual(most > 6, true)
  })

  it("leave nothing behind", () => {
    const notifies = noOutstandingNotifies()
    for (const cseq of cseqs) addOutstanding(notifies, 1, cseq, cseq)
    for (const cseq of [3, 1, 5, 2, 4]) settleOutstanding(notifies, 1, cseq)
    deepStrictEqual(notifies, noOutstandingNotifies())
  })
})
