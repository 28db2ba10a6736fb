/**
 * Behind load balancers (PROXY protocol) and HTTP proxies (X-Forwarded-For): limits, trust and the log see the phone.
 */
import { connect } from "node:net"
import { connect as connectTls } from "node:tls"
import { afterEach, assert, beforeAll, describe, it } from "vitest"
import { WebSocket } from "ws"
import type { SipOptions } from "../../../../src/adapters/sip/options.ts"
import { readPeers } from "../../../../src/adapters/sip/peers.ts"
import type { TlsIdentity } from "../../../../src/adapters/sip/transports/tls-identity.ts"
import type { Subscribe } from "../../../../src/domain/presentity/commands.ts"
import { makeAuthority } from "../../../support/certificates.ts"
import type { Authority, MadeCertificate } from "../../../support/certificates.ts"
import { binaryHeader, rawHeader, signature, textHeader } from "../../../support/proxy-headers.ts"
import { identityWith, notifyIn } from "../../../support/secure-peer.ts"
import { headerValue, requestText, statusOf } from "../../../support/sip-messages.ts"
import { eventually, pause, startServer, watchSocket } from "../../../support/sip-peer.ts"
import type { TcpPeer, TestServer } from "../../../support/sip-peer.ts"

type Name = "tcp" | "tls" | "ws" | "wss"
const names: readonly Name[] = ["tcp", "tls", "ws", "wss"]

let authority: Authority
let own: MadeCertificate
beforeAll(async () => {
  authority = await makeAuthority()
  own = await authority.sign({ dns: ["example.com"], ip: ["127.0.0.1"] })
})

let server: TestServer
const opened: { readonly close: () => void }[] = []
const told: string[] = []
afterEach(async () => {
  for (const { close } of opened.splice(0)) close()
  told.length = 0
  await server.close()
})

const start = async (options: Partial<SipOptions> = {}): Promise<void> => {
  server = await startServer({
    listen: names.map((transport) => ({ transport, host: "127.0.0.1", port: 0 })),
    tls: identityWith({ credentials: [own], authorities: authority.certificate }),
    proxyProtocolFrom: ["127.0.0.1"],
    onProxyFault: (fault, address) => told.push(`${fault} ${address}`),
    ...options,
  })
}

const asking = (): TlsIdentity =>
  identityWith({ credentials: [own], authorities: authority.certificate, clients: "optional" })

const portOf = (name: Name): number =>
  Number(
    server.sip
      .addresses()
      .find((address) => address.startsWith(`${name}:`))!
      .split(":")
      .at(-1),
  )

interface Phone {
  readonly ask: (text: string) => Promise<string>
  readonly text: () => string
  readonly isClosed: () => boolean
}

/** Connects, sends the octets first, and goes on with the handshakes of the transport. */
const phone = async (
  name: Name,
  first: Buffer | null,
  headers: Record<string, string> = {},
): Promise<Phone> => {
  const raw = connect(portOf(name), "127.0.0.1")
  await new Promise<void>((resolve, reject) => raw.once("connect", () => resolve()).once("error", reject))
  raw.on("error", () => {})
  opened.push({ close: () => raw.destroy() })
  if (first !== null) raw.write(first)
  const stream =
    name === "tls" || name === "wss"
      ? connectTls({ socket: raw, rejectUnauthorized: false, servername: "example.com" })
      : raw
  stream.on("error", () => {})
  if (name === "tcp" || name === "tls") {
    const peer: TcpPeer = watchSocket(stream)
    return {
      text: peer.text,
      isClosed: peer.isClosed,
      ask: async (text) => {
        const before = peer.text().length
        peer.send(text)
        await eventually(() => peer.text().slice(before).includes("\r\n\r\n") || peer.isClosed())
        return peer.text().slice(before)
      },
    }
  }
  const messages: string[] = []
  let isClosed = false
  const socket = new WebSocket("ws://example.com/", "sip", { headers, createConnection: () => stream })
  socket.on("message", (data: Buffer) => messages.push(data.toString("utf8")))
  socket.on("error", () => {})
  socket.on("close", () => {
    isClosed = true
  })
  await eventually(() => socket.readyState !== WebSocket.CONNECTING)
  return {
    text: () => messages.join(""),
    isClosed: () => isClosed,
    ask: async (text) => {
      const before = messages.length
      socket.send(text)
      await eventually(() => messages.length > before || isClosed)
      return messages[before] ?? ""
    },
  }
}

const subscribe = (name: Name, changes = {}): string =>
  requestText({
    method: "SUBSCRIBE",
    headers: {
      Via: `SIP/2.0/${name.toUpperCase()} 10.9.9.9:5060;branch=z9hG4bK-${Math.random()};rport`,
      Contact: "<sip:bob@10.9.9.9>",
      "Call-ID": `${Math.random()}`,
      ...changes,
    },
  })

const ends = { source: "203.0.113.7", destination: "198.51.100.1", sourcePort: 40_001, destinationPort: 5060 }
const ends6 = { source: "2001:db8::7", destination: "2001:db8::1", sourcePort: 40_002, destinationPort: 5060 }

describe.each(names)("over %s, behind a load balancer", (name) => {
  it.each([
    ["version 1", textHeader(ends), "203.0.113.7:40001"],
    ["version 1, IPv6", textHeader(ends6), "[2001:db8::7]:40002"],
    ["version 2", binaryHeader(ends, [{ type: 5, value: Buffer.from("id") }], "good"), "203.0.113.7:40001"],
    ["version 2, IPv6", binaryHeader(ends6), "[2001:db8::7]:40002"],
  ])("the phone is where the header says, and is told there: %s", async (_what, header, source) => {
    await start()
    const told = await phone(name, header)
    const response = await told.ask(subscribe(name))
    assert.strictEqual(statusOf(response), 200)
    const address = source.slice(0, source.lastIndexOf(":")).replaceAll(/[[\]]/g, "")
    assert.include(headerValue(response, "Via"), `received=${address}`)
    assert.isTrue(server.requests[0]!.origin.startsWith(`${name}:${source} `), server.requests[0]!.origin)
    server.sip.notify([notifyIn(server, server.requests[0]!.command as Subscribe)])
    await eventually(() => told.text().includes("NOTIFY sip:bob@10.9.9.9 SIP/2.0"))
  })

  it.each([
    ["bad", textHeader({ ...ends, sourcePort: 0 })],
    ["bad", rawHeader(0x21, 0x12, Buffer.alloc(12, 1))],
    ["bad", Buffer.from(`PROXY TCP4 ${"9".repeat(120)}`)],
    ["missing", Buffer.from(subscribe(name))],
  ])("a %s header of a listed peer is refused, counted, and told once", async (fault, octets) => {
    await start()
    for (let round = 0; round < 2; round++) {
      const refused = await phone(name, octets)
      await eventually(refused.isClosed)
    }
    await eventually(() => server.sip.counters.proxyFaults[fault] === 2)
    assert.deepStrictEqual(server.sip.counters.proxyFaults, { [fault]: 2 })
    assert.deepStrictEqual(told, [`${fault} 127.0.0.1`])
    assert.strictEqual(server.requests.length, 0)
    await eventually(() => server.sip.counters.handshakes === 0)
  })

  it("a header that does not come is waited for as long as a handshake", async () => {
    let now = 0
    await start({ clock: () => now, limits: { handshakeMs: 10_000 } })
    const silent = connect(portOf(name), "127.0.0.1")
    opened.push({ close: () => silent.destroy() })
    const slow = connect(portOf(name), "127.0.0.1", () => slow.write(signature.subarray(0, 9)))
    opened.push({ close: () => slow.destroy() })
    const closed = [watchSocket(silent).isClosed, watchSocket(slow).isClosed]
    await eventually(() => server.sip.counters.handshakes === 2)
    now = 10_001
    await eventually(() => closed.every((isClosed) => isClosed()))
    assert.strictEqual(server.sip.counters.handshakesTimedOut, 2)
  })

  it("a header of an unlisted peer is refused", async () => {
    for (const header of [textHeader(ends), binaryHeader(ends)]) {
      await start({ proxyProtocolFrom: ["192.0.2.0/24"] })
      const refused = await phone(name, header)
      await eventually(refused.isClosed)
      assert.deepStrictEqual(server.sip.counters.proxyFaults, { unlisted: 1 })
      assert.deepStrictEqual(told.splice(0), ["unlisted 127.0.0.1"])
      assert.strictEqual(server.requests.length, 0)
      await server.close()
    }
    await start({ proxyProtocolFrom: [] })
    const direct = await phone(name, null)
    assert.strictEqual(statusOf(await direct.ask(subscribe(name))), 200)
  })

  it("a connection of the load balancer itself is one of its own", async () => {
    await start()
    const check = await phone(name, rawHeader(0x20, 0))
    assert.strictEqual(statusOf(await check.ask(subscribe(name))), 200)
    assert.match(server.requests[0]!.origin, new RegExp(`^${name}:127\\.0\\.0\\.1:`))
  })

  it("each phone has its own share of connections", async () => {
    await start({ limits: { connectionsPerSourceMax: 2 } })
    const of = (source: string, sourcePort: number): Promise<Phone> =>
      phone(name, textHeader({ ...ends, source, sourcePort }))
    for (const source of ["203.0.113.7", "203.0.113.8", "203.0.113.9"])
      for (const sourcePort of [1, 2])
        assert.strictEqual(statusOf(await (await of(source, sourcePort)).ask(subscribe(name))), 200)
    const third = await of("203.0.113.8", 3)
    await eventually(third.isClosed)
    assert.strictEqual(server.sip.counters.connectionsRefusedOfSource, 1)
    assert.strictEqual(server.sip.counters.connections, 6)
  })

  it("a phone is not trusted because its load balancer is", async () => {
    await start({ trustedPeers: readPeers(["127.0.0.1;identity=pai"]).peers })
    const stranger = await phone(name, textHeader(ends))
    assert.strictEqual(statusOf(await stranger.ask(subscribe(name))), 403)
    const pbx = await phone(name, textHeader({ ...ends, source: "127.0.0.1" }))
    assert.strictEqual(statusOf(await pbx.ask(subscribe(name))), 200)
  })
})

describe("the same address and port once more", () => {
  it("takes the place of the connection before, whose end was not told", async () => {
    await start()
    const before = await phone("tcp", textHeader(ends))
    assert.strictEqual(statusOf(await before.ask(subscribe("tcp"))), 200)
    const after = await phone("tcp", binaryHeader(ends))
    assert.strictEqual(statusOf(await after.ask(subscribe("tcp"))), 200)
    await eventually(before.isClosed)
    assert.strictEqual(server.sip.counters.connections, 1)
  })
})

describe("header and handshake in one segment", () => {
  it("a SUBSCRIBE after the header is taken, and cut anywhere too", async () => {
    await start()
    for (const cut of [0, 1, 11, 20, 30]) {
      const bytes = Buffer.concat([
        binaryHeader({ ...ends, sourcePort: 50_000 + cut }),
        Buffer.from(subscribe("tcp")),
      ])
      const raw = connect(portOf("tcp"), "127.0.0.1")
      opened.push({ close: () => raw.destroy() })
      const peer = watchSocket(raw)
      raw.setNoDelay(true)
      raw.write(bytes.subarray(0, cut))
      if (cut > 0) await pause(20)
      raw.write(bytes.subarray(cut))
      await eventually(() => peer.text().includes("\r\n\r\n"))
      assert.strictEqual(statusOf(peer.text()), 200)
    }
  })

  it.each(["ws", "wss"] as const)(
    "a handshake over %s right behind the header, in one segment",
    async (name) => {
      await start()
      for (let round = 0; round < 10; round++) {
        const held = connect(portOf(name), "127.0.0.1")
        held.on("error", () => {})
        opened.push({ close: () => held.destroy() })
        held.cork()
        held.write(textHeader({ ...ends, sourcePort: 50_000 + round }))
        const stream = name === "wss" ? connectTls({ socket: held, rejectUnauthorized: false }) : held
        const socket = new WebSocket("ws://example.com/", "sip", { createConnection: () => stream })
        socket.on("error", () => {})
        setImmediate(() => held.uncork())
        await eventually(() => socket.readyState === WebSocket.OPEN)
      }
    },
  )
})

describe.each(["ws", "wss"] as const)("over %s, behind an HTTP proxy", (name) => {
  const behind = { proxyProtocolFrom: [], forwardedForFrom: ["127.0.0.0/8", "10.0.0.0/8"] }

  it.each([
    ["203.0.113.7", "203.0.113.7"],
    ["198.51.100.1, 203.0.113.7", "203.0.113.7"],
    ["203.0.113.7, 10.1.1.1, 10.1.1.2", "203.0.113.7"],
    ["[2001:db8::7]:40001", "[2001:db8::7]"],
  ])("the phone is where X-Forwarded-For says: %s", async (header, host) => {
    await start(behind)
    const browser = await phone(name, null, { "X-Forwarded-For": header })
    assert.strictEqual(statusOf(await browser.ask(subscribe(name))), 200)
    assert.isTrue(server.requests[0]!.origin.startsWith(`${name}:${host}:`), server.requests[0]!.origin)
    server.sip.notify([notifyIn(server, server.requests[0]!.command as Subscribe)])
    await eventually(() => browser.text().includes("NOTIFY sip:bob@10.9.9.9 SIP/2.0"))
  })

  it("a listed proxy that does not say so is refused", async () => {
    await start(behind)
    for (const headers of [{}, { "X-Forwarded-For": "unknown" }, { "X-Forwarded-For": "0.0.0.0" }]) {
      const refused = await phone(name, null, headers)
      await eventually(refused.isClosed)
    }
    assert.deepStrictEqual(server.sip.counters.proxyFaults, { forwarded: 3 })
    assert.deepStrictEqual(server.sip.counters.upgradesRefused, { forwarded: 3 })
    assert.deepStrictEqual(told, ["forwarded 127.0.0.1"])
    assert.strictEqual(server.sip.counters.connections, 0)
  })

  it("nobody else is believed", async () => {
    await start({ ...behind, forwardedForFrom: ["10.0.0.0/8"] })
    const browser = await phone(name, null, { "X-Forwarded-For": "203.0.113.7" })
    assert.strictEqual(statusOf(await browser.ask(subscribe(name))), 200)
    assert.match(server.requests[0]!.origin, new RegExp(`^${name}:127\\.0\\.0\\.1:`))
    assert.deepStrictEqual(server.sip.counters.proxyFaults, { ignored: 1 })
    assert.deepStrictEqual(told, ["ignored 127.0.0.1"])
  })

  it("each phone has its own share of connections, and two of one address are told apart", async () => {
    await start({ ...behind, limits: { connectionsPerSourceMax: 2 } })
    const browsers: Phone[] = []
    for (const address of ["203.0.113.7", "203.0.113.7:7", "203.0.113.8", "203.0.113.8"]) {
      const browser = await phone(name, null, { "X-Forwarded-For": address })
      assert.strictEqual(statusOf(await browser.ask(subscribe(name))), 200)
      browsers.push(browser)
    }
    const third = await phone(name, null, { "X-Forwarded-For": "203.0.113.7" })
    await eventually(third.isClosed)
    assert.strictEqual(server.sip.counters.connectionsRefusedOfSource, 1)
    server.sip.notify(server.requests.map(({ command }) => notifyIn(server, command as Subscribe)))
    await eventually(() => browsers.every((browser) => browser.text().split("NOTIFY sip:").length === 2))
  })

  it("behind a load balancer as well, both are read", async () => {
    await start({ proxyProtocolFrom: ["127.0.0.1"], forwardedForFrom: ["203.0.113.7"] })
    const browser = await phone(name, textHeader(ends), { "X-Forwarded-For": "192.0.2.55" })
    assert.strictEqual(statusOf(await browser.ask(subscribe(name))), 200)
    assert.isTrue(server.requests[0]!.origin.startsWith(`${name}:192.0.2.55:`), server.requests[0]!.origin)
  })
})

describe("the certificate", () => {
  it("of an HTTP proxy is no identity of the phone", async () => {
    const proxy = await authority.sign({ dns: ["proxy.example.com"] })
    await start({
      proxyProtocolFrom: [],
      forwardedForFrom: ["127.0.0.1"],
      tls: asking(),
      trustedPeers: readPeers(["certificate:proxy.example.com"]).peers,
    })
    const attempt = async (headers: Record<string, string>): Promise<string> => {
      const stream = connectTls({
        port: portOf("wss"),
        rejectUnauthorized: false,
        cert: proxy.certificate,
        key: proxy.key,
      })
      opened.push({ close: () => stream.destroy() })
      stream.on("error", () => {})
      const socket = new WebSocket("ws://example.com/", "sip", { headers, createConnection: () => stream })
      let text = ""
      socket.on("message", (data: Buffer) => (text += data.toString("utf8")))
      await new Promise<void>((resolve, reject) => socket.once("open", () => resolve()).once("error", reject))
      socket.send(subscribe("wss"))
      await eventually(() => text !== "")
      return text
    }
    assert.strictEqual(statusOf(await attempt({ "X-Forwarded-For": "203.0.113.7" })), 403)
  })

  it("of a phone counts behind a load balancer that passes TLS on", async () => {
    const user = await authority.sign({ uri: ["sip:bob@example.com"] })
    await start({ tls: asking(), trustedPeers: readPeers(["192.0.2.1"]).peers })
    const raw = connect(portOf("tls"), "127.0.0.1")
    raw.on("error", () => {})
    opened.push({ close: () => raw.destroy() })
    raw.write(binaryHeader(ends))
    const stream = connectTls({
      socket: raw,
      rejectUnauthorized: false,
      cert: user.certificate,
      key: user.key,
    })
    const peer = watchSocket(stream)
    peer.send(subscribe("tls", { From: "<sip:bob@example.com>;tag=1" }))
    await eventually(() => peer.text().includes("\r\n\r\n"))
    assert.strictEqual(statusOf(peer.text()), 200)
  })
})
