/**
 * Who a sender is by certificate, and what `sips` asks for (RFC 5630, RFC 3261 §12.1.1).
 */
import { afterEach, assert, beforeAll, describe, it } from "vitest"
import type { SipOptions } from "../../../../src/adapters/sip/options.ts"
import { readPeers } from "../../../../src/adapters/sip/peers.ts"
import type { Publish, Subscribe } from "../../../../src/domain/presentity/commands.ts"
import { makeAuthority } from "../../../support/certificates.ts"
import type { Authority, MadeCertificate, Wanted } from "../../../support/certificates.ts"
import { identityWith, notifyIn, tlsListener, tlsPeer } from "../../../support/secure-peer.ts"
import type { TlsPeer } from "../../../support/secure-peer.ts"
import { headerValue, requestText, statusOf } from "../../../support/sip-messages.ts"
import { eventually, startServer, tcpPeer, udpPeer } from "../../../support/sip-peer.ts"
import type { TestServer } from "../../../support/sip-peer.ts"

let authority: Authority
let own: MadeCertificate
beforeAll(async () => {
  authority = await makeAuthority()
  own = await authority.sign({ dns: ["example.com"], ip: ["127.0.0.1"] })
})

let server: TestServer
const opened: { readonly close: () => void }[] = []
const track = <A extends { readonly close: () => void }>(thing: A): A => {
  opened.push(thing)
  return thing
}
afterEach(async () => {
  for (const { close } of opened.splice(0)) close()
  await server.close()
})

const listen = (...names: readonly ("udp" | "tcp" | "tls")[]): SipOptions["listen"] =>
  names.map((transport) => ({ transport, host: "127.0.0.1", port: 0 }))
const portOf = (name: string): number =>
  Number(
    server.sip
      .addresses()
      .find((address) => address.startsWith(`${name}:`))!
      .split(":")
      .at(-1),
  )

const start = async (
  options: Partial<SipOptions> = {},
  clients: "off" | "optional" = "optional",
): Promise<void> => {
  server = await startServer({
    listen: listen("tls"),
    tls: identityWith({ credentials: [own], authorities: authority.certificate, clients }),
    ...options,
  })
}

const peerOf = async (wanted: Wanted | null): Promise<TlsPeer> => {
  const made = wanted === null ? null : await authority.sign(wanted)
  return track(await tlsPeer(portOf("tls"), made === null ? {} : { cert: made.certificate, key: made.key }))
}

let serial = 0
type Parts = NonNullable<Parameters<typeof requestText>[0]>
const ask = async (peer: TlsPeer, parts: Parts): Promise<string> => {
  const before = peer.text().length
  const Via = `SIP/2.0/TLS 127.0.0.1:${peer.localPort};branch=z9hG4bK-i${++serial};rport`
  const Contact = `<sip:bob@127.0.0.1:${peer.localPort};transport=tls>`
  const isSubscribe = parts.method === "SUBSCRIBE"
  peer.send(
    requestText({ ...parts, headers: { Via, ...(isSubscribe ? { Contact } : {}), ...parts.headers } }),
  )
  await eventually(() => peer.text().slice(before).includes("\r\n\r\n"))
  return peer.text().slice(before)
}
const from = (uri: string): Record<string, string> => ({ From: `<${uri}>;tag=f${++serial}` })
const watcherIn = (): string => (server.requests.at(-1)!.command as Subscribe).watcher

describe("a certificate of a user", () => {
  it("is an identity like a password", { tags: ["3261-26.3.1-a"] }, async () => {
    await start()
    const bob = await peerOf({ uri: ["sip:bob@example.com"] })
    const watch = { method: "SUBSCRIBE" }
    assert.strictEqual(
      statusOf(await ask(bob, { ...watch, headers: from("sips:bob@EXAMPLE.com:5061") })),
      200,
    )
    assert.strictEqual(watcherIn(), "sip:bob@example.com")
    assert.deepStrictEqual(server.requests.at(-1)!.about?.by, { account: "sip:bob@example.com" })
    assert.strictEqual(statusOf(await ask(bob, { ...watch, headers: from("sip:carol@example.com") })), 403)
    const anonymous = from("sip:anonymous@anonymous.invalid")
    assert.strictEqual(statusOf(await ask(bob, { ...watch, headers: anonymous })), 200)
    assert.strictEqual(watcherIn(), "sip:bob@example.com")
  })

  it("publishes for its user, and for nobody else", async () => {
    await start()
    const alice = await peerOf({ uri: ["sip:alice@example.com"] })
    const publish = { method: "PUBLISH", body: "<presence/>", headers: from("sip:alice@example.com") }
    assert.strictEqual(statusOf(await ask(alice, publish)), 200)
    assert.strictEqual((server.requests.at(-1)!.command as Publish)._tag, "Publish")
    assert.strictEqual(statusOf(await ask(alice, { ...publish, uri: "sip:carol@example.com" })), 403)
  })

  it("with several users is the one in From", async () => {
    await start()
    const desk = await peerOf({ uri: ["sip:201@example.com", "sip:202@example.com"] })
    for (const user of ["sip:201@example.com", "sip:202@example.com"]) {
      assert.strictEqual(statusOf(await ask(desk, { method: "SUBSCRIBE", headers: from(user) })), 200)
      assert.strictEqual(watcherIn(), user)
    }
    const other = from("sip:203@example.com")
    assert.strictEqual(statusOf(await ask(desk, { method: "SUBSCRIBE", headers: other })), 403)
  })

  it("is needed where there is no other way to be known", async () => {
    await start({ listen: listen("udp", "tls") })
    for (const wanted of [null, { dns: ["example.com"] }, { commonName: "bob@example.com" }])
      assert.strictEqual(statusOf(await ask(await peerOf(wanted), { method: "SUBSCRIBE" })), 403)
    const peer = track(await udpPeer(portOf("udp")))
    peer.send(requestText({ method: "SUBSCRIBE" }))
    await eventually(() => server.sip.counters.responses["SUBSCRIBE 403"] === 4)
    assert.strictEqual(server.requests.length, 0)
  })

  it("spares the password, and nobody else's", async () => {
    const auth = { realm: "example.com", lookup: () => null, nonceKey: "0123456789abcdef" }
    await start({ auth })
    const bob = await peerOf({ uri: ["sip:bob@example.com"] })
    assert.strictEqual(statusOf(await ask(bob, { method: "SUBSCRIBE" })), 200)
    for (const wanted of [null, { dns: ["example.com"] }])
      assert.strictEqual(statusOf(await ask(await peerOf(wanted), { method: "SUBSCRIBE" })), 401)
  })
})

describe("a trusted peer by certificate", () => {
  const { peers, faults } = readPeers(["certificate:Proxy.example.com;identity=pai;transport=tls"])

  it("is read from its entry, and faults are named", () => {
    assert.deepStrictEqual(faults, [])
    assert.strictEqual(peers[0]!.text, "certificate:proxy.example.com;identity=pai;transport=tls")
    for (const entry of [
      "certificate:",
      "certificate:a b",
      "certificate:*.example.com",
      "certificate:a:5060",
    ])
      assert.match(readPeers([entry]).faults[0]!.why, /expected certificate:NAME/, entry)
    assert.match(readPeers(["certificate:a.example", "certificate:A.example"]).faults[0]!.why, /listed twice/)
  })

  it("vouches for others wherever it is, and nobody beside it does", { tags: ["3325-5-a"] }, async () => {
    await start({ trustedPeers: peers })
    const asserted = {
      method: "SUBSCRIBE",
      headers: { ...from("sip:x@example.net"), "P-Asserted-Identity": "<sip:carol@example.com>" },
    }
    const proxy = await peerOf({ dns: ["proxy.example.com"] })
    assert.strictEqual(statusOf(await ask(proxy, asserted)), 200)
    assert.strictEqual(watcherIn(), "sip:carol@example.com")
    for (const wanted of [
      null,
      { dns: ["other.example.com"] },
      { uri: ["sip:example.com"], dns: ["proxy.example.com"] },
      { uri: ["sip:mallory@proxy.example.com"], commonName: "proxy.example.com" },
    ])
      assert.strictEqual(statusOf(await ask(await peerOf(wanted), asserted)), 403)
  })
})

describe("sips", () => {
  const sips = { method: "SUBSCRIBE", uri: "sips:alice@example.com" }
  const contactOf = (response: string): string | undefined => headerValue(response, "Contact")

  it(
    "gets our Contact as a sips URI, for a request, a route or a Contact",
    { tags: ["3261-12.1.1-a"] },
    async () => {
      await start({}, "off")
      const peer = await peerOf(null)
      const secured = `<sips:bob@127.0.0.1:${peer.localPort}>`
      const expected = `<sips:presence@127.0.0.1:${portOf("tls")}>`
      for (const parts of [
        { ...sips, headers: { Contact: secured } },
        { ...sips, uri: "SIPS:alice@example.com", headers: { Contact: secured } },
        { method: "SUBSCRIBE", headers: { Contact: secured } },
        {
          method: "SUBSCRIBE",
          headers: { Contact: `"Bob" <SIPS:bob@127.0.0.1:${peer.localPort};transport=tcp>` },
        },
        {
          method: "SUBSCRIBE",
          headers: {
            "Record-Route": `<sips:127.0.0.1:${peer.localPort};lr>`,
            Contact: "<sip:bob@192.0.2.1>",
          },
        },
        sips,
      ]) {
        const response = await ask(peer, parts)
        assert.strictEqual(statusOf(response), 200)
        assert.strictEqual(contactOf(response), expected)
        assert.strictEqual(
          `<${(server.requests.at(-1)!.command as Subscribe).dialog.localContact}>`,
          expected,
        )
      }
      const plain = await ask(peer, { method: "SUBSCRIBE" })
      assert.strictEqual(contactOf(plain), `<sip:presence@127.0.0.1:${portOf("tls")};transport=tls>`)
    },
  )

  it("also within a dialog", { tags: ["3261-12.2.2-a"] }, async () => {
    await start({}, "off")
    const peer = await peerOf(null)
    const again = {
      method: "SUBSCRIBE",
      uri: `sips:presence@127.0.0.1:${portOf("tls")}`,
      headers: { To: "<sips:alice@example.com>;tag=1", Contact: `<sips:bob@127.0.0.1:${peer.localPort}>` },
    }
    assert.strictEqual(contactOf(await ask(peer, again)), `<sips:presence@127.0.0.1:${portOf("tls")}>`)
    const open = { ...again, headers: { ...again.headers, Contact: "<sip:bob@127.0.0.1:9;transport=tcp>" } }
    assert.strictEqual(statusOf(await ask(peer, open)), 400)
  })

  it("is refused where its NOTIFYs would go without TLS", { tags: ["3261-8.1.1.8-a"] }, async () => {
    await start({ listen: listen("udp", "tcp", "tls") }, "off")
    const peer = await peerOf(null)
    for (const headers of [
      { Contact: "<sip:bob@127.0.0.1:9;transport=udp>" },
      { Contact: "<sip:bob@127.0.0.1:9;transport=tcp>" },
      { Contact: `<sips:bob@127.0.0.1:9>`, "Record-Route": "<sip:127.0.0.1:9;transport=tcp;lr>" },
    ]) {
      const response = await ask(peer, { ...sips, headers })
      assert.match(response, /^SIP\/2\.0 400 Contact Or Record-Route Of A SIPS Request Is Not SIPS/)
    }
    const tcp = track(await tcpPeer(portOf("tcp")))
    tcp.send(requestText({ ...sips, headers: { Via: "SIP/2.0/TCP 127.0.0.1:1;branch=z9hG4bK-t" } }))
    await eventually(() => tcp.text().startsWith("SIP/2.0 400 "))
    assert.strictEqual(server.requests.length, 0)
  })

  it(
    "that arrives without TLS has its NOTIFYs and our Contact over TLS",
    { tags: ["5630-5.3-a"] },
    async () => {
      await start({ listen: listen("udp", "tls") }, "off")
      const listener = track(await tlsListener({ cert: own.certificate, key: own.key }))
      const peer = track(await udpPeer(portOf("udp")))
      peer.send(
        requestText({
          ...sips,
          headers: {
            Via: `SIP/2.0/UDP 127.0.0.1:${peer.port};branch=z9hG4bK-u`,
            Contact: `<sips:bob@127.0.0.1:${listener.port}>`,
          },
        }),
      )
      assert.strictEqual(contactOf(await peer.next()), `<sips:presence@127.0.0.1:${portOf("tls")}>`)
      server.sip.notify([notifyIn(server, server.requests[0]!.command as Subscribe)])
      await eventually(() => listener.peers[0]?.text().startsWith("NOTIFY sips:bob@") ?? false)
      const notify = listener.peers[0]!.text()
      assert.match(headerValue(notify, "Via")!, /^SIP\/2\.0\/TLS /)
      assert.strictEqual(contactOf(notify), `<sips:presence@127.0.0.1:${portOf("tls")}>`)
    },
  )

  it("is another spelling of sip for a server without TLS", async () => {
    server = await startServer()
    const peer = track(await udpPeer(server.port))
    peer.send(
      requestText({ ...sips, headers: { Via: `SIP/2.0/UDP 127.0.0.1:${peer.port};branch=z9hG4bK-n` } }),
    )
    assert.strictEqual(statusOf(await peer.next()), 200)
  })

  describe("a Contact or route over a transport that does not lead there", () => {
    const elsewhere = [
      { Contact: "<sip:bob@198.51.100.1;transport=ws>" },
      { Contact: "<sip:bob@198.51.100.1;transport=wss>" },
      { Contact: "<sip:bob@198.51.100.1;transport=sctp>" },
      { "Record-Route": "<sip:198.51.100.1;transport=ws;lr>" },
      { "Record-Route": "<sip:198.51.100.1;transport=tls;lr>" },
    ]
    const served: SipOptions["listen"] = [
      ...listen("udp", "tcp"),
      { transport: "ws", host: "127.0.0.1", port: 0 },
    ]

    it("is refused in a datagram", { tags: ["7118-5-b", "6665-4.2.1.2-a"] }, async () => {
      await start({ listen: served }, "off")
      const peer = track(await udpPeer(portOf("udp")))
      for (const headers of elsewhere) {
        const Via = `SIP/2.0/UDP 127.0.0.1:${peer.port};branch=z9hG4bK-w${++serial}`
        peer.send(requestText({ method: "SUBSCRIBE", headers: { Via, ...headers } }))
        assert.match(
          await peer.next(),
          /^SIP\/2\.0 400 Contact Or Record-Route Is Not Reachable From Here/,
          JSON.stringify(headers),
        )
      }
      assert.strictEqual(server.requests.length, 0)
    })

    it("has its NOTIFYs on the connection of the SUBSCRIBE, if that is one", async () => {
      await start({ listen: served }, "off")
      for (const headers of elsewhere) {
        const peer = track(await tcpPeer(portOf("tcp")))
        const Via = `SIP/2.0/TCP 127.0.0.1:${peer.localPort};branch=z9hG4bK-w${++serial}`
        peer.send(requestText({ method: "SUBSCRIBE", headers: { Via, ...headers } }))
        await eventually(() => peer.text().startsWith("SIP/2.0 200 "))
        const command = server.requests.at(-1)!.command as Subscribe
        assert.isUndefined(command.dialog.room)
        server.sip.notify([notifyIn(server, command)])
        await eventually(() => peer.text().includes("NOTIFY sip:"))
        // and nowhere else once that is gone
        peer.close()
        await eventually(() => server.sip.counters.connections === 0)
        const before = server.outcomes.length
        server.sip.notify([notifyIn(server, command)])
        await eventually(() => server.outcomes.length > before)
        assert.notInclude(["Accepted", "TimedOut"], server.outcomes.at(-1)!.outcome._tag)
      }
    })
  })
})
