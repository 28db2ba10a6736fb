/**
 * What keeps the way to a phone open: connections with subscriptions, keep-alives of both sides (RFC 5626 §3.5, §4.4), and
 * connections on which nobody answers.
 */
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { answerKeepAlive, mayKeepAlive } from "../../../src/adapters/sip/transports/datagram-keep-alive.ts"
import type { Subscribe } from "../../../src/domain/presentity/commands.ts"
import { notifyOf } from "../../support/notify.ts"
import { requestText } from "../../support/sip-messages.ts"
import { answerTo, eventually, startServer, tcpPeer, udpPeer } from "../../support/sip-peer.ts"
import type { TestServer } from "../../support/sip-peer.ts"

let server: TestServer
beforeEach(async () => {
  server = await startServer()
})
afterEach(() => server.close())

/** With other options. */
const restart = async (options: Parameters<typeof startServer>[0]): Promise<void> => {
  await server.close()
  server = await startServer(options)
}

const notifyIn = (command: Subscribe, cseq = 1) => notifyOf(command, { cseq })

describe("a connection", () => {
  let branches = 0
  const subscription = (expires: number, headers = {}): string =>
    requestText({
      method: "SUBSCRIBE",
      headers: {
        Via: `SIP/2.0/TCP 127.0.0.77;branch=z9hG4bK-k${++branches};rport`,
        Contact: "<sip:bob@127.0.0.77:9;transport=tcp>",
        Expires: `${expires}`,
        ...headers,
      },
    })

  it(
    "with a living subscription is not idle; without, or when it ends or expires, it is",
    { tags: ["OPS-connection_idle"] },
    async () => {
      await restart({ limits: { connectionIdleMs: 250 } })
      const [watching, ended, idle] = [
        await tcpPeer(server.port),
        await tcpPeer(server.port),
        await tcpPeer(server.port),
      ]
      watching.send(subscription(600))
      ended.send(subscription(600))
      await eventually(() => ended.text().includes("SIP/2.0 200"))
      const { localTag, callId, remoteTag } = (server.requests.at(-1)!.command as Subscribe).dialog
      const within = {
        "Call-ID": callId,
        From: `<sip:bob@example.com>;tag=${remoteTag}`,
        To: `<sip:alice@example.com>;tag=${localTag}`,
        CSeq: "2 SUBSCRIBE",
      }
      ended.send(
        subscription(0, { ...within, Via: `SIP/2.0/TCP 127.0.0.77;branch=z9hG4bK-k${++branches};rport` }),
      )
      await eventually(() => server.requests.length === 3)
      await eventually(() => idle.isClosed() && ended.isClosed())
      assert.isFalse(watching.isClosed())
      assert.strictEqual(server.sip.counters.connectionsIdle, 2)
    },
  )

  it("on which nothing was heard after a NOTIFY is closed: a flow that is lost", async () => {
    await restart({ timers: { t1Ms: 10, t2Ms: 40, transactionMs: 300 } })
    const phone = await tcpPeer(server.port)
    phone.send(subscription(600))
    await eventually(() => phone.text().includes("SIP/2.0 200"))
    server.sip.notify([notifyIn(server.requests[0]!.command as Subscribe)])
    await eventually(() => phone.isClosed())
    await eventually(() => server.outcomes.length === 1)
    assert.strictEqual(server.outcomes[0]?.outcome._tag, "FlowLost")
    assert.strictEqual(server.sip.counters.connectionsSilent, 1)
  })

  it("on which a phone says other things and does not answer is a NOTIFY without an answer", async () => {
    await restart({ timers: { t1Ms: 10, t2Ms: 40, transactionMs: 600 } })
    const phone = await tcpPeer(server.port)
    phone.send(subscription(600))
    await eventually(() => phone.text().includes("SIP/2.0 200"))
    server.sip.notify([notifyIn(server.requests[0]!.command as Subscribe)])
    await eventually(() => phone.text().includes("NOTIFY sip:bob"))
    phone.send("\r\n\r\n")
    await eventually(() => phone.text().endsWith("\r\n\r\n\r\n"))
    await eventually(() => server.outcomes.length === 1)
    assert.strictEqual(server.outcomes[0]?.outcome._tag, "TimedOut")
    assert.isFalse(phone.isClosed())
  })

  it(
    "limits are counted one by one, and told once with the address",
    { tags: ["OPS-connections_max"] },
    async () => {
      const met: string[] = []
      await restart({
        limits: { connectionsMax: 3, connectionsPerSourceMax: 2 },
        onLimit: (limit, address) => met.push(`${limit} ${address}`),
      })
      const open = [await tcpPeer(server.port), await tcpPeer(server.port)]
      for (let more = 0; more < 3; more++) {
        const refused = await tcpPeer(server.port)
        await eventually(() => refused.isClosed())
      }
      assert.deepStrictEqual(met, ["connections_per_source_max 127.0.0.1"])
      assert.strictEqual(server.sip.counters.connectionsRefusedOfSource, 3)
      for (const peer of open) peer.close()
      await restart({
        limits: { connectionsMax: 1, connectionsPerSourceMax: 0 },
        onLimit: (limit) => met.push(limit),
      })
      const only = await tcpPeer(server.port)
      const refused = await tcpPeer(server.port)
      await eventually(() => refused.isClosed())
      assert.deepStrictEqual(met, ["connections_per_source_max 127.0.0.1", "connections_max"])
      assert.strictEqual(server.sip.counters.connectionsRefused, 1)
      assert.isFalse(only.isClosed())
    },
  )
})

describe("a phone behind a NAT", () => {
  const contacts = { away: "<sip:bob@127.0.0.77:9>", here: (port: number) => `<sip:bob@127.0.0.1:${port}>` }

  it(
    "is sent keep-alives once it has answered, and while it does",
    { tags: ["OPS-keep_alive"] },
    async () => {
      await restart({ limits: { keepAliveMs: 50 }, timers: { t1Ms: 10, t2Ms: 40, transactionMs: 400 } })
      const [behind, plain] = [await udpPeer(server.port), await udpPeer(server.port)]
      for (const [phone, contact] of [
        [behind, contacts.away],
        [plain, contacts.here(plain.port)],
      ] as const) {
        phone.send(requestText({ method: "SUBSCRIBE", headers: { Contact: contact } }))
        await phone.next()
      }
      const [first, second] = server.requests.map(({ command }) => command as Subscribe)
      server.sip.notify([notifyIn(first!), notifyIn(second!)])
      const pings = (): number => behind.messages.filter((text) => text === "\r\n\r\n").length
      behind.send(answerTo(await behind.next()))
      plain.send(answerTo(await plain.next()))
      await eventually(() => pings() >= 2)
      assert.isAtLeast(server.sip.counters.keepAlivesSent, 2)
      assert.isFalse(plain.messages.some((text) => text.trim() === ""))
      // silence ends them
      server.sip.notify([notifyIn(first!, 2)])
      await eventually(() => server.outcomes.some(({ outcome }) => outcome._tag === "TimedOut"))
      const before = server.sip.counters.keepAlivesSent
      await new Promise((resolve) => setTimeout(resolve, 1_300))
      assert.isAtMost(server.sip.counters.keepAlivesSent, before)
      behind.close()
      plain.close()
    },
  )

  it("that asks whether somebody is there is answered", { tags: ["5626-3.5.1-a"] }, async () => {
    const phone = await udpPeer(server.port)
    phone.send("\r\n\r\n")
    assert.strictEqual(await phone.next(), "\r\n")
    for (const silent of ["\r\n", "\0\0\0\0", "\0", "  "]) phone.send(silent)
    phone.send(requestText())
    assert.match(await phone.next(), /^SIP\/2\.0 200/)
    assert.strictEqual(server.sip.counters.dropped, 0)
    assert.strictEqual(server.sip.counters.keepAlivesAnswered, 1)
    phone.close()
  })
})

describe("STUN on the port of SIP, RFC 5626 §3.5.2", () => {
  const transaction = Buffer.from("0102030405060708090a0b0c", "hex")
  const request = (attributes: Buffer = Buffer.alloc(0), { type = 1, cookie = 0x2112_a442 } = {}): Buffer => {
    const head = Buffer.alloc(8)
    head.writeUInt16BE(type, 0)
    head.writeUInt16BE(attributes.length, 2)
    head.writeUInt32BE(cookie, 4)
    return Buffer.concat([head, transaction, attributes])
  }
  const attribute = (type: number, value: Buffer): Buffer => {
    const head = Buffer.alloc(4)
    head.writeUInt16BE(type, 0)
    head.writeUInt16BE(value.length, 2)
    return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)])
  }
  const answer = (bytes: Buffer, address = "192.0.2.1", port = 32_853): string | null => {
    assert.isTrue(mayKeepAlive(bytes))
    return answerKeepAlive(bytes, address, port)?.toString("hex") ?? null
  }
  const head = (type: string, length: string, cookie = "2112a442"): string =>
    `${type}${length}${cookie}${transaction.toString("hex")}`

  it("tells the address that the request came from, RFC 5769 §2.2 by its numbers", () => {
    assert.strictEqual(answer(request()), `${head("0101", "000c")}002000080001a147e112a643`)
    const six = answer(request(), "2001:db8:1234:5678:11:2233:4455:6677")
    assert.match(six ?? "", /^01010018.{32}002000140002a1470113a9fa/)
  })

  it("tells it in the clear to clients of RFC 3489", () => {
    const old = request(Buffer.alloc(0), { cookie: 0x0a0b_0c0d })
    assert.strictEqual(
      answer(old),
      `${head("0101", "000c", "0a0b0c0d")}000100080001${(32_853).toString(16)}c0000201`,
    )
  })

  it("refuses what has to be understood and is not, and takes what need not be", () => {
    const change = answer(request(attribute(0x0003, Buffer.alloc(4))))
    assert.match(change ?? "", /^0111.{36}0009001500000414/)
    assert.isTrue(change?.endsWith("000a000200030000"))
    const software = attribute(0x8022, Buffer.from("phone 1"))
    const user = attribute(0x0006, Buffer.from("u"))
    assert.match(answer(request(Buffer.concat([software, user]))) ?? "", /^0101/)
  })

  it("says nothing to an indication, and takes nothing else for STUN", () => {
    assert.strictEqual(answer(request(undefined, { type: 0x11 })), "")
    for (const bad of [
      request(undefined, { type: 0x101 }),
      request(undefined, { type: 0x002 }),
      request().subarray(0, 19),
      Buffer.concat([request(), Buffer.alloc(4)]),
      request(Buffer.from([0x80, 0x22, 0xff, 0xff])),
      request(Buffer.from([0x80, 0x22])),
    ])
      assert.isNull(answer(bad))
    assert.isFalse(mayKeepAlive(Buffer.from("OPTIONS sip:x SIP/2.0\r\n\r\n")))
    assert.isFalse(mayKeepAlive(Buffer.from("\r\n\r\nOPTIONS")))
  })

  it("over a socket", async () => {
    const phone = await udpPeer(server.port)
    phone.send(request())
    const reply = Buffer.from(await phone.next(), "latin1")
    assert.strictEqual(reply.readUInt16BE(0), 0x0101)
    assert.strictEqual(reply.readUInt16BE(26) ^ 0x2112, phone.port)
    phone.close()
  })
})
