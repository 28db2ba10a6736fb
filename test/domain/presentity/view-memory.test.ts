/**
 * What stays in memory of the documents of presentities that nobody asks for: texts.
 */
import { deepStrictEqual, notStrictEqual, ok, strictEqual } from "node:assert/strict"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { describe, it } from "vitest"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { makeEngine } from "../../../src/domain/engine/make-engine.ts"
import type { EventPackage } from "../../../src/domain/packages/event-package.ts"
import { presence } from "../../../src/domain/packages/pidf.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import type { Command } from "../../../src/domain/presentity/commands.ts"
import { allowEveryone, defaultLimits } from "../../../src/domain/presentity/context.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import { absentView, currentDocument, currentView, offlineBody } from "../../../src/domain/presentity/view.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

/** Presence that notes, weakly, what it read and composed, and how often it was asked. */
const watched = () => {
  const documents: WeakRef<object>[] = []
  const asked = { parse: 0, compose: 0, render: 0 }
  const base = presence({ xml: xmlCodec, notifyIntervalMillis: 0, notifyOfflineBody: true }) as EventPackage
  const noted = <Document>(document: Document): Document => {
    if (typeof document === "object" && document !== null) documents.push(new WeakRef(document))
    return document
  }
  const eventPackage: EventPackage = {
    ...base,
    parse: (body) => {
      asked.parse += 1
      const parsed = base.parse(body)
      if (parsed._tag === "Parsed") noted(parsed.document)
      return parsed
    },
    compose: (input) => {
      asked.compose += 1
      return noted(base.compose(input))
    },
    render: (document) => {
      asked.render += 1
      return base.render(document)
    },
  }
  return {
    eventPackage,
    asked,
    kept: () => documents.filter((document) => document.deref() !== undefined).length,
  }
}

const uriOf = (index: number): Uri => `sip:p${index}@example.com` as Uri

const publish = (presentity: Uri): Command => ({
  _tag: "Publish",
  packageName: "presence",
  ifMatch: [],
  expires: 3600,
  body: {
    contentType: "application/pidf+xml",
    text: `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${presentity}"><tuple id="t"><status/></tuple></presence>`,
  },
  bodyFault: null,
  sender: null,
})

const subscribe = (presentity: Uri): Command => ({
  _tag: "Subscribe",
  packageName: "presence",
  eventId: null,
  watcher: "sip:w@example.com" as Uri,
  expires: 3600,
  accept: ["application/pidf+xml"],
  forceActive: false,
  bodyFault: null,
  dialog: {
    callId: presentity,
    localTag: "l",
    remoteTag: "r",
    localUri: `<${presentity}>`,
    remoteUri: "<sip:w@example.com>",
    remoteTarget: "sip:w@192.0.2.1",
    routeSet: [],
    remoteCseq: 1,
    localContact: "sip:presence@192.0.2.2",
    flow: "udp:192.0.2.2:5060",
    source: "192.0.2.1:5060",
  },
})

const presentities = 50

const filled = (eventPackage: EventPackage) => {
  const engine = makeEngine<null>({
    packages: makeRegistry([eventPackage]),
    limits: defaultLimits,
    authorize: allowEveryone,
  })
  let now = 1_800_000_000_000
  for (let index = 0; index < presentities; index++) {
    engine.load(initial(uriOf(index)))
    for (const command of [subscribe(uriOf(index)), publish(uriOf(index))]) {
      const offer = { presentity: uriOf(index), command, origin: "", ticket: null }
      strictEqual(engine.offer(offer, ++now, () => `${now}`)._tag, "Held")
      engine.takeBatch(10)
      engine.committed(new Set())
    }
  }
  return engine
}

describe("what is kept of documents", () => {
  it("no tree is kept but those of the last document read and composed", async () => {
    const { eventPackage, kept } = watched()
    const engine = filled(eventPackage)
    // what a weak reference was given or gave stays for the turn
    await new Promise((next) => setImmediate(next))
    collectGarbage()
    ok(kept() <= 4, `${kept()} documents`)
    strictEqual(engine.counts().presentities, presentities)
  })

  it("one PUBLISH reads its document once, and composes and renders what watchers see once", () => {
    const { eventPackage, asked } = watched()
    filled(eventPackage)
    // the document of nobody who published is composed when the watcher comes
    deepStrictEqual(asked, { parse: presentities, compose: 2 * presentities, render: 2 * presentities })
  })

  it("what is asked for again is what it was: the rendered view without reading, the document by reading", () => {
    const { eventPackage, asked } = watched()
    const engine = filled(eventPackage)
    const states = Array.from({ length: presentities }, (_, index) => engine.state(uriOf(index))!)
    const before = { ...asked }
    const views = states.map((state) => currentView(state, eventPackage))
    deepStrictEqual(
      states.map((state) => currentView(state, eventPackage)),
      views,
    )
    deepStrictEqual(asked, before)
    for (const [index, state] of states.entries()) {
      const document = currentDocument(state, eventPackage)
      deepStrictEqual(eventPackage.render(document), views[index]!.body)
    }
    notStrictEqual(asked.parse, before.parse)
  })

  it("what somebody absent looks like is rendered once for all watchers in turn", () => {
    const { eventPackage, asked } = watched()
    const alice = uriOf(1)
    const [absent, offline] = [absentView(alice, eventPackage), offlineBody(alice, eventPackage)]
    const before = { ...asked }
    for (let watcher = 0; watcher < 10; watcher++) {
      strictEqual(absentView(alice, eventPackage), absent)
      strictEqual(offlineBody(alice, eventPackage), offline)
    }
    deepStrictEqual(asked, before)
    notStrictEqual(absentView(uriOf(2), eventPackage).digest, absent.digest)
  })
})
