/**
 * One address is one place, however it is written (C2, T6): what is counted, remembered and refused by address is so for all of
 * its spellings.
 */
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { hopHostOf, nextHopOf } from "../../../src/adapters/sip/format-notify.ts"
import { isAt, placeOf, placeOfHop } from "../../../src/adapters/sip/room.ts"
import { makeLocalHosts, plainAddress } from "../../../src/adapters/sip/transports/local-address.ts"
import { transports } from "../../../src/adapters/sip/transports/transports.ts"
import { udp } from "../../../src/adapters/sip/transports/udp.ts"
import {
  bracketed,
  canonicalAddress,
  isMulticast,
  isNobody,
  numericHost,
  parseUri,
  plainHost,
} from "../../../src/adapters/sip/uri.ts"
import type { SipUri } from "../../../src/adapters/sip/uri.ts"

const sip = (text: string): SipUri => {
  const uri = parseUri(text)
  assert(uri !== null && uri.scheme !== "tel", text)
  return uri
}

/** Eight groups, zeros among them. */
const anyGroups = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), {
  minLength: 8,
  maxLength: 8,
})
/** `::ffff:a.b.c.d`, which is a.b.c.d. */
const anyMapped = fc
  .tuple(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0, max: 0xffff }))
  .map(([high, low]) => [0, 0, 0, 0, 0, 0xffff, high, low])

const dotted = (high: number, low: number): string => [high >> 8, high & 255, low >> 8, low & 255].join(".")

interface Style {
  readonly widths: readonly number[]
  readonly isUpper: boolean
  readonly isDotted: boolean
  /** Where a run of zeros is left out, if there is one. */
  readonly gap: number
}

const anyStyle: fc.Arbitrary<Style> = fc.record({
  widths: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 8, maxLength: 8 }),
  isUpper: fc.boolean(),
  isDotted: fc.boolean(),
  gap: fc.nat(7),
})

/** One of the many ways to write an address (RFC 4291 §2.2). */
const spelled = (groups: readonly number[], { widths, isUpper, isDotted, gap }: Style): string => {
  const parts = groups.map((group, index) => group.toString(16).padStart(widths[index]!, "0"))
  if (isDotted) parts.splice(6, 2, dotted(groups[6]!, groups[7]!))
  const last = isDotted ? 6 : 8
  let text = parts.join(":")
  if (gap < last && groups[gap] === 0) {
    let end = gap + 1
    while (end < last && groups[end] === 0 && (widths[end] ?? 1) > 1) end++
    text = `${parts.slice(0, gap).join(":")}::${parts.slice(end).join(":")}`
  }
  return isUpper ? text.toUpperCase() : text
}

describe("places", () => {
  it(
    "all spellings of an address are one next hop, one place, and the source that has it",
    { tags: ["C2"] },
    () => {
      fc.assert(
        fc.property(
          fc.oneof(anyGroups, anyMapped),
          anyStyle,
          anyStyle,
          fc.constantFrom("host", "maddr", "bare maddr"),
          (groups, one, other, where) => {
            const [first, second] = [spelled(groups, one), spelled(groups, other)]
            const uri = (text: string): SipUri =>
              sip(
                where === "host"
                  ? `sip:v@[${text}]:5070`
                  : `sip:v@h.example.com:5070;maddr=${where === "maddr" ? `[${text}]` : text}`,
              )
            const [here, there] = [nextHopOf(uri(first), transports), nextHopOf(uri(second), transports)]
            assert.deepStrictEqual(here, there, `${first} ${second}`)
            // what a resolver or the system says of it is the same
            assert.strictEqual(canonicalAddress(first), canonicalAddress(second))
            assert.strictEqual(numericHost(first), numericHost(`[${second}]`))
            if (here === null) return assert.isTrue(isNobody(`[${first}]`))
            assert.strictEqual(placeOfHop(here, udp), placeOf(udp, canonicalAddress(second), 5070))
            assert.isTrue(isAt(here, canonicalAddress(second)))
            const isMapped = groups.slice(0, 6).join() === "0,0,0,0,0,65535"
            assert.strictEqual(!here.host.includes(":"), isMapped)
            if (isMapped) {
              const plain = dotted(groups[6]!, groups[7]!)
              assert.strictEqual(here.host, plain)
              assert.strictEqual(plainAddress(`::ffff:${plain}`), plain)
              assert.deepStrictEqual(nextHopOf(sip(`sip:v@${plain}:5070`), transports), here)
            }
          },
        ),
        { numRuns: 2_000 },
      )
    },
  )

  it("different addresses are different places", { tags: ["C2"] }, () => {
    fc.assert(
      fc.property(anyGroups, anyGroups, anyStyle, (one, other, style) => {
        fc.pre(one.join() !== other.join())
        assert.notStrictEqual(canonicalAddress(spelled(one, style)), canonicalAddress(spelled(other, style)))
      }),
      { numRuns: 500 },
    )
  })

  it.each([
    ["::1", "0:0:0:0:0:0:0:1"],
    ["2001:db8::1", "2001:DB8:0000::0001"],
    ["192.0.2.9", "::ffff:192.0.2.9"],
    ["192.0.2.9", "0:0::FFFF:c000:0209"],
    ["::c000:209", "::192.0.2.9"],
    ["2001:db8:0:1:1:1:1:1", "2001:0db8:0:1:1:1:1:1"],
    ["2001:db8::1:0:0:1", "2001:db8:0:0:1:0:0:1"],
  ])("%s is also written %s (RFC 5952)", { tags: ["C2"] }, (plain, text) => {
    assert.strictEqual(canonicalAddress(text), plain)
    assert.strictEqual(plainHost(`[${text}]`), plain)
  })

  it("a name is the same in capitals and with the dot that ends it", { tags: ["C2"] }, () => {
    const hop = nextHopOf(sip("sip:v@PBX.Example.com."), transports)
    assert.deepStrictEqual(hop, nextHopOf(sip("sip:v@pbx.example.com"), transports))
    assert.deepStrictEqual(hop, nextHopOf(sip("sip:v@x;maddr=%70bx.EXAMPLE.com."), transports))
    assert.strictEqual(hop?.host, "pbx.example.com")
  })

  it.each([
    "sip:v@127.1",
    "sip:v@2130706433",
    "sip:v@0x7f000001",
    "sip:v@0x7f.0.0.1",
    "sip:v@0X7F.1",
    "sip:v@010.0.0.1",
    "sip:v@127.0.0.1.",
    "sip:v@127.0.0.1..",
    "sip:v@1.2.3.4.5",
    "sip:v@example.com..",
    "sip:v@h;maddr=127.1",
    "sip:v@h;maddr=",
    "sip:v@h;maddr=[::1",
    "sip:v@h;maddr=[zz]",
    "sip:v@h;maddr=127.0.0.1:5060",
    "sip:v@h;maddr=[::1]:5060",
    "sip:v@h;maddr=fe80::1%25lo",
    "sip:v@h;maddr=[fe80::1%25lo]",
    "sip:v@[::ffff:224.0.0.1]",
    "sip:v@[0::ffff:e000:1]",
    "sip:v@[::FFFF:0.0.0.0]",
    "sip:v@[0:0::0]",
    "sip:v@[FF02:0::1]",
  ])("%s is no address to be sent to", { tags: ["C2"] }, (text) => {
    assert.isNull(nextHopOf(sip(text), transports))
  })

  it("an address with a zone is none, in a URI or without", { tags: ["C2"] }, () => {
    assert.isNull(parseUri("sip:v@[fe80::1%25lo]"))
    assert.isNull(parseUri("sip:v@[fe80::1%lo]"))
    assert.isNull(numericHost("fe80::1%lo"))
    assert.isTrue(isNobody("fe80::1%lo"))
  })

  it("names that only look like numbers stay names", { tags: ["C2"] }, () => {
    for (const host of [
      "4f3e2d1c0b9a",
      "0xbeefy.example.com",
      "1.2.3.4.example.com",
      "127-0-0-1.example.com",
    ])
      assert.strictEqual(hopHostOf(sip(`sip:v@${host}`)), host)
    assert.isFalse(isNobody("4f3e2d1c0b9a"))
    assert.isFalse(isNobody("1.2.3.4.example.com"))
  })

  it("groups are groups in every spelling", { tags: ["C2"] }, () => {
    for (const group of ["224.0.0.1", "::ffff:224.0.0.1", "0::ffff:e000:1", "ff02::1", "FF02:0::1"])
      assert.isTrue(isMulticast(group), group)
    assert.isFalse(isMulticast("::ffff:192.0.2.1"))
  })

  it("what is sent to an own address comes here, whichever of them it is", { tags: ["C2"] }, () => {
    const { isAt } = makeLocalHosts(() => 0)
    const isOurs = (host: string, address: string, isDual = false): boolean => isAt({ host, isDual }, address)
    assert.isTrue(isOurs("10.9.8.7", "10.9.8.7"))
    assert.isFalse(isOurs("10.9.8.7", "203.0.113.9"))
    assert.isFalse(isOurs("10.9.8.7", "10.9.8.8"))
    for (const address of ["127.0.0.1", "127.0.0.2", "127.255.0.1"])
      assert.isTrue(isOurs("0.0.0.0", address), address)
    assert.isFalse(isOurs("0.0.0.0", "::1"))
    assert.isFalse(isOurs("::", "127.0.0.1"))
    assert.isTrue(isOurs("::", "127.0.0.1", true))
    assert.isTrue(isOurs("::", "::1", true))
    assert.isFalse(isOurs("::", "198.51.100.1", true))
    assert.isFalse(isOurs("0.0.0.0", "198.51.100.1"))
    assert.strictEqual(bracketed(plainHost("[0::1]")), "[::1]")
  })
})
