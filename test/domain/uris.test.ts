/**
 * One spelling for URIs and domains, held against what the platform knows of them.
 */
import { domainToASCII } from "node:url"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { canonicalDomain, canonicalHost, canonicalUri, domainOf, sameUri } from "../../src/domain/uris.ts"
import { anyText } from "../support/xml-arbitraries.ts"

describe("URIs", () => {
  it("spellings of one URI are one text", { tags: ["4745-7.1.2-a"] }, () => {
    const spellings: Readonly<Record<string, readonly string[]>> = {
      "sip:bob@example.com": ["SIP:b%6Fb@EXAMPLE.com.", " sip:bob@example.com:"],
      "sip:b%2Fb@example.com:5060;lr;transport=tcp?a=1&b=2": [
        "sip:b%2fb@example.com:5060;Transport=TCP;LR?b=2&a=1",
      ],
      "sip:[2001:db8::1]:5060": ["sip:[2001:DB8::1]:05060", "sip:[2001:0db8:0:0::0:0001]:5060"],
      "sip:[::ffff:c000:201]": ["sip:[::ffff:192.0.2.1]", "sip:[0:0:0:0:0:ffff:c000:0201]"],
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

  it(
    "a parameter of one side only is ignored, unless it tells URIs apart",
    { tags: ["4745-7.1.2-a"] },
    () => {
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
    },
  )

  it(
    "spelling anything canonically twice changes nothing, and it equals itself",
    { tags: ["4745-7.1.2-a"] },
    () => {
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
    },
  )
})

describe("domains", () => {
  it("a domain in ASCII is what the platform says, wherever both know it", { tags: ["4745-7.1.3-b"] }, () => {
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

  it("known examples, and what has no ASCII form", { tags: ["4745-7.1.3-b"] }, () => {
    expect(canonicalDomain("他们为什么不说中文")).toBe("xn--ihqwcrb4cv8a8dqg056pqjye")
    expect(canonicalDomain("Pročprostěnemluvíčesky")).toBe("xn--proprostnemluvesky-uyb24dma41a")
    expect(canonicalDomain("straße.example")).toBe("xn--strae-oqa.example")
    for (const none of ["", ".", "a..b", "%80", "%", "a%2eb", "a b", "a@b", "a;b", "ü".repeat(60), "é\u0000"])
      expect([none, canonicalDomain(none)]).toEqual([none, null])
  })

  it(
    "an IPv6 address is spelled as the platform spells it, and what is none stays as it is",
    { tags: ["5952-4"] },
    () => {
      const group = fc.constantFrom(
        "0",
        "0",
        "0",
        "00",
        "1",
        "DB8",
        "0a0",
        "ffff",
        "192.0.2.1",
        "999.1.1.1",
        "",
        "g",
        "12345",
      )
      let compared = 0
      fc.assert(
        fc.property(fc.array(group, { minLength: 1, maxLength: 9 }), (groups) => {
          const host = `[${groups.join(":")}]`
          const url = URL.parse(`http://${host}/`)
          expect([host, canonicalDomain(host)]).toEqual([host, url?.hostname ?? null])
          expect(canonicalHost(host)).toBe(url?.hostname ?? host.toLowerCase())
          compared += url === null ? 0 : 1
        }),
        { numRuns: 20_000 },
      )
      expect(compared).toBeGreaterThan(200)
    },
  )
})
