/**
 * Instants as operators write them.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { clockOf, isZone, parseInstant } from "../../../src/explain/history/time.ts"

const now = Date.UTC(2026, 10, 23, 14, 30, 0, 250)
const zones = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Auckland"]

describe("instants", () => {
  it.each([
    ["now", now],
    ["15m", now - 900_000],
    ["-15m", now - 900_000],
    ["90s", now - 90_000],
    ["2h", now - 7_200_000],
    ["3d", now - 259_200_000],
    ["250ms", now - 250],
    ["14:05", Date.UTC(2026, 10, 23, 14, 5)],
    ["9:05:07", Date.UTC(2026, 10, 23, 9, 5, 7)],
    ["14:05:12.331", Date.UTC(2026, 10, 23, 14, 5, 12, 331)],
    ["2026-11-20", Date.UTC(2026, 10, 20)],
    ["2026-11-20 08:00", Date.UTC(2026, 10, 20, 8)],
    ["2026-11-20T08:00:00.5", Date.UTC(2026, 10, 20, 8, 0, 0, 500)],
    ["2026-11-20T08:00:00Z", Date.UTC(2026, 10, 20, 8)],
    ["2026-11-20T08:00:00+02:00", Date.UTC(2026, 10, 20, 6)],
    [String(now), now],
  ] as const)("%s", { tags: ["OPS-instants"] }, (text, at) => {
    assert.equal(parseInstant(text, now, "UTC"), at)
  })

  it.each(["", "soon", "25:00", "14:5", "2026-13-01", "2026-11-20T08", "-", "5x", "14:05Z0", "1e9"])(
    "%j is none",
    { tags: ["OPS-instants"] },
    (text) => {
      assert.equal(parseInstant(text, now, "UTC"), null)
    },
  )

  it(
    "what is shown in a zone is read again in it, to the millisecond, but in an hour that comes twice",
    { tags: ["OPS-instants"] },
    () => {
      for (const zone of zones) {
        const clock = clockOf(zone)
        fc.assert(
          fc.property(fc.integer({ min: Date.UTC(2000, 0), max: Date.UTC(2100, 0) }), (at) => {
            const read = parseInstant(clock(at), now, zone)
            assert.ok(read !== null)
            assert.equal(clock(read), clock(at))
            assert.ok(read === at || Math.abs(read - at) === 3_600_000)
          }),
          { numRuns: 300 },
        )
      }
    },
  )

  it("zones are known by their names", { tags: ["OPS-instants"] }, () => {
    for (const zone of zones) assert.ok(isZone(zone))
    for (const zone of ["Mars/Olympus", "", "CEST ", "../etc"]) assert.ok(!isZone(zone), zone)
  })
})
