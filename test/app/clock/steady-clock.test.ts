/**
 * The clock a server goes by, under clocks that jump.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeSteadyClock } from "../../../src/app/clock/steady-clock.ts"
import type { ClockEvent } from "../../../src/app/clock/steady-clock.ts"

const noon = Date.UTC(2026, 10, 20, 12)
const [second, hour, day, year] = [1000, 3_600_000, 86_400_000, 365 * 86_400_000]
const jumpMillis = 10 * second
const waitMillis = 600 * second

const begin = (over: { readonly waitMillis?: number; readonly hasUptime?: boolean } = {}) => {
  let passed = 0
  let slept = 0
  let wrong = 0
  const events: ClockEvent[] = []
  const clock = makeSteadyClock(
    {
      wall: () => noon + passed + slept + wrong,
      monotonic: () => passed,
      uptime: () => (over.hasUptime === false ? null : passed + slept),
    },
    { jumpMillis, waitMillis: over.waitMillis ?? waitMillis },
    (event) => events.push(event),
  )
  /** By how much the time told differs from what it is. */
  const error = (): number => clock.now() - (noon + passed + slept)
  return {
    clock,
    events,
    error,
    truth: () => noon + passed + slept,
    setWrong: (by: number): void => void (wrong = by),
    sleep: (millis: number): void => void (slept += millis),
    /** Time passes; the clock is looked at all the while. */
    pass: (millis: number): void => {
      for (let left = millis; left > 0; left -= 500) {
        passed += Math.min(500, left)
        clock.now()
      }
    },
  }
}

const anyJump = fc.constantFrom(-year, -day, -hour, -30 * second, 30 * second, hour, day, year, 2 * year)

describe("the clock a server goes by", () => {
  it("whatever the machine's does for less than the time to wait, it tells the right time, and nothing is stuck", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anyJump, fc.integer({ min: 500, max: waitMillis - 2 * second })), { maxLength: 6 }),
        (wrongs) => {
          const one = begin()
          one.pass(5 * second)
          for (const [by, millis] of wrongs) {
            one.setWrong(by)
            one.pass(millis)
            ok(Math.abs(one.error()) <= 1, `${one.error()}`)
            one.setWrong(0)
            one.pass(second)
            strictEqual(one.error(), 0)
          }
          deepStrictEqual(
            one.events.map(({ _tag }) => _tag),
            wrongs.flatMap(() => ["Jumped", "Healed"]),
          )
          strictEqual(one.clock.state().ahead, 0)
        },
      ),
      { numRuns: 50 },
    )
  })

  it("one that stands for the time to wait is followed, and so is its way back", () => {
    fc.assert(
      fc.property(anyJump, (by) => {
        const one = begin()
        one.setWrong(by)
        one.pass(waitMillis - second)
        ok(Math.abs(one.error()) <= 1)
        ok(one.clock.state().followsAt !== null)
        one.pass(2 * second)
        strictEqual(one.error(), by)
        one.setWrong(0)
        one.pass(second)
        ok(Math.abs(one.error() - by) <= 1)
        one.pass(waitMillis)
        strictEqual(one.error(), 0)
        deepStrictEqual(
          one.events.map(({ _tag }) => _tag),
          ["Jumped", "Followed", "Jumped", "Followed"],
        )
      }),
    )
  })

  it("a machine that slept is believed at once, where it can tell; else after the time to wait", () => {
    const one = begin()
    one.sleep(8 * hour)
    strictEqual(one.error(), 0)
    deepStrictEqual(one.events, [{ _tag: "Followed", by: 8 * hour, vouched: "uptime" }])
    const other = begin({ hasUptime: false })
    other.sleep(8 * hour)
    strictEqual(other.error(), -8 * hour)
    other.pass(waitMillis)
    strictEqual(other.error(), 0)
  })

  it("a clock elsewhere confirms it at once, or denies it for as long as it does", () => {
    const one = begin()
    one.setWrong(year)
    one.pass(second)
    one.clock.witness(one.truth())
    ok(one.clock.state().isDenied)
    one.pass(5 * waitMillis)
    ok(Math.abs(one.error()) <= 1, "it is denied")
    one.clock.witness(one.truth() + year)
    strictEqual(one.error(), year)
    deepStrictEqual(one.events.at(-1), { _tag: "Followed", by: year, vouched: "database" })
  })

  it("small steps are followed, and so is a clock that is a little fast", () => {
    const one = begin()
    for (const step of [0, 4, -3, 9, -9, 1]) {
      one.setWrong(step * second)
      one.pass(2 * second)
      strictEqual(one.error(), step * second)
    }
    deepStrictEqual(one.events, [])
  })

  it("a jump at a start that is denied already is told as such, one that is not is not", () => {
    for (const isDenied of [true, false]) {
      const one = begin()
      one.setWrong(2 * year)
      one.clock.expect(one.truth(), isDenied)
      deepStrictEqual(one.events, [{ _tag: "Jumped", by: 2 * year, isDenied }])
      one.clock.witness(one.truth() + 2 * year)
      one.setWrong(0)
      one.pass(second)
      deepStrictEqual(one.events.at(-1), { _tag: "Jumped", by: -2 * year, isDenied: false })
    }
  })

  it("a clock that runs far too fast is a jump, however small its steps", () => {
    const one = begin()
    for (let wrong = 0; wrong < 100; wrong++) {
      one.setWrong(wrong * second)
      one.pass(500)
    }
    ok(one.error() <= jumpMillis)
    ok(one.events.some(({ _tag }) => _tag === "Jumped"))
  })

  it("what time it ought to be at a start is told until the machine's clock agrees, or has stood", () => {
    const one = begin()
    one.setWrong(2 * year)
    one.clock.expect(one.truth(), false)
    ok(Math.abs(one.error()) <= 1)
    one.pass(waitMillis + second)
    strictEqual(one.error(), 2 * year)
    const denied = begin()
    denied.setWrong(2 * year)
    denied.clock.expect(denied.truth(), true)
    denied.pass(5 * waitMillis)
    ok(Math.abs(denied.error()) <= 1)
    denied.setWrong(0)
    denied.pass(second)
    strictEqual(denied.error(), 0)
  })

  it("without time to wait it is the machine's clock", () => {
    const one = begin({ waitMillis: 0 })
    one.setWrong(year)
    strictEqual(one.error(), year)
    one.setWrong(-hour)
    strictEqual(one.error(), -hour)
  })
})
