/**
 * Phones for scenarios: a socket that sends what the test writes and keeps what it receives, and a script for one call
 * that fills in the headers of no importance to a test.
 */
import assert from "node:assert/strict"
import { createSocket } from "node:dgram"
import { connect } from "node:net"
import { connect as connectTls } from "node:tls"
import { parseAddress } from "../../src/adapters/sip/address-headers.ts"
import { splitParameters } from "../../src/adapters/sip/headers.ts"
import { xmlCodec } from "../../src/adapters/xml/codec.ts"
import { makeSplitter, readMessage } from "../../src/app/client/wire.ts"
import type { Message } from "../../src/app/client/wire.ts"
import { canonical } from "../../src/domain/packages/element.ts"
import type { Element } from "../../src/domain/packages/element.ts"
import { patienceMillis } from "./condition.ts"
import type { PresenceServer } from "./server.ts"

export type Transport = "udp" | "tcp" | "tls"

export interface Phone {
  readonly transport: Transport
  /** `127.0.0.1:40123` */
  readonly address: string
  readonly serverPort: number
  /** Sends the text unchanged. */
  readonly send: (text: string) => void
  /** The first message that fits and was not taken yet; waits for it, up to a limit if one is given. */
  readonly next: (fits?: (message: Message) => boolean, withinMs?: number) => Promise<Message>
  /**
   * Fails if a message arrived here that the test did not take. Once the server is idle and has answered a request,
   * everything that it was going to send has been sent; therefore there is no waiting, except for what arrives within
   * the given milliseconds.
   */
  readonly hearsNothing: (ms?: number) => Promise<void>
  /** Answers a request; a retransmission, caused by a late or lost answer, is answered again and not shown. */
  readonly answer: (request: Message, text: string) => void
  readonly close: () => void
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A phone over a socket that is not of this process. @returns it, and what takes each message that it receives */
export const makePhone = (
  server: Asked,
  transport: Transport,
  address: string,
  serverPort: number,
  send: (text: string) => void,
  close: () => void,
): { readonly phone: Phone; readonly received: (bytes: Buffer) => void } => {
  const inbox: Message[] = []
  const answers = new Map<string, string>()
  let wake = (): void => {}
  const take = (fits: (message: Message) => boolean): Message | null => {
    const at = inbox.findIndex(fits)
    return at < 0 ? null : inbox.splice(at, 1)[0]!
  }
  const phone: Phone = {
    transport,
    address,
    serverPort,
    send,
    close,
    next: async (fits = () => true, withinMs = patienceMillis) => {
      const until = performance.now() + withinMs
      for (;;) {
        const message = take(fits)
        if (message !== null) return message
        const left = until - performance.now()
        assert.ok(left > 0, `nothing that fits came; untaken: ${inbox.map(startOf).join(", ") || "nothing"}`)
        await Promise.race([
          new Promise<void>((resolve) => {
            wake = resolve
          }),
          pause(left),
        ])
      }
    },
    hearsNothing: async (ms = 0) => {
      if (ms > 0) await pause(ms)
      await server.settle?.()
      const callId = mint("rest-")
      send(
        messageText("OPTIONS sip:nobody@example.com SIP/2.0", {
          Via: viaOf(phone),
          "Max-Forwards": "70",
          From: `<sip:nobody@example.com>;tag=${callId}`,
          To: "<sip:nobody@example.com>",
          "Call-ID": callId,
          CSeq: "1 OPTIONS",
        }),
      )
      await phone.next(({ raw }) => !raw.isRequest && raw.callId === callId)
      assert.deepEqual(inbox.map(startOf), [])
    },
    answer: (request, text) => {
      answers.set(transactionOf(request), text)
      for (let again = repeated(); again >= 0; again = repeated()) inbox.splice(again, 1)
      send(text)
    },
  }
  const repeated = (): number =>
    inbox.findIndex((message) => message.raw.isRequest && answers.has(transactionOf(message)))
  return {
    phone,
    received: (bytes) => {
      const message = readMessage(bytes)
      assert.ok(message !== null, `unreadable: ${bytes.toString("latin1")}`)
      const answered = message.raw.isRequest ? answers.get(transactionOf(message)) : undefined
      if (answered !== undefined) return send(answered)
      inbox.push(message)
      wake()
    },
  }
}

/** A request and its retransmissions share this (RFC 3261 §17.2.3). */
const transactionOf = ({ raw }: Message): string => `${raw.vias[0]} ${raw.cseqText}`

const startOf = ({ raw }: Message): string =>
  raw.isRequest ? `${raw.method} ${raw.cseqText}` : `${raw.status} to ${raw.cseqText}`

/** A server that can be told to become idle; others are asked as they are. */
type Asked = Pick<PresenceServer, "portOf"> & Partial<Pick<PresenceServer, "settle">>

/** @param at addresses of this machine: that of the phone, and the one it sends to */
export const openPhone = async (
  server: Asked,
  transport: Transport,
  { own = "127.0.0.1", to = "127.0.0.1" }: { readonly own?: string; readonly to?: string } = {},
): Promise<Phone> => {
  const port = server.portOf(transport)
  if (transport === "udp") {
    // Without a lookup, everything has been sent before the socket may be closed.
    const socket = createSocket({ type: "udp4", lookup: (host, _, done) => done(null, host, 4) })
    await new Promise<void>((resolve) => socket.bind(0, own, resolve))
    const { phone, received } = makePhone(
      server,
      transport,
      `${own}:${socket.address().port}`,
      port,
      (text) => socket.send(Buffer.from(text, "utf8"), port, to),
      () => socket.close(),
    )
    socket.on("message", received)
    return phone
  }
  const stream = connect({ port, host: to, localAddress: own, noDelay: true })
  const socket = transport === "tls" ? connectTls({ socket: stream, rejectUnauthorized: false }) : stream
  await new Promise<void>((resolve, reject) => {
    socket.once(transport === "tls" ? "secureConnect" : "connect", resolve)
    for (const each of new Set([stream, socket])) each.once("error", reject)
  })
  const split = makeSplitter()
  const { phone, received } = makePhone(
    server,
    transport,
    `${own}:${stream.localPort}`,
    port,
    (text) => socket.write(Buffer.from(text, "utf8")),
    () => stream.destroy(),
  )
  socket.on("data", (chunk) => {
    for (const bytes of split(chunk) ?? []) received(bytes)
  })
  for (const each of [stream, socket]) each.on("error", () => {})
  return phone
}

/** Header lines by name; null leaves one out, an array repeats it. */
export type Headers = Readonly<Record<string, string | readonly string[] | null>>

export const messageText = (start: string, headers: Headers, body = ""): string => {
  let text = `${start}\r\n`
  for (const [name, values] of Object.entries({ ...headers, "Content-Length": `${Buffer.byteLength(body)}` }))
    for (const value of values === null ? [] : typeof values === "string" ? [values] : values)
      text += `${name}: ${value}\r\n`
  return `${text}\r\n${body}`
}

let minted = 0
/** Text that no other call produces. */
export const mint = (prefix: string): string => `${prefix}${process.pid}x${(minted++).toString(36)}`

export const viaOf = (phone: Phone): string =>
  `SIP/2.0/${phone.transport.toUpperCase()} ${phone.address};branch=${mint("z9hG4bK")};rport`

/** A response, with the headers that it copies from its request. */
export const answer = (phone: Phone, request: Message, status = "200 OK", extra: Headers = {}): void => {
  const { raw } = request
  const copied = { Via: raw.vias, From: raw.from, To: raw.to, "Call-ID": raw.callId, CSeq: raw.cseqText }
  phone.answer(request, messageText(`SIP/2.0 ${status}`, { ...copied, ...extra }))
}

/** One call or one publication: From, To, Call-ID and CSeq are kept, and everything can be overridden. */
export interface Script {
  readonly callId: string
  readonly fromTag: string
  /** Number of the last request sent. */
  cseq: number
  /** The peer's tag; null until a 2xx to SUBSCRIBE set it. */
  toTag: string | null
  /** Where requests go: the presentity, then the server's Contact. */
  target: string
  /** CSeq of the last NOTIFY; null before the first. */
  notifyCseq: number | null
  /** Milliseconds since the last SUBSCRIBE was sent. */
  readonly sinceSubscribe: () => number
  /** Sends a request and waits for its final response. */
  readonly ask: (method: string, headers?: Headers, body?: string, target?: string) => Promise<Message>
  /** The text `ask` would send. */
  readonly write: (method: string, headers?: Headers, body?: string, target?: string) => string
  readonly subscribe: (headers?: Headers, body?: string) => Promise<Message>
  readonly publish: (headers?: Headers, body?: string) => Promise<Message>
  /** The next NOTIFY of this dialog, checked against it and answered 200. */
  readonly notified: (expected: Expected, withinMs?: number) => Promise<Message>
  readonly notify: (withinMs?: number) => Promise<Message>
}

export interface Expected {
  /** `active`, `terminated;reason=timeout` … without `expires`. */
  readonly state: string
  /** Seconds; the server's value may be lower by the seconds since the SUBSCRIBE, plus one for rounding. */
  readonly expires?: number
  /** Null: no body; left out: any. */
  readonly body?: string | null
}

export const script = (
  phone: Phone,
  { user, presentity = "sip:alice@example.com" }: { readonly user: string; readonly presentity?: string },
): Script => {
  const from = `<sip:${user}@example.com>`
  const contact = `<sip:${user}@${phone.address}${phone.transport === "udp" ? "" : `;transport=${phone.transport}`}>`
  let subscribedAt = performance.now()
  const call: Script = {
    sinceSubscribe: () => performance.now() - subscribedAt,
    callId: `${mint("call-")}@${phone.address}`,
    fromTag: mint("t"),
    cseq: 0,
    toTag: null,
    target: presentity,
    notifyCseq: null,
    write: (method, headers = {}, body = "", target = call.target) =>
      messageText(
        `${method} ${target} SIP/2.0`,
        {
          Via: viaOf(phone),
          "Max-Forwards": "70",
          From: `${from};tag=${call.fromTag}`,
          To: call.toTag === null ? `<${presentity}>` : `<${presentity}>;tag=${call.toTag}`,
          "Call-ID": call.callId,
          CSeq: `${++call.cseq} ${method}`,
          ...(method === "SUBSCRIBE"
            ? { Contact: contact, Event: "presence", Accept: "application/pidf+xml" }
            : {}),
          ...(method === "PUBLISH" ? { Event: "presence" } : {}),
          ...(body === "" ? {} : { "Content-Type": "application/pidf+xml" }),
          ...headers,
        },
        body,
      ),
    ask: async (method, headers, body, target) => {
      if (method === "SUBSCRIBE") subscribedAt = performance.now()
      phone.send(call.write(method, headers, body, target))
      const isIt = ({ raw }: Message): boolean =>
        !raw.isRequest && raw.method === method && raw.callId === call.callId && raw.status >= 200
      return phone.next(isIt)
    },
    subscribe: async (headers, body) => {
      const response = await call.ask("SUBSCRIBE", headers, body)
      if (response.raw.status < 300) {
        call.toTag = parseAddress(response.raw.to)?.tag ?? null
        call.target = parseAddress(response.header("contact") ?? "")?.uri ?? call.target
      }
      return response
    },
    publish: (headers, body) => call.ask("PUBLISH", headers, body),
    notify: (withinMs) =>
      phone.next(
        ({ raw }) => raw.isRequest && raw.method === "NOTIFY" && raw.callId === call.callId,
        withinMs,
      ),
    notified: async (expected, withinMs) => {
      const notify = await call.notify(withinMs)
      checkNotify(call, notify, expected)
      call.notifyCseq = notify.raw.cseq
      answer(phone, notify)
      return notify
    },
  }
  return call
}

const checkNotify = (call: Script, notify: Message, expected: Expected): void => {
  const { raw } = notify
  assert.equal(parseAddress(raw.from)?.tag, call.toTag, "From of a NOTIFY has the tag of the 200")
  assert.equal(parseAddress(raw.to)?.tag, call.fromTag, "To of a NOTIFY has the tag of the SUBSCRIBE")
  if (call.notifyCseq !== null) assert.equal(raw.cseq, call.notifyCseq + 1, "NOTIFYs are numbered in a row")
  assert.equal(notify.header("event"), "presence")
  assert.equal(notify.header("max-forwards"), "70")
  assert.notEqual(notify.header("contact"), null)
  assert.match(raw.vias[0] ?? "", /branch=z9hG4bK/)
  assert.equal(raw.contentLength, raw.body.length)
  const state = splitParameters(notify.header("subscription-state") ?? "")
  const expires = state?.parameters.get("expires") ?? null
  const shown = [...(state?.parameters ?? [])]
    .filter(([name]) => name !== "expires")
    .map(([name, value]) => `;${name}=${value}`)
  assert.equal(`${state?.value}${shown.join("")}`, expected.state)
  if (expected.expires !== undefined) {
    const left = Number(expires)
    assert.ok(
      left <= expected.expires && left >= expected.expires - 2 - Math.floor(call.sinceSubscribe() / 1000),
      `expires=${expires}, expected ${expected.expires}`,
    )
  }
  if (expected.body === null) assert.equal(raw.body.length, 0)
  else if (expected.body !== undefined) {
    assert.equal(notify.header("content-type"), "application/pidf+xml")
    assert.equal(xml(raw.body.toString("utf8")), xml(expected.body))
  }
}

/** Equal for documents with the same meaning: white space between elements is ignored. */
export const xml = (text: string): string => {
  const parsed = xmlCodec.parse(text)
  assert.ok(parsed._tag === "Parsed", `not XML: ${text}`)
  return canonical(withoutBlanks(parsed.root))
}

const withoutBlanks = (element: Element): Element => ({
  ...element,
  children: element.children
    .filter((node) => node._tag !== "Text" || node.text.trim() !== "")
    .map((node) => (node._tag === "Element" ? withoutBlanks(node) : node)),
})

/** A presence document of alice with these tuples inside. */
export const pidf = (...inside: readonly string[]): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\r\n<presence xmlns="urn:ietf:params:xml:ns:pidf" ` +
  `entity="sip:alice@example.com">\r\n${inside.join("")}</presence>\r\n`

export const tuple = (id: string, basic: string, note?: string): string =>
  `  <tuple id="${id}">\r\n    <status><basic>${basic}</basic></status>\r\n` +
  `    <contact priority="0.8">sip:alice@${id}.example.com</contact>\r\n` +
  `${note === undefined ? "" : `    <note xml:lang="en">${note}</note>\r\n`}  </tuple>\r\n`
