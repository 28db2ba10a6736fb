import { Effect, Exit, Scope } from "effect"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { make } from "../../../src/adapters/sip/stack.ts"
import { udp } from "../../../src/adapters/sip/transports/udp.ts"
import type { Answer, Subscribe } from "../../../src/domain/presentity/commands.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import type { Request } from "../../../src/ports/sip-transport.ts"
import { notifyOf } from "../../support/notify.ts"
import { headerValue, headerValues, requestText, statusOf } from "../../support/sip-messages.ts"
import {
  acceptRequest,
  answerTo,
  eventually,
  pause,
  startServer,
  tcpListener,
  tcpPeer,
  udpPeer,
} from "../../support/sip-peer.ts"
import type { TestServer, UdpPeer } from "../../support/sip-peer.ts"

let server: TestServer
let peer: UdpPeer

const quickTimers = { t1Ms: 50, t2Ms: 200, transactionMs: 800 }

const via = (branch: string): string => `SIP/2.0/UDP 127.0.0.1:${peer.port};branch=${branch};rport`

/** Subscribes over UDP, with the peer as Contact, and returns the dialog the core got. */
const subscribe = async (contact = `<sip:bob@127.0.0.1:${peer.port}>`, headers = {}): Promise<Subscribe> => {
  peer.send(requestText({ method: "SUBSCRIBE", headers: { Contact: contact, ...headers } }))
  assert.strictEqual(statusOf(await peer.next()), 200)
  return server.requests.at(-1)!.command as Subscribe
}

let cseq = 0

const notifyIn = (command: Subscribe, changes: Partial<Notify> = {}): Notify =>
  notifyOf(command, { presentity: server.requests.at(-1)!.presentity!, cseq: ++cseq, ...changes })

const bigBody = { contentType: "application/pidf+xml", text: "x".repeat(2_000) }

const outcomeTags = (): readonly string[] => server.outcomes.map(({ outcome }) => outcome._tag)

beforeEach(async () => {
  server = await startServer({ timers: quickTimers })
  peer = await udpPeer(server.port)
})

afterEach(async () => {
  peer.close()
  await server.close()
})

describe("requests over UDP", () => {
  it(
    "a response copies Via in order, From, Call-ID and CSeq, and tags To",
    { tags: ["3261-8.2.6.2-a"] },
    async () => {
      const vias = [
        via("z9hG4bK-a"),
        "SIP/2.0/UDP p.example.com;branch=z9hG4bK-b, SIP/2.0/TCP q.example.com;branch=z9hG4bK-c",
      ]
      const text = requestText({ method: "PUBLISH", body: "<a/>", headers: { Via: vias } })
      peer.send(text)
      const response = await peer.next()
      assert.strictEqual(statusOf(response), 200)
      assert.deepStrictEqual(headerValues(response, "Via"), [
        `SIP/2.0/UDP 127.0.0.1:${peer.port};branch=z9hG4bK-a;rport=${peer.port};received=127.0.0.1`,
        vias[1]!,
      ])
      for (const name of ["From", "Call-ID", "CSeq"])
        assert.strictEqual(headerValue(response, name), headerValue(text, name))
      assert.match(headerValue(response, "To")!, /^<sip:alice@example.com>;tag=[0-9a-f]{32}$/u)
      assert.deepStrictEqual(
        [headerValue(response, "SIP-ETag"), headerValue(response, "Expires")],
        ["tag-1", "3600"],
      )
      assert.strictEqual(
        server.requests[0]!.origin,
        `udp:127.0.0.1:${peer.port} ${headerValue(text, "Call-ID")} 1`,
      )
    },
  )

  it(
    "a retransmission is answered with the same bytes and does not reach the core",
    { tags: ["L14"] },
    async () => {
      const text = requestText({ method: "SUBSCRIBE" })
      for (let copy = 0; copy < 3; copy++) peer.send(text)
      await eventually(() => peer.messages.length === 3)
      assert.strictEqual(new Set(peer.messages).size, 1)
      assert.strictEqual(server.requests.length, 1)
    },
  )

  it(
    "while the core has not answered, copies are absorbed; a 100 comes late, and the answer once",
    { tags: ["L14"] },
    async () => {
      let answer: (answer: Answer) => void = () => {}
      server.respond = (request: Request) => {
        answer = request.answer
      }
      const text = requestText({ method: "PUBLISH", body: "<a/>" })
      peer.send(text)
      peer.send(text)
      await eventually(() => peer.messages.length === 1)
      assert.strictEqual(statusOf(peer.messages[0]!), 100)
      const done: Answer = {
        _tag: "Accepted",
        reply: { _tag: "Published", entityTag: "t" as never, expires: 1 },
      }
      answer(done)
      answer(done)
      await pause(50)
      assert.deepStrictEqual(peer.messages.map(statusOf), [100, 200])
      assert.strictEqual(server.requests.length, 1)
    },
  )

  it("a merged copy gets 482 and does not reach the core", { tags: ["3261-8.2.2.2-a"] }, async () => {
    const text = requestText({ method: "PUBLISH", body: "<a/>", headers: { Via: via("z9hG4bK-1") } })
    peer.send(text)
    await peer.next()
    peer.send(text.replace("z9hG4bK-1", "z9hG4bK-2"))
    assert.strictEqual(statusOf(await peer.next()), 482)
    assert.strictEqual(server.requests.length, 1)
  })

  it(
    "the 200 to SUBSCRIBE has Contact, Expires, Allow-Events and Record-Route as it came",
    { tags: ["3261-12.1.1-a"] },
    async () => {
      const route = `<sip:127.0.0.1:${peer.port};lr>, <sip:p2.example.com;lr>`
      peer.send(requestText({ method: "SUBSCRIBE", headers: { "Record-Route": route } }))
      const response = await peer.next()
      assert.strictEqual(headerValue(response, "Contact"), `<sip:presence@127.0.0.1:${server.port}>`)
      assert.strictEqual(headerValue(response, "Record-Route"), route)
      assert.strictEqual(headerValue(response, "Allow-Events"), "presence, presence.winfo")
      const { dialog } = server.requests[0]!.command as Subscribe
      assert.strictEqual(headerValue(response, "To"), `<sip:alice@example.com>;tag=${dialog.localTag}`)
      assert.strictEqual(dialog.flow, `udp:127.0.0.1:${server.port}`)
    },
  )

  it("an ACK gets no answer, a CANCEL 481 or 200", { tags: ["3261-17.1.1.3-a"] }, async () => {
    peer.send(requestText({ method: "ACK" }))
    peer.send(requestText({ method: "CANCEL" }))
    assert.strictEqual(statusOf(await peer.next()), 481)
    const text = requestText({ method: "PUBLISH", body: "<a/>", headers: { Via: via("z9hG4bK-c1") } })
    peer.send(text)
    await peer.next()
    peer.send(requestText({ method: "CANCEL", headers: { Via: via("z9hG4bK-c1") } }))
    assert.strictEqual(statusOf(await peer.next()), 200)
  })

  it.each([
    [{ _tag: "IntervalTooBrief", status: 423, minExpires: 60 }, "Min-Expires: 60"],
    [{ _tag: "BadEvent", status: 489, allowEvents: "presence" }, "Allow-Events: presence"],
    [{ _tag: "NotAcceptable", status: 406, accept: ["a/b", "c/d"] }, "Accept: a/b, c/d"],
    [{ _tag: "UnsupportedMediaType", status: 415, accept: [] }, "Accept: "],
    [{ _tag: "UnsupportedEncoding", status: 415, acceptEncoding: ["identity"] }, "Accept-Encoding: identity"],
    [{ _tag: "ServiceUnavailable", status: 503, why: "full", retryAfter: 7 }, "Retry-After: 7"],
    [
      { _tag: "BadRequest", status: 400, why: "not\r\nInjected: well-formed" },
      "SIP/2.0 400 not  Injected: well-formed",
    ],
    [{ _tag: "OutOfOrder", status: 500 }, "SIP/2.0 500 Request Out Of Order"],
    [{ _tag: "ConditionalRequestFailed", status: 412 }, "SIP/2.0 412 Conditional Request Failed"],
  ] as const)("a rejection %j has its header", { tags: ["3261-21.4.17-a"] }, async (rejection, line) => {
    server.respond = ({ answer }) => answer({ _tag: "Rejected", rejection: rejection as never })
    peer.send(requestText({ method: "PUBLISH", body: "<a/>" }))
    assert.include((await peer.next()).split("\r\n"), line)
  })

  it(
    "new work is turned away with 503, what keeps or ends state passes",
    { tags: ["OPS-overload"] },
    async () => {
      await server.close()
      server = await startServer({}, { overload: () => ({ retryAfter: 9 }) })
      peer.close()
      peer = await udpPeer(server.port)
      peer.send(requestText({ method: "SUBSCRIBE" }))
      const refused = await peer.next()
      assert.deepStrictEqual([statusOf(refused), headerValue(refused, "Retry-After")], [503, "9"])
      peer.send(requestText({ method: "SUBSCRIBE", headers: { To: "<sip:alice@example.com>;tag=x" } }))
      assert.strictEqual(statusOf(await peer.next()), 200)
      peer.send(requestText({ method: "PUBLISH", headers: { "SIP-If-Match": "x" } }))
      assert.strictEqual(statusOf(await peer.next()), 200)
      assert.strictEqual(server.sip.counters.refusedOverload, 1)
    },
  )

  it(
    "REGISTER echoes every binding with its parameters and expiry, and forgets on request",
    { tags: ["OPS-registrar"] },
    async () => {
      const register = async (headers: Record<string, string | null>): Promise<string> => {
        peer.send(requestText({ method: "REGISTER", uri: "sip:example.com", headers }))
        return peer.next()
      }
      const one = '<sip:a@127.0.0.1:1>;+sip.instance="<urn:uuid:1;expires=5>";expires=120'
      const first = await register({ Contact: `${one}, <sip:b@127.0.0.1:2>`, Expires: "600" })
      assert.deepStrictEqual(headerValues(first, "Contact"), [
        '<sip:a@127.0.0.1:1>;+sip.instance="<urn:uuid:1;expires=5>";expires=120',
        "<sip:b@127.0.0.1:2>;expires=600",
      ])
      assert.lengthOf(headerValues(await register({}), "Contact"), 2)
      assert.lengthOf(
        headerValues(await register({ Contact: "<sip:a@127.0.0.1:1>", Expires: "0" }), "Contact"),
        1,
      )
      assert.strictEqual(statusOf(await register({ Contact: "*" })), 400)
      const last = await register({ Contact: "*", Expires: "0" })
      assert.deepStrictEqual([statusOf(last), headerValues(last, "Contact").length], [200, 0])
    },
  )

  it(
    "without credentials every PUBLISH and SUBSCRIBE is challenged, the same request with the same tag",
    { tags: ["8760-2.6-a"] },
    async () => {
      await server.close()
      server = await startServer({
        auth: { realm: "example.com", lookup: () => null, nonceKey: "0123456789abcdef" },
      })
      peer.close()
      peer = await udpPeer(server.port)
      for (const method of ["PUBLISH", "SUBSCRIBE", "REGISTER"]) {
        const text = requestText({ method })
        peer.send(text)
        peer.send(text)
        const [first, second] = [await peer.next(), await peer.next()]
        assert.strictEqual(statusOf(first), 401)
        assert.strictEqual(headerValue(first, "To"), headerValue(second, "To"))
        assert.include(headerValue(first, "WWW-Authenticate")!, "algorithm=SHA-256")
      }
      assert.strictEqual(server.sip.counters.serverTransactions, 0)
    },
  )
})

describe("NOTIFY over UDP", () => {
  it(
    "a NOTIFY that is answered 200 is accepted, with the Contact of the 200",
    { tags: ["3265-3.2.2-a"] },
    async () => {
      const command = await subscribe()
      server.sip.notify([notifyIn(command)])
      const notify = await peer.next()
      assert.strictEqual(headerValue(notify, "Via")!.split(";")[0], `SIP/2.0/UDP 127.0.0.1:${server.port}`)
      const contact = `sip:robert@127.0.0.1:${peer.port};x=y`
      peer.send(answerTo(notify, "200 OK", `Contact: <${contact}>\r\n`))
      peer.send(answerTo(notify))
      await eventually(() => server.outcomes.length === 1)
      await pause(30)
      assert.deepStrictEqual(server.outcomes, [
        { cseq, outcome: { _tag: "Accepted", remoteTarget: contact } },
      ])
    },
  )

  it(
    "the Contact of a 200 to NOTIFY does not move the target to where nobody has answered",
    { tags: ["C2"] },
    async () => {
      const command = await subscribe()
      const elsewhere = [
        "sip:bob@127.0.0.1:7777",
        "sip:bob@127.0.0.9",
        `sip:bob@127.0.0.1:${peer.port};transport=tcp`,
        `sip:bob@127.0.0.1:${peer.port};maddr=127.0.0.9`,
        "sip:bob@victim.example",
      ]
      for (const contact of elsewhere) {
        server.sip.notify([notifyIn(command)])
        peer.send(answerTo(await peer.next(), "200 OK", `Contact: <${contact}>\r\n`))
      }
      await eventually(() => server.outcomes.length === elsewhere.length)
      for (const { outcome } of server.outcomes)
        assert.deepStrictEqual(outcome, { _tag: "Accepted", remoteTarget: null })
      assert.strictEqual(server.sip.counters.targetsKept, elsewhere.length)
    },
  )

  it(
    "an own address is no Contact, however it is written, and a name that leads to it is not followed",
    { tags: ["C2"] },
    async () => {
      await server.close()
      server = await startServer({
        resolver: {
          resolve: async () => [{ transport: udp, address: "::ffff:127.0.0.1", port: server.port }],
        },
      })
      peer.close()
      peer = await udpPeer(server.port)
      const own = ["127.0.0.1", "[::ffff:127.0.0.1]", "[::FFFF:7f00:1]", "[0:0::ffff:127.0.0.1]"]
      for (const host of [...own, ...own.map((one) => `192.0.2.1;maddr=${one}`)]) {
        const [address, ...parameters] = host.split(";")
        const contact = `<sip:bob@${[`${address}:${server.port}`, ...parameters].join(";")}>`
        peer.send(requestText({ method: "SUBSCRIBE", headers: { Contact: contact } }))
        assert.strictEqual(statusOf(await peer.next()), 400, contact)
        // nor does a 200 to a NOTIFY make it one
        const before = server.outcomes.length
        server.sip.notify([notifyIn(await subscribe())])
        peer.send(answerTo(await peer.next(), "200 OK", `Contact: ${contact}\r\n`))
        await eventually(() => server.outcomes.length > before)
        assert.deepStrictEqual(server.outcomes.at(-1)?.outcome, { _tag: "Accepted", remoteTarget: null })
      }
      const sent = server.sip.counters.notifySent
      const ended = server.outcomes.length
      server.sip.notify([notifyIn(await subscribe("<sip:bob@ourselves.example.net>"))])
      await eventually(() => server.outcomes.length > ended)
      assert.strictEqual(outcomeTags().at(-1), "Unreachable")
      assert.strictEqual(server.sip.counters.notifySent, sent)
    },
  )

  it("however often an address is written otherwise, three packets go there", { tags: ["C2"] }, async () => {
    const spellings = [
      "127.0.0.9",
      "[::ffff:127.0.0.9]",
      "[::ffff:7f00:9]",
      "[0::ffff:127.0.0.9]",
      "[0000:0:0::FFFF:7F00:0009]",
      "192.0.2.1;maddr=127.0.0.9",
      "192.0.2.1;maddr=[::ffff:127.0.0.9]",
    ]
    const commands: Subscribe[] = []
    for (const host of spellings)
      for (let copy = 0; copy < 3; copy++) {
        const [address, ...parameters] = host.split(";")
        commands.push(await subscribe(`<sip:bob@${[`${address}:7777`, ...parameters].join(";")}>`))
      }
    const proof = { _tag: "Unproven", room: 0, since: 0 } as const
    server.sip.notify(commands.map((command) => notifyIn(command, { proof })))
    await eventually(() => server.sip.counters.unprovenWaiting === commands.length - 3)
    assert.strictEqual(server.sip.counters.notifySent, 3)
  })

  it(
    "a refusal is reported with its status and Retry-After; a challenge is a refusal",
    { tags: ["3265-3.2.2-a"] },
    async () => {
      const command = await subscribe()
      for (const [status, extra] of [
        ["481 Gone", ""],
        ["503 Busy", "Retry-After: 30 (later)\r\n"],
        ["401 Who", 'WWW-Authenticate: Digest realm="x", nonce="y"\r\n'],
      ]) {
        server.sip.notify([notifyIn(command)])
        peer.send(answerTo(await peer.next(), status, extra))
      }
      await eventually(() => server.outcomes.length === 3)
      assert.deepStrictEqual(
        server.outcomes.map(({ outcome }) => outcome),
        [
          { _tag: "Refused", status: 481, retryAfter: null },
          { _tag: "Refused", status: 503, retryAfter: 30 },
          { _tag: "Refused", status: 401, retryAfter: null },
        ],
      )
      await pause(30)
      assert.isFalse(peer.messages.some((text) => text.includes("Authorization")))
    },
  )

  it("towards a silent watcher it is resent, and times out", { tags: ["3261-17.1.2.2-a"] }, async () => {
    server.sip.notify([notifyIn(await subscribe())])
    await eventually(() => server.outcomes.length === 1)
    assert.deepStrictEqual(outcomeTags(), ["TimedOut"])
    const copies = peer.messages.filter((text) => text.startsWith("NOTIFY"))
    assert.isAtLeast(copies.length, 4)
    assert.strictEqual(new Set(copies).size, 1)
  })

  it("a big NOTIFY goes over TCP when the watcher listens there", { tags: ["3261-18.1.1-a"] }, async () => {
    let listener = await tcpListener(peer.port)
    while (listener === null) {
      peer.close()
      peer = await udpPeer(server.port)
      listener = await tcpListener(peer.port)
    }
    const { peers } = listener
    server.sip.notify([notifyIn(await subscribe(), { body: bigBody })])
    await eventually(() => peers[0]?.text().includes("x".repeat(2_000)) ?? false)
    const notify = peers[0]!.text()
    assert.isTrue(headerValue(notify, "Via")!.startsWith("SIP/2.0/TCP "))
    peers[0]!.send(answerTo(notify))
    await eventually(() => server.outcomes.length === 1)
    listener.close()
    assert.deepStrictEqual(outcomeTags(), ["Accepted"])
    assert.strictEqual(server.sip.counters.bigRequestsOverTcp, 1)
  })

  it(
    "when TCP is refused it goes over UDP, and the refusal is remembered",
    { tags: ["3261-18.1.1-a"] },
    async () => {
      const command = await subscribe()
      for (let round = 0; round < 2; round++) {
        server.sip.notify([notifyIn(command, { body: bigBody })])
        const notify = await peer.next()
        assert.isTrue(headerValue(notify, "Via")!.startsWith("SIP/2.0/UDP "))
        peer.send(answerTo(notify))
        await eventually(() => server.outcomes.length === round + 1)
      }
      assert.strictEqual(server.sip.counters.bigRequestsFellBack, 1)
    },
  )

  it(
    "a host name goes through the resolver; one that leads nowhere is unreachable",
    { tags: ["3263-4.1-a"] },
    async () => {
      await server.close()
      const asked: string[] = []
      server = await startServer({
        resolver: {
          resolve: async (host, port) => {
            asked.push(`${host}:${port}`)
            return host.startsWith("no") ? [] : [{ transport: udp, address: "127.0.0.1", port: port ?? 0 }]
          },
        },
      })
      peer.close()
      peer = await udpPeer(server.port)
      const { port } = peer
      server.sip.notify([notifyIn(await subscribe(`<sip:bob@watcher.example.net:${port}>`))])
      peer.send(answerTo(await peer.next()))
      server.sip.notify([notifyIn(await subscribe("<sip:bob@nowhere.example.net>"))])
      await eventually(() => server.outcomes.length === 2)
      assert.deepStrictEqual(outcomeTags(), ["Accepted", "Unreachable"])
      assert.deepStrictEqual(asked, [`watcher.example.net:${port}`, "nowhere.example.net:null"])
    },
  )

  it(
    "a name is sent to where it has been proven, and to no other place it leads to",
    { tags: ["C2"] },
    async () => {
      await server.close()
      let leadsTo: readonly string[] = ["127.0.0.1"]
      server = await startServer({
        resolver: {
          resolve: async (_host, port) =>
            leadsTo.map((address) => ({ transport: udp, address, port: port ?? 0 })),
        },
      })
      peer.close()
      peer = await udpPeer(server.port)
      const { port } = peer
      const command = await subscribe(`<sip:bob@watcher.example.net:${port}>`)
      assert.isDefined(command.dialog.room, "a name proves nothing")
      const { room: _, ...proven } = command.dialog
      server.sip.notify([notifyIn(command, { dialog: proven })])
      peer.send(answerTo(await peer.next()))
      await eventually(() => server.outcomes.length === 1)
      const address = `udp:127.0.0.1:${port}`
      assert.deepStrictEqual(server.outcomes[0]?.outcome, { _tag: "Accepted", remoteTarget: null, address })
      const proof = { _tag: "Addresses", addresses: [address] } as const
      // of several the one that is known
      leadsTo = ["127.0.0.9", "127.0.0.1"]
      server.sip.notify([notifyIn(command, { dialog: proven, proof, body: bigBody })])
      peer.send(answerTo(await peer.next()))
      await eventually(() => server.outcomes.length === 2)
      assert.deepStrictEqual(server.outcomes[1]?.outcome, { _tag: "Accepted", remoteTarget: null })
      leadsTo = ["127.0.0.9"]
      const sent = server.sip.counters.notifySent
      server.sip.notify([notifyIn(command, { dialog: proven, proof, body: bigBody })])
      await eventually(() => server.outcomes.length === 3)
      assert.strictEqual(outcomeTags()[2], "Unproven")
      assert.strictEqual(server.sip.counters.notifySent, sent)
      assert.strictEqual(server.sip.counters.notifyUnproven, 1)
    },
  )

  it("a connection that is gone is proof of nothing else", { tags: ["C2"] }, async () => {
    const command = await subscribe()
    const proof = { _tag: "Connection", room: 10 } as const
    const dialog = { ...command.dialog, flow: `tcp:127.0.0.1:${server.port}`, source: "127.0.0.1:9" }
    server.sip.notify([notifyIn(command, { dialog, proof })])
    await eventually(() => server.outcomes.length === 1)
    assert.deepStrictEqual(outcomeTags(), ["Unproven"])
    assert.strictEqual(server.sip.counters.notifySent, 0)
  })

  describe("octets that nobody answers", () => {
    const met: string[] = []
    beforeEach(async () => {
      await server.close()
      met.length = 0
      server = await startServer({
        limits: { unansweredOctetsMax: 10_000 },
        onLimit: (limit) => met.push(limit),
      })
      peer.close()
      peer = await udpPeer(server.port)
    })

    /** NOTIFYs of some 2,300 octets to a port of this machine, where all is proven. */
    const fill = async (port: number, count: number): Promise<void> => {
      const command = await subscribe(`<sip:bob@127.0.0.1:${port}>`)
      const { room: _, ...dialog } = command.dialog
      // large enough for an attempt over TCP: while that is under way they count as well
      server.sip.notify(Array.from({ length: count }, () => notifyIn(command, { dialog, body: bigBody })))
    }
    const putOff = { _tag: "Refused", status: 503, retryAfter: 5 } as const

    it(
      "NOTIFYs above it are put off with 503, and that is said once",
      { tags: ["OPS-unanswered_octets_max"] },
      async () => {
        const silent = await Promise.all(Array.from({ length: 12 }, async () => udpPeer(server.port)))
        for (const { port } of silent) await fill(port, 1)
        await fill(silent[0]!.port, 1)
        await eventually(() => server.outcomes.length > 0)
        for (const { outcome } of server.outcomes) assert.deepStrictEqual(outcome, putOff)
        assert.isAtMost(server.sip.counters.clientOctets, 10_000 + 2_600)
        assert.include(met, "unanswered_octets_max")
        assert.strictEqual(new Set(met).size, met.length)
        for (const one of silent) one.close()
      },
    )

    it(
      "one silent address and port has as much as is left for all others, and these go on",
      { tags: ["OPS-unanswered_octets_max"] },
      async () => {
        const silent = await udpPeer(server.port)
        await fill(silent.port, 10)
        await eventually(() => server.outcomes.length === 7)
        for (const { outcome } of server.outcomes) assert.deepStrictEqual(outcome, putOff)
        assert.deepStrictEqual(met, ["unanswered_octets_share"])
        assert.strictEqual(server.sip.counters.notifyShareUsed, 7)
        // whoever answers is sent to at once, and what he has answered is room again
        for (let round = 0; round < 5; round++) {
          await fill(peer.port, 1)
          peer.send(answerTo(await peer.next()))
          await eventually(() => server.outcomes.length === 8 + round)
          assert.strictEqual(outcomeTags().at(-1), "Accepted")
        }
        for (let index = 0; index < 3; index++) silent.send(answerTo(await silent.next()))
        await eventually(() => server.outcomes.length === 15)
        assert.strictEqual(server.sip.counters.clientOctets, 0)
        const heard = silent.messages.length
        await fill(silent.port, 1)
        await eventually(() => silent.messages.length > heard)
        silent.close()
      },
    )

    const fetch = (port: number): string =>
      requestText({
        method: "SUBSCRIBE",
        headers: { Contact: `<sip:bob@127.0.0.1:${port}>`, Expires: "0" },
      })

    it(
      "a fetch whose NOTIFY could not leave is answered 503, and one that could is not",
      { tags: ["OPS-unanswered_octets_max"] },
      async () => {
        const silent = await udpPeer(server.port)
        await fill(silent.port, 10)
        await eventually(() => server.outcomes.length === 7)
        const before = server.requests.length
        peer.send(fetch(silent.port))
        const refused = await peer.next()
        assert.deepStrictEqual([statusOf(refused), headerValue(refused, "Retry-After")], [503, "5"])
        assert.strictEqual(server.requests.length, before, "nothing was decided")
        peer.send(fetch(peer.port))
        assert.strictEqual(statusOf(await peer.next()), 200)
        silent.close()
      },
    )

    it(
      "so is a fetch for which the room went while it was decided",
      { tags: ["OPS-unanswered_octets_max"] },
      async () => {
        const silent = await udpPeer(server.port)
        let release = (): void => {}
        server.respond = (request) => {
          release = () => acceptRequest(request)
        }
        peer.send(fetch(silent.port))
        await eventually(() => server.requests.length === 1)
        server.respond = acceptRequest
        await fill(silent.port, 10)
        await eventually(() => server.outcomes.length === 7)
        release()
        const refused = await peer.next()
        assert.deepStrictEqual([statusOf(refused), headerValue(refused, "Retry-After")], [503, "5"])
        silent.close()
      },
    )
  })

  it(
    "NOTIFYs that find no room to wait are put off, and a fetch is answered 503",
    { tags: ["C2", "OPS-unproven_waiting_per_target_max"] },
    async () => {
      await server.close()
      const met: string[] = []
      server = await startServer({
        limits: { unprovenWaitingPerTargetMax: 2 },
        notifyTo: ["contact"],
        onLimit: (limit) => met.push(limit),
      })
      peer.close()
      peer = await udpPeer(server.port)
      const proof = { _tag: "Unproven", room: 0, since: 0 } as const
      for (let index = 0; index < 8; index++)
        server.sip.notify([notifyIn(await subscribe("<sip:bob@127.0.0.9:7777>"), { proof })])
      await eventually(() => server.outcomes.length === 3)
      for (const { outcome } of server.outcomes)
        assert.deepStrictEqual(outcome, { _tag: "Refused", status: 503, retryAfter: 5 })
      assert.deepStrictEqual(met, ["unproven_waiting_per_target_max"])
      const headers = { Contact: "<sip:bob@127.0.0.9:7777>", Expires: "0" }
      peer.send(requestText({ method: "SUBSCRIBE", headers }))
      assert.strictEqual(statusOf(await peer.next()), 503)
      // another phone does not notice
      server.sip.notify([notifyIn(await subscribe(), { proof })])
      peer.send(answerTo(await peer.next()))
      await eventually(() => outcomeTags().includes("Accepted"))
    },
  )

  it(
    "what cannot be sent again makes way, after 16 T1, for a NOTIFY that shows nothing",
    { tags: ["C2"] },
    async () => {
      await server.close()
      server = await startServer({ timers: { t1Ms: 20, t2Ms: 80, transactionMs: 1_280 } })
      peer.close()
      peer = await udpPeer(server.port)
      const { port } = peer
      const headers = { Contact: `<sip:bob@127.0.0.1:${port}>`, "User-Agent": "x".repeat(150) }
      const asked = requestText({ method: "SUBSCRIBE", headers })
      peer.send(asked)
      assert.strictEqual(statusOf(await peer.next()), 200)
      const command = server.requests.at(-1)!.command as Subscribe
      const room = 3 * asked.length
      /** A NOTIFY of so many octets, of which its head is some 450. */
      const sized = (octets: number, changes: Partial<Notify> = {}): Notify =>
        notifyIn(command, {
          proof: { _tag: "Unproven", room, since: 0 },
          body: { contentType: "application/pidf+xml", text: "x".repeat(octets) },
          ...changes,
        })
      assert.isAbove(room, 1_100, "the test's own request is large enough")
      const body = Math.floor(room / 2) - 400
      server.sip.notify([sized(body)])
      const sent = await peer.next()
      assert.isAbove(2 * sent.length, room, "it does not fit twice")
      await eventually(() => server.outcomes.length === 1)
      assert.deepStrictEqual(server.outcomes[0]?.outcome, { _tag: "Unproven", room: 0 })
      assert.strictEqual(server.sip.counters.notifyUnrepeated, 1)
      assert.strictEqual(server.sip.counters.notifyRetransmitted, 0)
      // what shows nothing is repeated as far as it may, and Timer F decides
      server.sip.notify([sized(0, { body: null })])
      await eventually(() => server.outcomes.length === 2)
      assert.deepStrictEqual(server.outcomes[1]?.outcome, { _tag: "TimedOut" })
      const octets = peer.messages.filter((one) => one.startsWith("NOTIFY")).map((one) => one.length)
      assert.isAtMost(octets.length, 3)
      assert.isAtMost(
        octets.reduce((sum, one) => sum + one, 0),
        room,
      )
    },
  )

  it(
    "nothing makes way where not even that would fit, nor the NOTIFY that ends a subscription",
    { tags: ["C2"] },
    async () => {
      await server.close()
      server = await startServer({ timers: { t1Ms: 20, t2Ms: 80, transactionMs: 1_280 } })
      peer.close()
      peer = await udpPeer(server.port)
      const proof = { _tag: "Unproven", room: 5_000, since: 0 } as const
      const [one, other] = [await subscribe(), await subscribe()]
      server.sip.notify([
        notifyIn(one, { proof, body: { contentType: "text/plain", text: "x".repeat(900) } }),
        notifyIn(other, {
          proof,
          body: { contentType: "text/plain", text: "x".repeat(200) },
          state: "terminated",
          reason: "timeout",
        }),
      ])
      await eventually(() => server.outcomes.length === 2)
      assert.deepStrictEqual(outcomeTags(), ["TimedOut", "TimedOut"])
    },
  )

  it("OPS-stray-responses: a response nobody waits for is dropped", async () => {
    peer.send(answerTo(requestText({ method: "NOTIFY" })))
    await eventually(() => server.sip.counters.dropped === 1)
  })
})

describe("TCP", () => {
  const subscribeOver = (port: number, transport = ";transport=tcp"): string =>
    requestText({
      method: "SUBSCRIBE",
      headers: {
        Via: "SIP/2.0/TCP 127.0.0.1:5998;branch=z9hG4bK-tcp",
        Contact: `<sip:bob@127.0.0.1:${port}${transport}>`,
      },
    })

  it("TCP is served on the port that serves UDP", { tags: ["3261-18.2.1-a"] }, () => {
    assert.deepStrictEqual(server.sip.addresses(), [
      `udp:127.0.0.1:${server.port}`,
      `tcp:127.0.0.1:${server.port}`,
    ])
  })

  it(
    "split messages and several in one segment are all answered on the same connection",
    { tags: ["3261-18.3-a"] },
    async () => {
      const tcp = await tcpPeer(server.port)
      const bytes = Buffer.from(
        requestText({ method: "PUBLISH", body: "<a/>" }) + requestText() + requestText(),
      )
      for (const [from, to] of [
        [0, 10],
        [10, 300],
        [300, undefined],
      ] as const) {
        tcp.send(bytes.subarray(from, to))
        await pause(10)
      }
      await eventually(() => tcp.text().split("SIP/2.0 200 OK").length === 4)
      tcp.send("\r\n\r\n")
      await eventually(() => tcp.text().endsWith("\r\n\r\n\r\n"))
      tcp.close()
    },
  )

  it(
    "a copy over TCP of a request that came over UDP gets the stored answer on its connection",
    { tags: ["3261-17.2.3-a"] },
    async () => {
      const text = requestText({ method: "PUBLISH", body: "<a/>" })
      peer.send(text)
      const first = await peer.next()
      const tcp = await tcpPeer(server.port)
      tcp.send(text)
      await eventually(() => tcp.text() === first)
      assert.strictEqual(server.requests.length, 1)
      tcp.close()
    },
  )

  it(
    "a NOTIFY for a dialog that came over TCP goes by that connection while it is open",
    { tags: ["3261-18.2.2-a"] },
    async () => {
      const tcp = await tcpPeer(server.port)
      tcp.send(subscribeOver(9))
      await eventually(() => tcp.text().includes("SIP/2.0 200"))
      assert.strictEqual(
        headerValue(tcp.text(), "Contact"),
        `<sip:presence@127.0.0.1:${server.port};transport=tcp>`,
      )
      server.sip.notify([notifyIn(server.requests[0]!.command as Subscribe)])
      await eventually(() => tcp.text().includes("NOTIFY sip:bob"))
      tcp.send(answerTo(tcp.text().slice(tcp.text().indexOf("NOTIFY sip:bob"))))
      await eventually(() => server.outcomes.length === 1)
      assert.deepStrictEqual(outcomeTags(), ["Accepted"])
      tcp.close()
    },
  )

  it(
    "when the connection is gone a new one is opened to the target, and kept",
    { tags: ["3261-18.2.2-a"] },
    async () => {
      const listener = (await tcpListener())!
      const tcp = await tcpPeer(server.port)
      tcp.send(subscribeOver(listener.port))
      await eventually(() => tcp.text().includes("SIP/2.0 200"))
      tcp.close()
      await eventually(() => server.sip.counters.connections === 0)
      const command = server.requests[0]!.command as Subscribe
      for (const count of [1, 2]) {
        server.sip.notify([notifyIn(command)])
        await eventually(() => (listener.peers[0]?.text().split("NOTIFY sip:").length ?? 0) === count + 1)
        const text = listener.peers[0]!.text()
        listener.peers[0]!.send(answerTo(text.slice(text.lastIndexOf("NOTIFY sip:"))))
        await eventually(() => server.outcomes.length === count)
      }
      assert.lengthOf(listener.peers, 1)
      assert.deepStrictEqual(outcomeTags(), ["Accepted", "Accepted"])
      listener.close()
    },
  )

  it(
    "a refused connection, or one lost before the answer, is a flow that is lost, or unreachable where Contacts count alone",
    { tags: ["3261-8.1.3.1-a"] },
    async () => {
      for (const [notifyTo, outcome] of [
        ["auto", "FlowLost"],
        ["contact", "Unreachable"],
      ] as const) {
        await server.close()
        server = await startServer({ notifyTo: [notifyTo] })
        const tcp = await tcpPeer(server.port)
        tcp.send(subscribeOver(9))
        await eventually(() => tcp.text().includes("SIP/2.0 200"))
        const command = server.requests[0]!.command as Subscribe
        server.sip.notify([notifyIn(command)])
        await eventually(() => tcp.text().includes("NOTIFY sip:bob"))
        tcp.close()
        await eventually(() => server.outcomes.length === 1)
        server.sip.notify([notifyIn(command)])
        await eventually(() => server.outcomes.length === 2)
        assert.deepStrictEqual(outcomeTags(), [outcome, outcome])
      }
    },
  )

  it(
    "a message without Content-Length is answered 400 and the connection closed",
    { tags: ["4475-3.3.9-a"] },
    async () => {
      const tcp = await tcpPeer(server.port)
      tcp.send(requestText({ headers: { "Content-Length": null } }))
      await eventually(() => tcp.isClosed())
      assert.strictEqual(statusOf(tcp.text()), 400)
    },
  )

  it("OPS-connections-max: connections per source, idle ones and half a message have their limits", async () => {
    await server.close()
    server = await startServer({
      limits: { connectionsPerSourceMax: 2, headCompleteMs: 100, connectionIdleMs: 300 },
    })
    const [slow, idle, third] = [
      await tcpPeer(server.port),
      await tcpPeer(server.port),
      await tcpPeer(server.port),
    ]
    slow.send("OPTIONS sip:x SIP/2.0\r\n")
    await eventually(() => third.isClosed())
    await eventually(() => slow.isClosed())
    assert.isFalse(idle.isClosed())
    await eventually(() => idle.isClosed())
    const { counters } = server.sip
    assert.deepStrictEqual(
      [counters.connectionsRefusedOfSource, counters.connectionsSlow, counters.connectionsIdle],
      [1, 1, 1],
    )
  })

  it("OPS-connections-max: sixty-four connections from one source are served", async () => {
    const peers = await Promise.all(Array.from({ length: 64 }, () => tcpPeer(server.port)))
    for (const tcp of peers) tcp.send(requestText())
    await eventually(() => peers.every((tcp) => tcp.text().includes("SIP/2.0 200")))
    for (const tcp of peers) tcp.close()
  })
})

describe("listening", () => {
  it("OPS-bind-failed: an address in use is a typed error, and the scope closes what was opened", async () => {
    const second = make({ listen: [{ transport: "udp", host: "127.0.0.1", port: server.port }] })
    const scope = Effect.runSync(Scope.make())
    const exit = await Effect.runPromiseExit(
      second.listen({ submit: acceptRequest, delivered: () => {} }).pipe(Scope.provide(scope)),
    )
    assert.isTrue(Exit.isFailure(exit))
    assert.include(JSON.stringify(exit), "BindFailed")
    await Effect.runPromise(Scope.close(scope, Exit.void))
  })

  it(
    "a socket on every interface names the address the peer can reach",
    { tags: ["OPS-wildcard"] },
    async () => {
      await server.close()
      server = await startServer({ listen: [{ transport: "udp", host: "0.0.0.0", port: 0 }] })
      peer.close()
      peer = await udpPeer(server.port)
      const { dialog } = await subscribe()
      assert.strictEqual(dialog.localContact, `sip:presence@127.0.0.1:${server.port}`)
      server.sip.notify([notifyIn({ dialog } as Subscribe)])
      assert.include(await peer.next(), `Via: SIP/2.0/UDP 127.0.0.1:${server.port};branch=`)
    },
  )
})
