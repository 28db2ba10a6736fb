/**
 * Outbound proxies: which NOTIFYs go through which, on real sockets.
 */
import { createSocket } from "node:dgram"
import { afterEach, assert, describe, it } from "vitest"
import { outboundFaults, readOutbound } from "../../../src/adapters/sip/outbound-proxy.ts"
import type { Subscribe } from "../../../src/domain/presentity/commands.ts"
import { notifyIn } from "../../support/secure-peer.ts"
import { headerValue, headerValues, requestText, statusOf } from "../../support/sip-messages.ts"
import { answerTo, eventually, startServer, tcpListener, tcpPeer, udpPeer } from "../../support/sip-peer.ts"
import type { TestServer } from "../../support/sip-peer.ts"

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

interface Proxy {
  readonly port: number
  readonly messages: string[]
}

/** A proxy that answers what it is sent. */
const proxyAt = async (host = "127.0.0.1"): Promise<Proxy> => {
  const socket = createSocket("udp4")
  await new Promise<void>((resolve) => socket.bind(0, host, resolve))
  const messages: string[] = []
  socket.on("message", (bytes, { port, address }) => {
    messages.push(bytes.toString("latin1"))
    socket.send(answerTo(bytes.toString("latin1")), port, address)
  })
  track({ close: () => socket.close() })
  return { port: socket.address().port, messages }
}

const begin = async (outboundProxy: readonly string[]): Promise<void> => {
  server = await startServer({ outboundProxy })
}

/** Subscribes with that Contact, and sends a NOTIFY. */
const told = async (contact: string, headers: Record<string, string> = {}): Promise<Subscribe> => {
  const peer = track(await udpPeer(server.port))
  peer.send(
    requestText({
      method: "SUBSCRIBE",
      headers: {
        Via: `SIP/2.0/UDP 127.0.0.1:${peer.port};branch=z9hG4bK-${Math.random()};rport`,
        Contact: contact,
        "Call-ID": `${Math.random()}`,
        ...headers,
      },
    }),
  )
  assert.strictEqual(statusOf(await peer.next()), 200)
  const command = server.requests.at(-1)!.command as Subscribe
  server.sip.notify([notifyIn(server, command)])
  return command
}

describe("a NOTIFY", () => {
  it("goes through the proxy of its destination, with that as Route where it is a loose router", async () => {
    const [proxy, other] = [await proxyAt(), await proxyAt()]
    await begin([
      `10.8.0.0/16=sip:127.0.0.1:${proxy.port};lr`,
      `*.branch.example=sip:127.0.0.1:${other.port}`,
    ])
    await told("<sip:bob@10.8.1.2:5060>")
    await eventually(() => server.outcomes.length === 1)
    assert.strictEqual(server.outcomes[0]!.outcome._tag, "Accepted")
    assert.match(proxy.messages[0]!, /^NOTIFY sip:bob@10\.8\.1\.2:5060 SIP\/2\.0\r\n/)
    assert.deepStrictEqual(headerValues(proxy.messages[0]!, "Route"), [`<sip:127.0.0.1:${proxy.port};lr>`])
    await told("<sip:bob@phone.branch.example>")
    await eventually(() => server.outcomes.length === 2)
    assert.match(other.messages[0]!, /^NOTIFY sip:bob@phone\.branch\.example SIP\/2\.0\r\n/)
    assert.isUndefined(headerValue(other.messages[0]!, "Route"))
  })

  it("keeps the route set behind it, whose first route is the destination", async () => {
    const proxy = await proxyAt()
    await begin([`10.8.0.0/16=sip:127.0.0.1:${proxy.port};lr`])
    await told("<sip:bob@192.0.2.7>", { "Record-Route": "<sip:10.8.0.1;lr>, <sip:192.0.2.1;lr>" })
    await eventually(() => proxy.messages.length > 0)
    assert.match(proxy.messages[0]!, /^NOTIFY sip:bob@192\.0\.2\.7 SIP\/2\.0\r\n/)
    assert.deepStrictEqual(headerValues(proxy.messages[0]!, "Route"), [
      `<sip:127.0.0.1:${proxy.port};lr>`,
      "<sip:10.8.0.1;lr>",
      "<sip:192.0.2.1;lr>",
    ])
  })

  it("goes by the source of its SUBSCRIBE, over TCP if that is said, and directly where that is", async () => {
    const listening = track((await tcpListener())!)
    const phone = await proxyAt()
    await begin([`127.0.0.1=direct`, `from:127.0.0.0/8=sip:127.0.0.1:${listening.port};transport=tcp`])
    await told("<sip:bob@192.0.2.7>")
    await eventually(() => listening.peers.length > 0)
    await eventually(() => listening.peers[0]!.text().includes("NOTIFY sip:bob@192.0.2.7 SIP/2.0"))
    await told(`<sip:bob@127.0.0.1:${phone.port}>`)
    await eventually(() => phone.messages.length > 0)
    assert.strictEqual(listening.peers.length, 1)
  })

  it("goes over an open connection all the same", async () => {
    const proxy = await proxyAt()
    await begin([`sip:127.0.0.1:${proxy.port};lr`])
    const peer = track(await tcpPeer(server.port))
    peer.send(
      requestText({
        method: "SUBSCRIBE",
        headers: {
          Via: `SIP/2.0/TCP 127.0.0.1:${peer.localPort};branch=z9hG4bK-1`,
          Contact: "<sip:bob@192.0.2.7;transport=tcp>",
        },
      }),
    )
    await eventually(() => server.requests.length > 0)
    server.sip.notify([notifyIn(server, server.requests[0]!.command as Subscribe)])
    await eventually(() => peer.text().includes("NOTIFY sip:bob@192.0.2.7"))
    assert.notInclude(peer.text(), "Route:")
    assert.deepStrictEqual(proxy.messages, [])
  })

  it("to a private address with a proxy goes there, and not to the source", async () => {
    const proxy = await proxyAt()
    await begin([`10.0.0.0/8=sip:127.0.0.1:${proxy.port}`])
    assert.isUndefined((await told("<sip:bob@10.0.0.7>")).dialog.reach)
    await eventually(() => proxy.messages.length > 0)
    assert.strictEqual((await told("<sip:bob@192.168.0.7>")).dialog.reach, "private")
  })
})

describe("entries of outbound_proxy", () => {
  it("are read, the first that fits counts, and odd ones are told", () => {
    const good = [
      "192.0.2.7=direct",
      "192.0.2.0/24=sip:192.0.2.1;lr",
      "*.example.com=sip:proxy.example.com;transport=tcp;lr",
      "from:2001:db8::/32=sip:[2001:db8::1]:5070",
      "sip:192.0.2.99",
    ]
    const odd = [
      "",
      "192.0.2.1",
      "=sip:192.0.2.1",
      "192.0.2.0/33=sip:192.0.2.1",
      "from:example.com=sip:192.0.2.1",
      "10.0.0.0/8=tel:+4930123",
      "10.0.0.0/8=sip:192.0.2.1:0",
      "sip:192.0.2.1;transport=ws",
      "sip:192.0.2.1;transport=sctp",
      "sips:192.0.2.1",
      "sip:192.0.2.1;transport=tls",
    ]
    assert.deepStrictEqual(outboundFaults([...good, ...odd], ["udp"]), odd)
    assert.deepStrictEqual(outboundFaults(["sips:192.0.2.1", "sip:192.0.2.1;transport=tls"], ["tls"]), [])
    const through = readOutbound(good)!
    const textOf = (destination: string, source = "198.51.100.1"): string | null =>
      through(destination, source)?.text ?? null
    assert.isNull(textOf("192.0.2.7"))
    assert.strictEqual(textOf("192.0.2.8"), "sip:192.0.2.1;lr")
    assert.strictEqual(textOf("a.example.com"), "sip:proxy.example.com;transport=tcp;lr")
    assert.strictEqual(textOf("example.com"), "sip:192.0.2.99")
    assert.strictEqual(textOf("198.51.100.2", "2001:db8::9"), "sip:[2001:db8::1]:5070")
    assert.isNull(readOutbound([]))
  })
})
