/**
 * How much goes to where nothing is proven (C2, T6).
 */
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { makeAllowances } from "../../../src/adapters/sip/allowances.ts"
import { countersZero, limitsDefault, timersDefault } from "../../../src/adapters/sip/options.ts"
import type { Limits, SipLimit } from "../../../src/adapters/sip/options.ts"

const world = (limits: Partial<Limits> = {}) => {
  let now = 0
  const counters = countersZero()
  const met: SipLimit[] = []
  const allowances = makeAllowances(
    { ...limitsDefault, ...limits },
    timersDefault,
    counters,
    () => now,
    (limit) => met.push(limit),
  )
  return {
    allowances,
    counters,
    met,
    pass: (ms: number) => {
      now += ms
      allowances.tick()
    },
  }
}

const place = "udp:192.0.2.9:5060"

describe("allowances", () => {
  it("C2: the first NOTIFY always leaves; repetitions as long as octets and packets last", () => {
    const { allowances } = world()
    assert.isTrue(allowances.take("unknown", "udp:192.0.2.1:5060", 5_000))
    assert.isFalse(allowances.take("unknown", "udp:192.0.2.1:5060", 1))
    allowances.received("d", 400, false)
    assert.isTrue(allowances.take("d", place, 500))
    assert.isTrue(allowances.take("d", place, 500))
    assert.isFalse(allowances.take("d", place, 500))
    // the phone repeats its SUBSCRIBE
    allowances.received("d", 400, true)
    assert.isTrue(allowances.take("d", place, 500))
    assert.isFalse(allowances.take("d", place, 500), "three packets")
  })

  it("C2: for any requests and any sizes, three times the octets and three packets at most, until the place answers", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            dialog: fc.nat(4),
            place: fc.nat(2),
            octets: fc.integer({ min: 100, max: 2_000 }),
            isRequest: fc.boolean(),
            isCopy: fc.boolean(),
          }),
          { maxLength: 200 },
        ),
        (steps) => {
          const { allowances } = world()
          const received = new Map<string, number>()
          const sent = new Map<string, { octets: number; packets: number; first: number }>()
          const packets = new Map<string, number>()
          for (const step of steps) {
            const dialog = `d${step.dialog}`
            // each dialog has one target here
            const where = `udp:192.0.2.${step.dialog % 3}:5060`
            if (step.isRequest) {
              allowances.received(dialog, step.octets, step.isCopy)
              received.set(dialog, (received.get(dialog) ?? 0) + step.octets)
            } else if (allowances.take(dialog, where, step.octets)) {
              const so = sent.get(dialog) ?? { octets: 0, packets: 0, first: step.octets }
              sent.set(dialog, { ...so, octets: so.octets + step.octets, packets: so.packets + 1 })
              packets.set(where, (packets.get(where) ?? 0) + 1)
            }
          }
          for (const [dialog, { octets, packets: count, first }] of sent) {
            assert.isAtMost(octets, Math.max(first, 3 * (received.get(dialog) ?? 0)))
            assert.isAtMost(count, 3)
          }
          for (const count of packets.values()) assert.isAtMost(count, 3)
        },
      ),
    )
  })

  it("C2: 6,000 dialogs that name one address get three packets there; the others wait, and are over with Timer F", () => {
    const { allowances, counters, pass } = world({ unprovenWaitingMax: 5_000 })
    let [left, over, dropped] = [0, 0, 0]
    for (let index = 0; index < 6_000; index++) {
      allowances.received(`d${index}`, 400, false)
      if (allowances.take(`d${index}`, place, 500)) left++
      else {
        let isWaiting = false
        allowances.wait(place, {
          tryNow: () => false,
          timedOut: () => (isWaiting ? over++ : dropped++),
        })
        isWaiting = true
      }
    }
    assert.strictEqual(left, 3)
    assert.strictEqual(counters.unprovenWaiting, 5_000)
    assert.strictEqual(dropped, 997)
    assert.strictEqual(counters.unprovenDropped, 997)
    pass(timersDefault.transactionMs + 1)
    assert.strictEqual(over, 5_000)
    assert.strictEqual(counters.unprovenWaiting, 0)
  })

  it("C2: what waits goes when the address answers, each as far as its own dialog may", () => {
    const { allowances, counters } = world()
    const gone: string[] = []
    for (const dialog of ["a", "b", "c", "d", "e"]) {
      allowances.received(dialog, 400, false)
      const tryNow = (): boolean => {
        const isGone = allowances.take(dialog, place, 500)
        if (isGone) gone.push(dialog)
        return isGone
      }
      if (!tryNow()) allowances.wait(place, { tryNow, timedOut: () => assert.fail("it has answered") })
    }
    assert.deepStrictEqual(gone, ["a", "b", "c"])
    // whatever the answer is: somebody is there
    allowances.answered("a", place, false)
    assert.deepStrictEqual(gone, ["a", "b", "c", "d", "e"])
    assert.strictEqual(counters.unprovenWaiting, 0)
    assert.isTrue(allowances.take("f", place, 5_000))
    // but a dialog that has not been accepted may not go on
    assert.isTrue(allowances.take("a", place, 500))
    assert.isFalse(allowances.take("a", place, 500))
    allowances.answered("a", place, true)
    assert.isTrue(allowances.take("a", place, 50_000))
  })

  it("C2: what one place has proven counts for no other, and its octets neither", () => {
    const { allowances } = world()
    const other = "udp:192.0.2.10:5060"
    allowances.received("d", 1_000, false)
    assert.isTrue(allowances.take("d", place, 500))
    allowances.answered("d", place, true)
    allowances.received("d", 200, false)
    assert.isTrue(allowances.take("d", other, 500))
    assert.isFalse(allowances.take("d", other, 500))
    allowances.answered("d", place, true)
    assert.isFalse(allowances.take("d", other, 500))
  })

  it("C2: one attempt to connect as long as nobody answers", () => {
    const { allowances, pass } = world()
    const tcp = "tcp:192.0.2.9:5060"
    assert.isTrue(allowances.takeAttempt(tcp))
    assert.isFalse(allowances.takeAttempt(tcp))
    allowances.answered("d", tcp, false)
    assert.isTrue(allowances.takeAttempt(tcp))
    assert.isTrue(allowances.takeAttempt(tcp))
    pass(21 * timersDefault.transactionMs)
    assert.isTrue(allowances.takeAttempt(tcp))
    assert.isFalse(allowances.takeAttempt(tcp))
  })

  it("OPS-unproven_targets_max: what is remembered is bounded, the oldest is forgotten, and that is said", () => {
    const { allowances, counters, met } = world({ unprovenTargetsMax: 10 })
    for (let index = 0; index < 30; index++) allowances.take(`d${index}`, `udp:192.0.2.${index}:5060`, 10)
    assert.strictEqual(counters.unprovenForgotten, 40)
    assert.strictEqual(met[0], "unproven_targets_max")
    assert.isFalse(allowances.take("d29", "udp:192.0.2.29:5060", 10))
  })
})
