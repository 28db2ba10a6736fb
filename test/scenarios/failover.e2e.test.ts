/**
 * Where a NOTIFY goes when things fail: over real sockets, with names from a real DNS server.
 */
import assert from "node:assert/strict"
import { afterAll, beforeAll, describe, it, onTestFinished } from "vitest"
import { digestResponse, ha1Of, parseCredentials } from "../../src/adapters/sip/digest.ts"
import type { Message } from "../../src/app/client/wire.ts"
import { userLine } from "../../src/app/config/users.ts"
import { holds } from "../support/condition.ts"
import { askedHere, startDnsServer } from "../support/dns-server.ts"
import type { DnsServer } from "../support/dns-server.ts"
import { openEdge, takes } from "../support/edge.ts"
import type { Edge, Manner } from "../support/edge.ts"
import { startPresence } from "../support/server.ts"
import type { PresenceServer } from "../support/server.ts"
import { answer, mint, openPhone, script } from "../support/sip-client.ts"
import type { Phone, Script, Transport } from "../support/sip-client.ts"
import { usersFile } from "../support/users.ts"

const document = (presentity: string, note: string): string =>
  `<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${presentity}"><tuple id="t1"><status><basic>open</basic></status><note>${note}</note></tuple></presence>`

const open = async (server: PresenceServer, transport: Transport): Promise<Phone> => {
  const phone = await openPhone(server, transport)
  onTestFinished(() => phone.close())
  return phone
}

const edge = async (...given: Parameters<typeof openEdge>): Promise<Edge> => {
  const opened = await openEdge(...given)
  onTestFinished(() => opened.close())
  return opened
}

/** A port of that transport at which nothing listens. */
const freePort = async (transport: "udp" | "tcp"): Promise<number> => {
  const opened = await openEdge(transport)
  opened.close()
  return opened.port
}

interface Scene {
  readonly presentity: string
  readonly call: Script
  readonly publish: (note: string) => Promise<void>
  /** What the management port says of that watcher and the last change. */
  readonly why: () => Promise<string>
}

const sceneOf = async (server: PresenceServer): Promise<Scene> => {
  const presentity = `sip:${mint("hops")}@example.com`
  const publisher = script(await open(server, "tcp"), { user: "alice", presentity })
  let etag: string | null = null
  return {
    presentity,
    call: script(await open(server, "udp"), { user: "bob", presentity }),
    publish: async (note) => {
      const match = etag === null ? {} : { "SIP-If-Match": etag }
      const response = await publisher.publish({ Expires: "3600", ...match }, document(presentity, note))
      assert.equal(response.raw.status, 200)
      etag = response.header("sip-etag")
    },
    why: async () => {
      const about = `${encodeURIComponent(presentity)}/why?watcher=${encodeURIComponent("sip:bob@example.com")}`
      return (await fetch(`${server.admin}/v1/presentities/${about}`)).text()
    },
  }
}

const metric = async (server: PresenceServer, line: string): Promise<number> => {
  const text = await (await fetch(`${server.admin}/metrics`)).text()
  return Number(
    text
      .split("\n")
      .find((candidate) => candidate.startsWith(`${line} `))
      ?.slice(line.length + 1) ?? 0,
  )
}

/** The edge has been sent that note. */
const hears = ({ taken }: Edge, note: string): Promise<unknown> =>
  holds(`${note.slice(0, 20)} in one of ${taken.length}`, () =>
    taken.some(({ raw }) => raw.body.includes(`<note>${note}</note>`)),
  )

let server: PresenceServer
let dns: DnsServer
let asBefore = (): void => {}
beforeAll(async () => {
  dns = await startDnsServer()
  asBefore = askedHere(dns)
  server = await startPresence({ admin: "127.0.0.1:0", failover_timeout: 1, policy: "open" })
})
afterAll(async () => {
  await server.stop()
  asBefore()
  await dns.close()
})

/** A name whose SRV records lead to these ports, in this order. */
const named = (transport: "udp" | "tcp", ...ports: readonly number[]): string => {
  const name = `${mint("edge").toLowerCase()}.example.org`
  dns.records.set(
    `_sip._${transport}.${name}`,
    ports.map((port, index) => ({ type: "SRV", priority: 10 * (index + 1), port, target: "localhost" })),
  )
  return name
}

describe("a host name that leads to several places", () => {
  const failures = {
    "cannot be reached": null,
    "answers 503": { status: "503 Service Unavailable" },
    "answers 503 with Retry-After": { status: "503 Service Unavailable", headers: { "Retry-After": "600" } },
    "says nothing": "silence",
    "closes the connection": "close",
  } as const

  const ways = {
    Contact: (name: string, transport: string) => ({ Contact: `<sip:bob@${name};transport=${transport}>` }),
    "Record-Route": (name: string, transport: string) => ({
      Contact: "<sip:bob@10.0.0.9>",
      "Record-Route": `<sip:${name};transport=${transport};lr>`,
    }),
    "a strict Record-Route": (name: string, transport: string) => ({
      Contact: "<sip:bob@10.0.0.9>",
      "Record-Route": `<sip:${name};transport=${transport}>`,
    }),
    "maddr of a Contact": (name: string, transport: string) => ({
      Contact: `<sip:bob@10.0.0.9;maddr=${name};transport=${transport}>`,
    }),
  }

  const table = (["udp", "tcp"] as const).flatMap((transport) =>
    (Object.keys(failures) as (keyof typeof failures)[])
      // UDP has no connections; that a port is closed is heard of by nobody who sends to many
      .filter((manner) => transport === "tcp" || !/reached|closes/.test(manner))
      .flatMap((manner) =>
        (Object.keys(ways) as (keyof typeof ways)[])
          .filter((way) => manner === "cannot be reached" || way === "Contact" || transport === "udp")
          .map((way) => [way, transport, manner] as const),
      ),
  )

  it.each(table)(
    "in %s, over %s, of which the first %s: the second is told, and the first is not tried again soon",
    { tags: ["3263-4.3-a"] },
    async (way, transport, manner) => {
      const { call, publish } = await sceneOf(server)
      const behaviour = failures[manner]
      const first = behaviour === null ? null : await edge(transport, behaviour)
      const second = await edge(transport)
      const name = named(transport, first?.port ?? (await freePort(transport)), second.port)
      const response = await call.subscribe({ ...ways[way](name, transport), Expires: "600" })
      assert.equal(response.raw.status, 200)
      await holds("the first NOTIFY", () => second.taken.length > 0)
      // the same request in a new transaction
      if (first !== null) {
        const [before] = first.taken
        const [after] = second.taken
        assert.equal(before!.raw.cseq, after!.raw.cseq)
        assert.equal(before!.raw.callId, after!.raw.callId)
        assert.notEqual(before!.raw.vias[0], after!.raw.vias[0])
      }
      const tries = first?.taken.length ?? 0
      await publish("news")
      await hears(second, "news")
      assert.equal(first?.taken.length ?? 0, tries)
      await server.settle?.()
      assert.equal((await call.subscribe({ Expires: "600", ...ways[way](name, transport) })).raw.status, 200)
    },
  )

  it(
    "NAPTR names the services; those of the next one follow when the first has failed",
    { tags: ["3263-4.3-a"] },
    async () => {
      const { call, publish } = await sceneOf(server)
      const overTcp = await edge("tcp")
      const name = `${mint("naptr").toLowerCase()}.example.org`
      dns.records.set(name, [
        { type: "NAPTR", order: 20, service: "SIP+D2T", replacement: `tcp.${name}` },
        { type: "NAPTR", order: 10, service: "SIP+D2U", replacement: `udp.${name}` },
      ])
      const silent = await edge("udp", "silence")
      dns.records.set(`udp.${name}`, [{ type: "SRV", priority: 1, port: silent.port, target: "localhost" }])
      dns.records.set(`tcp.${name}`, [{ type: "SRV", priority: 1, port: overTcp.port, target: "localhost" }])
      await call.subscribe({ Contact: `<sip:bob@${name}>`, Expires: "600" })
      await holds("it is told over TCP", () => overTcp.taken.length > 0)
      assert.equal(silent.taken.length, 1)
      assert.match(overTcp.taken[0]!.raw.vias[0]!, /^SIP\/2\.0\/TCP /)
      await publish("news")
      await hears(overTcp, "news")
    },
  )

  it(
    "a place that fails later gives way, and history and why tell what was tried",
    { tags: ["3263-4.3-a", "OPS-why-target"] },
    async () => {
      const { call, publish, why, presentity } = await sceneOf(server)
      const [first, second] = [await edge("tcp"), await edge("tcp")]
      const name = named("tcp", first.port, second.port)
      await call.subscribe({ Contact: `<sip:bob@${name};transport=tcp>`, Expires: "600" })
      await holds("the first NOTIFY", () => first.taken.length > 0)
      await publish("one")
      await hears(first, "one")
      const before = await metric(server, "presently_notify_failed_over_total")
      first.close()
      await publish("two")
      // where nobody has answered yet, the document follows the answer to a NOTIFY without it
      await hears(second, "two")
      await publish("three")
      await hears(second, "three")
      await server.settle?.()
      const told = await fetch(`${server.admin}/v1/presentities/${encodeURIComponent(presentity)}/history`)
      assert.match(await told.text(), new RegExp(`tcp:127\\.0\\.0\\.1:${first.port}`))
      assert.match(await why(), /was told of/)
      assert.ok((await metric(server, "presently_notify_failed_over_total")) >= before)
    },
  )

  it(
    "if all fail, history names each of them, and the phone is asked where its SUBSCRIBE came from",
    { tags: ["3263-4.3-a", "OPS-why-target"] },
    async () => {
      const { call, publish, presentity } = await sceneOf(server)
      const [first, second] = [await edge("tcp"), await edge("tcp")]
      await call.subscribe({
        Contact: `<sip:bob@${named("tcp", first.port, second.port)};transport=tcp>`,
        Expires: "600",
      })
      await holds("the first NOTIFY", () => first.taken.length > 0)
      first.close()
      second.manner = { status: "503 Service Unavailable" }
      await publish("one")
      const about = `${encodeURIComponent(presentity)}/history`
      await holds("both were tried, and then the address that the SUBSCRIBE came from", async () => {
        const told = await (await fetch(`${server.admin}/v1/presentities/${about}`)).text()
        return told.includes(
          `tcp:127.0.0.1:${second.port} answered 503, tcp:127.0.0.1:${first.port} could not be reached`,
        )
      })
      await call.notified({ state: "active", body: null })
      assert.equal((await call.subscribe({ Expires: "600" })).raw.status, 200)
    },
  )

  it(
    "one of them that asks for time is asked again then, whatever became of the others",
    { tags: ["3263-4.3-a", "3265-3.2.2-b"] },
    async () => {
      const { call, publish } = await sceneOf(server)
      const first = await edge("tcp")
      const name = named("tcp", first.port, await freePort("tcp"))
      await call.subscribe({ Contact: `<sip:bob@${name};transport=tcp>`, Expires: "600" })
      await holds("the first NOTIFY", () => first.taken.length > 0)
      await publish("none")
      await hears(first, "none")
      first.manner = { status: "503 Service Unavailable", headers: { "Retry-After": "1" } }
      await publish("one")
      await hears(first, "one")
      first.manner = takes
      await publish("two")
      await hears(first, "two")
      assert.equal((await call.subscribe({ Expires: "600" })).raw.status, 200)
    },
  )
})

describe("a document too large for a datagram", () => {
  it.each([
    ["closes each connection", "close"],
    ["takes connections and says nothing", "silence"],
  ] as const)("a phone that %s is told by UDP after all", { tags: ["3261-18.1.1-a"] }, async (_, manner) => {
    const { call, publish } = await sceneOf(server)
    const phone = await edge("udp")
    const beside = await edge("tcp", manner, { port: phone.port })
    await call.subscribe({ Contact: `<sip:bob@127.0.0.1:${phone.port}>`, Expires: "600" })
    await holds("the first NOTIFY", () => phone.taken.length > 0)
    await publish("b".repeat(3_000))
    await hears(phone, "b".repeat(3_000))
    assert.equal(beside.taken.length, 1)
    // and the next one at once
    await publish("c".repeat(3_000))
    await hears(phone, "c".repeat(3_000))
    assert.equal(beside.taken.length, 1)
    assert.equal((await call.subscribe({ Expires: "600" })).raw.status, 200)
  })

  it(
    "larger than a datagram can be: the subscription lives, and is told of the next change that fits",
    { tags: ["L37"] },
    async () => {
      const { call, publish, why, presentity } = await sceneOf(server)
      const phone = await edge("udp")
      const here = { Contact: `<sip:bob@127.0.0.1:${phone.port}>`, Expires: "600" }
      const response = await call.subscribe(here)
      assert.equal(response.raw.status, 200)
      await holds("the first NOTIFY", () => phone.taken.length > 0)
      await publish("a".repeat(40_000))
      await hears(phone, "a".repeat(40_000))
      const second = script(await open(server, "tcp"), { user: "alice", presentity })
      const published = await second.publish(
        { Expires: "3600" },
        document(presentity, "b".repeat(40_000)).replace("t1", "t2"),
      )
      assert.equal(published.raw.status, 200)
      await holds("it is on record", async () => /larger than a datagram can be/.test(await why()))
      assert.equal(await metric(server, 'presently_notify_outcomes_total{outcome="too_large"}'), 1)
      // a phone that takes connections hears of it
      const beside = await edge("tcp", takes, { port: phone.port })
      assert.equal((await call.subscribe(here)).raw.status, 200)
      await holds("it is told over TCP", () => beside.connections > 0)
      beside.close()
      await publish("c")
      await hears(phone, "c")
    },
  )
})

describe("answers to a NOTIFY that end nothing", () => {
  it.each([
    ["401 Unauthorized", { "WWW-Authenticate": 'Digest realm="phone", nonce="6b1f", algorithm=MD5' }],
    ["401 Unauthorized", {}],
    [
      "407 Proxy Authentication Required",
      { "Proxy-Authenticate": 'Digest realm="edge", nonce="6b1f", qop="auth"' },
    ],
    ["302 Moved Temporarily", { Contact: "<sip:bob@10.0.0.1>" }],
    ["301 Moved Permanently", {}],
    ["300 Multiple Choices", { Contact: ["<sip:bob@10.0.0.1>", "<sip:bob@10.0.0.2>"] }],
    ["380 Alternative Service", {}],
    ["413 Request Entity Too Large", {}],
    ["491 Request Pending", {}],
    ["500 Server Internal Error", { "Retry-After": "1" }],
    ["503 Service Unavailable", { "Retry-After": "1 (soon)" }],
    ["513 Message Too Large", {}],
  ] as const)("%s", { tags: ["3265-3.2.2-b", "3265-3.2.2-d", "5057-5.2-a"] }, async (status, headers) => {
    const { call, publish } = await sceneOf(server)
    const phone = await edge("udp")
    await call.subscribe({ Contact: `<sip:bob@127.0.0.1:${phone.port}>`, Expires: "600" })
    await holds("the first NOTIFY", () => phone.taken.length > 0)
    phone.manner = { status, headers }
    await publish("one")
    await hears(phone, "one")
    phone.manner = takes
    await server.settle?.()
    await publish("two")
    await hears(phone, "two")
    assert.equal((await call.subscribe({ Expires: "600" })).raw.status, 200)
  })
})

describe("a NOTIFY that is challenged in a realm for which there is an account", () => {
  /** What a proxy does that knows the password. */
  const guarded = (
    {
      status,
      challenge,
      answer: header,
    }: { readonly status: string; readonly challenge: string; readonly answer: string },
    algorithm: "MD5" | "SHA-256",
    password: string,
  ): ((request: Message) => Manner) => {
    const realm = "edge.example.org"
    return (request) => {
      const given = parseCredentials(request.header(header) ?? "")
      const headers = {
        [challenge]: `Digest realm="${realm}", nonce="n1", opaque="o", algorithm=${algorithm}, qop="auth,auth-int"`,
      }
      if (given === null) return { status, headers }
      const ha1 = ha1Of({ password }, given.username, realm, algorithm) ?? ""
      const isRight = given.uri === request.raw.uri && digestResponse(ha1, "NOTIFY", given) === given.response
      return isRight ? takes : { status, headers }
    }
  }
  const byPhone = { status: "401 Unauthorized", challenge: "WWW-Authenticate", answer: "Authorization" }
  const byProxy = {
    status: "407 Proxy Authentication Required",
    challenge: "Proxy-Authenticate",
    answer: "Proxy-Authorization",
  }

  const startPresenceWith = async (line: string): Promise<PresenceServer> => {
    const file = usersFile({ onTestFinished }, line)
    const started = await startPresence({ admin: "127.0.0.1:0", notify_credentials_file: file })
    onTestFinished(() => started.stop())
    return started
  }

  it.each([
    ["401, MD5", byPhone, "MD5"],
    ["401, SHA-256", byPhone, "SHA-256"],
    ["407, MD5", byProxy, "MD5"],
    ["407, SHA-256", byProxy, "SHA-256"],
  ] as const)(
    "is answered once, and the next ones carry credentials at once: %s",
    { tags: ["3261-22.2-a"] },
    async (_, how, algorithm) => {
      const started = await startPresenceWith(userLine("presently", "edge.example.org", "secret", algorithm))
      const { call, publish } = await sceneOf(started)
      const phone = await edge("udp", guarded(how, algorithm, "secret"))
      await call.subscribe({ Contact: `<sip:bob@127.0.0.1:${phone.port}>`, Expires: "600" })
      await holds("it is challenged and answered", () => phone.taken.length === 2)
      const [first, second] = phone.taken
      // RFC 3261 §22.2: a new request, with the next CSeq
      assert.equal(second!.raw.cseq, first!.raw.cseq + 1)
      await publish("one")
      await hears(phone, "one")
      assert.equal(phone.taken.length, 3)
      assert.match(phone.taken[2]!.header(how.answer) ?? "", /nc=00000002/)
      assert.match(phone.taken[2]!.header(how.answer) ?? "", /opaque="o"/)
    },
  )

  it(
    "credentials that are refused are not sent again and again, and the subscription lives",
    { tags: ["3261-22.2-a"] },
    async () => {
      const started = await startPresenceWith(userLine("presently", "edge.example.org", "wrong", "MD5"))
      const { call, publish } = await sceneOf(started)
      const phone = await edge("udp", guarded(byPhone, "MD5", "secret"))
      const here = { Contact: `<sip:bob@127.0.0.1:${phone.port}>`, Expires: "600" }
      await call.subscribe(here)
      await holds("it is challenged and answered", () => phone.taken.length === 2)
      await started.settle?.()
      assert.equal(phone.taken.length, 2)
      phone.manner = takes
      await publish("one")
      await hears(phone, "one")
      assert.equal((await call.subscribe(here)).raw.status, 200)
    },
  )
})

describe("a transport that is not served", () => {
  it.each(["tls", "ws", "wss", "sctp", "TLS"])(
    "transport=%s in the Contact of a refresh is refused, and the dialog stays as it was",
    { tags: ["6665-4.2.1.2-a"] },
    async (transport) => {
      const { call, publish } = await sceneOf(server)
      await call.subscribe({ Expires: "600" })
      await call.notified({ state: "active" })
      const contact = `<sip:bob@127.0.0.1:5061;transport=${transport}>`
      const refused = await call.ask("SUBSCRIBE", { Contact: contact, Expires: "600" })
      assert.equal(refused.raw.status, 400)
      await publish("one")
      const notify = await call.notify()
      assert.match(notify.raw.body.toString("utf8"), /one/)
      answer(await open(server, "udp"), notify)
    },
  )
})
