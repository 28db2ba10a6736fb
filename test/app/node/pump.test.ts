/**
 * The pump between engine and store, where another writer or a store that is away gets in between.
 */
import assert from "node:assert/strict"
import { Effect, Exit, Scope } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { makeMemoryLog, makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { makePump, pumpDefaults } from "../../../src/app/node/pump.ts"
import type { Pump } from "../../../src/app/node/pump.ts"
import { freshNonce } from "../../../src/app/nonce.ts"
import { presence } from "../../../src/domain/packages/pidf.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import type { Answer, Command, Publish, Subscribe } from "../../../src/domain/presentity/commands.ts"
import { allowEveryone, defaultLimits } from "../../../src/domain/presentity/context.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import { dialogKey } from "../../../src/domain/vocabulary.ts"
import type { EntityTag, Uri } from "../../../src/domain/vocabulary.ts"
import { EventStore, StoreUnavailable } from "../../../src/ports/event-store.ts"
import { holds } from "../../support/condition.ts"

const alice = "sip:alice@example.com" as Uri
const bob = "sip:bob@example.com" as Uri

const subscribe: Subscribe = {
  _tag: "Subscribe",
  packageName: "presence",
  eventId: null,
  watcher: bob,
  expires: 600,
  accept: null,
  forceActive: false,
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
}

const resubscribe = (cseq: number): Command => ({
  _tag: "Resubscribe",
  dialog: dialogKey("c", "l", "r"),
  packageName: "presence",
  eventId: null,
  watcher: bob,
  expires: 600,
  accept: null,
  cseq,
  remoteTarget: null,
  forceActive: false,
  bodyFault: null,
})

const publishTuple = (id: string): Publish => ({
  _tag: "Publish",
  packageName: "presence",
  ifMatch: [],
  expires: 600,
  body: {
    contentType: "application/pidf+xml",
    text: `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${alice}"><tuple id="${id}"/></presence>`,
  },
  bodyFault: null,
  sender: null,
})
const publish = publishTuple("t")

/** A pump of its own over a store that may be shared. */
const startPump = async (
  store: EventStore["Service"],
  scope: Scope.Scope,
  notify: (notifications: readonly Notify[]) => void = () => {},
  patienceMillis = 50,
): Promise<Pump> => {
  const pump = await Effect.runPromise(
    makePump(
      {
        packages: makeRegistry([presence({ xml: xmlCodec })]),
        limits: defaultLimits,
        authorize: allowEveryone,
        ...pumpDefaults,
        patienceMillis,
      },
      { notify, stored: () => {}, outage: () => {} },
    ).pipe(Effect.provideService(EventStore, store)),
  )
  await Effect.runPromise(pump.recover.pipe(Effect.andThen(pump.start), Scope.provide(scope)))
  return pump
}

const ask = (pump: Pump, presentity: Uri | null, command: Command): Promise<Answer> =>
  new Promise((answer) => {
    pump.handler.submit({ presentity, command, origin: "", answer })
  })

const statusOf = (answer: Answer): number => {
  if (answer._tag === "Rejected") return answer.rejection.status
  return answer.reply._tag === "Subscribed" ? answer.reply.status : 200
}

describe("nonces", () => {
  it("OPS-publish-etag 3903-6-n: are tokens that differ, and none can be taken for a flag of a command line", () => {
    const nonces = Array.from({ length: 20_000 }, freshNonce)
    assert.strictEqual(new Set(nonces).size, nonces.length)
    for (const nonce of nonces) assert.match(nonce, /^[A-Za-z0-9_~][A-Za-z0-9_-]{15}$/)
  })
})

describe("the pump", () => {
  it(
    "requests of one dialog that all meet another writer's change are each answered, in order",
    { tags: ["L39"] },
    async (context) => {
      const scope = Effect.runSync(Scope.make())
      context.onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
      const log = makeMemoryLog()
      const ours = await startPump(makeMemoryStore(log), scope)
      assert.equal(statusOf(await ask(ours, alice, subscribe)), 200)
      const other = await startPump(makeMemoryStore(log), scope)
      assert.equal(statusOf(await ask(other, alice, publish)), 200)
      const answers = await Promise.all([2, 3, 4].map((cseq) => ask(ours, null, resubscribe(cseq))))
      assert.deepEqual(answers.map(statusOf), [200, 200, 200])
      assert.ok(ours.counters.conflicts > 0)
      const causes = log.read(0, 100).map((one) => one.decision.cause)
      assert.deepEqual(
        causes.filter((cause) => cause === "Resubscribe"),
        ["Resubscribe", "Resubscribe", "Resubscribe"],
      )
    },
  )

  it(
    "two servers on one log show a watcher the same document, whichever was published to",
    { tags: ["3856-6.9-b"] },
    async (context) => {
      const scope = Effect.runSync(Scope.make())
      context.onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
      const log = makeMemoryLog()
      const shown: (string | undefined)[] = []
      const start = (): Promise<Pump> =>
        startPump(makeMemoryStore(log), scope, (sent) => shown.push(...sent.map(({ body }) => body?.text)))
      const servers = [await start(), await start(), await start()]
      for (const [index, server] of servers.entries())
        assert.equal(statusOf(await ask(server, alice, publishTuple(`t${index}`))), 200)
      for (const server of servers)
        assert.equal(statusOf(await ask(server, alice, { ...subscribe, expires: 0 })), 200)
      assert.deepEqual(new Set(shown).size, 1)
      assert.deepEqual(
        [...(shown[0] ?? "").matchAll(/tuple id="(\w+)"/g)].map(([, id]) => id),
        ["t0", "t1", "t2"],
      )
      assert.equal(shown.length, 3)
    },
  )

  it(
    "a presentity that was alive before a restart and is not in memory is found again by its version",
    { tags: ["3903-6-c"] },
    async (context) => {
      const scope = Effect.runSync(Scope.make())
      context.onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
      const log = makeMemoryLog()
      const first = await startPump(makeMemoryStore(log), scope)
      const published = await ask(first, alice, publish)
      assert.ok(published._tag === "Accepted" && published.reply._tag === "Published")
      const removal = { ...publish, ifMatch: [published.reply.entityTag], expires: 0, body: null }
      assert.equal(statusOf(await ask(first, alice, removal)), 200)
      // a start forgets what has nothing alive, its version too
      const second = await startPump(makeMemoryStore(log), scope)
      assert.equal(statusOf(await ask(second, alice, publish)), 200)
      assert.deepEqual(
        log.read(0, 10).map((one) => one.decision.version),
        [1, 2, 3],
      )
    },
  )

  it(
    "what comes while the store is worked on waits, and is decided on what is there then",
    { tags: ["L39", "T38"] },
    async (context) => {
      const scope = Effect.runSync(Scope.make())
      context.onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
      const store = makeMemoryStore()
      const sent: Notify[] = []
      const pump = await startPump(store, scope, (more) => sent.push(...more))
      assert.equal(statusOf(await ask(pump, alice, subscribe)), 200)
      sent.length = 0
      let answered = 0
      const asked: Promise<Answer>[] = []
      const work = Effect.gen(function* () {
        for (const of of [alice, "sip:carol@example.com" as Uri])
          asked.push(ask(pump, of, publish).finally(() => void answered++))
        yield* Effect.sleep(100)
        assert.equal(answered, 0)
        const [state] = yield* store.load([alice])
        const ended = { _tag: "SubscriptionTerminated", no: 1, reason: "noresource", silent: true } as const
        yield* store.append([
          {
            stream: alice,
            version: state!.version + 1,
            at: state!.decidedAt,
            cause: "Erase",
            origin: "",
            nonce: "n",
            events: [{ ...ended, waitsUntil: null }],
          },
        ])
        return [alice]
      })
      await Effect.runPromise(pump.pausedFor(work))
      assert.deepEqual((await Promise.all(asked)).map(statusOf), [200, 200])
      await Effect.runPromise(pump.settle)
      assert.deepEqual([sent.length, pump.counters.conflicts], [0, 0])
      assert.equal(statusOf(await ask(pump, null, resubscribe(2))), 481)
      assert.equal(pump.engine.state(alice)?.version, 3)
      // work that fails keeps nobody waiting
      const failed = await Effect.runPromise(Effect.exit(pump.pausedFor(Effect.fail("no"))))
      assert.ok(Exit.isFailure(failed))
      assert.equal(statusOf(await ask(pump, alice, publishTuple("u"))), 200)
    },
  )

  it(
    "while the store is away it is asked now and then, not without end",
    { tags: ["OPS-outage"] },
    async (context) => {
      const scope = Effect.runSync(Scope.make())
      context.onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
      const memory = makeMemoryStore()
      let isAway = false
      let asked = 0
      const away = <A>(effect: Effect.Effect<A, StoreUnavailable>): Effect.Effect<A, StoreUnavailable> =>
        Effect.suspend(() => {
          if (!isAway) return effect
          asked++
          return Effect.fail(new StoreUnavailable({ cause: new Error("away") }))
        })
      const pump = await startPump(
        {
          ...memory,
          append: (decisions) => away(memory.append(decisions)),
          load: (streams) => away(memory.load(streams)),
          checkpoint: (name) => away(memory.checkpoint(name)),
        },
        scope,
      )
      assert.equal(statusOf(await ask(pump, alice, subscribe)), 200)
      isAway = true
      assert.equal(statusOf(await ask(pump, alice, publish)), 503)
      assert.equal(pump.status(), "down")
      // what nobody waits for, about a presentity that must be read first
      pump.handler.delivered(alice, 1, 1, { _tag: "Accepted", remoteTarget: null })
      asked = 0
      const since = performance.now()
      await holds("it is asked three times", () => asked >= 3)
      // however late, never more often than the pauses between allow
      const passed = performance.now() - since
      assert.ok(asked < 3 + passed / 100, `${asked} times in ${passed} ms`)
      isAway = false
      await holds("ready", () => pump.status() === "ready")
      assert.equal(statusOf(await ask(pump, null, resubscribe(2))), 200)
    },
  )
})

describe("a store that gives some of what it holds, or comes and goes", () => {
  const start = async (
    context: TestContext,
    change: (store: EventStore["Service"]) => Partial<EventStore["Service"]>,
    patienceMillis?: number,
  ) => {
    const log = makeMemoryLog()
    const store = makeMemoryStore(log)
    const scope = Effect.runSync(Scope.make())
    context.onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
    const pump = await startPump({ ...store, ...change(store) }, scope, undefined, patienceMillis)
    return { pump, store, scope }
  }
  const carol = "sip:carol@example.com" as Uri

  it(
    "what cannot be read of one presentity costs nobody else anything, and heals by itself",
    { tags: ["OPS-outage"] },
    async (context) => {
      let isBroken = true
      const { pump, store } = await start(context, ({ load }) => ({
        load: (streams) =>
          isBroken && streams.includes(alice)
            ? Effect.fail(new StoreUnavailable({ cause: new Error("a damaged row") }))
            : load(streams),
      }))
      assert.equal(statusOf(await ask(pump, alice, publish)), 200)
      // somebody else writes to it, so it has to be read
      const other = Effect.runSync(Scope.make())
      context.onTestFinished(() => Effect.runPromise(Scope.close(other, Exit.void)))
      const second = await startPump(store, other)
      assert.equal(statusOf(await ask(second, alice, publishTuple("u"))), 200)
      assert.equal(statusOf(await ask(pump, alice, publishTuple("v"))), 503)
      for (const one of ["sip:dave@example.com", carol, bob] as Uri[])
        assert.equal(statusOf(await ask(pump, one, publish)), 200)
      assert.deepEqual([pump.status(), pump.counters.outages], ["ready", 0])
      isBroken = false
      const heals = async () => statusOf(await ask(pump, alice, publishTuple("w"))) === 200
      await holds("it is read", heals)
    },
  )

  it(
    "a log that says of one presentity what cannot be costs nobody else anything, and says where",
    { tags: ["OPS-outage"] },
    async (context) => {
      const log = makeMemoryLog()
      const removed = {
        _tag: "PublicationRemoved",
        packageName: "presence",
        entityTag: "t" as EntityTag,
        cause: "requested",
      } as const
      const facts = { at: 0, cause: "Publish", origin: "", nonce: "n", events: [removed] }
      log.append([{ ...facts, stream: alice, version: 1 }])
      const scope = Effect.runSync(Scope.make())
      context.onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
      const pump = await startPump(makeMemoryStore(log), scope)
      assert.equal(statusOf(await ask(pump, alice, publish)), 503)
      for (const one of [carol, bob]) assert.equal(statusOf(await ask(pump, one, publish)), 200)
      assert.equal(pump.status(), "ready")
      assert.throws(() => log.load(alice), {
        message: `${alice} version 1, event 1 of 1 (PublicationRemoved): invariant broken: a publication that is removed is there`,
      })
    },
  )

  it(
    "an append that was given up while it was under way is nobody's defect when it ends",
    { tags: ["OPS-outage"] },
    async (context) => {
      let finish = (): void => {}
      const reading: (() => void)[] = []
      const fail = (): void => {
        for (const go of reading.splice(0)) go()
      }
      let isAway = false
      const until = (set: (go: () => void) => void) =>
        Effect.promise(() => new Promise<void>((go) => set(go)))
      const gone = Effect.fail(new StoreUnavailable({ cause: new Error("gone") }))
      const { pump, store } = await start(
        context,
        ({ append, load, checkpoint }) => ({
          append: (decisions) =>
            decisions.some(({ stream }) => stream === carol) && !isAway
              ? Effect.andThen(
                  until((go) => (finish = go)),
                  append(decisions),
                )
              : append(decisions),
          load: (streams) =>
            streams.includes(alice) && !isAway
              ? Effect.andThen(
                  until((go) => reading.push(go)),
                  gone,
                )
              : isAway
                ? gone
                : load(streams),
          checkpoint: (name) => (isAway ? gone : checkpoint(name)),
        }),
        60_000,
      )
      assert.equal(statusOf(await ask(pump, alice, publish)), 200)
      const other = Effect.runSync(Scope.make())
      context.onTestFinished(() => Effect.runPromise(Scope.close(other, Exit.void)))
      const second = await startPump(store, other)
      assert.equal(statusOf(await ask(second, alice, publishTuple("u"))), 200)
      // has to be read, which takes its time
      const first = ask(pump, alice, publishTuple("v"))
      await holds("it is being read", () => reading.length > 0)
      const noFinish = finish
      const waits = ask(pump, carol, publish)
      await holds("an append is under way", () => finish !== noFinish)
      isAway = true
      fail()
      await holds("all is given up", () => pump.status() === "down")
      finish()
      assert.deepEqual([statusOf(await first), statusOf(await waits)], [503, 503])
      // a turn in which the end of the append is seen
      await new Promise((resolve) => setTimeout(resolve, 50))
      isAway = false
      await holds("it is asked again", () => {
        fail()
        return pump.status() === "ready"
      })
      const goesOn = async () => statusOf(await ask(pump, bob, publish)) === 200
      await holds("it goes on", goesOn)
    },
  )

  it(
    "one that comes back while it stops takes no more requests",
    { tags: ["OPS-outage"] },
    async (context) => {
      let isAway = false
      const gone = Effect.fail(new StoreUnavailable({ cause: new Error("gone") }))
      const { pump } = await start(context, ({ append, checkpoint }) => ({
        append: (decisions) => (isAway ? gone : append(decisions)),
        checkpoint: (name) => (isAway ? gone : checkpoint(name)),
      }))
      isAway = true
      assert.equal(statusOf(await ask(pump, alice, publish)), 503)
      await Effect.runPromise(pump.drain)
      isAway = false
      await holds("it is back", () => pump.status() !== "down")
      assert.equal(pump.status(), "draining")
      assert.equal(statusOf(await ask(pump, alice, publish)), 503)
    },
  )

  it(
    "one that goes as soon as it is back is asked less and less, and not at all after the end",
    { tags: ["OPS-outage"] },
    async (context) => {
      const { pump, scope } = await start(context, () => ({
        append: () => Effect.fail(new StoreUnavailable({ cause: new Error("read only") })),
      }))
      const tries = async (): Promise<number> => {
        await ask(pump, alice, publish)
        return pump.counters.outages
      }
      await holds("it has gone three times", async () => (await tries()) >= 3)
      await Effect.runPromise(Scope.close(scope, Exit.void))
      const before = pump.counters.outages
      await new Promise((resolve) => setTimeout(resolve, 600))
      assert.equal(pump.counters.outages, before)
    },
  )
})
