/**
 * What presentities take of memory: octets of heap for one that is loaded, for a subscription, and for a publication beside its
 * body. In memory, without sockets and without a store.
 *
 *   node --expose-gc bench/memory.ts [--presentities 20000] [--watchers 0] [--publications 1]
 */
import { parseArgs } from "node:util"
import { packagesOf } from "../src/app/library/options.ts"
import { makeEngine } from "../src/domain/engine/make-engine.ts"
import type { Command } from "../src/domain/presentity/commands.ts"
import { allowEveryone, defaultLimits } from "../src/domain/presentity/context.ts"
import { initial } from "../src/domain/presentity/state.ts"
import type { Uri } from "../src/domain/vocabulary.ts"

const { values } = parseArgs({
  options: {
    presentities: { type: "string", default: "20000" },
    watchers: { type: "string", default: "0" },
    publications: { type: "string", default: "1" },
  },
})
const presentities = Number(values.presentities)
const watchers = Number(values.watchers)
const publications = Number(values.publications)
const { gc } = globalThis
if (gc === undefined) throw new Error("run it with --expose-gc")

/** A text as the network gives it: one piece, that shares nothing. */
const received = (text: string): string => Buffer.from(text).toString("latin1")

const uriOf = (index: number): Uri => received(`sip:user${index}@example.com`) as Uri

const documentOf = (index: number, no: number): string =>
  received(`<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"
  xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:user${index}@example.com">
  <tuple id="soft${no}">
    <status><basic>open</basic></status>
    <contact priority="1.0">sip:user${index}@192.0.2.1;transport=tcp</contact>
    <note xml:lang="en">In the office</note>
    <timestamp>2026-11-22T10:00:00Z</timestamp>
  </tuple>
  <dm:person id="person${no}">
    <rpid:activities><rpid:meeting/></rpid:activities>
    <rpid:place-type><rpid:office/></rpid:place-type>
    <dm:note>Back after the planning round</dm:note>
  </dm:person>
</presence>
`)

const publishOf = (text: string): Command => ({
  _tag: "Publish",
  packageName: "presence",
  ifMatch: [],
  expires: 3600,
  body: { contentType: "application/pidf+xml", text },
  bodyFault: null,
  sender: null,
})

const subscribeOf = (index: number, watcher: number): Command => ({
  _tag: "Subscribe",
  packageName: "presence",
  eventId: null,
  watcher: received(`sip:watcher${watcher}@example.com`) as Uri,
  expires: 3600,
  accept: ["application/pidf+xml"],
  forceActive: false,
  bodyFault: null,
  dialog: {
    callId: received(`call${index}-${watcher}@192.0.2.1`),
    localTag: received(`local${index}-${watcher}`),
    remoteTag: received(`remote${index}-${watcher}`),
    localUri: received(`<sip:user${index}@example.com>`),
    remoteUri: received(`<sip:watcher${watcher}@example.com>`),
    remoteTarget: received(`sip:watcher${watcher}@192.0.2.1:5060`),
    routeSet: [],
    remoteCseq: 1,
    localContact: "sip:presence@192.0.2.2",
    flow: "udp:192.0.2.2:5060",
    source: "192.0.2.1:5060",
  },
})

const engine = makeEngine<null>({
  packages: packagesOf({}),
  limits: { ...defaultLimits, notifyIntervalMillis: 0 },
  authorize: allowEveryone,
})
let now = 1_800_000_000_000
const ask = (presentity: Uri, command: Command): void => {
  const offered = engine.offer({ presentity, command, origin: "", ticket: null }, ++now, () => `n${now}`)
  if (offered._tag === "Missing") throw new Error(`${presentity} is not loaded`)
  if (offered._tag === "Released") return
  engine.takeBatch(1_000)
  for (const { answer, notifications } of engine.committed(new Set()).release) {
    if (answer._tag === "Rejected") throw new Error(JSON.stringify(answer))
    for (const { no, cseq } of notifications) {
      const outcome = { _tag: "Accepted", remoteTarget: null } as const
      ask(presentity, { _tag: "ReportDelivery", no, cseq, outcome })
    }
  }
}

const heapUsed = (): number => {
  for (let pass = 0; pass < 4; pass++) gc()
  return process.memoryUsage().heapUsed
}

/** Octets of heap that the work leaves behind. */
const left = (work: () => void): number => {
  const before = heapUsed()
  work()
  return heapUsed() - before
}

const each = (work: (index: number) => void): void => {
  for (let index = 0; index < presentities; index++) work(index)
}

const loaded = left(() => each((index) => engine.load(initial(uriOf(index)))))
console.log(`presentity: ${Math.round(loaded / presentities)} octets`)
const subscribed = left(() =>
  each((index) => {
    for (let watcher = 0; watcher < watchers; watcher++) ask(uriOf(index), subscribeOf(index, watcher))
  }),
)
if (watchers > 0) console.log(`subscription: ${Math.round(subscribed / presentities / watchers)} octets`)
let bodies = 0
const published = left(() =>
  each((index) => {
    for (let no = 1; no <= publications; no++) {
      const text = documentOf(index, no)
      bodies += text.length
      ask(uriOf(index), publishOf(text))
    }
  }),
)
const count = presentities * publications
console.log(
  `publication: ${Math.round((published - bodies) / count)} octets beside its body of ${Math.round(bodies / count)}`,
)
