/**
 * A source of rules between its look and the log: in force before the first request, waited for but not for ever, each document
 * by itself.
 */
import assert from "node:assert/strict"
import { Effect, Exit, Logger, Scope } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { makeMemoryLog, makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import type { MemoryLog } from "../../../src/adapters/store/memory.ts"
import { makeDocumentPoller } from "../../../src/app/node/document-poller.ts"
import type { DocumentSource, Follower } from "../../../src/app/node/documents/source.ts"
import { makePump, pumpDefaults } from "../../../src/app/node/pump.ts"
import type { Pump } from "../../../src/app/node/pump.ts"
import { rulesKindOf } from "../../../src/app/node/rules-source.ts"
import type { Answer, Command } from "../../../src/domain/presentity/commands.ts"
import { askTheRules, defaultLimits } from "../../../src/domain/presentity/context.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import { size } from "../../../src/domain/table.ts"
import type { SubHandling, Uri } from "../../../src/domain/vocabulary.ts"
import { SourceUnusable, keyOf } from "../../../src/ports/document-source.ts"
import type { DocumentChange, Look, Trouble } from "../../../src/ports/document-source.ts"
import { EventStore, StoreUnavailable } from "../../../src/ports/event-store.ts"
import { alice, bob, carol } from "../../support/builders.ts"
import { publishPidf, replaceRules, ruledPackages, rulesText, watch } from "../../support/ruled.ts"

const allowing = rulesText([{ who: bob, treat: "allow" }])
const blocking = rulesText([{ who: bob, treat: "block" }])

/** A source whose documents are set by hand; it can fail, and it can be silent. */
const makeSource = () => {
  const documents = new Map<Uri, string | Trouble>()
  const settled = new Map<string, string>()
  const there = new Set<Uri>()
  let fault: string | null = null
  let silence: Promise<void> = Promise.resolve()
  let speak = (): void => {}
  let [looking, most, looks] = [0, 0, 0]
  const found = (): Look => {
    const changes: DocumentChange[] = []
    const troubles: Trouble[] = []
    for (const [presentity, text] of documents) {
      there.add(presentity)
      if (typeof text !== "string") troubles.push(text)
      else if (settled.get(presentity) !== text)
        changes.push({ packageName: "presence", presentity, text, file: presentity })
    }
    for (const presentity of there)
      if (!documents.has(presentity))
        changes.push({ packageName: "presence", presentity, text: null, file: presentity })
    const listed = new Set(
      [...documents.keys()].map((presentity) => keyOf({ packageName: "presence", presentity })),
    )
    return { changes, troubles, listed, unread: new Set() }
  }
  const source: DocumentSource = {
    name: "place",
    everySeconds: 0.02,
    look: Effect.tryPromise({
      try: async () => {
        looks++
        most = Math.max(most, ++looking)
        await silence
        looking--
        if (fault !== null) throw new Error(fault)
        return found()
      },
      catch: (cause) => new SourceUnusable({ source: "place", why: (cause as Error).message }),
    }),
    settle: ({ presentity, text }) => {
      if (text === null) there.delete(presentity)
      else settled.set(presentity, text)
    },
  }
  return {
    source,
    put: (presentity: Uri, text: string) => void documents.set(presentity, text),
    spoil: (presentity: Uri, why = "it is not UTF-8") =>
      void documents.set(presentity, { of: { packageName: "presence", presentity }, file: presentity, why }),
    take: (presentity: Uri) => void documents.delete(presentity),
    fail: (why: string | null) => void (fault = why),
    fallSilent: () => {
      silence = new Promise((resolve) => (speak = resolve))
    },
    speak: () => speak(),
    looks: () => looks,
    most: () => most,
  }
}

interface Life {
  readonly pump: Pump
  readonly follower: Follower
  readonly sent: readonly Notify[]
  /** How many of them left before requests were taken. */
  readonly sentBefore: number
  readonly said: readonly string[]
  /** Status, and what the NOTIFY showed that it brought. */
  readonly fetch: (watcher: Uri, presentity?: Uri) => Promise<string>
  readonly ask: (presentity: Uri, command: Command) => Promise<Answer>
  readonly stop: () => Promise<void>
}

const noSettings = { rules_dir: null, watch_policy: [], line_members: [], mailbox_owners: [] }

/** One life of a server on a log. */
const start = async (
  { onTestFinished }: Pick<TestContext, "onTestFinished">,
  source: DocumentSource | null,
  options: {
    readonly log?: MemoryLog
    readonly noRules?: SubHandling
    readonly wait?: number
    readonly store?: (store: EventStore["Service"]) => EventStore["Service"]
    readonly before?: (pump: Pump, follower: Follower) => void
  } = {},
): Promise<Life> => {
  const { log = makeMemoryLog(), noRules = "allow", wait = 5, store = (one) => one } = options
  const scope = Effect.runSync(Scope.make())
  const stop = (): Promise<void> => Effect.runPromise(Scope.close(scope, Exit.void))
  onTestFinished(stop)
  const sent: Notify[] = []
  const said: string[] = []
  const logger = Logger.make(({ message, logLevel }) => void said.push(`${logLevel} ${String(message)}`))
  let follower: Follower
  let sentBefore = 0
  const pump = await Effect.runPromise(
    Effect.gen(function* () {
      const made = yield* makePump(
        {
          packages: ruledPackages,
          limits: { ...defaultLimits, noRules, notifyIntervalMillis: 0 },
          authorize: askTheRules,
          isUnread: (...of) => follower.isUnread(...of),
          ...pumpDefaults,
          patienceMillis: 50,
        },
        { notify: (some) => void sent.push(...some), stored: () => {}, outage: () => {} },
      )
      follower = makeDocumentPoller(source, rulesKindOf(noSettings, ruledPackages), made, wait)
      yield* made.recover
      options.before?.(made, follower)
      yield* follower.begin
      sentBefore = sent.length
      yield* made.start
      return made
    }).pipe(
      Effect.provideService(EventStore, store(makeMemoryStore(log))),
      Scope.provide(scope),
      Effect.provide(Logger.layer([logger])),
    ),
  )
  const ask: Life["ask"] = (presentity, command) =>
    new Promise((answer) => pump.handler.submit({ presentity, command, origin: "", answer }))
  let dialogs = 100
  return {
    pump,
    follower: follower!,
    sent,
    sentBefore,
    said,
    ask,
    stop,
    fetch: async (watcher, presentity = alice) => {
      const answer = await ask(presentity, watch(++dialogs, watcher, { expires: 0 }))
      if (answer._tag === "Rejected") return `${answer.rejection.status}`
      await Effect.runPromise(pump.settle)
      const shown = sent.findLast(({ dialog }) => dialog.callId === `call-${dialogs}`)?.body
      const status = answer.reply._tag === "Subscribed" ? answer.reply.status : 0
      return `${status} ${/open/.test(shown?.text ?? "") ? "open" : "-"}`
    },
  }
}

const until = async (holds: () => boolean): Promise<void> => {
  for (let tries = 0; !holds(); tries++) {
    assert.ok(tries < 2_000, "it never came true")
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Alice is open, and Bob, who watches, has been told so. */
const before = async (context: TestContext, rules: string | null): Promise<MemoryLog> => {
  const log = makeMemoryLog()
  const place = makeSource()
  if (rules !== null) place.put(alice, rules)
  const one = await start(context, place.source, { log })
  await one.ask(alice, publishPidf("t1=open"))
  await one.ask(alice, watch(1, bob, { expires: 3600 }))
  await Effect.runPromise(one.pump.settle)
  for (const { no, cseq, presentity } of one.sent)
    one.pump.handler.delivered(presentity, no, cseq, { _tag: "Accepted", remoteTarget: null })
  await Effect.runPromise(one.pump.settle)
  await one.stop()
  return log
}

describe("a start", () => {
  it(
    "what changed while the server was down is in force before the first request, and before what is repeated",
    { tags: ["AUT-7"] },
    async (context) => {
      const log = await before(context, allowing)
      const place = makeSource()
      place.put(alice, blocking)
      const one = await start(context, place.source, { log })
      assert.equal(await one.fetch(bob), "403")
      assert.deepEqual(
        one.sent.map(({ state, reason, body }) => [state, reason, body]),
        [["terminated", "rejected", null]],
      )
      // no socket is open before
      assert.equal(one.sentBefore, 0)
    },
  )

  it(
    "a document that is gone leaves what no_rules says, before the first request",
    { tags: ["AUT-7"] },
    async (context) => {
      const log = await before(context, allowing)
      const one = await start(context, makeSource().source, { log, noRules: "block" })
      assert.equal(await one.fetch(bob), "403")
      assert.ok(one.sent.every(({ body }) => body === null))
    },
  )

  it(
    "what the source does not have is removed and named in a warning, also when the store is away at first",
    { tags: ["AUT-7"] },
    async (context) => {
      const log = await before(context, allowing)
      const place = makeSource()
      let failures = 3
      const one = await start(context, place.source, {
        log,
        noRules: "block",
        store: (store) => ({
          ...store,
          append: (...of) =>
            failures-- > 0
              ? Effect.fail(new StoreUnavailable({ cause: new Error("away") }))
              : store.append(...of),
        }),
      })
      assert.equal(await one.fetch(bob), "403")
      assert.deepEqual(
        one.said.filter((line) => /removed/.test(line)),
        [
          `Warn rules of ${alice} removed: place has none; what was in force came from elsewhere, or was removed there while the server was not looking`,
        ],
      )
      // and what goes while it is looked at is no news of that kind
      place.put(alice, allowing)
      await until(() => one.said.includes(`Info rules of ${alice} in force: ${alice}`))
      place.take(alice)
      await until(() => one.said.includes(`Info rules of ${alice} removed: ${alice}`))
    },
  )

  it("requests and the management port are told 503 until then", { tags: ["AUT-7"] }, async (context) => {
    const place = makeSource()
    place.put(alice, blocking)
    place.fallSilent()
    const answers: number[] = []
    let ready = false
    const starting = start(context, place.source, {
      before: (pump) => {
        const ask = (): void => {
          if (ready) return
          const answer = (given: Answer): void =>
            void answers.push(given._tag === "Rejected" ? given.rejection.status : 200)
          pump.handler.submit({ presentity: alice, command: watch(1, bob), origin: "", answer })
          setTimeout(ask, 2)
        }
        ask()
      },
    })
    await until(() => answers.length > 3)
    place.speak()
    const one = await starting
    ready = true
    assert.ok(answers.length > 3)
    assert.deepEqual(new Set(answers.slice(0, 3)), new Set([503]))
    assert.ok(!answers.includes(200))
    assert.equal(await one.fetch(bob), "403")
  })

  it("documents that the log has already cost no decision", { tags: ["AUT-7"] }, async (context) => {
    const log = await before(context, allowing)
    const count = log.read(0, 1_000).length
    const place = makeSource()
    place.put(alice, allowing)
    const one = await start(context, place.source, { log })
    assert.equal(log.read(0, 1_000).length, count)
    assert.equal(await one.fetch(bob), "200 open")
  })

  it(
    "the store is slow and answers badly: nothing is answered before all is in force",
    { tags: ["AUT-7"] },
    async (context) => {
      const log = await before(context, allowing)
      const place = makeSource()
      place.put(alice, blocking)
      let failures = 4
      const one = await start(context, place.source, {
        log,
        wait: 0.05,
        store: (store) => ({
          ...store,
          append: (...of) =>
            failures-- > 0
              ? Effect.fail(new StoreUnavailable({ cause: new Error("away") }))
              : Effect.andThen(Effect.sleep(20), store.append(...of)),
        }),
      })
      assert.equal(await one.fetch(bob), "403")
      assert.ok(one.sent.every(({ body }) => body === null))
      assert.equal(one.follower.health()?.state, "read")
    },
  )
})

describe("a source that cannot be read", () => {
  for (const kind of ["silent", "failing"] as const) {
    it(
      `${kind}: the server serves after the wait; what the log knows counts, whoever it knows nothing of has his watchers wait; it heals by itself`,
      { tags: ["AUT-7"] },
      async (context) => {
        const place = makeSource()
        if (kind === "silent") place.fallSilent()
        else place.fail("ENOENT")
        const log = await before(context, allowing)
        const one = await start(context, place.source, { log, wait: 0.05 })
        const health = one.follower.health()
        assert.equal(health?.state, "unreachable")
        assert.match(
          health?.why ?? "",
          kind === "silent" ? /has not answered for/ : /place cannot be read: ENOENT/,
        )
        assert.equal(one.said.filter((line) => line.startsWith("Error rules: place")).length, 1)
        // known to the log
        assert.equal(await one.fetch(bob), "200 open")
        assert.equal(await one.fetch(carol), "403")
        // and not
        await one.ask(carol, publishPidf("t1=open"))
        assert.equal(await one.fetch(bob, carol), "202 -")
        await one.ask(carol, watch(7, bob, { expires: 600 }))
        place.put(alice, allowing)
        place.fail(null)
        place.speak()
        await until(() => one.follower.health()?.state === "read")
        await until(() => one.sent.some(({ dialog, body }) => dialog.callId === "call-7" && body !== null))
        assert.equal(await one.fetch(bob, carol), "200 open")
        assert.equal(one.said.filter((line) => /can be read again/.test(line)).length, 1)
      },
    )
  }

  it(
    "whoever watches when it is lost over a start waits, when the log knows no rules of whom it watches",
    { tags: ["AUT-7"] },
    async (context) => {
      const log = await before(context, null)
      const place = makeSource()
      place.fail("ENOENT")
      const one = await start(context, place.source, { log, wait: 0.05 })
      await until(() => one.sent.length > 0)
      assert.deepEqual(
        one.sent.map(({ state, body }) => [state, body]),
        [["pending", null]],
      )
    },
  )

  it(
    "that fails for a while in mid-life changes nothing, and is told once",
    { tags: ["AUT-7"] },
    async (context) => {
      const place = makeSource()
      place.put(alice, allowing)
      const one = await start(context, place.source)
      await one.ask(alice, publishPidf("t1=open"))
      await one.ask(carol, publishPidf("t1=open"))
      place.fail("EIO")
      await until(() => one.follower.health()?.state === "unreachable")
      const looks = place.looks()
      await until(() => place.looks() > looks + 3)
      assert.deepEqual([await one.fetch(bob), await one.fetch(bob, carol)], ["200 open", "200 open"])
      assert.equal(one.said.filter((line) => line.startsWith("Error")).length, 1)
      place.put(alice, blocking)
      place.fail(null)
      await until(() => one.follower.health()?.state === "read")
      await until(
        () => one.said.filter((line) => /of sip:alice@example.com in force/.test(line)).length === 2,
      )
      assert.equal(await one.fetch(bob), "403")
    },
  )

  it(
    "read late, nobody gets in between what it says and its being in force",
    { tags: ["AUT-7"] },
    async (context) => {
      const place = makeSource()
      const all = Array.from({ length: 40 }, (_, index) => `sip:u${index}@example.com` as Uri)
      for (const one of all) place.put(one, blocking)
      place.fallSilent()
      const one = await start(context, place.source, { wait: 0.02 })
      for (const of of all) await one.ask(of, publishPidf("t1=open"))
      let isOver = false
      let asked = 0
      const asking = (async () => {
        for (let dialog = 1_000; !isOver; dialog++, asked++) {
          const of = all[asked % all.length]!
          void one.ask(of, watch(dialog, bob, { expires: asked % 2 === 0 ? 0 : 60 }))
          await new Promise((resolve) => setImmediate(resolve))
        }
      })()
      await until(() => asked > 50)
      place.speak()
      await until(() => one.follower.health()?.state === "read")
      const at = asked
      await until(() => asked > at + 200)
      isOver = true
      await asking
      await Effect.runPromise(one.pump.settle)
      assert.ok(one.sent.length > 20)
      assert.deepEqual(
        one.sent.filter(({ body }) => body !== null),
        [],
      )
    },
  )
})

describe("one document that cannot be used", () => {
  it(
    "nothing in force: its watchers wait, everybody else is served; mended, they are told; each is said once",
    { tags: ["AUT-7"] },
    async (context) => {
      const place = makeSource()
      place.put(alice, allowing)
      place.spoil(carol)
      const one = await start(context, place.source)
      for (const of of [alice, carol]) await one.ask(of, publishPidf("t1=open"))
      assert.deepEqual([await one.fetch(bob), await one.fetch(bob, carol)], ["200 open", "202 -"])
      await one.ask(carol, watch(3, bob, { expires: 600 }))
      const [trouble] = one.follower.health()?.troubles ?? []
      assert.deepEqual([trouble?.of?.presentity, trouble?.why], [carol, "it is not UTF-8"])
      assert.equal(one.follower.health()?.state, "read")

      place.put(alice, blocking)
      await until(
        () => one.said.filter((line) => /of sip:alice@example.com in force/.test(line)).length === 2,
      )
      assert.equal(await one.fetch(bob), "403")
      place.put(carol, allowing)
      await until(() => one.follower.health()?.troubles.length === 0)
      await until(() => one.sent.some(({ dialog, body }) => dialog.callId === "call-3" && body !== null))
      assert.equal(one.said.filter((line) => /not UTF-8/.test(line)).length, 1)
      assert.equal(one.said.filter((line) => /can be used again/.test(line)).length, 1)
    },
  )

  it("broken XML is the same; what was in force stays in force", { tags: ["AUT-7"] }, async (context) => {
    const place = makeSource()
    place.put(alice, "<ruleset")
    const one = await start(context, place.source)
    await one.ask(alice, publishPidf("t1=open"))
    assert.equal(await one.fetch(bob), "202 -")
    assert.ok(one.said.some((line) => /refused, none were in force, and watchers wait/.test(line)))
    place.put(alice, blocking)
    await until(() => one.follower.health()?.troubles.length === 0)
    assert.equal(await one.fetch(bob), "403")
    place.put(alice, "<ruleset again")
    await until(() => one.follower.health()?.troubles.length === 1)
    assert.equal(await one.fetch(bob), "403")
    assert.ok(one.said.some((line) => /refused, the previous one stays in force/.test(line)))
    const looks = place.looks()
    await until(() => place.looks() > looks + 3)
    assert.equal(one.said.filter((line) => /refused/.test(line)).length, 2)
  })

  it(
    "taken away, there are no rules, and no_rules counts at once for whoever waits",
    { tags: ["AUT-7"] },
    async (context) => {
      const place = makeSource()
      place.spoil(alice)
      const one = await start(context, place.source)
      await one.ask(alice, publishPidf("t1=open"))
      await one.ask(alice, watch(3, bob, { expires: 600 }))
      place.take(alice)
      await until(() => one.sent.some(({ dialog, body }) => dialog.callId === "call-3" && body !== null))
      assert.equal(await one.fetch(bob), "200 open")
    },
  )

  it(
    "that appears in mid-life where nothing was in force sends back to waiting whoever watches",
    { tags: ["AUT-7"] },
    async (context) => {
      const place = makeSource()
      const one = await start(context, place.source)
      await one.ask(alice, publishPidf("t1=open"))
      await one.ask(alice, watch(3, bob, { expires: 600 }))
      await Effect.runPromise(one.pump.settle)
      place.spoil(alice)
      await until(() => one.sent.at(-1)?.state === "pending")
      await one.ask(alice, publishPidf("t2=open"))
      await Effect.runPromise(one.pump.settle)
      assert.deepEqual([one.sent.at(-1)?.state, one.sent.at(-1)?.body], ["pending", null])
    },
  )
})

describe("looks", () => {
  it("at a source are made one at a time, whoever asks for them", { tags: ["AUT-7"] }, async (context) => {
    const place = makeSource()
    place.put(alice, allowing)
    const one = await start(context, place.source)
    place.fallSilent()
    const looking = Array.from({ length: 5 }, () => Effect.runPromise(one.follower.poll))
    await new Promise((resolve) => setTimeout(resolve, 20))
    place.put(alice, blocking)
    place.speak()
    await Promise.all(looking)
    assert.equal(place.most(), 1)
    assert.equal(await one.fetch(bob), "403")
  })

  it(
    "the source is the truth: what it does not have is removed, what it could not read is not",
    { tags: ["AUT-7"] },
    async (context) => {
      const log = makeMemoryLog()
      const first = await start(context, null, { log })
      for (const of of [alice, carol]) await first.ask(of, replaceRules({ who: bob, treat: "allow" }))
      await Effect.runPromise(first.pump.settle)
      await first.stop()
      const place = makeSource()
      place.spoil(carol)
      const one = await start(context, place.source, { log, noRules: "block" })
      const rulesOf = (of: Uri): number => size((one.pump.engine.state(of) ?? initial(of)).rules)
      assert.deepEqual([rulesOf(alice), rulesOf(carol)], [0, 1])
    },
  )

  it("thousands of documents are put in force in batches", { tags: ["AUT-7"] }, async (context) => {
    const place = makeSource()
    for (let index = 0; index < 3_000; index++) place.put(`sip:u${index}@example.com` as Uri, blocking)
    const one = await start(context, place.source)
    assert.equal(one.pump.counters.decisions, 3_000)
    assert.ok(one.pump.counters.batches < 300, `${one.pump.counters.batches} appends`)
    assert.equal(await one.fetch(bob, "sip:u2999@example.com" as Uri), "403")
  })
})
