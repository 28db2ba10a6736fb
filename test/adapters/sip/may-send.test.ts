import { assert, describe, it } from "vitest"
import { makeClientTransactions } from "../../../src/adapters/sip/client-transactions.ts"
import type { ClientResult } from "../../../src/adapters/sip/client-transactions.ts"
import { countersZero, timersDefault } from "../../../src/adapters/sip/options.ts"

/** One NOTIFY under a clock of our own, of a server that may send or may not. */
const begin = (isReliable: boolean, may: boolean) => {
  let now = 0
  const allowed = { may }
  const sentAt: number[] = []
  const results: (number | string)[] = []
  const transactions = makeClientTransactions(
    timersDefault,
    countersZero(),
    () => now,
    undefined,
    () => allowed.may,
  )
  transactions.start(
    {
      branch: "z9hG4bKtest1",
      callId: "c1",
      cseq: 1,
      channel: { send: () => sentAt.push(now) },
      address: "127.0.0.1",
      port: 5998,
      isReliable,
      ended: (result: ClientResult) => results.push(typeof result === "string" ? result : result.status),
    },
    Buffer.from("NOTIFY"),
  )
  const advanceTo = (until: number): void => {
    while (now < until) {
      now += 50
      transactions.tick()
    }
  }
  return { sentAt, results, advanceTo, allowed }
}

describe("a server that may not send", () => {
  it(
    "repeats nothing meanwhile, and goes on when it may again",
    { tags: ["OPS-writer", "3261-17.1.2.2-a"] },
    () => {
      const { sentAt, results, advanceTo, allowed } = begin(false, true)
      advanceTo(1_600)
      assert.deepStrictEqual(sentAt, [0, 500, 1_500])
      allowed.may = false
      advanceTo(9_000)
      assert.deepStrictEqual(sentAt, [0, 500, 1_500])
      allowed.may = true
      advanceTo(20_000)
      assert.isAbove(sentAt.length, 3)
      assert.isTrue(sentAt.slice(3).every((at) => at >= 9_000))
      advanceTo(40_000)
      assert.deepStrictEqual(results, ["timedOut"])
    },
  )

  it(
    "sends what it was to send then when it may, over a stream as well, and once there",
    { tags: ["OPS-writer"] },
    () => {
      for (const isReliable of [false, true]) {
        const { sentAt, advanceTo, allowed } = begin(isReliable, false)
        advanceTo(3_000)
        assert.deepStrictEqual(sentAt, [])
        allowed.may = true
        advanceTo(12_000)
        assert.isAtLeast(sentAt.length, 1)
        assert.isAtLeast(sentAt[0]!, 3_000)
        if (isReliable) assert.strictEqual(sentAt.length, 1)
      }
    },
  )
})
