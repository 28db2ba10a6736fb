/**
 * The user agent against a scripted server: what it sends, when it sends it again, what it answers.
 */
import assert from "node:assert/strict"
import { createSocket } from "node:dgram"
import { createServer } from "node:net"
import type { Socket } from "node:net"
import { Effect, Exit, Fiber, Queue, Scope } from "effect"
import { TestClock } from "effect/testing"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { ha1Of, digestResponse, parseCredentials } from "../../../src/adapters/sip/digest.ts"
import { NoAnswer, Refused } from "../../../src/app/client/failures.ts"
import { makePublication } from "../../../src/app/client/publication.ts"
import { subscribe } from "../../../src/app/client/subscription.ts"
import { openUserAgent } from "../../../src/app/client/user-agent.ts"
import type { Traced, UserAgentOptions } from "../../../src/app/client/user-agent.ts"
import { makeSplitter, readMessage } from "../../../src/app/client/wire.ts"
import type { Message } from "../../../src/app/client/wire.ts"
import { holds } from "../../support/condition.ts"
import { messageText } from "../../support/sip-client.ts"
import type { Headers } from "../../support/sip-client.ts"

interface Scripted {
  readonly port: number
  /** Without copies of what has been answered for good. */
  readonly heard: Message[]
  /** Final answers, by the Via of their request. */
  readonly answers: Map<string, string>
  /** What is done with each message; the default is nothing. */
  react: (message: Message, index: number) => void
  readonly send: (text: string) => void
  readonly respond: (request: Message, status: string, headers?: Headers) => void
  /** Closes the connection. */
  readonly hangUp: () => void
  readonly waitFor: (count: number) => Promise<void>
}

const scripted = (): Scripted => {
  const server: Scripted = {
    port: 0,
    heard: [],
    answers: new Map(),
    react: () => {},
    send: () => {},
    hangUp: () => {},
    respond: (request, status, headers = {}) => {
      const { vias, from, to, callId, cseqText } = request.raw
      const tagged = to.includes(";tag=") ? to : `${to};tag=server`
      const copied = { Via: vias, From: from, To: tagged, "Call-ID": callId, CSeq: cseqText }
      const answer = messageText(`SIP/2.0 ${status}`, { ...copied, ...headers })
      if (!status.startsWith("1")) server.answers.set(vias[0] ?? "", answer)
      server.send(answer)
    },
    waitFor: async (count) => {
      await holds(
        () => `heard ${server.heard.length} of ${count}`,
        () => server.heard.length >= count,
      )
    },
  }
  return server
}

const hear = (server: Scripted, bytes: Buffer): void => {
  const message = readMessage(bytes)
  assert.ok(message !== null)
  const answer = message.raw.isRequest ? server.answers.get(message.raw.vias[0] ?? "") : undefined
  // on a slow machine a request may come again before its answer is there
  if (answer !== undefined) return server.send(answer)
  server.heard.push(message)
  server.react(message, server.heard.length)
}

const openServer = async ({ onTestFinished }: TestContext, transport: "udp" | "tcp"): Promise<Scripted> => {
  const server = scripted()
  if (transport === "udp") {
    const socket = createSocket({ type: "udp4", lookup: (host, _, done) => done(null, host, 4) })
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve))
    onTestFinished(() => void socket.close())
    let peer = 0
    socket.on("message", (bytes, from) => {
      peer = from.port
      hear(server, bytes)
    })
    const send = (text: string): void => socket.send(text, peer, "127.0.0.1")
    return Object.assign(server, { port: socket.address().port, send })
  }
  let peer: Socket | null = null
  const listener = createServer((socket) => {
    peer = socket
    const split = makeSplitter()
    socket.on("data", (chunk) => {
      for (const bytes of split(chunk) ?? []) hear(server, bytes)
    })
    socket.on("error", () => {})
  })
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => {
    peer?.destroy()
    listener.close()
  })
  const address = listener.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return Object.assign(server, {
    port,
    send: (text: string) => void peer?.write(text),
    hangUp: () => void peer?.destroy(),
  })
}

const optionsFor = (server: Scripted, more: Partial<UserAgentOptions> = {}): UserAgentOptions => ({
  target: { host: "127.0.0.1", port: server.port, transport: "udp" },
  credentials: null,
  ...more,
})

/** Publishes once with a user agent of its own. */
const publishOnce = (options: UserAgentOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const agent = yield* openUserAgent(options)
      const uri = "sip:alice@example.com"
      const publication = makePublication(agent, {
        uri,
        presentity: uri,
        event: "presence",
        entityTag: null,
      })
      return yield* publication.publish({ body: null, expires: 60 })
    }),
  )

const accepted: Headers = { "SIP-ETag": "tag-1", Expires: "60" }
const challenge = (nonce: string, algorithm: string, more = ""): string =>
  `Digest realm="example.com", nonce="${nonce}", algorithm=${algorithm}, qop="auth"${more}`

/** Do the credentials of the request belong to that password? */
const isAuthentic = (request: Message, password: string): boolean => {
  const credentials = parseCredentials(request.header("authorization") ?? "")
  if (credentials === null) return false
  const ha1 = ha1Of({ password }, credentials.username, credentials.realm, credentials.algorithm) ?? ""
  return digestResponse(ha1, request.raw.method, credentials) === credentials.response
}

describe.concurrent("requests", () => {
  it(
    "sent again after T1, then twice as long, until it is answered; a provisional is no answer",
    { tags: ["3261-17.1.2.2-a"] },
    async (context) => {
      const server = await openServer(context, "udp")
      const at: number[] = []
      const trace = (traced: Traced): void => {
        if (traced.direction === "sent") at.push(traced.at)
      }
      server.react = (request, index) => {
        if (index === 3) server.respond(request, "100 Trying")
        if (index === 4) server.respond(request, "200 OK", accepted)
      }
      const timers = { t1Ms: 40, t2Ms: 160, transactionMs: 2_000 }
      const published = await Effect.runPromise(publishOnce(optionsFor(server, { timers, trace })))
      assert.equal(published.entityTag, "tag-1")
      assert.equal(new Set(server.heard.map(({ raw }) => raw.vias[0])).size, 1)
      const gaps = at.slice(1).map((time, index) => time - at[index]!)
      for (const [index, least] of [40, 80, 160].entries())
        assert.ok(gaps[index]! >= least - 2, `${gaps.join(" ")}`)
    },
  )

  it(
    "given up after Timer F by the clock that is given, with the name of the server",
    { tags: ["3261-17.1.2.2-b"] },
    async (context) => {
      const server = await openServer(context, "udp")
      const outcome = await Effect.runPromise(
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(Effect.flip(publishOnce(optionsFor(server))))
          yield* Effect.promise(() => server.waitFor(1))
          yield* TestClock.adjust("32 seconds")
          return yield* Fiber.join(fiber)
        }).pipe(Effect.provide(TestClock.layer())),
      )
      assert.ok(outcome instanceof NoAnswer)
      assert.equal(outcome.target, `udp 127.0.0.1:${server.port}`)
      await server.waitFor(11)
      assert.equal(server.heard.length, 11)
    },
  )

  it(
    "over TCP nothing is sent twice, and a closed connection is an answer",
    { tags: ["3261-18.1"] },
    async (context) => {
      const server = await openServer(context, "tcp")
      server.react = (request, index) => {
        if (index === 1) server.respond(request, "100 Trying")
      }
      const target = { host: "127.0.0.1", port: server.port, transport: "tcp" } as const
      const timers = { t1Ms: 20, transactionMs: 300 }
      const outcome = await Effect.runPromise(
        Effect.flip(publishOnce(optionsFor(server, { target, timers }))),
      )
      assert.ok(outcome instanceof NoAnswer)
      assert.equal(server.heard.length, 1)
      server.react = () => server.hangUp()
      const lost = await Effect.runPromise(Effect.flip(publishOnce(optionsFor(server, { target }))))
      assert.ok(lost instanceof NoAnswer)
      assert.equal(lost.why, "the connection was closed")
      assert.match(server.heard[0]?.raw.vias[0] ?? "", /^SIP\/2\.0\/TCP /)
    },
  )

  it.for([
    ["SHA-256", [challenge("n1", "SHA-256"), challenge("n1", "MD5")]],
    ["MD5", [challenge("n1", "SHA-512-256"), challenge("n1", "MD5")]],
  ] as const)(
    "the first challenge that is understood is answered: %s",
    { tags: ["8760-2.4-a"] },
    async ([algorithm, offers], context) => {
      const server = await openServer(context, "udp")
      server.react = (request) => {
        if (isAuthentic(request, "secret")) server.respond(request, "200 OK", accepted)
        else server.respond(request, "401 Unauthorized", { "WWW-Authenticate": offers })
      }
      const credentials = { user: "alice", password: "secret" }
      await Effect.runPromise(publishOnce(optionsFor(server, { credentials })))
      assert.deepEqual(
        server.heard.map(({ raw }) => raw.cseq),
        [1, 2],
      )
      const sent = parseCredentials(server.heard[1]?.header("authorization") ?? "")
      assert.equal(sent?.algorithm, algorithm)
      assert.equal(new Set(server.heard.map(({ raw }) => raw.vias[0])).size, 2)
      assert.equal(server.heard[0]?.raw.callId, server.heard[1]?.raw.callId)
    },
  )

  it("a stale nonce is tried anew, a wrong password is not", { tags: ["7616-3.3"] }, async (context) => {
    const server = await openServer(context, "udp")
    server.react = (request, index) =>
      server.respond(request, "401 Unauthorized", {
        "WWW-Authenticate": challenge(`n${index}`, "SHA-256", index === 2 ? ", stale=true" : ""),
      })
    const credentials = { user: "alice", password: "guess" }
    const outcome = await Effect.runPromise(Effect.flip(publishOnce(optionsFor(server, { credentials }))))
    assert.ok(outcome instanceof Refused)
    assert.equal(outcome.message, "PUBLISH was refused: 401 Unauthorized (user or password is wrong)")
    assert.equal(server.heard.length, 3)
  })
})

describe.concurrent("subscriptions", () => {
  const of = {
    uri: "sip:alice@example.com",
    presentity: "sip:alice@example.com",
    watcher: "sip:bob@example.com",
    event: "presence",
    expires: 600,
  }
  const notifyFor = (server: Scripted, subscribed: Message, cseq: number, headers: Headers = {}): string =>
    messageText(`NOTIFY ${/<(.*)>/.exec(subscribed.header("contact") ?? "")?.[1]} SIP/2.0`, {
      Via: `SIP/2.0/UDP 127.0.0.1:${server.port};branch=z9hG4bKn${cseq}`,
      From: `${subscribed.raw.to.split(";tag=")[0]};tag=server`,
      To: subscribed.raw.from,
      "Call-ID": subscribed.raw.callId,
      CSeq: `${cseq} NOTIFY`,
      Contact: `<sip:presence@127.0.0.1:${server.port}>`,
      Event: "presence",
      "Subscription-State": "active;expires=600",
      ...headers,
    })

  it(
    "each NOTIFY is answered once and handed over once, also one that comes before the 200",
    { tags: ["3265-3.1.4.4"] },
    async (context) => {
      const server = await openServer(context, "udp")
      const traced: Traced[] = []
      server.react = (message, index) => {
        if (index !== 1) return
        server.send(notifyFor(server, message, 7))
        server.respond(message, "200 OK", {
          Expires: "600",
          Contact: `<sip:presence@127.0.0.1:${server.port}>`,
        })
        server.send(notifyFor(server, message, 7))
        server.send(notifyFor(server, message, 6, { Via: "SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKold" }))
        const stray = { "Call-ID": "another", Via: "SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKstray" }
        server.send(notifyFor(server, message, 8, stray))
        server.send(notifyFor(server, message, 8, { "Subscription-State": "terminated;reason=rejected" }))
      }
      const states = await Effect.runPromise(
        Effect.scoped(
          Effect.gen(function* () {
            const agent = yield* openUserAgent(optionsFor(server, { trace: (one) => void traced.push(one) }))
            const { notifications } = yield* subscribe(agent, of)
            const seen = [yield* Queue.take(notifications), yield* Queue.take(notifications)]
            yield* Effect.promise(() => server.waitFor(6))
            return seen.map(({ state, reason }) => [state, reason])
          }),
        ),
      )
      assert.deepEqual(states, [
        ["active", null],
        ["terminated", "rejected"],
      ])
      assert.deepEqual(
        server.heard.map(({ raw }) => (raw.isRequest ? raw.method : raw.status)),
        ["SUBSCRIBE", 200, 200, 500, 481, 200],
      )
      assert.equal(traced.filter(({ direction }) => direction === "sent").length, 6)
      assert.equal(traced.filter(({ direction }) => direction === "received").length, 6)
    },
  )

  it(
    "refreshed in time along the route set, and ended with the scope",
    { tags: ["3265-3.1.4.2-a", "3261-12.2.1.1-b"] },
    async (context) => {
      const server = await openServer(context, "udp")
      const target = `sip:presence@127.0.0.1:${server.port}`
      server.react = (message) => {
        if (!message.raw.isRequest) return
        server.respond(message, "200 OK", {
          Expires: message.header("expires") === "0" ? "0" : "1",
          Contact: `<${target}>`,
          "Record-Route": ["<sip:a.example;lr>", "<sip:b.example;lr>"],
        })
        if (message.header("expires") === "0") {
          server.send(notifyFor(server, message, 1, { "Subscription-State": "terminated;reason=timeout" }))
        }
      }
      const scope = Effect.runSync(Scope.make())
      await Effect.runPromise(
        Effect.gen(function* () {
          yield* subscribe(yield* openUserAgent(optionsFor(server)), of)
        }).pipe(Scope.provide(scope)),
      )
      await server.waitFor(2)
      await Effect.runPromise(Scope.close(scope, Exit.void))
      await server.waitFor(4)
      const [first, refresh, end, farewell] = server.heard
      assert.deepEqual(
        [first, refresh, end].map((message) => [
          message?.raw.uri,
          message?.raw.cseq,
          message?.header("expires"),
        ]),
        [
          ["sip:alice@example.com", 1, "600"],
          [target, 2, "600"],
          [target, 3, "0"],
        ],
      )
      assert.equal(farewell?.raw.status, 200)
      assert.deepEqual(refresh?.headers("route"), ["<sip:b.example;lr>", "<sip:a.example;lr>"])
      assert.match(refresh?.raw.to ?? "", /;tag=server$/)
      assert.equal(refresh?.raw.callId, first?.raw.callId)
    },
  )

  it(
    "a refresh that is refused ends the notifications with the reason",
    { tags: ["3265-3.1.4.2-b"] },
    async (context) => {
      const server = await openServer(context, "udp")
      server.react = (message, index) => {
        if (index === 1) server.respond(message, "200 OK", { Expires: "1" })
        else server.respond(message, "481 Subscription Does Not Exist")
      }
      const outcome = await Effect.runPromise(
        Effect.scoped(
          Effect.gen(function* () {
            const { notifications } = yield* subscribe(yield* openUserAgent(optionsFor(server)), of)
            return yield* Effect.flip(Queue.take(notifications))
          }),
        ),
      )
      assert.ok(outcome instanceof Refused)
      assert.equal(outcome.response.raw.status, 481)
    },
  )
})
