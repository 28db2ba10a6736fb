/**
 * A process that was stopped: what waits in sockets is read before any timer of it fires.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeClientTransactions, wheelTickMs } from "../../../src/adapters/sip/client-transactions.ts"
import type { ClientResult } from "../../../src/adapters/sip/client-transactions.ts"
import type { RawMessage } from "../../../src/adapters/sip/message-reader.ts"
import { countersZero, timersDefault } from "../../../src/adapters/sip/options.ts"
import { makeAttention, stopMillis } from "../../../src/app/clock/attention.ts"
import type { Attention, Loop } from "../../../src/app/clock/attention.ts"
import { read } from "../../support/sip-messages.ts"

interface Due {
  readonly at: number
  readonly call: () => void
  isOff: boolean
}

/** An event loop of our own: timers first, then one packet from the socket, then what is to follow. */
const makeLoop = () => {
  let now = 1000
  let timers: Due[] = []
  let soon: (() => void)[] = []
  let packets: (() => void)[] = []
  const after = (millis: number, call: () => void): (() => void) => {
    const due: Due = { at: now + millis, call, isOff: false }
    timers.push(due)
    return () => {
      due.isOff = true
    }
  }
  const loop: Loop = {
    now: () => now,
    soon: (call) => void soon.push(call),
    after,
    every: (millis, call) => {
      let cancel = (): void => {}
      const again = (): void => {
        cancel = after(millis, () => {
          call()
          again()
        })
      }
      again()
      return () => cancel()
    },
  }
  const round = (): void => {
    const due = timers.filter(({ at }) => at <= now).sort((one, other) => one.at - other.at)
    timers = timers.filter(({ at }) => at > now)
    for (const one of due) if (!one.isOff) one.call()
    packets.shift()?.()
    const all = soon
    soon = []
    for (const call of all) call()
  }
  return {
    loop,
    arrive: (packet: () => void): void => void packets.push(packet),
    /** The process is stopped: time goes on, and nothing else does. */
    stop: (millis: number): void => void (now += millis),
    run: (millis: number, step = 10): void => {
      for (let left = millis; left > 0; left -= step) {
        now += Math.min(step, left)
        round()
      }
    },
  }
}

const begun = (): ReturnType<typeof makeLoop> & { readonly attention: Attention } => {
  const made = makeLoop()
  const attention = makeAttention(made.loop)
  attention.begin()
  return { ...made, attention }
}

const accepted = (branch: string): RawMessage =>
  read(
    `SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=${branch}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\n` +
      `Call-ID: ${branch}\r\nCSeq: 1 NOTIFY\r\nContent-Length: 0\r\n\r\n`,
  )!

describe("attention", () => {
  it("the clock leaves out the time in which the process was stopped", () => {
    const { attention, run, stop } = begun()
    run(100)
    const before = attention.clock()
    stop(40_000)
    run(200)
    strictEqual(attention.clock() - before, 200 - 10)
    deepStrictEqual(attention.stops(), { count: 1, millis: 40_010 })
  })

  it("a timer fires after all that waited was read, and after the process has run for its time", () => {
    fc.assert(
      fc.property(
        fc.nat(20),
        fc.integer({ min: 20, max: 3000 }),
        fc.array(fc.tuple(fc.nat(2000), fc.integer({ min: stopMillis + 100, max: 100_000 })), {
          maxLength: 4,
        }),
        (packets, millis, stops) => {
          const { attention, arrive, run, stop } = begun()
          let unread = 0
          let firedAt: number | null = null
          const beganAt = attention.clock()
          attention.after(millis, () => {
            strictEqual(unread, 0, "nothing waits any more")
            firedAt = attention.clock()
          })
          for (const [wait, length] of stops) {
            run(wait)
            stop(length)
            for (let one = 0; one < packets; one++) {
              unread++
              arrive(() => {
                unread--
                attention.heard()
              })
            }
            run(1000)
          }
          run(millis + 1000)
          ok(firedAt !== null && firedAt - beganAt >= millis - 1, "and it does fire")
        },
      ),
      { numRuns: 100 },
    )
  })

  it("a flood does not keep timers from firing for ever", () => {
    const { attention, arrive, run, stop } = begun()
    let hasFired = false
    attention.after(100, () => (hasFired = true))
    stop(10_000)
    for (let one = 0; one < 5000; one++) arrive(attention.heard)
    run(7000)
    ok(hasFired)
    strictEqual(attention.late(), 0)
  })

  it("how long ago a stop began is told in whole milliseconds, by which decisions are dated", () => {
    fc.assert(
      fc.property(fc.double({ min: 501, max: 10_000, noNaN: true }), (length) => {
        const { attention, stop } = begun()
        stop(length)
        const late = attention.late()
        ok(Number.isInteger(late) && Math.abs(late - length) < 2, `${late}`)
      }),
      { numRuns: 100 },
    )
  })

  it("nothing is a stop while nobody looks for any", () => {
    const { loop, stop } = makeLoop()
    const attention = makeAttention(loop)
    const before = attention.clock()
    stop(60_000)
    strictEqual(attention.clock() - before, 60_000)
    attention.begin()()
    stop(60_000)
    attention.clock()
    deepStrictEqual(attention.stops(), { count: 0, millis: 0 })
  })

  it(
    "an answer in the socket counts, however long the process was stopped before Timer F",
    { tags: ["3261-17.1.2.2-a"] },
    () => {
      const { attention, arrive, loop, run, stop } = begun()
      const client = makeClientTransactions(timersDefault, countersZero(), attention.clock)
      loop.every(wheelTickMs, () => loop.soon(() => (attention.late() > 0 ? undefined : client.tick())))
      const results: ClientResult[] = []
      const start = (branch: string): void =>
        client.start(
          {
            branch,
            callId: branch,
            cseq: 1,
            channel: { send: () => {} },
            address: "192.0.2.1",
            port: 5060,
            isReliable: false,
            ended: (result) => results.push(result),
          },
          Buffer.from("NOTIFY"),
        )
      for (let one = 0; one < 10; one++) start(`z9hG4bK${one}`)
      start("z9hG4bKsilent")
      run(20_000)
      stop(40_000)
      for (let one = 0; one < 10; one++) {
        arrive(() => {
          attention.heard()
          client.answer(accepted(`z9hG4bK${one}`))
        })
      }
      run(1000)
      deepStrictEqual(
        results.map((result) => (typeof result === "string" ? result : result.status)),
        Array.from({ length: 10 }, () => 200),
      )
      run(12_000)
      strictEqual(results.at(-1), "timedOut", "who is silent still is after 32 s in which we listened")
    },
  )
})
