import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { isNobody, parseUri } from "../../../src/adapters/sip/uri.ts"
import { addressOfRecord, canonicalUri, domainOf, sameUri } from "../../../src/domain/uris.ts"
import { trapText } from "../../support/sip-messages.ts"

const knownAs = (text: string): string | null => {
  const uri = parseUri(text)
  return uri === null ? null : addressOfRecord(uri)
}

const equal = (left: string, right: string): boolean => sameUri(canonicalUri(left), canonicalUri(right))

/** URIs without parameters that only one side may have, where equality is transitive. */
const uriText = fc
  .tuple(
    fc.constantFrom("sip", "SIP", "sips", "pres"),
    fc.constantFrom("", "alice@", "%61lice@", "Alice@", "al%69ce:pw@", "a%40b@", "a%4f@", "aO@"),
    fc.constantFrom("example.com", "EXAMPLE.com", "192.0.2.1", "[2001:db8::1]", "[2001:DB8:0::1]"),
    fc.constantFrom("", ":5060", ":5061"),
    fc.constantFrom("", ";transport=udp", ";TRANSPORT=UDP", ";lr"),
    fc.constantFrom("", "?a=b&c=d", "?c=d&a=b"),
  )
  .map((parts) => `${parts[0]}:${parts.slice(1).join("")}`)

const isLoose = (text: string): boolean => text.includes(";lr")

describe("uri", () => {
  it(
    "equality is reflexive and symmetric, and transitive where no parameter is optional",
    { tags: ["3261-19.1.4-a"] },
    () => {
      fc.assert(
        fc.property(uriText, uriText, uriText, (a, b, c) => {
          assert.isTrue(equal(a, a))
          assert.strictEqual(equal(a, b), equal(b, a))
          if (![a, b, c].some(isLoose) && equal(a, b) && equal(b, c)) assert.isTrue(equal(a, c))
        }),
        { numRuns: 2_000 },
      )
    },
  )

  it(
    "equal URIs are one presentity, and calling it by its name changes nothing",
    { tags: ["3261-19.1.4-a"] },
    () => {
      fc.assert(
        fc.property(uriText, uriText, (a, b) => {
          const first = knownAs(a)!
          assert.strictEqual(knownAs(first), first)
          if (equal(a, b)) assert.strictEqual(first, knownAs(b))
          // rules, which compare whole URIs, know a watcher by the same name
          assert.strictEqual(canonicalUri(first), first)
          assert.strictEqual(domainOf(canonicalUri(a)), domainOf(first))
        }),
        { numRuns: 2_000 },
      )
    },
  )

  it.each([
    ["sip:alice@EXAMPLE.com", "sip:alice@example.com"],
    ["sips:alice@example.com:5061;transport=tcp?x=y", "sip:alice@example.com"],
    ["pres:alice@example.com", "sip:alice@example.com"],
    ["sip:%61lic%65:secret@example.com", "sip:alice@example.com"],
    ["sip:a%3ab@example.com", "sip:a%3Ab@example.com"],
    ["sip:Alice@example.com.", "sip:Alice@example.com"],
    ["sip:bob@[2001:DB8:0:0::1]:5070", "sip:bob@[2001:db8::1]"],
    ["sip:bob@[2001:DB8:0:0:1:0:0:1]", "sip:bob@[2001:db8::1:0:0:1]"],
    ["sip:bob@[::FFFF:192.0.2.1]", "sip:bob@[::ffff:c000:201]"],
    ["sip:bob@a..B", "sip:bob@a..b"],
    ["tel:+1-201-555-0123", "tel:+12015550123"],
    ["TEL:+1(201)555.0123;isub=1;EXT=5", "tel:+12015550123;ext=5;isub=1"],
    ["sip:1234;phone-context=x@example.com;user=phone", "sip:1234;phone-context=x@example.com"],
  ])("%s is known as %s", { tags: ["3261-19.1.4-a"] }, (text, expected) => {
    assert.strictEqual(knownAs(text), expected)
  })

  it.each([
    "sip:",
    "sip:@example.com",
    "sip:a b@example.com",
    "sip:a@b@c",
    "sip:alice@example.com:99999",
    "sip:alice@2001:db8::1",
    "sip:alice@[2001:db8::1",
    "sip:alice@[zz]",
    "sip:alice@[fe80::1%eth0]",
    "sip:a%4@example.com",
    "sip:a%zz@example.com",
    "sip:alice@example.com;a=1;A=2",
    "sip:alice@exa mple.com",
    "mailto:a@b",
    "tel:",
    "tel:+",
    "tel:abcxyz",
    "alice@example.com",
    "",
    ":",
  ])("%j is no URI of ours", { tags: ["5118-4.1-a"] }, (text) => {
    assert.isNull(parseUri(text))
  })

  it("any text is read or refused", { tags: ["4475-3.1.2-a"] }, () => {
    fc.assert(
      fc.property(fc.constantFrom("sip:", "tel:", "sip:a@", "sip:a@b;", ""), trapText(100), (start, text) => {
        parseUri(start + text)
      }),
      { numRuns: 1_000 },
    )
  })

  it.each([
    ["0.0.0.0", true],
    ["224.0.0.1", true],
    ["239.1.2.3", true],
    ["255.255.255.255", true],
    ["[::]", true],
    ["[ff02::1]", true],
    ["[::ffff:0.0.0.0]", true],
    ["[::ffff:224.0.0.1]", true],
    ["999.1.1.1", true],
    ["127.1", true],
    ["192.0.2.1", false],
    ["127.0.0.1", false],
    ["[2001:db8::1]", false],
    ["[::1]", false],
    ["[::ffff:192.0.2.1]", false],
    ["example.com", false],
  ])("OPS-contact-target: %s as a target is nobody's: %s", (host, expected) => {
    assert.strictEqual(isNobody(host), expected)
  })
})
