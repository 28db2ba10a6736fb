/**
 * Addresses of our own: both families on one socket, several listeners, and what is advertised instead.
 */
import { createSocket } from "node:dgram"
import { connect, createServer } from "node:net"
import type { Socket } from "node:net"
import { afterEach, assert, describe, it } from "vitest"
import { advertiseFaults, makeAdvertisedFor, readAdvertise } from "../../../src/adapters/sip/advertised.ts"
import type { SipOptions } from "../../../src/adapters/sip/options.ts"
import type { Subscribe } from "../../../src/domain/presentity/commands.ts"
import { notifyIn } from "../../support/secure-peer.ts"
import { headerValue, requestText, statusOf } from "../../support/sip-messages.ts"
import { answerTo, eventually, startServer, watchSocket } from "../../support/sip-peer.ts"
import type { TestServer } from "../../support/sip-peer.ts"

let server: TestServer
const opened: { readonly close: () => void }[] = []
afterEach(async () => {
  for (const { close } of opened.splice(0)) close()
  await server.close()
})

type Name = "udp" | "tcp"
const listening = (...hosts: readonly string[]): SipOptions["listen"] =>
  (["udp", "tcp"] as const).flatMap((transport) => hosts.map((host) => ({ transport, host, port: 0 })))

const portOf = (name: Name, host: string): number =>
  Number(
    server.sip
      .addresses()
      .find((address) => address.startsWith(`${name}:${host}:`))!
      .split(":")
      .at(-1),
  )

interface Peer {
  readonly port: number
  readonly messages: string[]
  readonly send: (text: string) => void
}

const peerAt = async (name: Name, host: string, port: number): Promise<Peer> => {
  const messages: string[] = []
  if (name === "udp") {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4")
    await new Promise<void>((resolve) => socket.bind(0, host, resolve))
    socket.on("message", (bytes) => messages.push(bytes.toString("latin1")))
    opened.push({ close: () => socket.close() })
    return { port: socket.address().port, messages, send: (text) => socket.send(text, port, host) }
  }
  const socket = connect(port, host)
  await new Promise<void>((resolve, reject) => socket.once("connect", () => resolve()).once("error", reject))
  opened.push({ close: () => socket.destroy() })
  socket.on("data", (bytes: Buffer) => messages.push(...bytes.toString("latin1").split(/(?<=\r\n\r\n)/)))
  return { port: socket.localPort ?? 0, messages, send: (text) => socket.write(text) }
}

const written = (host: string): string => (host.includes(":") ? `[${host}]` : host)

const subscribe = (name: Name, host: string, { port }: Peer): string =>
  requestText({
    method: "SUBSCRIBE",
    headers: {
      Via: `SIP/2.0/${name.toUpperCase()} ${written(host)}:${port};branch=z9hG4bK-${Math.random()};rport`,
      Contact: `<sip:bob@${written(host)}:${port}${name === "tcp" ? ";transport=tcp" : ""}>`,
      "Call-ID": `${Math.random()}`,
    },
  })

/** Subscribes, and is told. @returns response and NOTIFY */
const exchange = async (
  name: Name,
  host: string,
  port: number,
): Promise<{ readonly response: string; readonly notify: string; readonly command: Subscribe }> => {
  const peer = await peerAt(name, host, port)
  peer.send(subscribe(name, host, peer))
  await eventually(() => peer.messages.length > 0)
  const response = peer.messages[0]!
  assert.strictEqual(statusOf(response), 200)
  const command = server.requests.at(-1)!.command as Subscribe
  server.sip.notify([notifyIn(server, command)])
  await eventually(() => peer.messages.some((message) => message.startsWith("NOTIFY ")))
  const notify = peer.messages.find((message) => message.startsWith("NOTIFY "))!
  const before = server.outcomes.length
  peer.send(answerTo(notify))
  await eventually(() => server.outcomes.length > before)
  assert.strictEqual(server.outcomes.at(-1)!.outcome._tag, "Accepted")
  return { response, notify, command }
}

const uriOf = (host: string, port: number, name: Name): string =>
  `sip:presence@${written(host)}:${port}${name === "tcp" ? ";transport=tcp" : ""}`

describe.each(["udp", "tcp"] as const)("[::] over %s", (name) => {
  it("serves both families, each with addresses of its own in Via and Contact", async () => {
    server = await startServer({ listen: listening("::") })
    const port = portOf(name, "[::]")
    for (const host of ["127.0.0.1", "::1"]) {
      const { response, notify, command } = await exchange(name, host, port)
      assert.strictEqual(headerValue(response, "Contact"), `<${uriOf(host, port, name)}>`)
      assert.strictEqual(headerValue(notify, "Contact"), `<${uriOf(host, port, name)}>`)
      assert.include(headerValue(notify, "Via"), ` ${written(host)}:${port};`)
      assert.strictEqual(command.dialog.flow, `${name}:${written(host)}:${port}`)
      assert.isTrue(server.requests.at(-1)!.origin.startsWith(`${name}:${written(host)}:`))
      assert.notInclude(response + notify, "ffff")
    }
    for (const host of ["127.0.0.1", "[::1]", "localhost"]) {
      const peer = await peerAt(name, "127.0.0.1", port)
      peer.send(
        requestText({
          method: "SUBSCRIBE",
          uri: `sip:alice@${host}`,
          headers: { Via: `SIP/2.0/${name.toUpperCase()} 127.0.0.1:${peer.port};branch=z9hG4bK-${host}` },
        }),
      )
      await eventually(() => peer.messages.length > 0)
      assert.notStrictEqual(statusOf(peer.messages[0]!), 404, host)
    }
  })

  it("is IPv6 alone beside an address of IPv4 with the same port", async () => {
    // a port that is free in both families
    const probe = createServer()
    const free = await new Promise<number>((resolve) =>
      probe.listen(0, "::", () => resolve((probe.address() as { readonly port: number }).port)),
    )
    await new Promise((resolve) => probe.close(resolve))
    server = await startServer({
      listen: ["::", "0.0.0.0"].map((host) => ({ transport: name, host, port: free })),
    })
    for (const host of ["127.0.0.1", "::1"]) {
      const { notify } = await exchange(name, host, free)
      assert.include(headerValue(notify, "Via"), ` ${written(host)}:${free};`)
    }
  })
})

describe.each(["udp", "tcp"] as const)("several listeners over %s", (name) => {
  it("each has its own Contact and Via", async () => {
    server = await startServer({ listen: listening("127.0.0.1", "127.0.0.2", "::1") })
    for (const host of ["127.0.0.1", "::1"]) {
      const port = portOf(name, written(host))
      const { response, notify } = await exchange(name, host, port)
      assert.strictEqual(headerValue(response, "Contact"), `<${uriOf(host, port, name)}>`)
      assert.include(headerValue(notify, "Via"), ` ${written(host)}:${port};`)
    }
  })
})

describe("a connection of ours", () => {
  it("prints the port of the listener at its local address, not that of the newest", async () => {
    server = await startServer({ listen: listening("127.0.0.1", "::1") })
    for (const host of ["127.0.0.1", "::1"]) {
      const sockets: Socket[] = []
      const watcher = createServer((socket) => sockets.push(socket))
      await new Promise<void>((resolve) => watcher.listen(0, host, resolve))
      opened.push({ close: () => watcher.close() }, { close: () => sockets[0]?.destroy() })
      const { port } = watcher.address() as { readonly port: number }
      const peer = await peerAt("udp", host, portOf("udp", written(host)))
      peer.send(
        requestText({
          method: "SUBSCRIBE",
          headers: {
            Via: `SIP/2.0/UDP ${written(host)}:${peer.port};branch=z9hG4bK-${Math.random()}`,
            Contact: `<sip:bob@${written(host)}:${port};transport=tcp>`,
            "Call-ID": host,
          },
        }),
      )
      await eventually(() => peer.messages.length > 0)
      server.sip.notify([notifyIn(server, server.requests.at(-1)!.command as Subscribe)])
      await eventually(() => sockets.length > 0)
      const { text } = watchSocket(sockets[0]!)
      await eventually(() => text().includes("NOTIFY "))
      assert.include(headerValue(text(), "Via"), ` ${written(host)}:${portOf("tcp", written(host))};`)
    }
  })
})

describe("advertise", () => {
  const start = async (...entries: readonly string[]): Promise<void> => {
    server = await startServer({ listen: listening("::"), advertise: readAdvertise(entries) })
  }

  it.each(["udp", "tcp"] as const)(
    "says what to print in Contact and Via over %s; packets go as ever",
    async (name) => {
      await start(`${name}:[::]:0=203.0.113.7:15060`, "pbx.example.com")
      const port = portOf(name, "[::]")
      const { response, notify, command } = await exchange(name, "127.0.0.1", port)
      assert.strictEqual(headerValue(response, "Contact"), `<${uriOf("203.0.113.7", 15_060, name)}>`)
      assert.strictEqual(headerValue(notify, "Contact"), `<${uriOf("203.0.113.7", 15_060, name)}>`)
      assert.include(headerValue(notify, "Via"), " 203.0.113.7:15060;")
      // where it really came in
      assert.strictEqual(command.dialog.flow, `${name}:127.0.0.1:${port}`)
      // an address is for peers of its family, a name is for all, with the port that is listened on
      const other = await exchange(name, "::1", port)
      assert.strictEqual(headerValue(other.response, "Contact"), `<${uriOf("pbx.example.com", port, name)}>`)
      assert.include(headerValue(other.notify, "Via"), ` pbx.example.com:${port};`)
    },
  )

  it("the advertised host is served, and nothing is sent to it", async () => {
    await start("203.0.113.7:15060")
    const port = portOf("udp", "[::]")
    const peer = await peerAt("udp", "127.0.0.1", port)
    const ask = async (uri: string, contact: string): Promise<number> => {
      const before = peer.messages.length
      peer.send(
        requestText({
          method: "SUBSCRIBE",
          uri,
          headers: {
            Via: `SIP/2.0/UDP 127.0.0.1:${peer.port};branch=z9hG4bK-${Math.random()}`,
            Contact: contact,
            "Call-ID": `${Math.random()}`,
          },
        }),
      )
      await eventually(() => peer.messages.length > before)
      return statusOf(peer.messages[before]!)
    }
    const contact = `<sip:bob@127.0.0.1:${peer.port}>`
    assert.strictEqual(await ask("sip:alice@203.0.113.7", contact), 200)
    assert.strictEqual(await ask("sip:alice@203.0.113.8", contact), 404)
    assert.strictEqual(await ask("sip:alice@example.com", "<sip:bob@203.0.113.7:15060>"), 400)
    assert.strictEqual(await ask("sip:alice@example.com", "<sip:bob@203.0.113.7:15061>"), 200)
  })

  it("entries are read, and odd ones told", () => {
    const listens = ["udp:0.0.0.0:5060", "tls:[2001:db8::1]:5061"]
    const good = [
      "203.0.113.7",
      "203.0.113.7:15060",
      "[2001:db8::7]:5060",
      "[2001:db8::7]",
      "PBX.example.com",
      "udp:0.0.0.0:5060=pbx.example.com:15060",
      "tls:[2001:db8::1]:5061=[2001:db8::7]",
    ]
    const odd = [
      "",
      "0.0.0.0",
      "[::]",
      "203.0.113",
      "203.0.113.7:0",
      "203.0.113.7:70000",
      "2001:db8::7",
      "udp:203.0.113.7",
      "sctp:0.0.0.0:5060=pbx.example.com",
      "tcp:0.0.0.0:5060=pbx.example.com",
      "udp:0.0.0.0=pbx.example.com",
      "udp:0.0.0.0:5060=",
    ]
    assert.deepStrictEqual(advertiseFaults([...good, ...odd], listens), odd)
    const shown = makeAdvertisedFor(readAdvertise(good))!
    assert.deepStrictEqual(shown("tls", "2001:db8::1", 5_061, "2001:db8::9"), {
      host: "2001:db8::7",
      port: 5_060,
    })
    assert.isNull(makeAdvertisedFor([]))
  })
})
