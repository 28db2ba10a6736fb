/**
 * Hostile peers of TLS and WebSocket: thousands of half-open handshakes, damaged hellos, garbage within a session, and
 * sequences of frames against a model of RFC 6455. What is refused is counted, nothing is left behind, and others are served.
 */
import { randomBytes } from "node:crypto"
import { connect, createServer } from "node:net"
import type { Socket } from "node:net"
import { connect as connectTls } from "node:tls"
import * as fc from "fast-check"
import { afterEach, assert, beforeAll, describe, it } from "vitest"
import { limitsDefault } from "../../../../src/adapters/sip/options.ts"
import type { SipOptions } from "../../../../src/adapters/sip/options.ts"
import { makeAuthority } from "../../../support/certificates.ts"
import type { MadeCertificate } from "../../../support/certificates.ts"
import { identityWith, tlsPeer } from "../../../support/secure-peer.ts"
import { requestText, statusOf } from "../../../support/sip-messages.ts"
import { eventually, startServer, tcpPeer, watchSocket } from "../../../support/sip-peer.ts"
import type { TcpPeer, TestServer } from "../../../support/sip-peer.ts"

let own: MadeCertificate
beforeAll(async () => {
  own = await (await makeAuthority()).sign({ dns: ["example.com"], ip: ["127.0.0.1"] })
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

const names = ["tls", "ws", "wss"] as const
type Name = (typeof names)[number]

const start = async (listeners: readonly Name[], options: Partial<SipOptions> = {}): Promise<void> => {
  server = await startServer({
    listen: listeners.map((transport) => ({ transport, host: "127.0.0.1", port: 0 })),
    tls: identityWith({ credentials: [own] }),
    ...options,
  })
}

const portOf = (name: Name): number =>
  Number(
    server.sip
      .addresses()
      .find((address) => address.startsWith(`${name}:`))!
      .split(":")
      .at(-1),
  )

const upgrade =
  "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n"

interface Frame {
  readonly opcode: number
  readonly isLast: boolean
  readonly isMasked: boolean
  readonly reserved: number
  readonly payload: Buffer
  /** Octets in which the length is written: 0, 2 or 8 after the first. */
  readonly lengthOctets: 0 | 2 | 8
}

/** As RFC 6455 §5.2 draws it. */
const octetsOf = ({ opcode, isLast, isMasked, reserved, payload, lengthOctets }: Frame): Buffer => {
  const length = payload.length
  const octets = length > 65_535 ? 8 : length > 125 ? Math.max(2, lengthOctets) : lengthOctets
  const head = Buffer.alloc(2 + octets)
  head[0] = (isLast ? 128 : 0) | reserved | opcode
  head[1] = (isMasked ? 128 : 0) | (octets === 8 ? 127 : octets === 2 ? 126 : length)
  if (octets === 2) head.writeUInt16BE(length, 2)
  if (octets === 8) head.writeBigUInt64BE(BigInt(length), 2)
  if (!isMasked) return Buffer.concat([head, payload])
  const mask = randomBytes(4)
  return Buffer.concat([head, mask, payload.map((byte, at) => byte ^ mask[at % 4]!)])
}

const text = (payload: string | Buffer): Frame => ({
  opcode: 1,
  isLast: true,
  isMasked: true,
  reserved: 0,
  payload: Buffer.from(payload),
  lengthOctets: 0,
})

const viaOf = (name: Name): string =>
  `SIP/2.0/${name.toUpperCase()} df7jal23ls0d.invalid;branch=z9hG4bK${randomBytes(6).toString("hex")}`
const request = (name: Name): string => requestText({ headers: { Via: viaOf(name) } })

/** A peer that means it: it shakes hands, asks, and is answered. */
const isServed = async (name: Name): Promise<void> => {
  const peer = track(await (name === "ws" ? tcpPeer : tlsPeer)(portOf(name)))
  if (name !== "tls") {
    peer.send(upgrade)
    await eventually(() => peer.text().endsWith("\r\n\r\n"))
  }
  const before = peer.text().length
  peer.send(name === "tls" ? request(name) : octetsOf(text(request(name))))
  await eventually(() => peer.text().slice(before).includes("\r\n\r\n"))
  assert.strictEqual(statusOf(peer.text().slice(peer.text().indexOf("SIP/2.0", before))), 200)
  peer.close()
}

const nothingIsLeft = async (): Promise<void> => {
  const { counters } = server.sip
  await eventually(() => counters.connections === 0 && counters.handshakes === 0)
  assert.strictEqual(counters.defects, 0)
}

describe("10,000 half-open connections", () => {
  it("hold the places that the setting gives them and no more, and others are served meanwhile", async () => {
    const limits: string[] = []
    await start(["tls", "ws", "wss"], { onLimit: (limit) => limits.push(limit) })
    const { counters } = server.sip
    const [count, wave] = [10_000, 500]
    const held = new Set<Socket>()
    const end = (): void => {
      for (const socket of held) socket.destroy()
    }
    opened.push({ close: end })
    for (let begun = 0; begun < count; begun += wave) {
      const sockets = Array.from({ length: wave }, (_, at) => {
        const name = names[at % 3]!
        // a source has a limit of its own
        const localAddress = `127.0.1.${1 + (at % 20)}`
        const socket = connect({ port: portOf(name), host: "127.0.0.1", localAddress })
        held.add(socket)
        socket.on("error", () => {})
        socket.on("close", () => held.delete(socket))
        socket.resume()
        // each stops at another place
        socket.write(name === "ws" ? upgrade.slice(0, at % 150) : clientHello.subarray(0, at % 200))
        return socket
      })
      await eventually(() => sockets.every((socket) => !socket.connecting || socket.destroyed))
      assert.isAtMost(counters.handshakes, 3 * limitsDefault.handshakesMax)
      if (begun % 2_000 === 0) await Promise.all(names.map(isServed))
    }
    await eventually(
      () => counters.handshakes + counters.handshakesFailed + counters.handshakesRefused >= count,
    )
    assert.isAtMost(counters.handshakes, 3 * limitsDefault.handshakesMax)
    assert.isAtLeast(
      counters.handshakesRefused,
      count - 3 * limitsDefault.handshakesMax - counters.handshakesFailed - counters.handshakesTimedOut,
    )
    assert.deepStrictEqual([...new Set(limits)], ["handshakes_max"])
    await Promise.all(names.map(isServed))
    end()
    await nothingIsLeft()
  })
})

/** The hello of a client that means it. */
let clientHello: Buffer
beforeAll(async () => {
  clientHello = await new Promise<Buffer>((resolve) => {
    const listener = createServer((socket) => {
      socket.once("data", (bytes) => {
        resolve(bytes)
        socket.destroy()
        listener.close()
      })
    })
    listener.listen(0, "127.0.0.1", () => {
      const address = listener.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      connectTls({ host: "127.0.0.1", port, servername: "example.com" }).on("error", () => {})
    })
  })
})

describe("damaged hellos", () => {
  /** Sends it, says nothing more, and waits for the end. */
  const tried = async (pieces: readonly Buffer[]): Promise<void> => {
    const peer = await tcpPeer(server.port)
    for (const bytes of pieces) peer.send(bytes)
    peer.socket.end()
    await eventually(() => peer.isClosed())
  }

  it("with any octet another, or cut anywhere, end their own connection", async () => {
    await start(["tls"])
    const damaged = [
      ...clientHello.keys().map((at) => {
        const bytes = Buffer.from(clientHello)
        bytes[at] = bytes[at]! ^ (at % 3 === 0 ? 255 : 1 << (at % 8))
        return bytes
      }),
      ...Array.from({ length: 40 }, (_, at) =>
        clientHello.subarray(0, Math.floor((at * clientHello.length) / 40)),
      ),
    ]
    for (let at = 0; at < damaged.length; at += 20)
      await Promise.all(damaged.slice(at, at + 20).map((bytes) => tried([bytes])))
    await nothingIsLeft()
    assert.strictEqual(server.sip.counters.handshakesFailed, damaged.length)
    await isServed("tls")
  })

  it("with lengths, names and records that make no sense, likewise", async () => {
    await start(["tls"])
    const record = (type: number, body: Buffer): Buffer =>
      Buffer.concat([Buffer.from([type, 3, 1, body.length >> 8, body.length & 255]), body])
    const body = clientHello.subarray(5)
    const oddities: (readonly Buffer[])[] = [
      // the same hello twice, and one within another
      [clientHello, clientHello],
      [clientHello.subarray(0, 100), clientHello],
      // a hello in records of one octet, then something else
      [...[...body.subarray(0, 80)].map((byte) => record(22, Buffer.from([byte]))), record(23, body)],
      // empty records without end
      Array.from({ length: 2_000 }, () => record(22, Buffer.alloc(0))),
      // alerts without end
      Array.from({ length: 2_000 }, () => record(21, Buffer.from([1, 90]))),
      // a heartbeat that asks for more than it has (RFC 6520)
      [clientHello, Buffer.from([24, 3, 2, 0, 3, 1, 64, 0])],
      // a message of 16 MB is announced
      [record(22, Buffer.from([1, 255, 255, 255, ...Buffer.alloc(16_000)]))],
      [randomBytes(5_000)],
    ]
    for (const pieces of oddities) await tried(pieces)
    await nothingIsLeft()
    assert.strictEqual(server.sip.counters.handshakesFailed, oddities.length)
    await isServed("tls")
  })
})

describe("within a session", () => {
  it("octets that are no record of it end the connection, and no other", async () => {
    await start(["tls"])
    const garbage = [
      randomBytes(300),
      Buffer.from("OPTIONS sip:alice@example.com SIP/2.0\r\n\r\n"),
      clientHello,
      Buffer.from([23, 3, 3, 255, 255, ...randomBytes(200)]),
      Buffer.from([23, 3, 3, 0, 40, ...randomBytes(40)]),
      Buffer.from([24, 3, 3, 0, 3, 1, 64, 0]),
      Buffer.from([21, 3, 3, 0, 2, 2, 40]),
      Buffer.from([20, 3, 3, 0, 1, 2]),
    ]
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const)
      for (const bytes of garbage) {
        const raw = connect(server.port, "127.0.0.1")
        const socket = connectTls({ socket: raw, rejectUnauthorized: false, maxVersion })
        await new Promise((resolve) => socket.once("secureConnect", resolve))
        const peer = track(watchSocket(socket))
        raw.write(bytes)
        await eventually(() => peer.isClosed())
      }
    await nothingIsLeft()
    assert.strictEqual(server.requests.length, 0)
    assert.isAtLeast(server.sip.counters.tlsFaults, garbage.length)
    await isServed("tls")
  })

  it("a client that asks for new keys again and again is cut off", async () => {
    await start(["tls"])
    const { socket, isClosed } = track(await tlsPeer(server.port, { maxVersion: "TLSv1.2" }))
    const again = (): void =>
      void socket.renegotiate({ rejectUnauthorized: false }, (error) => {
        if (error === null) again()
      })
    again()
    await eventually(isClosed)
    await nothingIsLeft()
    assert.strictEqual(server.sip.counters.tlsFaults, 1)
  })
})

describe("frames", () => {
  const upgraded = async (): Promise<TcpPeer> => {
    const peer = track(await tcpPeer(server.port))
    peer.send(upgrade)
    await eventually(() => peer.text().endsWith("\r\n\r\n"))
    return peer
  }
  const isUtf8 = (bytes: Buffer): boolean => bytes.equals(Buffer.from(bytes.toString("utf8"), "utf8"))
  const messageMax = limitsDefault.headBytesMax + limitsDefault.bodyBytesMax

  type Course = "fault" | "closes" | "within" | "between"

  /** What RFC 6455 says of a sequence. Lengths in more octets than needed are taken, as there is no doubt about them. */
  const courseOf = (frames: readonly Frame[]): Course => {
    let kind = 0
    let message: Buffer[] = []
    for (const { opcode, isLast, isMasked, reserved, payload, lengthOctets } of frames) {
      if (!isMasked || reserved !== 0) return "fault"
      if (opcode >= 8) {
        if (opcode > 10 || !isLast || payload.length > 125 || lengthOctets !== 0) return "fault"
        if (opcode !== 8) continue
        if (payload.length === 0) return "closes"
        if (payload.length === 1) return "fault"
        const code = payload.readUInt16BE(0)
        const isCode =
          (code >= 1_000 && code <= 1_014 && ![1_004, 1_005, 1_006].includes(code)) ||
          (code >= 3_000 && code <= 4_999)
        return isCode && isUtf8(payload.subarray(2)) ? "closes" : "fault"
      }
      if (opcode > 2 || (opcode === 0) === (kind === 0)) return "fault"
      if (opcode !== 0) kind = opcode
      message.push(payload)
      const whole = Buffer.concat(message)
      if (whole.length > messageMax) return "fault"
      if (!isLast) continue
      if (kind === 1 && !isUtf8(whole)) return "fault"
      kind = 0
      message = []
    }
    return kind === 0 ? "between" : "within"
  }

  const payloads = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.string({ unit: "grapheme", maxLength: 40 }).map((value) => Buffer.from(value)),
    },
    { weight: 2, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(125, 126, 200, 30_000, 50_000, 65_536)
        .map((size) => Buffer.alloc(size, "x")),
    },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 0, max: 5_000 }).map((code) => Buffer.from([code >> 8, code & 255])),
    },
  )
  const rarely = (likely: number): fc.Arbitrary<boolean> =>
    fc.oneof({ weight: 30, arbitrary: fc.constant(true) }, { weight: likely, arbitrary: fc.constant(false) })
  const frames = fc.array(
    fc.record({
      opcode: fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom(0, 1, 2, 9, 10) },
        { weight: 1, arbitrary: fc.nat({ max: 15 }) },
      ),
      isLast: rarely(15),
      isMasked: rarely(1),
      reserved: fc.oneof(
        { weight: 30, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.constantFrom(0x10, 0x20, 0x40, 0x70) },
      ),
      payload: payloads,
      lengthOctets: fc.constantFrom(0, 2, 8),
    }),
    { maxLength: 8 },
  )

  it("that RFC 6455 allows are taken in any order, and the first other one ends the connection", async () => {
    await start(["ws"])
    const { counters } = server.sip
    await fc.assert(
      fc.asyncProperty(frames, fc.nat(), async (sequence, cut) => {
        const faults = counters.webSocketFaults
        const ending: readonly Frame[] = courseOf(sequence) === "within" ? [{ ...text(""), opcode: 0 }] : []
        const course = courseOf([...sequence, ...ending])
        const peer = await upgraded()
        const octets = Buffer.concat([
          ...[...sequence, ...ending].map(octetsOf),
          octetsOf(text(request("ws"))),
        ])
        const at = cut % octets.length
        peer.send(octets.subarray(0, at))
        peer.send(octets.subarray(at))
        if (course === "fault" || course === "closes") {
          await eventually(() => peer.isClosed())
          await eventually(() => counters.connections === 0)
          assert.strictEqual(counters.webSocketFaults - faults, course === "fault" ? 1 : 0)
        } else {
          await eventually(() => peer.text().includes("SIP/2.0 200 OK"))
          assert.isFalse(peer.isClosed())
          assert.strictEqual(counters.webSocketFaults, faults)
          peer.close()
          await eventually(() => counters.connections === 0)
        }
      }),
      { numRuns: 200 },
    )
    assert.strictEqual(counters.defects, 0)
  })

  it("that come with the handshake are read", async () => {
    await start(["ws"])
    const peer = track(await tcpPeer(server.port))
    peer.send(Buffer.concat([Buffer.from(upgrade), octetsOf(text(request("ws")))]))
    await eventually(() => peer.text().includes("SIP/2.0 200 OK"))
  })

  it("of nothing at all without end, in a message of one octet each, stay within the limit of a message", async () => {
    await start(["ws"])
    const peer = await upgraded()
    peer.send(octetsOf({ ...text("x"), isLast: false }))
    const octet = octetsOf({ ...text("x"), opcode: 0, isLast: false })
    const many = Buffer.concat(Array.from({ length: messageMax }, () => octet))
    peer.send(many)
    await eventually(() => peer.isClosed())
    await eventually(() => server.sip.counters.connections === 0)
    assert.strictEqual(server.sip.counters.webSocketFaults, 1)
  })

  it("with pings of a peer that reads no pongs end its connection", async () => {
    const limits: string[] = []
    await start(["ws"], { onLimit: (limit) => limits.push(limit), limits: { writeQueueBytesMax: 65_536 } })
    const peer = await upgraded()
    peer.socket.pause()
    const ping = octetsOf({ ...text(Buffer.alloc(125, "x")), opcode: 9 })
    const pings = Buffer.concat(Array.from({ length: 1_000 }, () => ping))
    for (let sent = 0; sent < 400 && server.sip.counters.connections === 1; sent++) {
      peer.send(pings)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await eventually(() => server.sip.counters.connections === 0)
    assert.strictEqual(server.sip.counters.connectionsUnread, 1)
    assert.deepStrictEqual(limits, ["connection_octets_max"])
  })
})
