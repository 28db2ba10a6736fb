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
  it(
    "the first NOTIFY always leaves; repetitions as long as octets and packets last",
    { tags: ["C2"] },
    () => {
      const { allowances } = world()
      assert.isTrue(allowances.take("unknown", "udp:192.0.2.1:5060", 5_000, false))
      assert.isFalse(allowances.take("unknown", "udp:192.0.2.1:5060", 1, false))
      allowances.received("d", 400, false)
      assert.isTrue(allowances.take("d", place, 500, false))
      assert.isTrue(allowances.take("d", place, 500, false))
      assert.isFalse(allowances.take("d", place, 500, false))
      // the phone repeats its SUBSCRIBE
      allowances.received("d", 400, true)
      assert.isTrue(allowances.take("d", place, 500, false))
      assert.isFalse(allowances.take("d", place, 500, false), "three packets")
    },
  )

  it(
    "for any requests and any sizes, three times the octets and three packets at most, until the place answers",
    { tags: ["C2"] },
    () => {
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
              } else if (allowances.take(dialog, where, step.octets, false)) {
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
    },
  )

  it(
    "6,000 dialogs that name one address get three packets there; the others wait, and are over with Timer F",
    { tags: ["C2"] },
    () => {
      const { allowances, counters, pass } = world({ unprovenWaitingPerTargetMax: 5_000 })
      let [left, over, dropped] = [0, 0, 0]
      for (let index = 0; index < 6_000; index++) {
        allowances.received(`d${index}`, 400, false)
        if (allowances.take(`d${index}`, place, 500, false)) left++
        else {
          allowances.wait(`d${index}`, place, {
            tryNow: () => false,
            timedOut: () => over++,
            putOff: () => dropped++,
          })
        }
      }
      assert.strictEqual(left, 3)
      assert.strictEqual(counters.unprovenWaiting, 5_000)
      assert.strictEqual(dropped, 997)
      assert.strictEqual(counters.unprovenDroppedOfTarget, 997)
      pass(timersDefault.transactionMs + 1)
      assert.strictEqual(over, 5_000)
      assert.strictEqual(counters.unprovenWaiting, 0)
    },
  )

  it("what waits goes when the address answers, each as far as its own dialog may", { tags: ["C2"] }, () => {
    const { allowances, counters } = world()
    const gone: string[] = []
    for (const dialog of ["a", "b", "c", "d", "e"]) {
      allowances.received(dialog, 400, false)
      const tryNow = (): boolean => {
        const isGone = allowances.take(dialog, place, 500, false)
        if (isGone) gone.push(dialog)
        return isGone
      }
      const over = (): never => assert.fail("it has answered")
      if (!tryNow()) allowances.wait(dialog, place, { tryNow, timedOut: over, putOff: over })
    }
    assert.deepStrictEqual(gone, ["a", "b", "c"])
    // whatever the answer is: somebody is there
    allowances.answered("a", place, false)
    assert.deepStrictEqual(gone, ["a", "b", "c", "d", "e"])
    assert.strictEqual(counters.unprovenWaiting, 0)
    assert.isTrue(allowances.take("f", place, 5_000, false))
    // but a dialog that has not been accepted may not go on
    assert.isTrue(allowances.take("a", place, 500, false))
    assert.isFalse(allowances.take("a", place, 500, false))
    allowances.answered("a", place, true)
    assert.isTrue(allowances.take("a", place, 50_000, false))
  })

  it("what one place has proven counts for no other, and its octets neither", { tags: ["C2"] }, () => {
    const { allowances } = world()
    const other = "udp:192.0.2.10:5060"
    allowances.received("d", 1_000, false)
    assert.isTrue(allowances.take("d", place, 500, false))
    allowances.answered("d", place, true)
    allowances.received("d", 200, false)
    assert.isTrue(allowances.take("d", other, 500, false))
    assert.isFalse(allowances.take("d", other, 500, false))
    allowances.answered("d", place, true)
    assert.isFalse(allowances.take("d", other, 500, false))
  })

  it(
    "nor do requests for a target that needed no allowance count for where the dialog goes next",
    { tags: ["C2"] },
    () => {
      const { allowances } = world()
      const home = "udp:192.0.2.1:5060"
      allowances.received("other", 400, false)
      assert.isTrue(allowances.take("other", home, 400, true))
      allowances.answered("other", home, true)
      allowances.received("d", 400, false)
      assert.isTrue(allowances.take("d", home, 5_000, true))
      // a refresh with another Contact
      allowances.received("d", 400, false)
      assert.isTrue(allowances.take("d", place, 450, true))
      assert.isTrue(allowances.take("d", place, 450, true))
      assert.isFalse(allowances.take("d", place, 450, true), "three times the octets of the refresh")
    },
  )

  it("one attempt to connect as long as nobody answers", { tags: ["C2"] }, () => {
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

  it(
    "behind a 2xx there is somebody who takes part, in whatever dialog; behind a proxy only in that one",
    { tags: ["C2"] },
    () => {
      const { allowances } = world()
      allowances.received("a", 200, false)
      assert.isTrue(allowances.take("a", place, 500, true))
      allowances.answered("a", place, false)
      allowances.received("b", 200, false)
      assert.isTrue(allowances.take("b", place, 500, true))
      // a refusal says that somebody is there, and not that he wants it
      assert.isFalse(allowances.take("b", place, 500, true))
      allowances.answered("a", place, true)
      for (let copy = 0; copy < 10; copy++) assert.isTrue(allowances.take("b", place, 500, true))
      assert.isFalse(allowances.take("b", place, 500, false))
      const other = "udp:192.0.2.10:5060"
      allowances.received("c", 200, false)
      assert.isTrue(allowances.take("c", other, 500, true))
      assert.isFalse(allowances.take("c", other, 500, true))
    },
  )

  it("whether one more packet could leave is known without taking the room", { tags: ["C2"] }, () => {
    const { allowances } = world()
    assert.isFalse(allowances.mayTake("d", place, 1))
    allowances.received("d", 400, false)
    assert.isTrue(allowances.take("d", place, 900, true))
    for (let copy = 0; copy < 5; copy++) assert.isTrue(allowances.mayTake("d", place, 300))
    assert.isFalse(allowances.mayTake("d", place, 301))
    assert.isFalse(allowances.mayTake("d", "udp:192.0.2.10:5060", 1))
    assert.isTrue(allowances.take("d", place, 100, true))
    assert.isTrue(allowances.take("d", place, 100, true))
    assert.isFalse(allowances.mayTake("d", place, 1), "three packets")
  })

  /** One NOTIFY more of a dialog to a place; what becomes of it. */
  const sending = ({ allowances }: ReturnType<typeof world>) => {
    const fates = { left: 0, waits: 0, timedOut: 0, putOff: [] as number[] }
    return {
      fates,
      send: (dialog: string, to: string): void => {
        allowances.received(dialog, 400, false)
        const tryNow = (): boolean => allowances.take(dialog, to, 500, true)
        if (tryNow()) return void fates.left++
        fates.waits++
        allowances.wait(dialog, to, {
          tryNow: () => {
            if (!tryNow()) return false
            fates.waits--
            fates.left++
            return true
          },
          timedOut: () => {
            fates.waits--
            fates.timedOut++
          },
          putOff: (seconds) => {
            fates.waits--
            fates.putOff.push(seconds)
          },
        })
      },
    }
  }

  it(
    "one silent address keeps no room from others, and nobody is ended for want of room",
    { tags: ["OPS-unproven_waiting_per_target_max"] },
    () => {
      const so = world({ unprovenWaitingMax: 10_000, unprovenWaitingPerTargetMax: 1_000 })
      const [attack, honest] = [sending(so), sending(so)]
      for (let index = 0; index < 10_100; index++) attack.send(`a${index}`, place)
      assert.deepStrictEqual(
        so.met,
        ["unproven_waiting_per_target_max"].flatMap((one) => Array(9_097).fill(one)),
      )
      assert.strictEqual(attack.fates.putOff.length, 9_097)
      for (let lamp = 0; lamp < 10; lamp++) honest.send(`h${lamp}`, "udp:192.0.2.50:5060")
      assert.deepStrictEqual(honest.fates, { left: 3, waits: 7, timedOut: 0, putOff: [] })
      so.allowances.answered("h0", "udp:192.0.2.50:5060", true)
      assert.strictEqual(honest.fates.left, 10)
      assert.strictEqual(so.counters.unprovenDroppedOfTarget, 9_097)
      // who is silent for longer is asked for less often
      assert.deepStrictEqual(new Set(attack.fates.putOff), new Set([5]))
      so.pass(20_000)
      attack.send("late", place)
      assert.strictEqual(attack.fates.putOff.at(-1), 32)
    },
  )

  it(
    "where many addresses together have used up the room, others are put off and not ended",
    { tags: ["OPS-unproven_waiting_max"] },
    () => {
      const so = world({ unprovenWaitingMax: 100, unprovenWaitingPerTargetMax: 10 })
      const [attack, honest] = [sending(so), sending(so)]
      for (let index = 0; index < 1_000; index++) attack.send(`a${index}`, `udp:192.0.2.${index % 50}:5060`)
      for (let lamp = 0; lamp < 10; lamp++) honest.send(`h${lamp}`, "udp:192.0.2.200:5060")
      assert.deepStrictEqual(honest.fates, { left: 3, waits: 0, timedOut: 0, putOff: Array(7).fill(5) })
      so.allowances.answered("h1", "udp:192.0.2.200:5060", true)
      for (let lamp = 3; lamp < 10; lamp++) honest.send(`h${lamp}`, "udp:192.0.2.200:5060")
      assert.strictEqual(honest.fates.left, 10)
      so.pass(timersDefault.transactionMs + 1)
      assert.strictEqual(so.counters.unprovenWaiting, 0)
      assert.strictEqual(attack.fates.waits, 0)
    },
  )

  it(
    "what has come shortly before Timer F of an address fires has not waited for it, and is put off",
    { tags: ["C2"] },
    () => {
      const so = world()
      const { fates, send } = sending(so)
      for (let index = 0; index < 5; index++) send(`a${index}`, place)
      so.pass(timersDefault.transactionMs - 100)
      send("late", place)
      so.pass(200)
      assert.deepStrictEqual(fates, { left: 3, waits: 0, timedOut: 2, putOff: [5] })
      assert.strictEqual(so.counters.unprovenWaiting, 0)
    },
  )

  it(
    "what is remembered is bounded, nothing is forgotten for it, and others are put off",
    { tags: ["OPS-unproven_targets_max"] },
    () => {
      const so = world({ unprovenTargetsMax: 10 })
      const { fates, send } = sending(so)
      for (let index = 0; index < 30; index++) send(`d${index}`, `udp:192.0.2.${index}:5060`)
      assert.deepStrictEqual(fates, { left: 10, waits: 0, timedOut: 0, putOff: Array(20).fill(5) })
      assert.strictEqual(so.met[0], "unproven_targets_max")
      assert.isAbove(so.counters.unprovenTargetsFull, 19)
      // the first are not sent to anew
      for (let copy = 0; copy < 10; copy++) so.allowances.take("d0", "udp:192.0.2.0:5060", 100, true)
      assert.isFalse(so.allowances.take("d0", "udp:192.0.2.0:5060", 1, true))
      assert.isFalse(so.allowances.hasRoom("udp:192.0.2.99:5060"))
      assert.isTrue(so.allowances.hasRoom("udp:192.0.2.1:5060"))
      // those who answer make room
      for (let index = 0; index < 10; index++)
        so.allowances.answered(`d${index}`, `udp:192.0.2.${index}:5060`, true)
      for (let index = 10; index < 20; index++) send(`d${index}`, `udp:192.0.2.${index}:5060`)
      assert.strictEqual(fates.left, 20)
      so.pass(3 * timersDefault.transactionMs)
      for (let index = 20; index < 30; index++) send(`d${index}`, `udp:192.0.2.${index}:5060`)
      assert.strictEqual(fates.left, 30)
    },
  )
})
