/**
 * Whether NOTIFYs go to the Contact or back to where the SUBSCRIBE came from, as the decoder of requests finds it.
 */
import { assert, describe, it } from "@effect/vitest"
import type { ReceivedOn } from "../../../src/adapters/sip/decode-result.ts"
import { hostList } from "../../../src/adapters/sip/hosts.ts"
import { notifyToFaults, readNotifyTo } from "../../../src/adapters/sip/notify-to.ts"
import { makePeers, readPeers } from "../../../src/adapters/sip/peers.ts"
import { isPrivateAddress } from "../../../src/adapters/sip/reach.ts"
import { aliasOf, withoutAlias } from "../../../src/adapters/sip/received-address.ts"
import type { RequestRules } from "../../../src/adapters/sip/request-rules.ts"
import { tcp } from "../../../src/adapters/sip/transports/tcp.ts"
import { tls } from "../../../src/adapters/sip/transports/tls.ts"
import { transports } from "../../../src/adapters/sip/transports/transports.ts"
import { parseUri } from "../../../src/adapters/sip/uri.ts"
import type { SipUri } from "../../../src/adapters/sip/uri.ts"
import type { Resubscribe, Subscribe } from "../../../src/domain/presentity/commands.ts"
import { arrival, decodeMessage, requestRules } from "../../support/sip-decoder.ts"
import { readRequest } from "../../support/sip-messages.ts"
import type { RequestParts } from "../../support/sip-messages.ts"

const from = (sourceAddress: string, over: Partial<ReceivedOn> = {}): ReceivedOn => ({
  ...arrival,
  sourceAddress,
  sourcePort: 40_001,
  ...over,
})

const viaTo = (host: string, more = ";rport"): string => `SIP/2.0/UDP ${host};branch=z9hG4bK-reach${more}`

const commandOf = (
  headers: RequestParts["headers"],
  on: ReceivedOn,
  rules: RequestRules = requestRules,
): Subscribe | Resubscribe => {
  const decoded = decodeMessage(readRequest({ method: "SUBSCRIBE", headers: { ...headers } }), on, rules)
  assert.strictEqual(decoded._tag, "Submit", JSON.stringify(decoded))
  assert(decoded._tag === "Submit" && decoded.command._tag !== "Publish")
  return decoded.command
}

/** What is found of a SUBSCRIBE that begins a dialog; the same is found of one within it. */
const reachOf = (
  contact: string,
  on: ReceivedOn,
  more: RequestParts["headers"] = {},
  rules: RequestRules = requestRules,
): string => {
  const headers = { Contact: contact, ...more }
  const begins = commandOf(headers, on, rules)
  const within = commandOf(
    { To: "<sip:alice@example.com>;tag=ours", CSeq: "2 SUBSCRIBE", ...headers },
    on,
    rules,
  )
  assert(begins._tag === "Subscribe" && within._tag === "Resubscribe")
  assert.strictEqual(begins.dialog.reach, within.arrival?.reach)
  assert.strictEqual(within.arrival?.source, begins.dialog.source)
  return begins.dialog.reach ?? "usual"
}

const trusting = (entry: string): RequestRules => {
  const { peers, faults } = readPeers([entry])
  assert.deepStrictEqual(faults, [])
  return { ...requestRules, peers: makePeers(peers) }
}

describe("where NOTIFYs go unless a setting says it", () => {
  it.each([
    ["a public Contact", "<sip:bob@203.0.113.9:5060>", "203.0.113.9", "usual"],
    ["a Contact at another public address", "<sip:bob@198.51.100.7>", "203.0.113.9", "usual"],
    ["a name", "<sip:bob@phone.example.com>", "203.0.113.9", "usual"],
    ["the private address of a neighbour", "<sip:bob@192.168.1.7>", "192.168.1.7", "usual"],
    ["an address of RFC 1918 behind a public one", "<sip:bob@192.168.1.7>", "203.0.113.9", "private"],
    ["10.0.0.0/8", "<sip:bob@10.20.30.40:5062>", "203.0.113.9", "private"],
    ["172.16.0.0/12", "<sip:bob@172.31.0.1>", "203.0.113.9", "private"],
    ["172.32.0.0 is public", "<sip:bob@172.32.0.1>", "203.0.113.9", "usual"],
    ["carrier-grade NAT, RFC 6598", "<sip:bob@100.64.3.2>", "203.0.113.9", "private"],
    ["a translator in the phone, RFC 7335", "<sip:bob@192.0.0.4>", "203.0.113.9", "private"],
    ["link-local", "<sip:bob@169.254.3.2>", "203.0.113.9", "private"],
    ["loopback", "<sip:bob@127.0.0.1:5062>", "203.0.113.9", "private"],
    ["a private address behind another private one", "<sip:bob@192.168.1.7>", "10.0.0.1", "private"],
    ["unique local IPv6", "<sip:bob@[fd00::7]>", "2001:db8::9", "private"],
    ["link-local IPv6", "<sip:bob@[fe80::7]:5060>", "2001:db8::9", "private"],
    ["IPv4 behind NAT64", "<sip:bob@192.168.1.7>", "2001:db8::9", "private"],
    ["the same IPv6 address spelled otherwise", "<sip:bob@[2001:DB8:0:0::9]>", "2001:db8::9", "usual"],
    ["maddr decides", "<sip:bob@phone.example.com;maddr=10.0.0.7>", "203.0.113.9", "private"],
    ["maddr at the source", "<sip:bob@10.0.0.7;maddr=203.0.113.9>", "203.0.113.9", "usual"],
    ["ob", "<sip:bob@198.51.100.7;ob>", "203.0.113.9", "ob"],
    ["ob at the same address from another port", "<sip:bob@203.0.113.9:5060;ob>", "203.0.113.9", "ob"],
    ["ob of a name", "<sip:bob@phone.example.com;transport=udp;ob>", "203.0.113.9", "ob"],
    ["reg-id", '<sip:bob@198.51.100.7>;+sip.instance="<urn:uuid:1>";reg-id=1', "203.0.113.9", "ob"],
    ["a name that does not exist", "<sip:x7@df7jal23ls0d.invalid>", "203.0.113.9", "invalid"],
    ["the same with a dot at its end", "<sip:x7@DF7JAL.Invalid.>", "203.0.113.9", "invalid"],
  ])("%s", (_, contact, source, expected) => {
    assert.strictEqual(reachOf(contact, from(source)), expected)
  })

  it("a wrong address in Via and Contact, where rport is asked for, RFC 3581", () => {
    const contact = "<sip:bob@198.51.100.7>"
    const wrong = (via: string) => reachOf(contact, from("203.0.113.9"), { Via: via })
    assert.strictEqual(wrong(viaTo("198.51.100.7")), "nat")
    assert.strictEqual(wrong(viaTo("198.51.100.7:5060")), "nat")
    assert.strictEqual(wrong(viaTo("198.51.100.7", ";rport=")), "nat")
    assert.strictEqual(wrong(viaTo("198.51.100.7", "")), "usual")
    assert.strictEqual(wrong(viaTo("203.0.113.9")), "usual")
  })

  it("behind a proxy the source is the proxy, and the Contact counts", () => {
    const vias = [viaTo("203.0.113.9"), viaTo("192.168.1.7", "2")]
    assert.strictEqual(reachOf("<sip:bob@192.168.1.7>", from("203.0.113.9"), { Via: vias }), "usual")
    assert.strictEqual(reachOf("<sip:bob@192.168.1.7;ob>", from("203.0.113.9"), { Via: vias }), "usual")
  })

  it("servers that are trusted, and hosts where NOTIFYs may go, are where they say", () => {
    const rules = trusting("203.0.113.9;hosts=10.0.0.7")
    const headers = { "P-Asserted-Identity": "<sip:bob@example.com>" }
    assert.strictEqual(reachOf("<sip:bob@10.0.0.7>", from("203.0.113.9"), headers, rules), "usual")
    const listed = { ...requestRules, isNotifyTarget: hostList(["10.0.0.0/8"]) }
    assert.strictEqual(reachOf("<sip:bob@10.0.0.7>", from("203.0.113.9"), {}, listed), "usual")
    assert.strictEqual(reachOf("<sip:bob@192.168.1.7>", from("203.0.113.9"), {}, listed), "private")
  })

  it("a server trusted by its certificate is one, wherever it is", () => {
    const rules = trusting("certificate:proxy.example.com")
    const names = { domains: ["proxy.example.com"], addresses: [], users: [] }
    const on = from("203.0.113.9", { transport: tls, certificate: names })
    const believed = { "P-Asserted-Identity": "<sip:bob@example.com>" }
    const aliased = "<sip:bob@10.0.0.7;alias=198.51.100.7~40001~2>"
    assert.strictEqual(reachOf("<sip:bob@10.0.0.7>", on, believed, rules), "usual")
    assert.strictEqual(reachOf(aliased, on, believed, rules), "alias")
    // to a server that trusts nobody it is a phone like any other
    assert.strictEqual(reachOf("<sip:bob@10.0.0.7>", on), "private")
    assert.strictEqual(reachOf(aliased, on), "private")
  })

  it("our own address among the private ones of another network is no reason to refuse", () => {
    const rules = { ...requestRules, isOwnAddress: (host: string) => host === "192.168.1.10" }
    assert.strictEqual(reachOf("<sip:bob@192.168.1.10:5060>", from("203.0.113.9"), {}, rules), "private")
    const refused = decodeMessage(
      readRequest({ method: "SUBSCRIBE", headers: { Contact: "<sip:bob@192.168.1.10:5060>" } }),
      from("192.168.1.10"),
      rules,
    )
    assert.strictEqual(refused._tag, "Reply")
  })

  it("nothing goes back to ourselves, nor to an address that has no spelling in a header", () => {
    const own = { ...requestRules, isOwnAddress: (host: string) => host === "203.0.113.9" }
    assert.strictEqual(reachOf("<sip:bob@10.0.0.7>", from("203.0.113.9"), {}, own), "usual")
    assert.strictEqual(reachOf("<sip:bob@10.0.0.7>", from("fe80::9%eth0")), "usual")
  })

  it("over a connection the same counts, for when it is gone", () => {
    const on = from("203.0.113.9", { transport: tcp, flow: "tcp:192.0.2.10:5060" })
    assert.strictEqual(reachOf("<sip:bob@203.0.113.9:5060;transport=tcp>", on), "usual")
    assert.strictEqual(reachOf("<sip:bob@203.0.113.9:40001;transport=tcp;ob>", on), "usual")
    assert.strictEqual(reachOf("<sip:bob@203.0.113.9:5060;transport=tcp;ob>", on), "ob")
    assert.strictEqual(reachOf("<sip:bob@10.0.0.7;transport=tcp>", on), "private")
  })

  it("without Contact nothing is found of a refresh", () => {
    const headers = { To: "<sip:alice@example.com>;tag=ours", Contact: null }
    const command = commandOf(headers, from("203.0.113.9"))
    assert(command._tag === "Resubscribe")
    assert.deepStrictEqual(command.arrival, {
      localContact: arrival.contact,
      flow: arrival.flow,
      source: "203.0.113.9:40001",
    })
  })
})

describe("an address that a proxy wrote into the Contact", () => {
  const believed = { "P-Asserted-Identity": "<sip:bob@example.com>" }
  const proxy = trusting(
    "203.0.113.9;hosts=10.0.0.7|198.51.100.7|[2001:db8::7]|phone.example.com|224.0.0.1|192.0.2.10",
  )

  it.each([
    ["alias", "<sip:bob@10.0.0.7;alias=198.51.100.7~40001~1>"],
    ["alias over TCP", "<sip:bob@10.0.0.7;alias=198.51.100.7~40001~2>"],
    ["alias in IPv6", "<sip:bob@10.0.0.7;alias=[2001:db8::7]~40001~1>"],
    ["received", "<sip:bob@10.0.0.7;received=198.51.100.7:40001>"],
    ["received with rport", "<sip:bob@10.0.0.7;received=198.51.100.7;rport=40001>"],
    ["received as a URI", "<sip:bob@10.0.0.7;received=sip:198.51.100.7:40001%3Btransport%3Dtcp>"],
  ])("counts from a trusted peer, and not from a phone: %s", (_, contact) => {
    assert.strictEqual(reachOf(contact, from("203.0.113.9"), believed, proxy), "alias")
    assert.strictEqual(reachOf(contact, from("203.0.113.9")), "private")
  })

  it("has to lead to the peer in a datagram, whose source is easily forged", () => {
    const submitted = (contact: string, entry: string, mode = "auto"): boolean => {
      const rules = { ...trusting(entry), notifyTo: readNotifyTo([mode]) }
      const headers = { Contact: contact, ...believed }
      return (
        decodeMessage(readRequest({ method: "SUBSCRIBE", headers }), from("203.0.113.9"), rules)._tag ===
        "Submit"
      )
    }
    // who writes a Contact of the peer with somebody else beside it gains nothing
    assert.isFalse(submitted("<sip:bob@203.0.113.9;alias=198.51.100.7~5060~1>", "203.0.113.9"))
    assert.isTrue(
      submitted("<sip:bob@203.0.113.9;alias=198.51.100.7~5060~1>", "203.0.113.9;hosts=198.51.100.7"),
    )
    assert.isTrue(submitted("<sip:bob@10.0.0.7;alias=203.0.113.9~40001~1>", "203.0.113.9"))
    assert.isFalse(submitted("<sip:bob@10.0.0.7;alias=203.0.113.9~40001~1>", "203.0.113.9", "contact"))
  })

  it("counts where it is where the packet came from", () => {
    const own = (port: number) => `<sip:bob@198.51.100.7;alias=203.0.113.9~${port}~1>`
    assert.strictEqual(reachOf(own(40_001), from("203.0.113.9")), "alias")
    assert.strictEqual(reachOf(own(40_002), from("203.0.113.9")), "usual")
  })

  it.each([
    ["no address", "alias=phone.example.com~40001~1"],
    ["no port", "alias=198.51.100.7~0~1"],
    ["too high a port", "alias=198.51.100.7~65536~1"],
    ["a transport that there is not", "alias=198.51.100.7~40001~4"],
    ["too many parts", "alias=198.51.100.7~40001~1~1"],
    ["empty", "alias="],
    ["multicast", "alias=224.0.0.1~40001~1"],
    ["our own", "alias=192.0.2.10~5060~1"],
    ["received by name", "received=phone.example.com"],
  ])("is left aside when it is none: %s", (_, parameter) => {
    assert.strictEqual(
      reachOf(`<sip:bob@198.51.100.7;${parameter}>`, from("203.0.113.9"), believed, proxy),
      "usual",
    )
  })

  it("is read, and taken off what the phone is sent", () => {
    const alias = (text: string) => aliasOf(parseUri(text) as SipUri, transports)
    assert.deepStrictEqual(alias("sip:b@h;alias=198.51.100.7~40001~2"), {
      host: "198.51.100.7",
      isNumeric: true,
      port: 40_001,
      transport: tcp,
    })
    assert.strictEqual(alias("sip:b@h;received=198.51.100.7")?.port, 5_060)
    assert.strictEqual(alias("sip:b@h;received=[2001:db8::7]:40001")?.host, "2001:db8::7")
    assert.strictEqual(withoutAlias("sip:b@h;alias=1.2.3.4~5~1;line=7"), "sip:b@h;line=7")
    assert.strictEqual(
      withoutAlias("sip:b;rport@h;transport=udp;received=1.2.3.4;rport=5"),
      "sip:b;rport@h;transport=udp",
    )
    assert.strictEqual(withoutAlias("sip:b@h"), "sip:b@h")
  })
})

describe("the setting notify_to", () => {
  it("is by network, and the first that fits counts", () => {
    const mode = readNotifyTo(["10.1.0.0/16=contact", "10.0.0.0/8=source", "2001:db8::/32=contact", "auto"])
    assert.isNotNull(mode)
    assert.strictEqual(mode?.("10.1.2.3"), "contact")
    assert.strictEqual(mode?.("10.2.2.3"), "source")
    assert.strictEqual(mode?.("2001:db8::9"), "contact")
    assert.strictEqual(mode?.("203.0.113.9"), "auto")
    assert.isNull(readNotifyTo(["auto"]))
    assert.isNull(readNotifyTo([]))
    assert.strictEqual(readNotifyTo(["source"])?.("203.0.113.9"), "source")
  })

  it("has nothing else in it", () => {
    assert.deepStrictEqual(
      notifyToFaults([
        "auto",
        "10.0.0.0/8=source",
        "[::1]=auto",
        "contract",
        "10.0.0.0/33=auto",
        "example.com=auto",
        "*=auto",
        "=auto",
      ]),
      ["[::1]=auto", "contract", "10.0.0.0/33=auto", "example.com=auto", "*=auto", "=auto"],
    )
  })

  it("decides before anything else", () => {
    const set = (entry: string): RequestRules => ({ ...requestRules, notifyTo: readNotifyTo([entry]) })
    for (const contact of ["<sip:bob@10.0.0.7>", "<sip:bob@10.0.0.7;ob>", "<sip:bob@198.51.100.7>"]) {
      assert.strictEqual(reachOf(contact, from("203.0.113.9"), {}, set("contact")), "contact")
      assert.strictEqual(reachOf(contact, from("203.0.113.9"), {}, set("source")), "source")
      assert.strictEqual(
        reachOf(contact, from("203.0.113.9"), {}, set("198.51.100.0/24=source")).replace("ob", "private"),
        contact.includes("10.0") ? "private" : "usual",
      )
    }
    const vias = [viaTo("203.0.113.9"), viaTo("192.168.1.7", "2")]
    assert.strictEqual(
      reachOf("<sip:b@10.0.0.7>", from("203.0.113.9"), { Via: vias }, set("source")),
      "source",
    )
  })
})

describe("private addresses", () => {
  it("end where their networks end", () => {
    for (const inside of [
      "10.255.255.255",
      "172.16.0.0",
      "192.168.255.255",
      "100.127.255.255",
      "fdff::1",
      "febf::1",
      "::1",
    ])
      assert.isTrue(isPrivateAddress(inside), inside)
    for (const outside of [
      "11.0.0.0",
      "172.15.255.255",
      "192.169.0.0",
      "100.128.0.0",
      "192.0.2.1",
      "fe00::1",
      "2001:db8::1",
      "fec0::1",
    ])
      assert.isFalse(isPrivateAddress(outside), outside)
  })
})
