/**
 * WebSocket on real sockets (RFC 7118): handshakes, messages, what is refused, and keep-alives.
 */
import { randomBytes } from "node:crypto"
import { connect as connectTls } from "node:tls"
import { afterEach, assert, beforeAll, beforeEach, describe, it } from "vitest"
import { WebSocket } from "ws"
import type { ClientOptions } from "ws"
import type { SipOptions } from "../../../../src/adapters/sip/options.ts"
import type { Subscribe } from "../../../../src/domain/presentity/commands.ts"
import { makeAuthority } from "../../../support/certificates.ts"
import type { Authority, MadeCertificate } from "../../../support/certificates.ts"
import { identityWith, notifyIn, tlsPeer } from "../../../support/secure-peer.ts"
import { headerValue, requestText, statusOf } from "../../../support/sip-messages.ts"
import { answerTo, eventually, startServer, tcpPeer, watchSocket } from "../../../support/sip-peer.ts"
import type { TcpPeer, TestServer } from "../../../support/sip-peer.ts"

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

const start = (options: Partial<SipOptions> = {}): Promise<TestServer> =>
  startServer({
    listen: [
      { transport: "ws", host: "127.0.0.1", port: 0 },
      { transport: "wss", host: "127.0.0.1", port: 0 },
    ],
    tls: identityWith({ credentials: [own] }),
    webSocket: { isOriginAllowed: (origin) => origin === "https://phone.example.com" },
    ...options,
  })
const again = async (options: Partial<SipOptions>): Promise<void> => {
  await server.close()
  server = await start(options)
}
const securePort = (): number => Number(server.sip.addresses()[1]!.split(":").at(-1))

beforeEach(async () => {
  server = await start()
})
afterEach(async () => {
  for (const { close } of opened.splice(0)) close()
  await server.close()
})

interface BrowserPhone {
  readonly socket: WebSocket
  readonly messages: (string | Buffer)[]
  readonly text: () => string
  readonly closeCode: () => number | null
  readonly close: () => void
}

const phone = async (isSecure = false, options: ClientOptions = {}): Promise<BrowserPhone> => {
  const url = isSecure ? `wss://127.0.0.1:${securePort()}` : `ws://127.0.0.1:${server.port}`
  const socket = new WebSocket(url, "sip", { rejectUnauthorized: false, ...options })
  const messages: (string | Buffer)[] = []
  let closeCode: number | null = null
  socket.on("message", (data: Buffer, isBinary) => messages.push(isBinary ? data : data.toString("utf8")))
  socket.on("close", (code) => {
    closeCode = code
  })
  await new Promise<void>((resolve, reject) => {
    socket.once("open", () => resolve())
    socket.once("error", reject)
  })
  socket.on("error", () => {})
  return track({
    socket,
    messages,
    text: () => messages.map(String).join(""),
    closeCode: () => closeCode,
    close: () => socket.terminate(),
  })
}

const viaOver = (isSecure = false): string =>
  `SIP/2.0/${isSecure ? "WSS" : "WS"} df7jal23ls0d.invalid;branch=z9hG4bK${randomBytes(4).toString("hex")}`

const ask = async (browser: BrowserPhone, text: string): Promise<string> => {
  const before = browser.messages.length
  browser.socket.send(text)
  await eventually(() => browser.messages.length > before)
  return String(browser.messages[before])
}

describe.each([
  ["ws", false],
  ["wss", true],
] as const)("a phone over %s", (name, isSecure) => {
  it("asks, is answered, and hears its NOTIFY on its connection", { tags: ["7118-5-a"] }, async () => {
    const browser = await phone(isSecure)
    const response = await ask(
      browser,
      requestText({
        method: "SUBSCRIBE",
        headers: { Via: viaOver(isSecure), Contact: "<sip:bob@df7jal23ls0d.invalid;transport=ws>" },
      }),
    )
    assert.strictEqual(statusOf(response), 200)
    const port = isSecure ? securePort() : server.port
    assert.strictEqual(headerValue(response, "Contact"), `<sip:presence@127.0.0.1:${port};transport=ws>`)
    assert.match(server.requests[0]!.origin, new RegExp(`^${name}:127.0.0.1:\\d+ `))
    server.sip.notify([notifyIn(server, server.requests[0]!.command as Subscribe)])
    await eventually(() => browser.text().includes("NOTIFY sip:bob@df7jal23ls0d.invalid"))
    const notify = String(browser.messages.at(-1))
    assert.match(headerValue(notify, "Via")!, new RegExp(`^SIP/2.0/${name.toUpperCase()} 127.0.0.1:${port};`))
    browser.socket.send(answerTo(notify))
    await eventually(() => server.outcomes[0]?.outcome._tag === "Accepted")
  })

  it("may send binary frames, and fragments, and leave Content-Length out", async () => {
    const browser = await phone(isSecure)
    const text = requestText({
      method: "PUBLISH",
      body: "<presence/>",
      headers: { Via: viaOver(isSecure), "Content-Length": null },
    })
    browser.socket.send(Buffer.from(text), { binary: true })
    await eventually(() => browser.messages.length === 1)
    assert.strictEqual(statusOf(String(browser.messages[0])), 200)
    const other = requestText({ headers: { Via: viaOver(isSecure) } })
    for (const piece of [other.slice(0, 1), other.slice(1, 90), ""])
      browser.socket.send(piece, { fin: false })
    browser.socket.send(other.slice(90), { fin: true })
    await eventually(() => browser.messages.length === 2)
    assert.strictEqual(statusOf(String(browser.messages[1])), 200)
  })

  it("keeps its connection by line ends, pings and pongs", { tags: ["5626-3.5.1-a"] }, async () => {
    const browser = await phone(isSecure)
    assert.strictEqual(await ask(browser, "\r\n\r\n"), "\r\n")
    let ponged = ""
    browser.socket.on("pong", (data) => {
      ponged = data.toString()
    })
    browser.socket.ping("are you there")
    await eventually(() => ponged === "are you there")
  })

  it("what is no SIP message is dropped, and the next one is read", async () => {
    const browser = await phone(isSecure)
    for (const text of ["", "x", "\r\n", "GET / HTTP/1.1\r\n\r\n", "\0".repeat(300)])
      browser.socket.send(text)
    browser.socket.send(randomBytes(2_000))
    assert.strictEqual(
      statusOf(await ask(browser, requestText({ headers: { Via: viaOver(isSecure) } }))),
      200,
    )
    assert.isAtLeast(server.sip.counters.dropped + server.sip.counters.malformed, 4)
  })

  it("gets text frames, and binary ones only for what is not UTF-8", async () => {
    const browser = await phone(isSecure)
    const withName = (from: string): Buffer =>
      Buffer.from(
        requestText({ headers: { Via: viaOver(isSecure), From: `"${from}" <sip:bob@example.com>;tag=1` } }),
        "latin1",
      )
    browser.socket.send(withName(Buffer.from("Jürgen", "utf8").toString("latin1")), { binary: true })
    await eventually(() => browser.messages.length === 1)
    assert.typeOf(browser.messages[0], "string")
    assert.include(String(browser.messages[0]), "Jürgen")
    browser.socket.send(withName("J\u00FCrgen"), { binary: true })
    await eventually(() => browser.messages.length === 2)
    assert.notTypeOf(browser.messages[1], "string")
    assert.strictEqual(browser.closeCode(), null)
  })
})

describe("handshakes of WebSocket", () => {
  const handshake = (lines: readonly string[], start = "GET / HTTP/1.1"): string =>
    [start, ...lines, "", ""].join("\r\n")
  const good = [
    "Host: 127.0.0.1",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Protocol: sip",
  ]
  const without = (name: string): readonly string[] => good.filter((line) => !line.startsWith(name))
  const tried = async (text: string | Buffer): Promise<TcpPeer> => {
    const peer = track(await tcpPeer(server.port))
    peer.send(text)
    return peer
  }
  const refusal = async (text: string | Buffer): Promise<string> => {
    const peer = await tried(text)
    await eventually(() => peer.isClosed())
    return peer.text()
  }

  it("offer sip among others, from an allowed origin or a program that is no browser", async () => {
    for (const more of [
      [],
      ["Origin: https://phone.example.com"],
      ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"],
    ]) {
      const peer = await tried(handshake([...good, ...more]))
      await eventually(() => peer.text().endsWith("\r\n\r\n"))
      assert.match(peer.text(), /^HTTP\/1\.1 101 /)
      assert.strictEqual(headerValue(peer.text(), "Sec-WebSocket-Protocol"), "sip")
      assert.strictEqual(headerValue(peer.text(), "Sec-WebSocket-Extensions"), undefined)
    }
    const peer = await tried(
      handshake([...without("Sec-WebSocket-Protocol"), "Sec-WebSocket-Protocol: msrp, SIP , sip2"]),
    )
    await eventually(() => peer.text().endsWith("\r\n\r\n"))
    assert.match(peer.text(), /^HTTP\/1\.1 101 /)
  })

  it("that offer another sub-protocol, or none, are refused", { tags: ["7118-4-a"] }, async () => {
    const protocols = [[], ["Sec-WebSocket-Protocol: msrp"], ["Sec-WebSocket-Protocol: sipx, xsip"]]
    for (const lines of protocols)
      assert.match(
        await refusal(handshake([...without("Sec-WebSocket-Protocol"), ...lines])),
        /^HTTP\/1\.1 400 [^]*RFC 7118/,
      )
    assert.deepStrictEqual(server.sip.counters.upgradesRefused, { protocol: protocols.length })
  })

  it("from pages of another origin are refused", { tags: ["6455-10.2-a"] }, async () => {
    const origins = [
      "https://evil.example.com",
      "http://phone.example.com",
      "https://phone.example.com:444",
      "https://phone.example.com.evil.example",
      "null",
    ]
    for (const origin of origins)
      assert.match(await refusal(handshake([...good, `Origin: ${origin}`])), /^HTTP\/1\.1 403 /)
    assert.deepStrictEqual(server.sip.counters.upgradesRefused, { origin: origins.length })
    assert.strictEqual(server.sip.counters.connections, 0)
  })

  it("that are none are told so", { tags: ["6455-4.2.2-a"] }, async () => {
    assert.match(await refusal(handshake(["Host: x"])), /^HTTP\/1\.1 426 [^]*Upgrade: websocket/)
    for (const lines of [
      without("Sec-WebSocket-Key"),
      [...without("Sec-WebSocket-Key"), "Sec-WebSocket-Key: short"],
      without("Sec-WebSocket-Version"),
      [...without("Sec-WebSocket-Version"), "Sec-WebSocket-Version: 8"],
      [...without("Upgrade"), "Upgrade: h2c"],
    ])
      assert.match(await refusal(handshake(lines)), /^HTTP\/1\.1 400 [^]*Sec-WebSocket-Version: 13/)
    assert.match(await refusal(handshake(good, "POST / HTTP/1.1")), /^HTTP\/1\.1 4/)
    assert.match(await refusal(handshake([...without("Upgrade"), "Expect: 100-continue"])), /^HTTP\/1\.1 4/)
    assert.strictEqual(server.sip.counters.handshakes, 0)
  })

  it("of another protocol, or of none, end the connection", async () => {
    for (const text of [
      "OPTIONS sip:alice@example.com SIP/2.0\r\nVia: x\r\n\r\n",
      Buffer.alloc(100_000, "x"),
      handshake([...good, `X: ${"x".repeat(100_000)}`]),
      handshake(good).replace("HTTP/1.1", "HTTP/9.9"),
      randomBytes(3_000),
      Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]),
    ])
      await refusal(text)
    assert.strictEqual(server.sip.counters.handshakes, 0)
    assert.strictEqual(server.sip.counters.handshakesFailed, 6)
    assert.strictEqual(server.sip.counters.defects, 0)
  })

  it("end after their time, at each of their steps", async () => {
    await again({ limits: { handshakeMs: 150 } })
    const tls = track(await tlsPeer(securePort()))
    const slow = [
      await tried(""),
      await tried("GET / HTTP/1.1\r\nHost: x\r\nX-"),
      track(await tcpPeer(securePort())),
      tls,
    ]
    tls.send("GET / HTTP/1.1\r\n")
    await eventually(() => slow.every((peer) => peer.isClosed()))
    assert.strictEqual(server.sip.counters.handshakesTimedOut, 4)
    assert.strictEqual(server.sip.counters.handshakes, 0)
  })

  it("are bounded in number, and count for the limit by source", async () => {
    await again({ limits: { handshakesMax: 2, connectionsPerSourceMax: 3 } })
    const held = [await tried(""), await tried("GET /")]
    await eventually(() => server.sip.counters.handshakes === 2)
    held.push(await tried("GET"))
    await eventually(() => held[0]!.isClosed())
    assert.strictEqual(server.sip.counters.handshakesRefused, 1)
    assert.strictEqual(server.sip.counters.handshakes, 2)
    held[1]!.close()
    await eventually(() => server.sip.counters.handshakes === 1)
    await phone()
    await phone()
    await refusal("")
    assert.strictEqual(server.sip.counters.connectionsRefusedOfSource, 1)
  })
})

describe("frames", () => {
  /** A frame as RFC 6455 §5.2 draws it. */
  const frame = (
    payload: Buffer,
    {
      opcode = 1,
      isLast = true,
      isMasked = true,
      reserved = 0,
      length = undefined as Buffer | undefined,
    } = {},
  ): Buffer => {
    const mask = isMasked ? randomBytes(4) : Buffer.alloc(0)
    const size =
      length ??
      (payload.length < 126
        ? Buffer.from([payload.length])
        : Buffer.from([126, payload.length >> 8, payload.length & 255]))
    const first = Buffer.from(size)
    first[0] = first[0]! | (isMasked ? 128 : 0)
    const masked = isMasked ? payload.map((byte, at) => byte ^ mask[at % 4]!) : payload
    return Buffer.concat([Buffer.from([(isLast ? 128 : 0) | reserved | opcode]), first, mask, masked])
  }
  const upgraded = async (): Promise<TcpPeer> => {
    const peer = track(await tcpPeer(server.port))
    peer.send(
      "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
    )
    await eventually(() => peer.text().endsWith("\r\n\r\n"))
    return peer
  }
  const request = (): Buffer => Buffer.from(requestText({ headers: { Via: viaOver() } }))
  const long = (high: number, low: number): Buffer => {
    const bytes = Buffer.alloc(9)
    bytes[0] = 127
    bytes.writeUInt32BE(high, 1)
    bytes.writeUInt32BE(low, 5)
    return bytes
  }

  it.each<readonly [string, () => readonly Buffer[]]>([
    ["without a mask", () => [frame(request(), { isMasked: false })]],
    ["longer than any message, by 64 bits", () => [frame(request(), { length: long(1, 0) })]],
    ["longer than can be counted", () => [frame(request(), { length: long(0xffff_ffff, 0xffff_ffff) })]],
    ["longer than the limit of head and body", () => [frame(Buffer.alloc(0), { length: long(0, 100_000) })]],
    [
      "in fragments that together are too long",
      () => [
        frame(Buffer.alloc(50_000, "x"), { isLast: false }),
        frame(Buffer.alloc(50_000, "x"), { opcode: 0 }),
      ],
    ],
    ["that continue nothing", () => [frame(request(), { opcode: 0 })]],
    [
      "that begin a message within another",
      () => [frame(request(), { isLast: false }), frame(request(), { opcode: 2 })],
    ],
    ["of a kind that is not defined", () => [frame(request(), { opcode: 3 })]],
    ["of a control kind that is not defined", () => [frame(Buffer.alloc(0), { opcode: 11 })]],
    ["with reserved bits", () => [frame(request(), { reserved: 0x40 })]],
    ["of a control kind in fragments", () => [frame(Buffer.alloc(1), { opcode: 9, isLast: false })]],
    ["of a control kind that are long", () => [frame(Buffer.alloc(200), { opcode: 9 })]],
    ["of text that is not UTF-8", () => [frame(Buffer.from([0xc3, 0x28]))]],
    ["that close with a code that is none", () => [frame(Buffer.from([0, 1]), { opcode: 8 })]],
  ])("%s end the connection", async (_what, frames) => {
    const peer = await upgraded()
    for (const bytes of frames()) peer.send(bytes)
    await eventually(() => peer.isClosed())
    await eventually(() => server.sip.counters.connections === 0)
    assert.strictEqual(server.sip.counters.webSocketFaults, 1)
    assert.deepStrictEqual([server.requests.length, server.sip.counters.defects], [0, 0])
    // and nobody else's
    assert.strictEqual(statusOf(await ask(await phone(), String(request()))), 200)
  })

  it("with 16 and 64 bits of length are read like short ones, in whatever segments", async () => {
    const peer = await upgraded()
    const text = request()
    const length = Buffer.alloc(9)
    length[0] = 127
    length.writeUInt32BE(text.length, 5)
    for (const bytes of [frame(text), frame(text, { length })]) {
      const before = peer.text().length
      for (const byte of bytes) peer.send(Buffer.from([byte]))
      await eventually(() => peer.text().length > before)
      assert.include(peer.text().slice(before), "SIP/2.0 200")
    }
  })

  it("that never end are given up with their connection", async () => {
    await again({ limits: { connectionIdleMs: 200, pingMs: 0 } })
    const peer = await upgraded()
    peer.send(frame(request(), { isLast: false }))
    await eventually(() => peer.isClosed())
    assert.strictEqual(server.sip.counters.connections, 0)
  })
})

describe("pings", () => {
  it("ask a silent phone, and keep the connection while it answers", { tags: ["7118-6-a"] }, async () => {
    await again({ limits: { pingMs: 60, connectionIdleMs: 300 } })
    const browser = await phone()
    let pings = 0
    browser.socket.on("ping", () => pings++)
    await eventually(() => pings >= 10)
    assert.strictEqual(browser.closeCode(), null)
    assert.strictEqual(server.sip.counters.connections, 1)
  })

  it("end the connection of a phone that does not answer", async () => {
    await again({ limits: { pingMs: 60 } })
    const browser = await phone(false, { autoPong: false })
    await eventually(() => browser.closeCode() !== null)
    assert.strictEqual(server.sip.counters.pingsUnanswered, 1)
    assert.strictEqual(server.sip.counters.connections, 0)
  })
})

it("over TLS the page says that the certificate is accepted", async () => {
  const socket = connectTls({ host: "127.0.0.1", port: securePort(), rejectUnauthorized: false })
  const peer = track(watchSocket(socket))
  peer.send("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
  await eventually(() => peer.isClosed())
  assert.match(peer.text(), /^HTTP\/1\.1 426 [^]*accept a certificate/)
})
