import { Session } from "node:inspector/promises"
/**
 * What one message costs the SIP side: a whole stack over a transport that is a value of this file instead of a socket, from
 * the octets of a request to those of its response, and from a NOTIFY of the core to the answer to it.
 *
 * Prints microseconds of processor (all threads), octets of heap and, with `--objects`, how many objects are made a message. A
 * second checkout is measured in alternation in the same process, and the ratio is printed:
 *
 *   node --expose-gc bench/sip.ts [--against ../other-checkout] [--rounds 9] [--objects]
 */
import { createRequire } from "node:module"
import { join, resolve } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import type * as EffectModule from "effect"
import type * as Reader from "../src/adapters/sip/message-reader.ts"
import type * as Stack from "../src/adapters/sip/stack.ts"
import type { Flow, SocketParts, Transport } from "../src/adapters/sip/transports/transport.ts"
import type * as Udp from "../src/adapters/sip/transports/udp.ts"
import type * as Codec from "../src/adapters/xml/codec.ts"
import type * as Pidf from "../src/domain/packages/pidf.ts"
import type * as Registry from "../src/domain/packages/registry.ts"
import type { Answer } from "../src/domain/presentity/commands.ts"
import type { Notify } from "../src/domain/presentity/intents.ts"
import type { DialogStart, EntityTag, Uri } from "../src/domain/vocabulary.ts"
import type { Request } from "../src/ports/sip-transport.ts"

const { values } = parseArgs({
  options: {
    against: { type: "string" },
    rounds: { type: "string", default: "9" },
    only: { type: "string" },
    objects: { type: "boolean", default: false },
  },
})

const own = resolve(import.meta.dirname, "..")
const batch = 2_000
/** Requests that wait for their commit together. */
const committedTogether = 32

const document =
  '<?xml version="1.0" encoding="UTF-8"?><presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" ' +
  'xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:p1@example.com"><tuple id="t1"><status><basic>open</basic></status>' +
  '<contact priority="0.8">sip:p1@192.0.2.20:5060</contact><note>at the desk</note></tuple><dm:person id="p1"><rpid:activities>' +
  "<rpid:on-the-phone/></rpid:activities><dm:note>on the phone since nine</dm:note></dm:person></presence>"

/** One checkout with its stack, driven through its transport. */
interface Driven {
  readonly receive: (bytes: Buffer, port: number) => void
  readonly notify: (notifications: readonly Notify[]) => void
  /** Answers what waits for its commit. */
  readonly commit: () => void
  /** What was sent last. */
  readonly sent: () => Buffer
  readonly advance: (millis: number) => void
  /** Dialogs of the SUBSCRIBEs that came. */
  readonly dialogs: DialogStart[]
  readonly delivered: () => number
  readonly close: () => Promise<void>
}

const drive = async (root: string): Promise<Driven> => {
  const load = (path: string): Promise<unknown> => import(pathToFileURL(join(root, path)).href)
  const effectPath = createRequire(join(root, "package.json")).resolve("effect")
  const { Effect, Exit, Scope } = (await import(pathToFileURL(effectPath).href)) as typeof EffectModule
  const { make } = (await load("src/adapters/sip/stack.ts")) as typeof Stack
  const { readDatagram } = (await load("src/adapters/sip/message-reader.ts")) as typeof Reader
  const { udp } = (await load("src/adapters/sip/transports/udp.ts")) as typeof Udp
  const { makeRegistry } = (await load("src/domain/packages/registry.ts")) as typeof Registry
  const { presence } = (await load("src/domain/packages/pidf.ts")) as typeof Pidf
  const { xmlCodec } = (await load("src/adapters/xml/codec.ts")) as typeof Codec
  let sent: Buffer = Buffer.alloc(0)
  let now = 0
  let parts: SocketParts | null = null
  let delivered = 0
  const transport: Transport = {
    ...udp,
    bigRequestsOver: null,
    makeSockets: (made) => {
      parts = made
      return {
        kind: "datagrams",
        listeners: [flow],
        listen: () => Effect.succeed(flow),
        tick() {},
        closeAll() {},
      }
    },
  }
  const flow: Flow = {
    transport,
    host: "127.0.0.1",
    port: 5_060,
    send: (bytes) => {
      sent = bytes
    },
  }
  const sip = make({
    transports: [transport],
    listen: [{ transport: "udp", host: "127.0.0.1", port: 5_060 }],
    domains: ["example.com"],
    packages: makeRegistry([presence({ xml: xmlCodec, rules: {} })]),
    notifyTargets: ["127.0.0.1"],
    clock: () => now,
  })
  const waiting: Request[] = []
  const dialogs: DialogStart[] = []
  let etags = 0
  const answerOf = ({ command }: Request): Answer =>
    command._tag === "Publish"
      ? {
          _tag: "Accepted",
          reply: { _tag: "Published", entityTag: `e${++etags}.0123456789` as EntityTag, expires: 3_600 },
        }
      : { _tag: "Accepted", reply: { _tag: "Subscribed", status: 200, expires: 3_600 } }
  const scope = await Effect.runPromise(Scope.make())
  await Effect.runPromise(
    Effect.provideService(
      sip.listen({
        submit: (request) => {
          waiting.push(request)
          if (request.command._tag === "Subscribe" && dialogs.length < batch)
            dialogs.push(request.command.dialog)
        },
        delivered: () => {
          delivered++
        },
      }),
      Scope.Scope,
      scope,
    ),
  )
  return {
    receive: (bytes, port) => {
      const message = readDatagram(bytes, parts!.limits, parts!.carried)
      if (message === null) throw new Error("not readable")
      parts!.events.message(message, flow, "127.0.0.1", port)
    },
    notify: sip.notify,
    commit: () => {
      for (const request of waiting) request.answer(answerOf(request))
      waiting.length = 0
    },
    sent: () => sent,
    advance: (millis) => {
      now += millis
    },
    dialogs,
    delivered: () => delivered,
    close: () => Effect.runPromise(Scope.close(scope, Exit.void)),
  }
}

let serial = 0
const publish = (extra: string, body: string): Buffer => {
  const index = ++serial
  const user = index % 1_000
  return Buffer.from(
    `PUBLISH sip:p${user}@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5998;branch=z9hG4bK${(index * 7_919).toString(16)}.${index.toString(16)}\r\n` +
      `Max-Forwards: 70\r\nFrom: <sip:p${user}@example.com>;tag=p${index.toString(16)}\r\nTo: <sip:p${user}@example.com>\r\n` +
      `Call-ID: p${user}.${index}@example.com\r\nCSeq: 1 PUBLISH\r\n${extra}Event: presence\r\nExpires: 3600\r\n` +
      (body === "" ? "" : "Content-Type: application/pidf+xml\r\n") +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}
const subscribe = (tag: string): Buffer => {
  const index = ++serial
  const user = index % 1_000
  return Buffer.from(
    `SUBSCRIBE sip:p${user}@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5998;branch=z9hG4bK${(index * 7_919).toString(16)}.${index.toString(16)}\r\n` +
      `Max-Forwards: 70\r\nFrom: <sip:w${user}@example.com>;tag=w${user}.${index.toString(16)}\r\nTo: <sip:p${user}@example.com>${tag}\r\n` +
      `Call-ID: w${user}.${index}@example.com\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:w${user}@127.0.0.1:5998>\r\n` +
      "Event: presence\r\nAccept: application/pidf+xml\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
  )
}

/** A batch that has been prepared: what is not to be measured has been done. */
type Kind = (driven: Driven) => () => void

const requests =
  (text: () => Buffer): Kind =>
  (driven) => {
    const messages = Array.from({ length: batch }, text)
    return () => {
      let index = 0
      for (const bytes of messages) {
        driven.receive(bytes, 5_998)
        driven.advance(0.5)
        if (++index % committedTogether === 0) driven.commit()
      }
      driven.commit()
    }
  }

let cseq = 0
const valueOf = (head: string, name: string): string => {
  const start = head.indexOf(`\r\n${name}: `) + name.length + 4
  return head.slice(start, head.indexOf("\r\n", start))
}

/** NOTIFYs of one document to ten watchers each; the answers are made between the two halves that are measured. */
const notifications = (driven: Driven): Notify[] => {
  const list: Notify[] = []
  for (let index = 0; index < batch; index += 10) {
    const body = { contentType: "application/pidf+xml", text: document }
    for (let watcher = 0; watcher < 10; watcher++)
      list.push({
        _tag: "Notify",
        presentity: "sip:p1@example.com" as Uri,
        no: 1 as never,
        cseq: ++cseq,
        packageName: "presence",
        eventId: null,
        dialog: driven.dialogs[(index + watcher) % driven.dialogs.length]!,
        state: "active",
        expires: 3_000,
        reason: null,
        retryAfter: null,
        body,
        rates: null,
        entityTag: null,
      })
  }
  return list
}
const responseTo = (head: string, index: number): Buffer =>
  Buffer.from(
    `SIP/2.0 200 OK\r\nVia: ${valueOf(head, "Via")}\r\nFrom: ${valueOf(head, "From")}\r\nTo: ${valueOf(head, "To")}\r\n` +
      `Call-ID: ${valueOf(head, "Call-ID")}\r\nCSeq: ${valueOf(head, "CSeq")}\r\nContact: <sip:w${index % 1_000}@127.0.0.1:5998>\r\nContent-Length: 0\r\n\r\n`,
  )
let unanswered: string[] = []
const notifyOut: Kind = (driven) => {
  const list = notifications(driven)
  unanswered = []
  return () => {
    for (const notify of list) {
      driven.notify([notify])
      unanswered.push(driven.sent().toString("latin1"))
    }
  }
}
const notifyAnswered: Kind = (driven) => {
  notifyOut(driven)()
  const answers = unanswered.map(responseTo)
  return () => {
    for (const bytes of answers) {
      driven.receive(bytes, 5_998)
      driven.advance(0.5)
    }
  }
}

const kinds: Readonly<Record<string, Kind>> = {
  "publish-initial": requests(() => publish("", document)),
  "publish-modify": requests(() => publish(`SIP-If-Match: e${serial}.0123456789\r\n`, document)),
  "publish-refresh": requests(() => publish(`SIP-If-Match: e${serial}.0123456789\r\n`, "")),
  "subscribe-initial": requests(() => subscribe("")),
  "subscribe-refresh": requests(() => subscribe(`;tag=0123456789abcdef${serial.toString(16)}`)),
  notify: notifyOut,
  "notify-answered": notifyAnswered,
}

const microsOf = async (driven: Driven, kind: Kind): Promise<number> => {
  const work = kind(driven)
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  if (kind === notifyOut) answerAll(driven)
  driven.advance(60)
  // transactions are forgotten by the stack's own timer
  await sleep(60)
  return (user + system) / batch
}
const answerAll = (driven: Driven): void => {
  for (const [index, head] of unanswered.entries()) driven.receive(responseTo(head, index), 5_998)
}

/** Octets of heap a message makes, as long as nothing is collected. */
const octetsOf = (driven: Driven, kind: Kind): number => {
  const work = kind(driven)
  globalThis.gc?.()
  const before = process.memoryUsage()
  work()
  const after = process.memoryUsage()
  if (kind === notifyOut) answerAll(driven)
  return (after.heapUsed + after.external - before.heapUsed - before.external) / batch
}

const objectsOf = async (driven: Driven, kind: Kind): Promise<number> => {
  const work = kind(driven)
  const session = new Session()
  session.connect()
  await session.post("HeapProfiler.enable")
  await session.post("HeapProfiler.startSampling", {
    samplingInterval: 1,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  })
  work()
  const { profile } = await session.post("HeapProfiler.stopSampling")
  session.disconnect()
  if (kind === notifyOut) answerAll(driven)
  return (profile as unknown as { readonly samples: readonly unknown[] }).samples.length / batch
}

const median = (figures: readonly number[]): number =>
  figures.toSorted((left, right) => left - right)[Math.floor(figures.length / 2)] ?? Number.NaN

const spread = (figures: readonly number[]): string =>
  `${median(figures).toFixed(1)} (${Math.min(...figures).toFixed(1)}–${Math.max(...figures).toFixed(1)})`

const checkouts = [...(values.against === undefined ? [] : [resolve(values.against)]), own]
const drivens = await Promise.all(checkouts.map(drive))
const chosen = Object.entries(kinds).filter(
  ([name]) => values.only === undefined || name.includes(values.only),
)
// all ways are compiled before anything is measured, and dialogs are there to be notified
for (let round = 0; round < 3; round++)
  for (const kind of Object.values(kinds)) for (const driven of drivens) await microsOf(driven, kind)
const names = checkouts.length === 1 ? ["this"] : ["that", "this"]
for (const [name, kind] of chosen) {
  const micros = drivens.map((): number[] => [])
  const octets = drivens.map((): number[] => [])
  for (let round = 0; round < Number(values.rounds); round++) {
    const order = [...drivens.entries()]
    // who comes second finds other caches, and other garbage
    for (const [index, driven] of round % 2 === 0 ? order : order.toReversed())
      micros[index]!.push(await microsOf(driven, kind))
  }
  for (let round = 0; round < 3; round++)
    for (const [index, driven] of drivens.entries()) octets[index]!.push(octetsOf(driven, kind))
  const objects: string[] = []
  if (values.objects) for (const driven of drivens) objects.push((await objectsOf(driven, kind)).toFixed(1))
  const ratio = micros.length === 1 ? "" : `  ratio ${(median(micros[1]!) / median(micros[0]!)).toFixed(2)}`
  console.log(
    `${name.padEnd(18)} µs ${micros.map((figures, index) => `${names[index]} ${spread(figures)}`).join(", ")}${ratio}` +
      `  octets ${octets.map((figures) => median(figures).toFixed(0)).join(" → ")}` +
      (objects.length === 0 ? "" : `  objects ${objects.join(" → ")}`),
  )
}
for (const driven of drivens) await driven.close()
