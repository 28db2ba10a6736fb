/**
 * Instants and periods in rules, held against what the platform knows of them.
 */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { holdsAt, readDateTime, unitedPeriods } from "../../../src/domain/packages/presence-rules-periods.ts"

describe("instants and periods", () => {
  it("an instant is what the platform says", { tags: ["4745-7.4-a"] }, () => {
    const stamp = fc.date({
      min: new Date("0001-01-01T00:00:00Z"),
      max: new Date("9999-12-31T00:00:00Z"),
      noInvalidDate: true,
    })
    fc.assert(
      fc.property(stamp, fc.integer({ min: -14 * 60, max: 14 * 60 }), (date, zone) => {
        const local = new Date(date.getTime() + zone * 60_000)
        fc.pre(local.getUTCFullYear() > 0 && local.getUTCFullYear() < 10_000)
        const [hours, minutes] = [Math.floor(Math.abs(zone) / 60), Math.abs(zone) % 60].map((n) =>
          `${n}`.padStart(2, "0"),
        )
        expect(readDateTime(date.toISOString())).toBe(date.getTime())
        expect(
          readDateTime(local.toISOString().replace("Z", `${zone < 0 ? "-" : "+"}${hours}:${minutes}`)),
        ).toBe(date.getTime())
      }),
    )
  })

  it(
    "leap days, midnights and fractions are read; what is no instant is not",
    { tags: ["4745-7.4-b"] },
    () => {
      const known: Readonly<Record<string, string>> = {
        "2024-02-29T00:00:00Z": "2024-02-29T00:00:00.000Z",
        "2000-02-29T00:00:00Z": "2000-02-29T00:00:00.000Z",
        "2026-03-01T24:00:00Z": "2026-03-02T00:00:00.000Z",
        " 2026-03-01T00:00:00 ": "2026-03-01T00:00:00.000Z",
        "2026-03-01T00:00:00.0001Z": "2026-03-01T00:00:00.001Z",
        "2026-03-01T00:00:00.9999Z": "2026-03-01T00:00:01.000Z",
        "2026-03-01T00:00:00.1000Z": "2026-03-01T00:00:00.100Z",
      }
      for (const [text, instant] of Object.entries(known))
        expect([text, readDateTime(text)]).toEqual([text, Date.parse(instant)])
      const none = ["", "2026-03-01", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-13-01T00:00:00Z"]
      const odd = [
        "2026-03-00T00:00:00Z",
        "2026-03-01T24:00:01Z",
        "2026-03-01T00:60:00Z",
        "2026-03-01T00:00:60Z",
      ]
      for (const text of [
        ...none,
        ...odd,
        "2026-03-01T00:00:00+14:01",
        "2026-03-01t00:00:00Z",
        "26-03-01T00:00:00Z",
      ])
        expect([text, readDateTime(text)]).toEqual([text, null])
    },
  )

  it("united periods hold the same instants, in order and apart", { tags: ["4745-7.4-a"] }, () => {
    const anyPeriods = fc.array(fc.record({ from: fc.nat(20), until: fc.nat(20) }), { maxLength: 6 })
    fc.assert(
      fc.property(anyPeriods, (periods) => {
        const united = unitedPeriods(periods)
        for (let now = -1; now < 22; now += 1) expect(holdsAt(united, now)).toBe(holdsAt(periods, now))
        const ends = united.flatMap(({ from, until }) => [from, until])
        expect(ends).toEqual([...new Set(ends)].toSorted((one, two) => one - two))
      }),
    )
  })
})
