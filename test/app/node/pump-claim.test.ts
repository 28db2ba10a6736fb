/**
 * The pump while it is not sure that nobody else has the log, and after somebody took it.
 */
import assert from "node:assert/strict"
import { Effect, Exit, Scope } from "effect"
import { describe, it } from "vitest"
import { makeMemoryLog, makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { makePump, pumpDefaults } from "../../../src/app/node/pump.ts"
import type { Pump } from "../../../src/app/node/pump.ts"
import { presence } from "../../../src/domain/packages/pidf.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import type { Answer, Command } from "../../../src/domain/presentity/commands.ts"
import { allowEveryone, defaultLimits } from "../../../src/domain/presentity/context.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import { dialogKey } from "../../../src/domain/vocabulary.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { LogIsTaken } from "../../../src/ports/claim.ts"
import { EventStore, StoreUnavailable } from "../../../src/ports/event-store.ts"
import { holds } from "../../support/condition.ts"

const alice = "sip:alice@example.com" as Uri
const bob = "sip:bob@example.com" as Uri
const shared = { packageName: "presence", eventId: null, watcher: bob, accept: null, forceActive: false }

const subscribe = (expires: number): Command => ({
  _tag: "Subscribe",
  ...shared,
  expires,
  bodyFault: null,
  dialog: {
    callId: "c",
    localTag: "l",
    remoteTag: "r",
    localUri: `<${alice}>`,
    remoteUri: `<${bob}>`,
    remoteTarget: "sip:bob@192.0.2.1",
    routeSet: [],
    remoteCseq: 1,
    localContact: "sip:presence@192.0.2.2",
    flow: "udp:192.0.2.2:5060",
    source: "192.0.2.1:5060",
  },
})

const publish = (ifMatch: readonly string[], expires: number | null = 600): Command => ({
  _tag: "Publish",
  packageName: "presence",
  ifMatch,
  expires,
  body: {
    contentType: "application/pidf+xml",
    text: `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${alice}"><tuple id="t"/></presence>`,
  },
  bodyFault: null,
  sender: null,
})

const holder = { program: "presently serve", host: "b", pid: 7, version: "1", since: 0, epoch: 2 }

/** A pump over a store whose claim the test turns on and off. */
const start = async (context: { onTestFinished: (end: () => Promise<void>) => void }) => {
  const scope = Effect.runSync(Scope.make())
  context.onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  const log = makeMemoryLog()
  const memory = makeMemoryStore(log)
  const claim = {
    sure: true,
    taken: null as LogIsTaken | null,
    /** Called before each append. */
    appending: (): boolean => true,
  }
  const sent: Notify[] = []
  const store: EventStore["Service"] = {
    ...memory,
    append: (decisions, requesters) =>
      Effect.suspend(() =>
        claim.taken === null && claim.appending()
          ? memory.append(decisions, requesters)
          : Effect.fail(new StoreUnavailable({ cause: claim.taken })),
      ),
    claim: { isSure: () => claim.sure, taken: () => claim.taken },
  }
  const pump: Pump = await Effect.runPromise(
    makePump(
      {
        packages: makeRegistry([presence({ xml: xmlCodec })]),
        limits: { ...defaultLimits, notifyIntervalMillis: 0 },
        authorize: allowEveryone,
        ...pumpDefaults,
        patienceMillis: 50,
      },
      {
        notify: (all) => {
          sent.push(...all)
          for (const { presentity, no, cseq } of all)
            pump.handler.delivered(presentity, no, cseq, { _tag: "Accepted", remoteTarget: null })
        },
        stored: () => {},
        outage: () => {},
      },
    ).pipe(Effect.provideService(EventStore, store)),
  )
  await Effect.runPromise(pump.recover.pipe(Effect.andThen(pump.start), Scope.provide(scope)))
  const ask = (presentity: Uri | null, command: Command): Promise<number> =>
    new Promise((resolve) => {
      const answer = (given: Answer): void =>
        resolve(given._tag === "Rejected" ? given.rejection.status : 200)
      pump.handler.submit({ presentity, command, origin: "", answer })
    })
  return { pump, ask, claim, sent, log }
}

/** What needs no append, and what it is answered by memory that is right. */
const refusals: readonly (readonly [number, Uri | null, Command])[] = [
  [412, alice, publish(["no such tag"])],
  [
    481,
    null,
    {
      _tag: "Resubscribe",
      ...shared,
      dialog: dialogKey("no", "such", "dialog"),
      expires: 600,
      cseq: 2,
      remoteTarget: null,
      bodyFault: null,
    },
  ],
  [423, alice, publish([], 1)],
  [489, alice, { ...publish([]), packageName: "no-such" } as Command],
]

describe("a pump that is not sure that the log is its own", () => {
  it(
    "refuses nothing from memory, and says 503 instead; it does again when it is sure",
    { tags: ["OPS-writer"] },
    async (context) => {
      const { ask, claim, pump } = await start(context)
      assert.equal(await ask(alice, publish([])), 200)
      const strict = refusals.filter(([status]) => status !== 423)
      for (const [status, presentity, command] of strict) assert.equal(await ask(presentity, command), status)
      claim.sure = false
      const before = pump.counters.refusedUnavailable
      for (const [, presentity, command] of strict) assert.equal(await ask(presentity, command), 503)
      assert.equal(pump.counters.refusedUnavailable - before, strict.length)
      claim.sure = true
      for (const [status, presentity, command] of strict) assert.equal(await ask(presentity, command), status)
    },
  )

  it(
    "stores and answers what the log takes, for then it was its own; NOTIFYs wait until that is sure",
    { tags: ["OPS-writer"] },
    async (context) => {
      const { ask, claim, sent, log } = await start(context)
      assert.equal(await ask(alice, subscribe(600)), 200)
      await holds("the first NOTIFY", () => sent.length === 1)
      claim.sure = false
      assert.equal(await ask(alice, publish([])), 200)
      assert.equal(log.read(0, 100).length, 2)
      // a tick and more
      await new Promise((resolve) => setTimeout(resolve, 3 * pumpDefaults.tickMillis))
      assert.equal(sent.length, 1)
      claim.sure = true
      await holds("the second NOTIFY", () => sent.length === 2)
      assert.deepEqual(
        sent.map(({ cseq }) => cseq),
        [1, 2],
      )
    },
  )

  it(
    "NOTIFYs that waited leave before those that were decided after them",
    { tags: ["L16", "OPS-writer"] },
    async (context) => {
      const { ask, claim, sent } = await start(context)
      assert.equal(await ask(alice, subscribe(600)), 200)
      await holds("the first NOTIFY", () => sent.length === 1)
      claim.sure = false
      assert.equal(await ask(alice, publish([])), 200)
      // sure again just when the next decision is stored
      claim.appending = () => (claim.sure = true)
      const end = {
        _tag: "Terminate",
        packageName: "presence",
        watcher: null,
        reason: "deactivated",
      } as const
      assert.equal(await ask(alice, end), 200)
      await holds("all NOTIFYs", () => sent.length === 3)
      assert.deepEqual(
        sent.map(({ cseq }) => cseq),
        [1, 2, 3],
      )
    },
  )

  it(
    "once somebody took the log it stores, answers and sends nothing more, and does not come back",
    { tags: ["OPS-writer"] },
    async (context) => {
      const { ask, claim, sent, log, pump } = await start(context)
      assert.equal(await ask(alice, subscribe(600)), 200)
      await holds("the first NOTIFY", () => sent.length === 1)
      claim.sure = false
      claim.taken = new LogIsTaken({ store: "the log", holder, fix: "stop it" })
      assert.equal(await ask(alice, publish([])), 503)
      await holds("it is down", () => pump.status() === "down")
      for (const [, presentity, command] of refusals) assert.equal(await ask(presentity, command), 503)
      await new Promise((resolve) => setTimeout(resolve, 600))
      assert.equal(pump.status(), "down")
      assert.deepEqual([log.read(0, 100).length, sent.length], [1, 1])
    },
  )
})
