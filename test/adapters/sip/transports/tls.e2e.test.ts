/**
 * TLS on real sockets: handshakes, certificates of both sides, and the connections that carry NOTIFYs.
 */
import { connect } from "node:net"
import type { Socket } from "node:net"
import { afterEach, assert, beforeAll, beforeEach, describe, it } from "vitest"
import { limitsDefault } from "../../../../src/adapters/sip/options.ts"
import type { SipOptions } from "../../../../src/adapters/sip/options.ts"
import { readPeers } from "../../../../src/adapters/sip/peers.ts"
import type { TlsIdentity } from "../../../../src/adapters/sip/transports/tls-identity.ts"
import { tls } from "../../../../src/adapters/sip/transports/tls.ts"
import { transports } from "../../../../src/adapters/sip/transports/transports.ts"
import type { Subscribe } from "../../../../src/domain/presentity/commands.ts"
import { makeAuthority } from "../../../support/certificates.ts"
import type { Authority, MadeCertificate } from "../../../support/certificates.ts"
import { identityWith, notifyIn, tlsListener, tlsPeer } from "../../../support/secure-peer.ts"
import type { TlsPeer } from "../../../support/secure-peer.ts"
import { headerValue, headerValues, requestText, statusOf } from "../../../support/sip-messages.ts"
import { answerTo, eventually, startServer, tcpPeer, udpPeer } from "../../../support/sip-peer.ts"
import type { TestServer } from "../../../support/sip-peer.ts"

let authority: Authority
let stranger: Authority
let own: MadeCertificate
let other: MadeCertificate

beforeAll(async () => {
  authority = await makeAuthority()
  stranger = await makeAuthority("Another Authority")
  own = await authority.sign({ dns: ["example.com"], ip: ["127.0.0.1"] })
  other = await authority.sign({ dns: ["example.org"] })
})

let server: TestServer
let identity: TlsIdentity
const opened: { readonly close: () => void }[] = []

const start = async (
  options: Partial<SipOptions> = {},
  secured: Parameters<typeof identityWith>[0] = {},
): Promise<TestServer> => {
  identity = identityWith({ credentials: [own], authorities: authority.certificate, ...secured })
  return startServer({
    listen: [{ transport: "tls", host: "127.0.0.1", port: 0 }],
    tls: identity,
    ...options,
  })
}

beforeEach(async () => {
  server = await start()
})
afterEach(async () => {
  for (const { close } of opened.splice(0)) close()
  await server.close()
})

const again = async (...args: Parameters<typeof start>): Promise<void> => {
  await server.close()
  server = await start(...args)
}

const peerWith = async (options: Parameters<typeof tlsPeer>[1] = {}): Promise<TlsPeer> => {
  const peer = await tlsPeer(server.port, options)
  opened.push(peer)
  return peer
}

const viaOver = (port: number, more = ""): string =>
  `SIP/2.0/TLS 127.0.0.1:${port};branch=z9hG4bK-${Math.random()};rport${more}`

const ask = async (peer: TlsPeer, method = "OPTIONS", headers = {}): Promise<string> => {
  const before = peer.text().length
  peer.send(requestText({ method, headers: { Via: viaOver(peer.localPort), ...headers } }))
  await eventually(() => peer.text().slice(before).includes("\r\n\r\n"))
  return peer.text().slice(before)
}

const subscribeOver = async (peer: TlsPeer, contact: string): Promise<Subscribe> => {
  assert.strictEqual(statusOf(await ask(peer, "SUBSCRIBE", { Contact: contact })), 200)
  return server.requests.at(-1)!.command as Subscribe
}

const rejected = async (attempt: Promise<TlsPeer>): Promise<boolean> => {
  try {
    const peer = await attempt
    opened.push(peer)
    // TLS 1.3: the client is done before the server has looked at its certificate
    await eventually(() => peer.isClosed())
    return true
  } catch {
    return true
  }
}

describe("requests over TLS", () => {
  it("are answered on their connection, and NOTIFYs go there", { tags: ["3261-18.1.1-a"] }, async () => {
    const peer = await peerWith()
    const response = await ask(peer, "SUBSCRIBE", {
      Contact: `<sip:bob@127.0.0.1:${peer.localPort};transport=tls>`,
    })
    assert.strictEqual(statusOf(response), 200)
    assert.strictEqual(
      headerValue(response, "Contact"),
      `<sip:presence@127.0.0.1:${server.port};transport=tls>`,
    )
    const { dialog } = server.requests[0]!.command as Subscribe
    assert.strictEqual(dialog.flow, `tls:127.0.0.1:${server.port}`)
    assert.match(server.requests[0]!.origin, new RegExp(`^tls:127.0.0.1:${peer.localPort} `))
    server.sip.notify([notifyIn(server, server.requests[0]!.command as Subscribe)])
    await eventually(() => peer.text().includes("NOTIFY sip:bob"))
    const notify = peer.text().slice(peer.text().indexOf("NOTIFY sip:bob"))
    assert.match(headerValue(notify, "Via")!, new RegExp(`^SIP/2.0/TLS 127.0.0.1:${server.port};`))
    peer.send(answerTo(notify))
    await eventually(() => server.outcomes[0]?.outcome._tag === "Accepted")
    assert.strictEqual(server.sip.counters.connections, 1)
  })

  it("several messages in one record, and one in many, are read as over TCP", async () => {
    const peer = await peerWith()
    const texts = [1, 2, 3].map(() => requestText({ headers: { Via: viaOver(peer.localPort) } }))
    const all = texts.join("")
    peer.send(all.slice(0, 10))
    for (const piece of all.slice(10, 200)) peer.send(piece)
    peer.send(`${all.slice(200)}\r\n\r\n`)
    await eventually(() => headerValues(peer.text().replaceAll("\r\n\r\n", "\r\n"), "Call-ID").length === 3)
    // the keep-alive is answered by a single line end (RFC 5626 §4.4.1)
    await eventually(() => peer.text().endsWith("\r\n\r\n\r\n"))
  })

  it("older versions than the setting allows are refused", async () => {
    assert.isTrue(
      await rejected(
        tlsPeer(server.port, { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }),
      ),
    )
    assert.strictEqual((await peerWith({ maxVersion: "TLSv1.2" })).socket.getProtocol(), "TLSv1.2")
    await again({}, { minVersion: "TLSv1.3" })
    assert.isTrue(await rejected(tlsPeer(server.port, { maxVersion: "TLSv1.2" })))
    assert.strictEqual((await peerWith()).socket.getProtocol(), "TLSv1.3")
  })
})

describe("the certificate that is shown", () => {
  const shown = (peer: TlsPeer): string | undefined => peer.socket.getPeerX509Certificate()?.subjectAltName

  it("is that of the name asked for, else the first", async () => {
    const wild = await authority.sign({ dns: ["*.example.net"] })
    await again({}, { credentials: [own, other, wild] })
    assert.match(shown(await peerWith())!, /DNS:example.com/)
    assert.match(shown(await peerWith({ servername: "example.org" }))!, /DNS:example.org/)
    assert.match(shown(await peerWith({ servername: "EXAMPLE.org" }))!, /DNS:example.org/)
    assert.match(shown(await peerWith({ servername: "sip.example.net" }))!, /DNS:\*.example.net/)
    assert.match(shown(await peerWith({ servername: "a.sip.example.net" }))!, /DNS:example.com/)
    assert.match(shown(await peerWith({ servername: "elsewhere.example" }))!, /DNS:example.com/)
  })

  it("is the new one after a replacement, and open connections go on", async () => {
    const before = await peerWith()
    identity.replace({ ...identity.options(), credentials: [other] })
    assert.match(shown(await peerWith())!, /DNS:example.org/)
    assert.match(shown(await peerWith({ servername: "example.com" }))!, /DNS:example.org/)
    assert.strictEqual(statusOf(await ask(before)), 200)
  })

  it("stays when the replacement cannot be used", async () => {
    assert.throws(() =>
      identity.replace({ ...identity.options(), credentials: [{ ...own, key: other.key }] }),
    )
    assert.match(shown(await peerWith())!, /DNS:example.com/)
  })
})

describe("certificates of clients", () => {
  const showing = ({ certificate, key }: MadeCertificate) => ({ cert: certificate, key })

  it("are not asked for by default", async () => {
    const peer = await peerWith(showing(await stranger.sign({ uri: ["sip:mallory@example.com"] })))
    assert.strictEqual(statusOf(await ask(peer)), 200)
  })

  it("where they are optional, a client without a good one is served like any other", async () => {
    await again({}, { clients: "optional" })
    for (const options of [
      {},
      showing(await authority.sign({ uri: ["sip:bob@example.com"] })),
      showing(await stranger.sign({ uri: ["sip:bob@example.com"] })),
      showing(await authority.sign({ uri: ["sip:bob@example.com"], until: new Date(Date.now() - 1_000) })),
    ])
      assert.strictEqual(statusOf(await ask(await peerWith(options))), 200)
  })

  it("where they are required, nobody is served without a good one", async () => {
    await again({}, { clients: "required" })
    const good = await peerWith(showing(await authority.sign({ uri: ["sip:bob@example.com"] })))
    assert.strictEqual(statusOf(await ask(good)), 200)
    const bad = [
      {},
      showing(await stranger.sign({ uri: ["sip:bob@example.com"] })),
      showing(await authority.sign({ until: new Date(Date.now() - 1_000) })),
      showing(await authority.sign({ from: new Date(Date.now() + 86_400_000) })),
    ]
    for (const options of bad) assert.isTrue(await rejected(tlsPeer(server.port, options)))
    await eventually(() => server.sip.counters.handshakesFailed === bad.length)
    assert.strictEqual(server.sip.counters.connections, 1)
  })
})

describe("connections that the server opens", () => {
  /** Subscribes over UDP with a Contact on TLS; returns the dialog's SUBSCRIBE. */
  const subscribed = async (contact: string): Promise<Subscribe> => {
    const peer = await udpPeer(server.port)
    opened.push(peer)
    peer.send(
      requestText({
        method: "SUBSCRIBE",
        headers: {
          Via: `SIP/2.0/UDP 127.0.0.1:${peer.port};branch=z9hG4bK-${Math.random()}`,
          Contact: contact,
        },
      }),
    )
    assert.strictEqual(statusOf(await peer.next()), 200)
    return server.requests.at(-1)!.command as Subscribe
  }
  const listening = async (credential: MadeCertificate, more = {}) => {
    const listener = await tlsListener({ cert: credential.certificate, key: credential.key, ...more })
    opened.push(listener)
    return listener
  }
  const onUdp = {
    transports: transports.all,
    listen: [{ transport: "udp" as const, host: "127.0.0.1", port: 0 }],
    resolver: {
      resolve: async (_host: string, port: number | null) => [
        { transport: tls, address: "127.0.0.1", port: port ?? 5_061, name: _host },
      ],
    },
  }
  const tags = (): readonly string[] => server.outcomes.map(({ outcome }) => outcome._tag)

  it("go to a Contact that asks for TLS, by transport or scheme", { tags: ["3263-4.1-a"] }, async () => {
    await again(onUdp, { credentials: [] })
    const listener = await listening(own)
    for (const contact of [
      `<sip:bob@127.0.0.1:${listener.port};transport=tls>`,
      `<sips:bob@127.0.0.1:${listener.port}>`,
      `<sips:bob@127.0.0.1:${listener.port};transport=tcp>`,
      `<sip:bob@example.com:${listener.port};transport=TLS>`,
    ]) {
      const before = server.outcomes.length
      const heard = (): string => listener.peers.map((peer) => peer.text()).join("")
      const told = heard().length
      server.sip.notify([notifyIn(server, await subscribed(contact))])
      await eventually(() => heard().slice(told).includes("NOTIFY sip"))
      const notify = heard().slice(told)
      listener.peers.at(-1)!.send(answerTo(notify.slice(notify.indexOf("NOTIFY sip"))))
      await eventually(() => server.outcomes.length > before)
      assert.strictEqual(tags().at(-1), "Accepted", contact)
    }
    // one for the address, one for the name, which the peer has to prove by itself
    assert.isAtMost(listener.peers.length, 2)
  })

  it("end where the certificate is not that of the host", { tags: ["5922-7.3-a"] }, async () => {
    await again(onUdp, { credentials: [] })
    for (const credential of [
      await authority.sign({ dns: ["example.net"] }),
      await authority.sign({ dns: ["*.com"], commonName: "example.com" }),
      await authority.sign({ uri: ["sip:bob@example.com"], commonName: "example.com" }),
      await authority.sign({ dns: ["example.com"], until: new Date(Date.now() - 1_000) }),
      await stranger.sign({ dns: ["example.com"] }),
    ]) {
      const listener = await listening(credential)
      const before = server.outcomes.length
      server.sip.notify([
        notifyIn(server, await subscribed(`<sip:bob@example.com:${listener.port};transport=tls>`)),
      ])
      await eventually(() => server.outcomes.length > before)
      assert.strictEqual(tags().at(-1), "Unreachable")
      assert.deepStrictEqual(
        listener.peers.filter((peer) => peer.text() !== ""),
        [],
      )
    }
    assert.strictEqual(server.sip.counters.tlsPeersUnverified, 5)
  })

  it("go anywhere where that is not asked for, and show the own certificate", async () => {
    await again(onUdp, { verifiesServers: false })
    const listener = await listening(await stranger.sign({}), {
      requestCert: true,
      ca: authority.certificate,
    })
    server.sip.notify([
      notifyIn(server, await subscribed(`<sip:bob@127.0.0.1:${listener.port};transport=tls>`)),
    ])
    await eventually(() => listener.peers[0]?.text().includes("NOTIFY") ?? false)
  })

  it("offer the connection to the peer where it can connect as well (RFC 5923)", async () => {
    await again({
      ...onUdp,
      listen: [...onUdp.listen, { transport: "tls", host: "127.0.0.1", port: 0 }],
    })
    const listener = await listening(own)
    server.sip.notify([
      notifyIn(server, await subscribed(`<sip:bob@127.0.0.1:${listener.port};transport=tls>`)),
    ])
    await eventually(() => listener.peers[0]?.text().includes("NOTIFY") ?? false)
    assert.match(headerValue(listener.peers[0]!.text(), "Via")!, /;alias/)
  })
})

describe("connection reuse (RFC 5923)", () => {
  const proxy = async (names: { readonly ip?: readonly string[]; readonly dns?: readonly string[] }) => {
    await again({ trustedPeers: readPeers(["127.0.0.1"]).peers }, { clients: "optional" })
    const { certificate, key } = await authority.sign(names)
    return peerWith({ cert: certificate, key })
  }
  /** Whether a NOTIFY to the port in Via comes over the connection of the proxy. */
  const isReused = async (peer: TlsPeer, via: string): Promise<boolean> => {
    await ask(peer, "OPTIONS", { Via: via })
    // the proxy's Contact is the port where it listens, on which nobody answers here
    const command = await subscribeOver(peer, "<sip:bob@127.0.0.1:9;transport=tls>")
    const dialog = { ...command.dialog, source: "127.0.0.1:1" }
    server.sip.notify([notifyIn(server, { ...command, dialog })])
    await eventually(() => peer.text().includes("NOTIFY sip") || server.outcomes.length > 0)
    return peer.text().includes("NOTIFY sip")
  }

  it("a peer that proves to be the host in its Via is reached where it listens", async () => {
    const peer = await proxy({ ip: ["127.0.0.1"] })
    assert.isTrue(await isReused(peer, "SIP/2.0/TLS 127.0.0.1:9;alias;branch=z9hG4bK-1"))
  })

  it("not without `alias`", async () => {
    const peer = await proxy({ ip: ["127.0.0.1"] })
    assert.isFalse(await isReused(peer, "SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bK-1;x=alias"))
  })

  it("not with the certificate of another host", async () => {
    const peer = await proxy({ dns: ["example.org"] })
    assert.isFalse(await isReused(peer, "SIP/2.0/TLS 127.0.0.1:9;alias;branch=z9hG4bK-1"))
  })
})

describe("handshakes", () => {
  const silent = async (): Promise<Socket> => {
    const socket = connect(server.port, "127.0.0.1")
    opened.push({ close: () => socket.destroy() })
    socket.on("error", () => {})
    await new Promise<void>((resolve) => socket.once("connect", () => resolve()))
    return socket
  }
  const isClosed = (socket: Socket): Promise<boolean> => {
    socket.resume()
    return eventually(() => socket.destroyed || socket.readableEnded)
  }

  it("end after their time, however slowly bytes come", async () => {
    await again({ limits: { handshakeMs: 200 } })
    const [quiet, slow] = [await silent(), await silent()]
    const trickle = setInterval(() => slow.write(Buffer.from([22])), 20)
    slow.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252]))
    await Promise.all([isClosed(quiet), isClosed(slow)])
    clearInterval(trickle)
    await eventually(
      () => server.sip.counters.handshakesTimedOut + server.sip.counters.handshakesFailed === 2,
    )
    assert.isAtLeast(server.sip.counters.handshakesTimedOut, 1)
    assert.strictEqual(server.sip.counters.handshakes, 0)
  })

  it("are bounded in number, and the next ones get their turn", async () => {
    const limits: string[] = []
    await again({ limits: { handshakesMax: 3 }, onLimit: (limit) => limits.push(limit) })
    const held = [await silent(), await silent(), await silent()]
    await eventually(() => server.sip.counters.handshakes === 3)
    const [fourth, fifth] = [await silent(), await silent()]
    await Promise.all([isClosed(held[0]!), isClosed(held[1]!)])
    assert.strictEqual(server.sip.counters.handshakesRefused, 2)
    assert.strictEqual(server.sip.counters.handshakes, 3)
    assert.deepStrictEqual(limits, ["handshakes_max"])
    // whoever means it is served all the same
    assert.strictEqual(statusOf(await ask(await peerWith())), 200)
    await isClosed(held[2]!)
    assert.isFalse(fourth.destroyed || fifth.destroyed)
  })

  it("count for the limits of connections, by source and in total", async () => {
    for (const limits of [{ connectionsPerSourceMax: 2 }, { connectionsMax: 2 }]) {
      await again({ limits })
      const held = [await silent(), await silent()]
      await eventually(() => server.sip.counters.handshakes === 2)
      await isClosed(await silent())
      const { connectionsRefused, connectionsRefusedOfSource } = server.sip.counters
      assert.strictEqual(connectionsRefused + connectionsRefusedOfSource, 1)
      for (const socket of held) socket.destroy()
      await eventually(() => server.sip.counters.handshakes === 0)
      assert.strictEqual(statusOf(await ask(await peerWith())), 200)
    }
  })

  it("that are none end the connection, and nothing else", async () => {
    const garbage = [
      "OPTIONS sip:alice@example.com SIP/2.0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      Buffer.alloc(20_000, 255),
      Buffer.from([22, 3, 1, 0xff, 0xff, ...Buffer.alloc(300)]),
      Buffer.from([22, 3, 3, 0, 4, 1, 0, 0xff, 0xff]),
      Buffer.from([128, 46, 1, 3, 1, 0, 21, 0, 0, 0, 16]),
      Buffer.from([21, 3, 3, 0, 2, 2, 40]),
      Buffer.from([20, 3, 3, 0, 1, 1]),
      Buffer.from([23, 3, 3, 0, 5, 1, 2, 3, 4, 5]),
    ]
    for (const bytes of garbage) {
      const peer = await tcpPeer(server.port)
      opened.push(peer)
      peer.send(bytes)
      peer.socket.end()
      await eventually(() => peer.isClosed())
    }
    await eventually(() => server.sip.counters.handshakesFailed === garbage.length)
    assert.deepStrictEqual(
      [server.sip.counters.handshakes, server.sip.counters.connections, server.sip.counters.defects],
      [0, 0, 0],
    )
    assert.strictEqual(statusOf(await ask(await peerWith())), 200)
  })

  it("leave nothing behind when the peer goes at any point of them", async () => {
    for (const octets of [0, 1, 5, 11, 60, 200]) {
      const whole = connect(server.port, "127.0.0.1")
      whole.on("error", () => {})
      whole.write(Buffer.from([22, 3, 1, 2, 0, ...Buffer.alloc(octets, 1)]), () => whole.destroy())
      await eventually(() => whole.destroyed)
    }
    await eventually(() => server.sip.counters.handshakes === 0)
    assert.strictEqual(statusOf(await ask(await peerWith())), 200)
    assert.strictEqual(server.sip.counters.connections, 1)
  })

  it("the limits that hold by default", () => {
    assert.deepInclude(limitsDefault, { handshakesMax: 1_000, handshakeMs: 10_000, pingMs: 30_000 })
  })
})
