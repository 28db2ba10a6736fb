/**
 * Entries of trusted peers: what one may say, which of several decides about an address, and whom it speaks for.
 */
import { deepStrictEqual, equal, match, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makePeers, readPeers } from "../../../src/adapters/sip/peers.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"

const textsOf = (...entries: readonly unknown[]): readonly string[] => {
  const { peers, faults } = readPeers(entries)
  deepStrictEqual(faults, [])
  return peers.map(({ text }) => text)
}

const peersOf = (...entries: readonly unknown[]) => {
  const { peers, faults } = readPeers(entries)
  deepStrictEqual(faults, [])
  return makePeers(peers)
}

const faultOf = (...entries: readonly unknown[]): string => {
  const { faults } = readPeers(entries)
  equal(faults.length, 1, JSON.stringify(faults))
  return faults[0]!.why
}

/** An address as its bits, by the book and without anything of the code under test. */
const bitsOf = (address: readonly number[], width: number): string =>
  address.map((part) => part.toString(2).padStart(width, "0")).join("")

/** Eight groups, fully written. */
const written = (groups: readonly number[]): string => groups.map((group) => group.toString(16)).join(":")

interface Case {
  readonly network: readonly number[]
  readonly prefix: number
}

const anyBytes = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 })
const anyGroups = fc.array(fc.constantFrom(0, 1, 0xff, 0x2001, 0xffff, 0xfe80), {
  minLength: 8,
  maxLength: 8,
})

/** Clears what stands behind the prefix. */
const cut = ({ network, prefix }: Case, width: number): readonly number[] =>
  network.map((part, index) => {
    const bits = bitsOf([part], width)
    const kept = Math.min(width, Math.max(0, prefix - index * width))
    return Number.parseInt(bits.slice(0, kept).padEnd(width, "0"), 2)
  })

describe("trusted peers", () => {
  it(
    "the narrowest network that holds an address decides, as bits say",
    { tags: ["OPS-trusted_peers"] },
    () => {
      const cases = fc.record({
        entries: fc.array(fc.record({ network: anyBytes, prefix: fc.integer({ min: 0, max: 32 }) }), {
          minLength: 1,
          maxLength: 8,
        }),
        others: fc.array(anyBytes, { minLength: 1, maxLength: 8 }),
        flip: fc.integer({ min: 0, max: 31 }),
      })
      fc.assert(
        fc.property(cases, ({ entries, others, flip }) => {
          const networks = new Map(
            entries.map((one) => {
              const bits = bitsOf(cut(one, 8), 8).slice(0, one.prefix)
              const text =
                one.prefix === 32 ? cut(one, 8).join(".") : `${cut(one, 8).join(".")}/${one.prefix}`
              return [bits, text] as const
            }),
          )
          const peers = peersOf(...networks.values())
          // near misses: an address of each network with one bit changed
          const near = entries.map(({ network }) =>
            network.map((part, index) =>
              index === Math.floor(flip / 8) ? part ^ (1 << (7 - (flip % 8))) : part,
            ),
          )
          for (const address of [...others, ...near, ...entries.map(({ network }) => network)]) {
            const bits = bitsOf(address, 8)
            const fitting = [...networks].filter(([prefix]) => bits.startsWith(prefix))
            const [, expected = null] =
              fitting.toSorted(([one], [other]) => other.length - one.length)[0] ?? []
            const dotted = address.join(".")
            equal(peers.find(dotted, "udp")?.network ?? null, expected)
            // again from memory, and in IPv6 clothes
            equal(peers.find(dotted, "udp")?.network ?? null, expected)
            equal(peers.find(`::ffff:${dotted}`, "tcp")?.network ?? null, expected)
          }
        }),
        { numRuns: 300 },
      )
    },
  )

  it(
    "so it is for IPv6, in whatever spelling, and never for the other family",
    { tags: ["OPS-trusted_peers"] },
    () => {
      const cases = fc.record({
        network: anyGroups,
        prefix: fc.integer({ min: 0, max: 128 }),
        other: anyGroups,
      })
      fc.assert(
        fc.property(cases, ({ network, prefix, other }) => {
          const plain = cut({ network, prefix }, 16)
          // an IPv4 address in IPv6 spelling is an IPv4 network, which the test above has
          fc.pre(!written(plain).startsWith("0:0:0:0:0:ffff:"))
          const peers = peersOf(`${written(plain)}/${prefix}`)
          const head = bitsOf(plain, 16).slice(0, prefix)
          for (const address of [network, other]) {
            const isMapped = written(address).startsWith("0:0:0:0:0:ffff:")
            const isIn = !isMapped && bitsOf(address, 16).startsWith(head)
            equal(peers.find(written(address), "udp") !== null, isIn, written(address))
            equal(peers.find(written(address).toUpperCase(), "udp") !== null, isIn)
          }
          equal(peers.find("10.0.0.1", "udp"), null)
        }),
        { numRuns: 300 },
      )
    },
  )

  it(
    "an entry for one transport keeps wider ones from deciding about the other",
    { tags: ["OPS-trusted_peers"] },
    () => {
      const peers = peersOf("10.0.0.0/8", "10.0.0.1;transport=tcp", "10.0.0.2;transport=udp", {
        address: "10.0.0.2",
        transport: "tcp",
        identity: "none",
      })
      equal(peers.find("10.0.0.1", "tcp")?.network, "10.0.0.1")
      equal(peers.find("10.0.0.1", "udp"), null)
      equal(peers.find("10.0.0.2", "udp")?.identity, "pai")
      equal(peers.find("10.0.0.2", "tcp")?.identity, "none")
      equal(peers.find("10.9.9.9", "udp")?.network, "10.0.0.0/8")
      equal(makePeers([]).find("10.0.0.1", "udp"), null)
    },
  )

  it("text and objects say the same, and are shown in one form", { tags: ["OPS-trusted_peers"] }, () => {
    const full = "10.0.0.0/24;identity=none;publishes_for=example.com|sip:desk@example.org;transport=tcp"
    deepStrictEqual(
      textsOf(
        " 10.0.0.0/24 ; Identity=NONE; publishes_for = Example.COM | sip:desk@example.org:5070 ; transport=TCP ",
        {
          address: "10.0.1.0/24",
          identity: "none",
          publishes_for: ["example.com", "sip:desk@example.org"],
          transport: "tcp",
        },
        "10.0.2.1",
        { address: "[2001:DB8:0::1]", publishes_for: "*" },
        "::ffff:10.0.3.0/120;identity=pai",
        { address: "10.0.4.1", hosts: "SIP.example.com|192.0.2.1", identity: null },
      ),
      [
        full,
        full.replace("10.0.0.0", "10.0.1.0"),
        "10.0.2.1",
        "2001:db8::1;publishes_for=*",
        "10.0.3.0/24;identity=pai",
        "10.0.4.1;hosts=sip.example.com|192.0.2.1",
      ],
    )
    // what is shown reads as what it was
    deepStrictEqual(textsOf(full), [full])
  })

  it.each([
    ["sip.example.com", /is a name/],
    ["localhost;identity=pai", /is a name/],
    ["10.0.0.0/33", /from 0 to 32/],
    ["10.0.0.0/", /from 0 to 32/],
    ["10.0.0.0/-1", /from 0 to 32/],
    ["2001:db8::/129", /from 0 to 128/],
    ["10.0.0.7/24", /write 10\.0\.0\.0\/24 for the network, or 10\.0\.0\.7/],
    ["2001:db8::7/64", /write 2001:db8::\/64 for the network, or 2001:db8::7/],
    ["10.0.0", /is no address/],
    ["10.0.0.256", /is no address/],
    ["10.0.0.1:5060", /is no address/],
    ["fe80::1%eth0", /zone/],
    ["", /expected ADDRESS/],
    [";identity=pai", /expected ADDRESS/],
    ["10.0.0.1;", /empty parameter/],
    ["10.0.0.1;identity=rpid", /expected pai .*from .*none/],
    ["10.0.0.1;identity", /no value/],
    ["10.0.0.1;identity=pai;identity=from", /comes twice/],
    ["10.0.0.1;transport=sctp", /expected udp, tcp, tls, ws, wss or any/],
    ["10.0.0.1;publish_for=example.com", /publishes_for/],
    ["10.0.0.1;publishes_for=sip:example.com", /expected a domain/],
    ["10.0.0.1;publishes_for=a b", /expected a domain/],
    ["10.0.0.1;publishes_for=example.com|", /expected a domain/],
    ["10.0.0.1;publishes_for=*.example.com", /expected a domain/],
    ["10.0.0.1;hosts=sip.example.com:5060", /expected host names/],
    [42, /expected ADDRESS/],
    [null, /expected ADDRESS/],
    [["10.0.0.1"], /expected ADDRESS/],
    [{}, /needs its address/],
    [{ address: 7 }, /needs its address/],
    [{ address: "10.0.0.1", identity: true }, /expected pai/],
    [{ address: "10.0.0.1", publishes_for: [1] }, /expected domains/],
    [{ address: "10.0.0.1", trust: "all" }, /trust: there is no such part/],
  ] as const)("%j is refused with what to write", { tags: ["OPS-trusted_peers"] }, (entry, why) => {
    match(faultOf(entry), why)
    equal(readPeers([entry]).peers.length, 0)
  })

  it("a network is listed once for each transport", { tags: ["OPS-trusted_peers"] }, () => {
    match(faultOf("10.0.0.1", "10.0.0.1/32"), /10\.0\.0\.1 is listed twice/)
    match(faultOf("10.0.0.1;transport=udp", "::ffff:10.0.0.1"), /listed twice/)
    match(faultOf("2001:db8::/64", "2001:DB8:0:0::/64;identity=none"), /listed twice/)
    equal(peersOf("10.0.0.1;transport=udp", "10.0.0.1;transport=tcp").size, 2)
  })

  it(
    "publishes for domains and URIs in any spelling, or for everybody, and otherwise for nobody",
    { tags: ["OPS-trusted_peers"] },
    () => {
      const speaks = (said: string, presentity: string): boolean =>
        readPeers([`10.0.0.1${said}`]).peers[0]!.publishesFor(presentity as Uri)
      const some = ";publishes_for=EXAMPLE.com|sip:desk@example.org|tel:+1-555-0100"
      ok(speaks(some, "sip:201@example.com"))
      ok(speaks(some, "sip:desk@example.org"))
      ok(speaks(some, "tel:+15550100"))
      for (const other of [
        "sip:lab@example.org",
        "sip:201@sub.example.com",
        "sip:example.com@evil.org",
        "tel:+15550101",
      ])
        ok(!speaks(some, other), other)
      ok(speaks(";publishes_for=*", "tel:+15550101"))
      ok(!speaks("", "sip:201@example.com"))
    },
  )

  it(
    "a host is the peer's when it is the source or the operator says so, not by being in the network",
    { tags: ["C2", "OPS-trusted_peers"] },
    () => {
      const [peer] = readPeers(["10.0.0.0/24;hosts=SIP.example.com|192.0.2.1|[2001:DB8:0::1]"]).peers
      const isHost = (host: string): boolean => peer!.isHost(host, "10.0.0.9")
      for (const own of [
        "10.0.0.9",
        "[::ffff:10.0.0.9]",
        "[::FFFF:a00:9]",
        "sip.example.com",
        "sip.example.COM.",
      ])
        ok(isHost(own), own)
      for (const own of ["192.0.2.1", "[2001:db8::1]", "2001:db8:0:0::1"]) ok(isHost(own), own)
      for (const other of [
        "10.0.0.8",
        "10.0.1.9",
        "example.com",
        "sip.example.com.evil.org",
        "192.0.2.2",
        "[::1]",
      ])
        ok(!isHost(other), other)
      // it writes itself so, but does not send from there
      ok(!peer!.holds("192.0.2.1"))
      equal(makePeers([peer!]).find("192.0.2.1", "udp"), null)
    },
  )
})
