import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { makeClientTransactions } from "../../../src/adapters/sip/client-transactions.ts"
import type { ClientResult } from "../../../src/adapters/sip/client-transactions.ts"
import type { RawMessage } from "../../../src/adapters/sip/message-reader.ts"
import { countersZero, timersDefault } from "../../../src/adapters/sip/options.ts"
import { read } from "../../support/sip-messages.ts"

const branch = "z9hG4bKtest1"

const response = (
  status: number,
  changes: Partial<Record<"branch" | "callId" | "cseq", string>> = {},
): RawMessage =>
  read(
    `SIP/2.0 ${status} X\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=${changes.branch ?? branch}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\n` +
      `Call-ID: ${changes.callId ?? "c1"}\r\nCSeq: ${changes.cseq ?? "1 NOTIFY"}\r\nContent-Length: 0\r\n\r\n`,
  )!

/** One transaction under a clock of our own. */
const begin = (isReliable = false) => {
  let now = 0
  const sentAt: number[] = []
  const results: (number | string)[] = []
  const counters = countersZero()
  const transactions = makeClientTransactions(timersDefault, counters, () => now)
  transactions.start(
    {
      branch,
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
  return { transactions, sentAt, results, counters, advanceTo, now: () => now }
}

describe("client transactions", () => {
  it(
    "towards a silent peer a request is sent eleven times, and ends after 32 s",
    { tags: ["3261-17.1.2.2-a"] },
    () => {
      const { sentAt, results, advanceTo, counters } = begin()
      advanceTo(31_950)
      assert.deepStrictEqual(results, [])
      advanceTo(60_000)
      assert.deepStrictEqual(
        sentAt,
        [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500],
      )
      assert.deepStrictEqual(results, ["timedOut"])
      assert.strictEqual(counters.clientTransactions, 0)
    },
  )

  it(
    "after a provisional response it is sent every four seconds, and still ends after 32 s",
    { tags: ["3261-17.1.2.2-a"] },
    () => {
      const { transactions, sentAt, results, advanceTo } = begin()
      advanceTo(100)
      transactions.answer(response(100))
      advanceTo(60_000)
      assert.deepStrictEqual(sentAt, [0, 500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500])
      assert.deepStrictEqual(results, ["timedOut"])
    },
  )

  it("over a stream nothing is resent", { tags: ["3261-17.1.2.2-a"] }, () => {
    const { sentAt, results, advanceTo } = begin(true)
    advanceTo(60_000)
    assert.deepStrictEqual([sentAt, results], [[0], ["timedOut"]])
  })

  it("a stalled clock makes nothing early and loses nothing", { tags: ["3261-17.1.2.2-a"] }, () => {
    const { transactions, sentAt, results, advanceTo } = begin()
    advanceTo(450)
    assert.deepStrictEqual(sentAt, [0])
    advanceTo(500)
    assert.deepStrictEqual(sentAt, [0, 500])
    transactions.answer(response(200))
    assert.deepStrictEqual(results, [200])
  })

  it.each([
    ["another branch", { branch: "z9hG4bKother" }],
    ["another Call-ID", { callId: "c2" }],
    ["another CSeq", { cseq: "2 NOTIFY" }],
    ["another method", { cseq: "1 PUBLISH" }],
  ])("a response with %s is nobody's", { tags: ["3261-17.1.3-a"] }, (_what, changes) => {
    const { transactions, results } = begin()
    assert.isFalse(transactions.answer(response(200, changes)))
    assert.deepStrictEqual(results, [])
  })

  it(
    "whatever happens, there is one end, nothing is sent after it, and never more than eleven times",
    { tags: ["3261-17.1.2.2-a", "3856-9.5-a"] },
    () => {
      const step = fc.oneof(
        fc.record({ tag: fc.constant("wait" as const), ms: fc.integer({ min: 50, max: 9_000 }) }),
        fc.record({
          tag: fc.constant("response" as const),
          status: fc.constantFrom(100, 180, 200, 202, 404, 481, 503, 603),
        }),
        fc.record({ tag: fc.constant("fail" as const) }),
      )
      fc.assert(
        fc.property(fc.boolean(), fc.array(step, { maxLength: 12 }), (isReliable, steps) => {
          const { transactions, sentAt, results, advanceTo, now } = begin(isReliable)
          let endedAt = Number.POSITIVE_INFINITY
          for (const one of steps) {
            if (one.tag === "wait") advanceTo(now() + one.ms)
            else if (one.tag === "fail") transactions.fail(branch)
            else transactions.answer(response(one.status))
            if (results.length > 0) endedAt = Math.min(endedAt, now())
          }
          advanceTo(now() + 40_000)
          assert.strictEqual(results.length, 1)
          assert.isAtMost(sentAt.length, isReliable ? 1 : 11)
          assert.isTrue(sentAt.every((at) => at <= endedAt))
        }),
        { numRuns: 300 },
      )
    },
  )

  it(
    "what may not be repeated is asked about at 8 s as well, and may end then; later answers are taken as ever",
    { tags: ["C2"] },
    () => {
      for (const over of [true, false]) {
        let now = 0
        const asked: (readonly [number, boolean])[] = []
        const results: ClientResult[] = []
        const transactions = makeClientTransactions(timersDefault, countersZero(), () => now)
        transactions.start(
          {
            branch,
            callId: "c1",
            cseq: 1,
            channel: { send: () => {} },
            address: "127.0.0.1",
            port: 5998,
            isReliable: false,
            mayResend: (_octets, isLate) => {
              asked.push([now, isLate])
              return isLate && over ? "over" : "wait"
            },
            ended: (result) => results.push(result),
          },
          Buffer.from("NOTIFY"),
        )
        while (now < 33_000) {
          now += 50
          transactions.tick()
        }
        const early = [500, 1_500, 3_500, 7_500].map((at) => [at, false] as const)
        const late = [8_000, 12_000, 16_000, 20_000, 24_000, 28_000].map((at) => [at, true] as const)
        assert.deepStrictEqual(asked, over ? [...early, late[0]!] : [...early, ...late])
        assert.deepStrictEqual(results, [over ? "unrepeated" : "timedOut"])
      }
    },
  )

  it(
    "whoever does not answer leaves as much as he has, whatever else comes and goes",
    { tags: ["OPS-unanswered_octets_max"] },
    () => {
      const octetsMax = 100_000
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 9 }),
          fc.array(
            fc.record({
              target: fc.nat(39),
              octets: fc.integer({ min: 100, max: 1_000 }),
              isAnswered: fc.boolean(),
              isHeld: fc.boolean(),
            }),
            { minLength: 300, maxLength: 600 },
          ),
          (silent, steps) => {
            const counters = countersZero()
            const transactions = makeClientTransactions(timersDefault, counters, () => 0, octetsMax)
            const under = new Map<number, number>()
            const total = (): number => [...under.values()].reduce((one, other) => one + other, 0)
            for (const [index, { target, octets, isAnswered, isHeld }] of steps.entries()) {
              const port = target % silent
              const own = under.get(port) ?? 0
              const isFull = transactions.isShareUsed("192.0.2.9", port)
              // counted only where it can matter, and then exactly
              const isDue = own >= octetsMax - total()
              if (total() > octetsMax / 2) assert.strictEqual(isFull, isDue)
              else assert.isFalse(isFull && !isDue)
              if (isFull) continue
              const done = isHeld
                ? transactions.hold("192.0.2.9", port, octets)
                : (): void => transactions.fail(`b${index}`)
              if (!isHeld)
                transactions.start(
                  {
                    branch: `b${index}`,
                    callId: "c1",
                    cseq: 1,
                    channel: { send: () => {} },
                    address: "192.0.2.9",
                    port,
                    isReliable: false,
                    ended: () => {},
                  },
                  Buffer.alloc(octets),
                )
              under.set(port, own + octets)
              assert.strictEqual(counters.clientOctets, total())
              if (!isAnswered) continue
              done()
              under.set(port, own)
              assert.strictEqual(counters.clientOctets, total())
            }
            // somebody new is always sent to
            assert.isFalse(transactions.isShareUsed("192.0.2.10", 5_060))
            assert.isBelow(total(), octetsMax)
          },
        ),
        { numRuns: 100 },
      )
    },
  )
})
