/**
 * How far a clock is from what a store knows of the time.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { gapOf } from "../../../src/app/clock/known-time.ts"
import type { Beat } from "../../../src/ports/log-admin.ts"

const now = 1_800_000_000_000
const gap = (last: Beat | null, newest: number, boot: string, uptime: number | null) =>
  Effect.runSync(gapOf({ lastBeat: Effect.succeed(last), newest: Effect.succeed(newest) }, now, boot, uptime))

describe("the gap between a clock and what a store knows", () => {
  const last: Beat = { boot: "one", uptime: 5000, at: now - 60_000 }

  it(
    "in the same run of a machine is what its clock did beside the time that it ran",
    { tags: ["OPS-clock_jump"] },
    () => {
      assert.deepStrictEqual(gap(last, now + 9, "one", 45_000), {
        by: "uptime",
        known: now - 20_000,
        millis: 20_000,
        toldAt: last.at,
      })
      assert.strictEqual(gap(last, 0, "one", 85_000)?.millis, -20_000)
    },
  )

  it(
    "is from the newest that is known in another run, or where runs or their length cannot be told",
    { tags: ["OPS-clock_jump"] },
    () => {
      const newest = now - 1000
      const expected = { by: "newest", known: newest, millis: 1000, toldAt: last.at } as const
      assert.deepStrictEqual(gap(last, newest, "other", 45_000), expected)
      assert.deepStrictEqual(gap(last, newest, "one", null), expected)
      assert.deepStrictEqual(gap({ ...last, boot: "unknown" }, newest, "unknown", 45_000), expected)
      assert.strictEqual(gap(last, 0, "other", 0)?.known, last.at)
      assert.deepStrictEqual(gap(null, newest, "one", 0), { ...expected, toldAt: null })
      assert.isNull(gap(null, 0, "one", 45_000))
    },
  )
})
