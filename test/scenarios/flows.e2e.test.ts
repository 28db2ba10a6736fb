/**
 * NOTIFYs reach phones behind NATs, and phones that lose connections: over real sockets, with Contacts that lead nowhere.
 *
 * A NAT is played by what it leaves: a request comes from another address than its Contact names. Loopback has many.
 */
import assert from "node:assert/strict"
import { afterAll, beforeAll, describe, it, onTestFinished } from "vitest"
import { holds } from "../support/condition.ts"
import { sharedPostgres } from "../support/postgres.ts"
import { phoneClosed, phoneOpen } from "../support/scene.ts"
import { startPresence } from "../support/server.ts"
import type { PresenceServer } from "../support/server.ts"
import { answer, mint, openPhone, script } from "../support/sip-client.ts"
import type { Headers, Phone, Script, Transport } from "../support/sip-client.ts"

/** Nothing listens there, over either transport. */
const nowhere = (user = "bob", more = ""): string => `<sip:${user}@127.0.0.77:9${more}>`
const unreachable: Headers = { Contact: nowhere(), Expires: "600" }

const open = async (server: PresenceServer, transport: Transport, own?: string): Promise<Phone> => {
  const phone = await openPhone(server, transport, own === undefined ? {} : { own })
  const end = phone.close
  let isOpen = true
  const close = (): void => {
    if (isOpen) end()
    isOpen = false
  }
  onTestFinished(close)
  return Object.assign(phone, { close })
}

/** The next NOTIFY of the call shows that state. */
const told = async (call: Script, basic: "open" | "closed"): Promise<void> => {
  const notify = await call.notified({ state: "active" })
  assert.match(notify.raw.body.toString("utf8"), new RegExp(`<basic>${basic}</basic>`))
}

/** The same dialog, spoken by another socket. */
const movedTo = (call: Script, phone: Phone, presentity: string): Script => {
  const { callId, fromTag, toTag, cseq, target, notifyCseq } = call
  return Object.assign(script(phone, { user: "bob", presentity }), {
    callId,
    fromTag,
    toTag,
    cseq,
    target,
    notifyCseq,
  })
}

const publisherOf = async (
  server: PresenceServer,
  presentity: string,
): Promise<(body: string) => Promise<void>> => {
  const publisher = script(await open(server, "udp"), { user: "alice", presentity })
  let etag: string | null = null
  return async (body) => {
    const headers = etag === null ? {} : { "SIP-If-Match": etag }
    const response = await publisher.publish({ Expires: "3600", ...headers }, body)
    assert.equal(response.raw.status, 200)
    etag = response.header("sip-etag")
  }
}

const failedOutcomes = async (server: PresenceServer): Promise<ReadonlyMap<string, number>> => {
  const text = await (await fetch(`${server.admin}/metrics`)).text()
  const found = text.matchAll(/^presently_notify_outcomes_total\{outcome="(\w+)"\} (\d+)$/gm)
  return new Map([...found].map(([, name = "", value = ""]) => [name, Number(value)]))
}

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

describe("a flow is a property of the newest request", () => {
  let server: PresenceServer
  beforeAll(async () => {
    server = await startPresence({ admin: "127.0.0.1:0" })
  })
  afterAll(() => server.stop())

  it.each([
    ["TCP", "tcp", "another connection", "tcp"],
    ["UDP", "udp", "a connection", "tcp"],
    ["TCP", "tcp", "a datagram", "udp"],
    ["UDP", "udp", "another port, as after a NAT has forgotten the first", "udp"],
  ] as const)(
    "begun over %s, refreshed, fed and ended over %s: %s",
    { tags: ["6665-4.2.1.2-a"] },
    async (_, first, __, second) => {
      const presentity = `sip:${mint("flow")}@example.com`
      const publish = await publisherOf(server, presentity)
      const one = await open(server, first)
      const call = script(one, { user: "bob", presentity })
      assert.equal((await call.subscribe(unreachable)).raw.status, 200)
      await call.notified({ state: "active", body: null })
      one.close()
      const again = movedTo(call, await open(server, second), presentity)
      assert.equal((await again.subscribe(unreachable)).raw.status, 200)
      const notify = await again.notified({ state: "active", body: null })
      // our Contact is that of the way by which it now goes
      assert.equal(/transport=tcp/.test(notify.header("contact") ?? ""), second === "tcp")
      await publish(phoneOpen)
      await told(again, "open")
      const last = movedTo(again, await open(server, second), presentity)
      assert.equal((await last.subscribe({ ...unreachable, Expires: "0" })).raw.status, 200)
      await last.notified({ state: "terminated;reason=timeout" })
    },
  )

  it("a second subscription in the dialog, asked for from elsewhere, moves both", async () => {
    const presentity = `sip:${mint("flow")}@example.com`
    const publish = await publisherOf(server, presentity)
    const call = script(await open(server, "udp"), { user: "bob", presentity })
    await call.subscribe(unreachable)
    await call.notified({ state: "active" })
    const other = await open(server, "udp")
    const again = movedTo(call, other, presentity)
    assert.equal((await again.subscribe({ ...unreachable, Event: "presence;id=2" })).raw.status, 200)
    const notify = await again.notify()
    assert.equal(notify.header("event"), "presence;id=2")
    answer(other, notify)
    await publish(phoneOpen)
    for (let count = 0; count < 2; count++) answer(other, await again.notify())
  })

  it("a lost connection ends nothing: the phone is told when it is heard of again, and of nothing old", async () => {
    const presentity = `sip:${mint("flow")}@example.com`
    const publish = await publisherOf(server, presentity)
    const one = await open(server, "tcp")
    const call = script(one, { user: "bob", presentity })
    await call.subscribe(unreachable)
    await call.notified({ state: "active" })
    const before = await failedOutcomes(server)
    one.close()
    await publish(phoneOpen)
    await publish(phoneClosed)
    await server.settle?.()
    await holds("both are known to be lost", async () => {
      const lost = (await failedOutcomes(server)).get("flow_lost") ?? 0
      return lost >= (before.get("flow_lost") ?? 0) + 2
    })
    assert.equal((await failedOutcomes(server)).get("unreachable"), before.get("unreachable"))
    const again = movedTo(call, await open(server, "tcp"), presentity)
    again.notifyCseq = null
    assert.equal((await again.subscribe(unreachable)).raw.status, 200)
    await told(again, "closed")
    await publish(phoneOpen)
    await told(again, "open")
  })

  it("a Contact that can be connected to takes over from a connection that was closed", async () => {
    const presentity = `sip:${mint("flow")}@example.com`
    const publish = await publisherOf(server, presentity)
    const { createServer } = await import("node:net")
    const received: string[] = []
    const listening = createServer((socket) => {
      socket.on("error", () => {})
      socket.on("data", (bytes) => received.push(bytes.toString("latin1")))
    })
    await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve))
    onTestFinished(() => void listening.close())
    const { port } = listening.address() as { readonly port: number }
    const one = await open(server, "tcp")
    const call = script(one, { user: "bob", presentity })
    await call.subscribe({ Contact: `<sip:bob@127.0.0.1:${port};transport=tcp>`, Expires: "600" })
    await call.notified({ state: "active" })
    one.close()
    await publish(phoneOpen)
    await holds("the Contact is sent it", () => received.join("").includes(`Call-ID: ${call.callId}`))
  })
})

describe("where NOTIFYs go over UDP", () => {
  let server: PresenceServer
  const servers: PresenceServer[] = []
  const started = async (settings: Parameters<typeof startPresence>[0]): Promise<PresenceServer> => {
    const presence = await startPresence(settings)
    servers.push(presence)
    return presence
  }
  beforeAll(async () => {
    server = await started({})
  })
  afterAll(async () => {
    for (const presence of servers) await presence.stop()
  })

  /** Who hears the NOTIFY of a SUBSCRIBE: the phone that sent it, or whoever is at its Contact. */
  const heardBy = async (
    presence: PresenceServer,
    contactOf: (other: string) => string,
    { own = "127.0.0.1", there = "127.0.0.5" }: { readonly own?: string; readonly there?: string } = {},
  ): Promise<"source" | "contact"> => {
    const [phone, other] = [await open(presence, "udp", own), await open(presence, "udp", there)]
    const call = script(phone, { user: "bob", presentity: `sip:${mint("to")}@example.com` })
    const response = await call.subscribe({ Contact: contactOf(other.address), Expires: "600" })
    assert.equal(response.raw.status, 200)
    const isIt = ({
      raw,
    }: {
      readonly raw: { readonly isRequest: boolean; readonly callId: string }
    }): boolean => raw.isRequest && raw.callId === call.callId
    const first = await Promise.race([
      phone.next(isIt).then(() => "source" as const),
      other.next(isIt).then(() => "contact" as const),
    ])
    return first
  }

  it.each([
    ["private, and not the source", (at: string) => `<sip:bob@${at}>`, {}, "source"],
    ["at the source, another port", (at: string) => `<sip:bob@${at}>`, { there: "127.0.0.1" }, "contact"],
    ["the same with ob", (at: string) => `<sip:bob@${at};ob>`, { there: "127.0.0.1" }, "source"],
    [
      "the same with reg-id",
      (at: string) => `<sip:bob@${at}>;reg-id=1;+sip.instance="<urn:uuid:1>"`,
      { there: "127.0.0.1" },
      "source",
    ],
    ["in a domain that does not exist", () => "<sip:x7@df7jal23ls0d.invalid;transport=udp>", {}, "source"],
  ] as const)("a Contact %s", { tags: ["3261-12.2.1.1-a"] }, async (_, contactOf, where, expected) => {
    assert.equal(await heardBy(server, contactOf, where), expected)
  })

  it("the setting notify_to, for all and by network", { tags: ["OPS-notify_to"] }, async () => {
    const plain = (at: string): string => `<sip:bob@${at}>`
    const contact = await started({ notify_to: ["contact"] })
    assert.equal(await heardBy(contact, plain), "contact")
    assert.equal(await heardBy(contact, (at) => `<sip:bob@${at};ob>`), "contact")
    const source = await started({ notify_to: ["source"] })
    assert.equal(await heardBy(source, plain, { there: "127.0.0.1" }), "source")
    const mixed = await started({ notify_to: ["127.0.0.2/32=contact", "127.0.0.3/32=source", "auto"] })
    assert.equal(await heardBy(mixed, plain, { own: "127.0.0.2" }), "contact")
    assert.equal(await heardBy(mixed, plain, { own: "127.0.0.3", there: "127.0.0.3" }), "source")
    assert.equal(await heardBy(mixed, plain, { own: "127.0.0.4", there: "127.0.0.4" }), "contact")
  })

  it("a Contact that is refused, and never answered, gives way to the source", async () => {
    const phone = await open(server, "udp")
    const presentity = `sip:${mint("to")}@example.com`
    const publish = await publisherOf(server, presentity)
    await publish(phoneOpen)
    const call = script(phone, { user: "bob", presentity })
    // a name that no resolver knows: no answer is awaited
    const contact = "<sip:bob@nobody-is-there.example.invalid.test:5060>"
    assert.equal((await call.subscribe({ Contact: contact, Expires: "600" })).raw.status, 200)
    // nobody has answered there: the first shows nothing, and the answer brings the document
    await call.notified({ state: "active", body: null })
    await told(call, "open")
    await publish(phoneClosed)
    await told(call, "closed")
    // a refresh with the same Contact does not ask there again
    assert.equal((await call.subscribe({ Contact: contact, Expires: "600" })).raw.status, 200)
    await told(call, "closed")
  })

  it("an alias beside the Contact is taken off, where it is where the packet came from", async () => {
    const phone = await open(server, "udp")
    const [host, port] = phone.address.split(":")
    const call = script(phone, { user: "bob", presentity: `sip:${mint("to")}@example.com` })
    await call.subscribe({ Contact: `<sip:bob@127.0.0.77:9;alias=${host}~${port}~1;line=x>`, Expires: "600" })
    assert.equal((await call.notified({ state: "active" })).raw.uri, "sip:bob@127.0.0.77:9;line=x")
  })
})

describe("what keeps the way to a phone open", () => {
  it("an operator sees in why where a NOTIFY went, and why there", { tags: ["OPS-why-target"] }, async () => {
    const server = await startPresence({ admin: "127.0.0.1:0" })
    onTestFinished(() => server.stop())
    const presentity = `sip:${mint("why")}@example.com`
    const publish = await publisherOf(server, presentity)
    const phone = await open(server, "udp")
    const call = script(phone, { user: "bob", presentity })
    await call.subscribe(unreachable)
    await call.notified({ state: "active" })
    await publish(phoneOpen)
    await told(call, "open")
    const asked = `${server.admin}/v1/presentities/${encodeURIComponent(presentity)}/why?watcher=${encodeURIComponent("sip:bob@example.com")}`
    const answered = (await (await fetch(asked)).json()) as { readonly facts?: readonly string[] }
    const facts = JSON.stringify(answered)
    assert.match(
      facts,
      /target {4}127\.0\.0\.1:\d+ \(udp\): reached where it was heard from: its Contact is a private address/,
    )
  })

  it(
    "two hundred phones behind one address, each with a connection, all hear",
    { tags: ["OPS-connections_per_source_max"] },
    async () => {
      const server = await startPresence({})
      onTestFinished(() => server.stop())
      const presentity = `sip:${mint("many")}@example.com`
      const publish = await publisherOf(server, presentity)
      const calls = await Promise.all(
        Array.from({ length: 200 }, async () => {
          const phone = await open(server, "tcp")
          const call = script(phone, { user: mint("w"), presentity })
          assert.equal((await call.subscribe({ Contact: nowhere(), Expires: "600" })).raw.status, 200)
          await call.notified({ state: "active" })
          return call
        }),
      )
      await publish(phoneOpen)
      await Promise.all(calls.map((call) => told(call, "open")))
    },
  )

  it.skipIf(cluster === null)(
    "after a restart a subscription lives on without its connection, until it is refreshed or expires",
    async () => {
      const settings = { memory: false, database_url: cluster!.database(), admin: "127.0.0.1:0" }
      let server = await startPresence(settings)
      const presentity = `sip:${mint("restart")}@example.com`
      const call = script(await open(server, "tcp"), { user: "bob", presentity })
      assert.equal((await call.subscribe(unreachable)).raw.status, 200)
      await call.notified({ state: "active" })
      await server.settle?.()
      await server.stop()
      server = await startPresence(settings)
      onTestFinished(() => server.stop())
      const publish = await publisherOf(server, presentity)
      await publish(phoneOpen)
      await holds(
        "it is known to be lost",
        async () => ((await failedOutcomes(server)).get("flow_lost") ?? 0) > 0,
      )
      const again = movedTo(call, await open(server, "tcp"), presentity)
      again.notifyCseq = null
      assert.equal((await again.subscribe(unreachable)).raw.status, 200)
      await told(again, "open")
      await publish(phoneClosed)
      await told(again, "closed")
    },
  )
})
