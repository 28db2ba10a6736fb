/**
 * The header of the PROXY protocol, and X-Forwarded-For: what is read is what was written, however it is cut; nothing else is
 * taken for one.
 */
import fc from "fast-check"
import { assert, describe, it } from "vitest"
import { forwardedFor } from "../../../../src/adapters/sip/transports/proxies.ts"
import {
  beginsAsProxyHeader,
  crc32c,
  headerOctetsMax,
  readProxyHeader,
} from "../../../../src/adapters/sip/transports/proxy-header.ts"
import { canonicalAddress } from "../../../../src/adapters/sip/uri.ts"
import { binaryHeader, rawHeader, signature, textHeader } from "../../../support/proxy-headers.ts"
import type { Ends } from "../../../support/proxy-headers.ts"

const port = fc.integer({ min: 1, max: 65_535 })
const ipv4 = fc
  .tuple(fc.integer({ min: 1, max: 223 }), fc.nat(255), fc.nat(255), fc.nat(255))
  .map((octets) => octets.join("."))
/** Global unicast, which no other form stands for. */
const ipv6 = fc
  .array(fc.nat(65_535), { minLength: 6, maxLength: 6 })
  .map((groups) => ["2001", "db8", ...groups.map((group) => group.toString(16))].join(":"))
const endsOf = (address: fc.Arbitrary<string>): fc.Arbitrary<Ends> =>
  fc.record({ source: address, destination: address, sourcePort: port, destinationPort: port })
const ends = fc.oneof(endsOf(ipv4), endsOf(ipv6))
const additions = fc.array(
  fc.record({
    type: fc.constantFrom(1, 2, 4, 5, 0x20, 0xee),
    value: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  }),
  { maxLength: 4 },
)
const written = fc.oneof(
  fc.record({ ends, bytes: fc.constant(Buffer.alloc(0)) }).map((header) => ({
    ends: header.ends,
    bytes: textHeader(header.ends),
  })),
  fc.tuple(ends, additions, fc.constantFrom("good", "none")).map(([ofConnection, added, checksum]) => ({
    ends: ofConnection,
    bytes: binaryHeader(ofConnection, added, checksum as "good" | "none"),
  })),
)

describe("a header of the PROXY protocol", () => {
  it("is read as it was written, whatever follows it", () => {
    fc.assert(
      fc.property(written, fc.uint8Array({ maxLength: 60 }), (header, rest) => {
        const read = readProxyHeader(Buffer.concat([header.bytes, rest]))
        assert.deepStrictEqual(read, {
          _tag: "Read",
          remote: { address: canonicalAddress(header.ends.source), port: header.ends.sourcePort },
          octets: header.bytes.length,
        })
      }),
    )
  })

  it("is not all there before its last octet", () => {
    fc.assert(
      fc.property(written, fc.nat(), (header, cut) => {
        const part = header.bytes.subarray(0, cut % header.bytes.length)
        assert.strictEqual(readProxyHeader(part)._tag, "Incomplete")
      }),
    )
  })

  it("with a wrong checksum is bad", () => {
    fc.assert(
      fc.property(ends, additions, (ofConnection, added) => {
        const header = binaryHeader(ofConnection, added, "wrong")
        assert.deepStrictEqual(readProxyHeader(header), { _tag: "Bad", why: "a wrong checksum" })
      }),
    )
  })

  it("is bounded: whatever comes, it is decided within its longest form", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 64 }),
          fc.constant(Buffer.from("PROXY ")),
          fc.constant(signature),
        ),
        fc.nat(255),
        (start, filler) => {
          const bytes = Buffer.concat([start, Buffer.alloc(headerOctetsMax, filler)])
          assert.notStrictEqual(readProxyHeader(bytes)._tag, "Incomplete")
        },
      ),
    )
  })

  it("never throws, and says `Missing` for what begins as none", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 13, maxLength: 300 }), (octets) => {
        const bytes = Buffer.from(octets)
        const read = readProxyHeader(bytes)
        assert.strictEqual(read._tag === "Missing", !beginsAsProxyHeader(bytes))
      }),
    )
    for (const text of [
      "INVITE sip:a@b SIP/2.0\r\n",
      "\x16\x03\x01\x02\x00\x01",
      "GET / HTTP/1.1\r\n",
      "proxy TCP4 ",
    ])
      assert.strictEqual(readProxyHeader(Buffer.from(text, "latin1"))._tag, "Missing")
  })

  it("of the proxy itself leaves the connection as it is", () => {
    for (const header of [
      Buffer.from("PROXY UNKNOWN\r\n"),
      Buffer.from("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"),
      rawHeader(0x20, 0),
      rawHeader(0x20, 0x11, Buffer.alloc(12)),
      rawHeader(0x20, 0x31, Buffer.alloc(216)),
      rawHeader(0x21, 0),
    ])
      assert.deepStrictEqual(readProxyHeader(header), { _tag: "Read", remote: null, octets: header.length })
  })

  it.each([
    "PROXY TCP4 192.0.2.7 198.51.100.1 40001\r\n",
    "PROXY TCP4 192.0.2.7 198.51.100.1 40001 5060 1\r\n",
    "PROXY TCP4 192.0.2.256 198.51.100.1 40001 5060\r\n",
    "PROXY TCP4 2001:db8::7 2001:db8::1 40001 5060\r\n",
    "PROXY TCP6 192.0.2.7 198.51.100.1 40001 5060\r\n",
    "PROXY TCP6 fe80::1%eth0 fe80::2 40001 5060\r\n",
    "PROXY TCP4 192.0.2.7 198.51.100.1 040001 5060\r\n",
    "PROXY TCP4 192.0.2.7 198.51.100.1 65536 5060\r\n",
    "PROXY TCP4 192.0.2.7 198.51.100.1 -1 5060\r\n",
    "PROXY TCP4 192.0.2.7 198.51.100.1 0 5060\r\n",
    "PROXY TCP4 0.0.0.0 198.51.100.1 40001 5060\r\n",
    "PROXY TCP4 255.255.255.255 198.51.100.1 40001 5060\r\n",
    "PROXY TCP6 ff02::1 2001:db8::1 40001 5060\r\n",
    "PROXY UDP4 192.0.2.7 198.51.100.1 40001 5060\r\n",
    "PROXY TCP4  192.0.2.7 198.51.100.1 40001 5060\r\n",
    "PROXY TCP4 example.com 198.51.100.1 40001 5060\r\n",
    "PROXY \r\n",
    `PROXY TCP4 ${"1".repeat(200)}`,
  ])("in text is bad: %j", (text) => {
    assert.strictEqual(readProxyHeader(Buffer.from(text, "latin1"))._tag, "Bad")
  })

  it.each([
    ["of another version", rawHeader(0x11, 0x11, Buffer.alloc(12, 1))],
    ["with another command", rawHeader(0x22, 0x11, Buffer.alloc(12, 1))],
    ["of datagrams", rawHeader(0x21, 0x12, Buffer.alloc(12, 1))],
    ["of a Unix socket", rawHeader(0x21, 0x31, Buffer.alloc(216, 1))],
    ["too short for its addresses", rawHeader(0x21, 0x11, Buffer.alloc(11, 1))],
    ["too short for addresses of IPv6", rawHeader(0x21, 0x21, Buffer.alloc(35, 1))],
    ["with an addition that has no length", rawHeader(0x21, 0x11, Buffer.alloc(14, 1))],
    [
      "with an addition longer than it",
      rawHeader(0x21, 0x11, Buffer.concat([Buffer.alloc(12, 1), Buffer.from([4, 0, 2, 0])])),
    ],
    ["longer than it may be", rawHeader(0x21, 0x11, Buffer.alloc(headerOctetsMax, 0))],
  ])("in binary is bad: %s", (_what, header) => {
    assert.strictEqual(readProxyHeader(header)._tag, "Bad")
  })

  it("has an address of IPv4 where IPv6 maps it", () => {
    const header = textHeader({
      source: "::ffff:192.0.2.7",
      destination: "::ffff:192.0.2.1",
      sourcePort: 1,
      destinationPort: 2,
    })
    assert.deepInclude(readProxyHeader(header), { remote: { address: "192.0.2.7", port: 1 } })
  })

  it("has the checksum of RFC 4960", () => {
    // RFC 3720 appendix B.4
    assert.strictEqual(crc32c(Buffer.alloc(32)), 0x8a_91_36_aa)
    assert.strictEqual(crc32c(Buffer.alloc(32, 0xff)), 0x62_a8_ab_43)
    assert.strictEqual(crc32c(Buffer.from("123456789")), 0xe3_06_92_83)
  })
})

describe("X-Forwarded-For", () => {
  const isProxy = (address: string): boolean => address.startsWith("10.")

  it("is the last address that is not of a proxy, whatever the client wrote before it", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(ipv4, ipv6, fc.string({ maxLength: 20 })), { maxLength: 5 }),
        fc.oneof(
          ipv4.filter((address) => !isProxy(address)),
          ipv6,
        ),
        fc.array(
          fc.nat(255).map((octet) => `10.0.0.${octet}`),
          { maxLength: 3 },
        ),
        (forged, client, proxies) => {
          const header = [...forged, client, ...proxies].join(", ")
          assert.deepStrictEqual(forwardedFor(header, isProxy), {
            address: canonicalAddress(client),
            port: 0,
          })
        },
      ),
    )
  })

  it.each([
    ["192.0.2.7:40001", "192.0.2.7", 40_001],
    ["[2001:db8::7]:40001", "2001:db8::7", 40_001],
    ["[2001:DB8::7]", "2001:db8::7", 0],
    ["::ffff:192.0.2.7", "192.0.2.7", 0],
    ["10.0.0.1, 10.0.0.2", "10.0.0.1", 0],
  ])("may have a port, and other spellings: %s", (header, address, itsPort) => {
    assert.deepStrictEqual(forwardedFor(header, isProxy), { address, port: itsPort })
  })

  it.each([
    undefined,
    "",
    " , ",
    "unknown",
    "192.0.2.7, _hidden",
    "192.0.2.7,",
    "0.0.0.0",
    "phone.example.com",
    "192.0.2.7 x",
  ])("is not believed: %j", (header) => {
    assert.isNull(forwardedFor(header, isProxy))
  })
})
