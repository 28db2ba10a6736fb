/**
 * One spelling for URIs, domains and instants in rules, held against what the platform knows of them.
 */
import fc from "fast-check"
import { domainToASCII } from "node:url"
import { describe, expect, it } from "vitest"
import { holdsAt, readDateTime, unitedPeriods } from "../../../src/domain/packages/presence-rules-periods.ts"
import {
  canonicalDomain,
  canonicalUri,
  domainOf,
  sameUri,
} from "../../../src/domain/packages/presence-rules-uris.ts"
import { anyText } from "../../support/xml-arbitraries.ts"

describe("URIs", () => {
  it("4745-7.1.2-a: spellings of one URI are one text", () => {
    const spellings: Readonly<Record<string, readonly string[]>> = {
      "sip:bob@example.com": ["SIP:b%6Fb@EXAMPLE.com.", " sip:bob@example.com:"],
      "sip:b%2Fb@example.com:5060;lr;transport=tcp?a=1&b=2": [
        "sip:b%2fb@example.com:5060;Transport=TCP;LR?b=2&a=1",
      ],
      "sip:[2001:db8:0:0:0:0:0:1]:5060": ["sip:[2001:DB8::1]:5060", "sip:[2001:0db8::0:0001]:5060"],
      "sip:[0:0:0:0:0:ffff:c000:201]": ["sip:[::ffff:192.0.2.1]"],
      "tel:+12125551212;ext=3;isub=1": ["tel:+1-212-555-1212;isub=1;ext=3"],
      "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6": ["URN:UUID:F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6"],
      "urn:x-mac:00%2F": ["urn:X-MAC:00%2f"],
      "https://example.com/~A": ["HTTPS://example.com/%7eA"],
      "sip:%%341@example.com": ["SIP:%%341@EXAMPLE.com"],
      "no uri": [" no uri "],
    }
    for (const [canonical, others] of Object.entries(spellings))
      for (const one of [canonical, ...others]) expect(canonicalUri(one)).toBe(canonical)
  })

  it("4745-7.1.2-a: a parameter of one side only is ignored, unless it tells URIs apart", () => {
    const pairs: readonly (readonly [string, string, boolean])[] = [
      ["sip:b@h", "sip:b@h;newparam=5", true],
      ["sip:b@h;x=1", "sip:b@h;x=2", false],
      ["sip:b@h;x=1", "sip:b@h;y=2", true],
      ["sip:b@h", "sip:b@h;transport=udp", false],
      ["sip:b@h", "sip:b@h;gr=urn:uuid:1", false],
      ["sip:b@h;gr=a", "sip:b@h;gr=A", false],
      ["sip:b@h;method=INVITE", "sip:b@h;method=invite", true],
      ["sip:b@h", "sip:b@h?subject=x", false],
      ["sip:b@h;x=1?a=1", "sip:b@h;x=1?a=2", false],
      ["sip:b@h;x=1?a=1&b=2", "sip:b@h;y=1?b=2&a=1", true],
      ["sip:b@h;x=1", "sips:b@h;x=1", false],
      ["sip:b;x=1@h", "sip:b@h", false],
      ["tel:+1;ext=1", "tel:+1", false],
      ["urn:x:a;b", "urn:x:a", false],
    ]
    for (const [left, right, same] of pairs) {
      expect([`${left} ${right}`, sameUri(canonicalUri(left), canonicalUri(right))]).toEqual([
        `${left} ${right}`,
        same,
      ])
      expect([`${right} ${left}`, sameUri(canonicalUri(right), canonicalUri(left))]).toEqual([
        `${right} ${left}`,
        same,
      ])
    }
  })

  it("4745-7.1.2-a: spelling anything canonically twice changes nothing, and it equals itself", () => {
    const parts = [
      "sip:",
      "TEL:",
      "urn:",
      "bob",
      "@",
      "%41",
      "%zz",
      "%",
      ";",
      "=",
      "?",
      "&",
      ":",
      "[::1]",
      "É",
      "%2541",
      ".",
      " ",
    ]
    const texts = fc.oneof(
      anyText,
      fc.array(fc.constantFrom(...parts), { maxLength: 12 }).map((all) => all.join("")),
    )
    fc.assert(
      fc.property(texts, (text) => {
        const canonical = canonicalUri(text)
        expect(canonicalUri(canonical)).toBe(canonical)
        expect(sameUri(canonical, canonical)).toBe(true)
        const domain = domainOf(canonical)
        expect(domain === null ? null : canonicalDomain(domain)).toBe(domain)
      }),
      { numRuns: 5_000 },
    )
  })
})

describe("domains", () => {
  it("4745-7.1.3-b: a domain in ASCII is what the platform says, wherever both know it", () => {
    const letters = fc.constantFrom(
      ..."abzABZ019éÉüÜøßſǅжЖçñŁ名前한ابע😀ﬁΣσς".split(""),
      "u\u0308",
      "a-b",
      "😀",
      "𐐀",
    )
    const label = fc.array(letters, { minLength: 1, maxLength: 8 }).map((all) => all.join(""))
    let compared = 0
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 3 }), (labels) => {
        const domain = `${labels.join(".")}.example`
        const expected = domainToASCII(domain)
        // The platform also refuses what nobody can register.
        if (expected === "") return
        compared += 1
        expect(canonicalDomain(domain)).toBe(expected)
      }),
      { numRuns: 1_000 },
    )
    expect(compared).toBeGreaterThan(100)
  })

  it("4745-7.1.3-b: known examples, and what has no ASCII form", () => {
    expect(canonicalDomain("他们为什么不说中文")).toBe("xn--ihqwcrb4cv8a8dqg056pqjye")
    expect(canonicalDomain("Pročprostěnemluvíčesky")).toBe("xn--proprostnemluvesky-uyb24dma41a")
    expect(canonicalDomain("straße.example")).toBe("xn--strae-oqa.example")
    for (const none of ["", ".", "a..b", "%80", "%", "a%2eb", "a b", "a@b", "a;b", "ü".repeat(60), "é\u0000"])
      expect([none, canonicalDomain(none)]).toEqual([none, null])
  })
})

describe("instants and periods", () => {
  it("4745-7.4-a: an instant is what the platform says", () => {
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

  it("4745-7.4-b: leap days, midnights and fractions are read; what is no instant is not", () => {
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
  })

  it("4745-7.4-a: united periods hold the same instants, in order and apart", () => {
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
