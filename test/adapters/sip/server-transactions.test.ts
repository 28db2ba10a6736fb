import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { parseAddress } from "../../../src/adapters/sip/address-headers.ts"
import type { RawMessage } from "../../../src/adapters/sip/message-reader.ts"
import { countersZero, limitsDefault, timersDefault } from "../../../src/adapters/sip/options.ts"
import {
  diagram,
  dueAfterMs,
  makeServerTransactions,
  mergeKeyOf,
  transactionKey,
} from "../../../src/adapters/sip/server-transactions.ts"
import type {
  ServerEffect,
  ServerEvent,
  ServerState,
  ServerTransaction,
} from "../../../src/adapters/sip/server-transactions.ts"
import { parseVia } from "../../../src/adapters/sip/via.ts"
import { readRequest, statusOf } from "../../support/sip-messages.ts"

const keyOf = (message: RawMessage): string => transactionKey(message, parseVia(message.vias[0]!)!)

const table = (limits = limitsDefault) => {
  let now = 0
  const counters = countersZero()
  const sent: string[] = []
  const transactions = makeServerTransactions(limits, timersDefault, counters, () => now)
  const channel = { send: (bytes: Buffer) => sent.push(bytes.toString("latin1")) }
  return {
    transactions,
    counters,
    sent,
    absorb: (message: RawMessage) => transactions.absorb(keyOf(message), channel, "127.0.0.1", 5998),
    statuses: () => sent.map(statusOf),
    /** Without a look, as when the process is stopped. */
    skipTo: (until: number) => {
      now = until
    },
    advanceTo: (until: number) => {
      while (now < until) {
        now += 50
        transactions.tick()
      }
    },
    open: (message: RawMessage, isRemembered = true): ServerTransaction =>
      transactions.open({
        key: keyOf(message),
        mergeKey: mergeKeyOf(message, parseAddress(message.from)!.tag),
        channel,
        address: "127.0.0.1",
        port: 5998,
        isRemembered,
        repeated: null,
        unanswered: { message, topVia: message.vias[0]!, tag: "tag" },
      }),
  }
}

const ok = Buffer.from("SIP/2.0 200 OK\r\n\r\n")

/** One arrow: in this state, when that happens, the next state and whether a response is sent. */
type Arrow = readonly [state: string, input: string, next: string, action: "send response" | "nothing"]

/**
 * RFC 3261 §17.2.2: the arrows of figure 8, and the two sentences of the text that say what has none. `1xx` and `final` come from
 * the transaction user. Errors of the transport are no input here: a response that is lost is asked for again.
 */
const figure: readonly Arrow[] = [
  ["Trying", "request", "Trying", "nothing"],
  ["Trying", "1xx", "Proceeding", "send response"],
  ["Trying", "final", "Completed", "send response"],
  ["Proceeding", "request", "Proceeding", "send response"],
  ["Proceeding", "final", "Completed", "send response"],
  ["Completed", "request", "Completed", "send response"],
  ["Completed", "final", "Completed", "nothing"],
  ["Completed", "Timer J", "Terminated", "nothing"],
]

const states: Readonly<Record<string, ServerState>> = {
  Trying: "trying",
  Proceeding: "proceeding",
  Completed: "completed",
  Terminated: "terminated",
}
const inputs: Readonly<Record<string, ServerEvent>> = {
  request: "repeated",
  "1xx": "due",
  final: "final",
  "Timer J": "timerJ",
}

describe("the diagram of server transactions", () => {
  const isSending = (effect: ServerEffect): boolean => effect !== "nothing"

  it.each(figure)("%s, %s: %s, %s", { tags: ["3261-17.2.2-a"] }, (state, input, next, action) => {
    const [after, effect] = diagram[states[state]!][inputs[input]!]
    assert.deepStrictEqual([after, isSending(effect)], [states[next], action === "send response"])
  })

  it(
    "has one more answer than the figure: 500 for what nobody has answered in time",
    { tags: ["4320-4.2-a"] },
    () => {
      const drawn = new Set(figure.map(([state, input]) => `${states[state]} ${inputs[input]}`))
      const further = Object.entries(diagram).flatMap(([state, row]) =>
        Object.entries(row)
          .filter(([event]) => !drawn.has(`${state} ${event}`))
          .map(([event, [after, effect]]) => `${state} ${event}: ${after} ${effect}`),
      )
      assert.deepStrictEqual(further, [
        "trying timerJ: terminated refuse",
        // one 100 is enough
        "proceeding due: proceeding nothing",
        "proceeding timerJ: terminated refuse",
        "completed due: completed nothing",
        "terminated repeated: terminated nothing",
        "terminated due: terminated nothing",
        "terminated final: terminated nothing",
        "terminated timerJ: terminated nothing",
      ])
    },
  )

  it(
    "transactions go as the figure says, whatever comes when",
    { tags: ["3261-17.2.2-a", "4320-4.1-a"] },
    () => {
      const happening = fc.record({
        afterMs: fc.oneof(fc.nat(400), fc.nat(4_000)).map((millis) => 50 * Math.ceil(millis / 50)),
        what: fc.constantFrom("copy", "answer"),
      })
      fc.assert(
        fc.property(fc.array(happening, { maxLength: 12 }), (happenings) => {
          const { transactions, absorb, open, statuses, advanceTo } = table()
          const message = readRequest({ method: "PUBLISH" })
          const transaction = open(message)
          const expected: number[] = []
          let state = "Trying"
          let last: number | null = null
          const step = (input: string, response: number | null): void => {
            const arrow = figure.find(([from, by]) => from === state && by === input)
            assert(arrow !== undefined, `${state} ${input}`)
            state = arrow[2]
            if (arrow[3] === "nothing") return
            last = response ?? last
            expected.push(last!)
          }
          let now = 0
          for (const { afterMs, what } of happenings) {
            const until = Math.min(now + afterMs, 30_000)
            if (state === "Trying" && until >= dueAfterMs(timersDefault)) step("1xx", 100)
            advanceTo(until)
            now = until
            if (what === "copy") {
              assert.isTrue(absorb(message))
              step("request", null)
            } else {
              transactions.complete(transaction, ok)
              step("final", 200)
            }
          }
          assert.deepStrictEqual(statuses(), expected)
        }),
        { numRuns: 300 },
      )
    },
  )
})

describe("server transactions", () => {
  it(
    "what came after a long stall is not taken for as old as the last look: it is answered once, and remembered",
    { tags: ["OPS-writer", "L14"] },
    () => {
      for (const stall of [5_000, 20_000, 40_000, 3_600_000]) {
        const { transactions, absorb, open, statuses, sent, skipTo, advanceTo, counters } = table()
        const old = readRequest({ method: "PUBLISH" })
        transactions.complete(open(old), ok)
        skipTo(stall)
        const message = readRequest({ method: "PUBLISH" })
        const transaction = open(message)
        advanceTo(stall + 100)
        assert.deepStrictEqual(statuses(), [200])
        transactions.complete(transaction, ok)
        assert.isTrue(absorb(message))
        assert.deepStrictEqual(statuses(), [200, 200, 200])
        assert.strictEqual(absorb(old), stall < 30_000)
        const before = sent.length
        advanceTo(stall + 31_000)
        assert.isTrue(absorb(message))
        advanceTo(stall + 80_000)
        assert.isFalse(absorb(message))
        assert.strictEqual(sent.length, before + 1)
        assert.strictEqual(counters.serverTransactions, 0)
      }
    },
  )

  it(
    "a request that comes k times within Timer J reaches the core once and gets k equal responses",
    { tags: ["L14"] },
    () => {
      fc.assert(
        fc.property(
          fc.array(fc.integer({ min: 0, max: 31_000 }), { maxLength: 8 }),
          fc.integer({ min: 0, max: 3_000 }),
          (copies, answeredAfter) => {
            const { transactions, absorb, open, sent, advanceTo } = table()
            const message = readRequest({ method: "PUBLISH" })
            const transaction = open(message)
            advanceTo(answeredAfter)
            transactions.complete(transaction, ok)
            for (const at of copies.toSorted((a, b) => a - b)) {
              advanceTo(at)
              assert.isTrue(absorb(message))
            }
            assert.strictEqual(sent.length, 1 + copies.length)
            assert.isTrue(sent.every((text) => text === sent[0]))
          },
        ),
        { numRuns: 100 },
      )
    },
  )

  it(
    "Timer J ends; the same bytes are a new request then, and nothing is kept",
    { tags: ["3261-17.2.2-a"] },
    () => {
      const { transactions, open, advanceTo, counters } = table()
      const message = readRequest()
      transactions.complete(open(message), ok)
      advanceTo(32_000)
      assert.isTrue(transactions.has(keyOf(message)))
      advanceTo(36_100)
      assert.isFalse(transactions.has(keyOf(message)))
      assert.strictEqual(counters.serverTransactions, 0)
    },
  )

  it("on a stream nothing is remembered (Timer J is 0)", { tags: ["3261-17.2.2-a"] }, () => {
    const { transactions, open, counters } = table()
    const message = readRequest()
    transactions.complete(open(message, false), ok)
    assert.isFalse(transactions.has(keyOf(message)))
    assert.strictEqual(counters.serverTransactions, 0)
  })

  it("no 100 before the client's Timer E reaches T2, one after it", { tags: ["4320-4.1-a"] }, () => {
    const { absorb, open, statuses, advanceTo } = table()
    const message = readRequest()
    open(message)
    for (const at of [500, 1_500, 3_450]) {
      advanceTo(at)
      absorb(message)
    }
    assert.deepStrictEqual(statuses(), [])
    advanceTo(3_500)
    assert.deepStrictEqual(statuses(), [100])
    advanceTo(10_000)
    assert.deepStrictEqual(statuses(), [100])
    absorb(message)
    assert.deepStrictEqual(statuses(), [100, 100])
  })

  it("a request answered in time gets no 100", { tags: ["4320-4.1-a"] }, () => {
    const { transactions, open, statuses, advanceTo } = table()
    transactions.complete(open(readRequest()), ok)
    advanceTo(20_000)
    assert.deepStrictEqual(statuses(), [200])
  })

  it("a request that is never answered gets 500 in the end, not 408", { tags: ["4320-4.2-a"] }, () => {
    const { open, statuses, advanceTo } = table()
    open(readRequest())
    advanceTo(40_000)
    assert.deepStrictEqual(statuses(), [100, 500])
  })

  it("a second final response is not sent", { tags: ["3261-17.2.2-a"] }, () => {
    const { transactions, open, statuses } = table()
    const transaction = open(readRequest())
    transactions.complete(transaction, ok)
    transactions.complete(transaction, ok)
    assert.deepStrictEqual(statuses(), [200])
  })

  it(
    "branch, sent-by and method make a transaction, whatever else differs",
    { tags: ["3261-17.2.3-a"] },
    () => {
      const via = (text: string) => ({ headers: { Via: `SIP/2.0/UDP ${text}` } })
      const key = keyOf(readRequest(via("h:5060;branch=z9hG4bKx")))
      assert.strictEqual(keyOf(readRequest(via("H;branch=z9hG4bKx;rport"))), key)
      assert.notStrictEqual(keyOf(readRequest(via("h:5061;branch=z9hG4bKx"))), key)
      assert.notStrictEqual(keyOf(readRequest(via("h:5060;branch=z9hG4bKy"))), key)
      assert.notStrictEqual(keyOf(readRequest({ method: "PUBLISH", ...via("h:5060;branch=z9hG4bKx") })), key)
    },
  )

  it.each(["z9hG4bK", "", "1234"])(
    "with branch %j requests are told apart by everything else",
    { tags: ["4475-3.2.1-a"] },
    (parameter) => {
      const headers = {
        Via: `SIP/2.0/UDP h${parameter}`,
        From: "<sip:b@h>;tag=1",
        "Call-ID": "c",
      }
      assert.strictEqual(keyOf(readRequest({ headers })), keyOf(readRequest({ headers })))
      assert.notStrictEqual(
        keyOf(readRequest({ headers: { ...headers, "Call-ID": "d" } })),
        keyOf(readRequest({ headers })),
      )
    },
  )

  it(
    "the same request by another path is merged, another request is not",
    { tags: ["3261-8.2.2.2-a"] },
    () => {
      const { transactions, open } = table()
      const headers = { From: "<sip:b@h>;tag=1", "Call-ID": "c" }
      open(readRequest({ headers }))
      assert.isTrue(transactions.isMerged(mergeKeyOf(readRequest({ headers }), "1")))
      assert.isFalse(transactions.isMerged(mergeKeyOf(readRequest({ headers }), "2")))
      const isMergedWith = (cseq: string): boolean =>
        transactions.isMerged(mergeKeyOf(readRequest({ headers: { ...headers, CSeq: cseq } }), "1"))
      assert.isFalse(isMergedWith("2 OPTIONS"))
      for (const cseq of ["1 OPTIONS", "01 OPTIONS", "1 \t OPTIONS"]) assert.isTrue(isMergedWith(cseq), cseq)
    },
  )

  it("OPS-server-transactions-max: above the bound of entries or bytes it is full, and not for ever", () => {
    for (const limits of [
      { ...limitsDefault, serverTransactionsMax: 3 },
      { ...limitsDefault, serverTransactionBytesMax: 1_300 },
    ]) {
      const { transactions, open, advanceTo } = table(limits)
      for (let count = 0; count < 3; count++) {
        assert.isFalse(transactions.isFull())
        transactions.complete(open(readRequest()), ok)
      }
      assert.isTrue(transactions.isFull())
      advanceTo(40_000)
      assert.isFalse(transactions.isFull())
    }
  })
})
