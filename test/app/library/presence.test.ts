/**
 * Presence inside a program: no socket, no database.
 */
import assert from "node:assert/strict"
import { Effect, Fiber, Layer, Stream } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { makeMemoryLog } from "../../../src/adapters/store/memory.ts"
import { Presence, PresenceService, memoryStore, storeOf } from "../../../src/app/index.ts"
import type { MakeOptions, Notification, PresenceEvent, PresenceRefused } from "../../../src/app/index.ts"
import { passThrough } from "../../../src/domain/packages/pass-through.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { dialog, written } from "../../support/dialog-info.ts"
import { bodyInShort, rulesText } from "../../support/ruled.ts"
import { pidf, tuple } from "../../support/sip-client.ts"

const alice = "sip:alice@example.com"
const bob = "sip:bob@example.com"
const open = pidf(tuple("phone", "open"))
const closed = pidf(tuple("phone", "closed"))

const start = async ({ onTestFinished }: TestContext, options: MakeOptions = {}) => {
  const presence = await Presence.make(options)
  onTestFinished(() => presence.close())
  return presence
}

/** `active phone=open` */
const brief = ({ state, body }: Notification): string => `${state} ${bodyInShort(body)}`

/** A watcher that asks for the next notification as soon as it has one, so that it has always done with what it was told. */
const readily = (watch: AsyncIterable<Notification>) => {
  const items = watch[Symbol.asyncIterator]()
  let asked = items.next()
  return async (): Promise<IteratorResult<Notification>> => {
    const item = await asked
    if (item.done !== true) asked = items.next()
    return item
  }
}

/** A clock that is moved by hand. */
const handClock = () => {
  let now = Date.UTC(2026, 10, 20, 10)
  return { now: () => now, advance: (ms: number) => void (now += ms) }
}

describe("a presence service in a program", () => {
  it(
    "publishes, watches, modifies and removes without a socket; a watch ends when it is closed",
    { tags: ["OPS-update_presentity", "OPS-contains_presence", "LIB-1"] },
    async (context) => {
      const presence = await start(context)
      const watch = await presence.watch({ presentity: alice, watcher: bob })
      const seen: string[] = []
      const reading = (async () => {
        for await (const notification of watch) seen.push(brief(notification))
      })()
      const first = await presence.publish({ presentity: "alice@example.com", body: open, expires: 600 })
      assert.equal(first.expires, 600)
      await presence.settle()
      const second = await presence.publish({ presentity: alice, body: closed, entityTag: first.entityTag })
      await presence.settle()
      await assert.rejects(
        presence.publish({ presentity: alice, body: open, entityTag: first.entityTag }),
        (refusal: PresenceRefused) =>
          refusal.status === 412 && refusal.message === "conditional request failed",
      )
      assert.equal(presence.isPublished(alice), true)
      assert.equal(
        (await presence.publish({ presentity: alice, entityTag: second.entityTag, expires: 0 })).expires,
        0,
      )
      await presence.settle()
      assert.equal(presence.isPublished(alice), false)
      await watch.close()
      await reading
      assert.deepEqual(seen, [
        "active -",
        "active phone=open",
        "active phone=closed",
        "active phone=closed",
        "terminated -",
      ])
      const again = await presence.fetch({ presentity: alice, watcher: bob })
      assert.deepEqual([again.state, again.reason, again.watcher], ["terminated", "timeout", bob])
    },
  )

  it(
    "whoever is slow gets the newest state, not every step; whoever leaves is unsubscribed",
    { tags: ["LIB-watch"] },
    async (context) => {
      const presence = await start(context)
      const watch = await presence.watch({ presentity: alice, watcher: bob })
      let entityTag: string | undefined
      for (const id of ["a", "b", "c", "d"]) {
        const body = pidf(tuple(id, "open"))
        entityTag = (
          await presence.publish({
            presentity: alice,
            body,
            ...(entityTag === undefined ? {} : { entityTag }),
          })
        ).entityTag
        await presence.settle()
      }
      const seen: string[] = []
      for await (const notification of watch) {
        seen.push(brief(notification))
        await presence.settle()
        if (seen.length === 2) break
      }
      assert.deepEqual(seen, ["active -", "active d=open"])
      await presence.settle()
      const { watchers } = await presence.at(alice, Date.now() + 1)
      assert.deepEqual(watchers, [])
    },
  )

  it("time is the program's: lifetimes end when it says so", { tags: ["LIB-clock"] }, async (context) => {
    const clock = handClock()
    const presence = await start(context, { now: clock.now })
    await presence.publish({ presentity: alice, body: open, expires: 60 })
    const watch = await presence.watch({ presentity: alice, watcher: bob, expires: 100 })
    const taking = readily(watch)
    const next = async (): Promise<string> => brief((await taking()).value as Notification)
    assert.equal(await next(), "active phone=open")
    clock.advance(59_999)
    await presence.settle()
    assert.equal(presence.isPublished(alice), true)
    clock.advance(1)
    await presence.settle()
    assert.equal(presence.isPublished(alice), false)
    assert.equal(await next(), "active phone=closed")
    await watch.refresh(10)
    assert.equal(await next(), "active -")
    clock.advance(10_000)
    await presence.settle()
    assert.match(await next(), /^terminated/)
    assert.equal((await taking()).done, true)
    await assert.rejects(watch.refresh(), (refusal: PresenceRefused) => refusal.status === 481)
    await watch.close()
  })

  it(
    "rules from the program are asked before each watch, and again when it says so",
    { tags: ["OPS-update_watchers_status", "OPS-get_rules_doc", "LIB-rules", "AUT-7"] },
    async (context) => {
      let rules: string | null = null
      const asked: string[] = []
      const presence = await start(context, {
        rules: async (presentity, event) => {
          asked.push(`${presentity} ${event}`)
          return rules
        },
      })
      await presence.publish({ presentity: alice, body: open })
      const watch = await presence.watch({ presentity: alice, watcher: bob })
      const items = watch[Symbol.asyncIterator]()
      const next = async (): Promise<string> => brief((await items.next()).value as Notification)
      assert.equal(await next(), "pending -")
      rules = rulesText([{ who: bob as Uri, treat: "allow" }])
      await presence.refreshRules(alice)
      assert.equal(await next(), "active phone=open")
      const owner = await presence.fetch({ presentity: alice, watcher: alice, event: "presence.winfo" })
      assert.match(owner.body?.text ?? "", /status="active"[^>]*>sip:bob@example.com</)
      await presence.setRules(alice, rulesText([{ who: bob as Uri, treat: "block" }]))
      assert.equal(await next(), "terminated -")
      // the source still allows: it is asked at the next watch
      await presence.watch({ presentity: alice, watcher: bob })
      await assert.rejects(
        presence.setRules(alice, "<ruleset"),
        (refusal: PresenceRefused) => refusal.status === 400,
      )
      assert.deepEqual(new Set(asked), new Set([`${alice} presence`]))
      const hooked = await start(context, {
        authorize: ({ watcher }) => (watcher === bob ? "block" : "allow"),
      })
      await assert.rejects(
        hooked.watch({ presentity: alice, watcher: bob }),
        (refusal: PresenceRefused) => refusal.status === 403 && refusal.message.includes("not authorized"),
      )
    },
  )

  it(
    "bundled ones, and any of one's own; a wrong one is refused with its reason",
    { tags: ["LIB-packages"] },
    async (context) => {
      const presence = await start(context)
      await presence.publish({ presentity: alice, event: "dialog", body: written(dialog("1", "early")) })
      const lamp = await presence.fetch({ presentity: alice, watcher: bob, event: "dialog" })
      assert.match(lamp.body?.text ?? "", /state="full"[^]*early/)
      await assert.rejects(
        presence.publish({ presentity: alice, event: "weather", body: "sunny" }),
        (refusal: PresenceRefused) => refusal.status === 489,
      )
      await assert.rejects(
        presence.publish({ presentity: alice, body: "<presence" }),
        (refusal: PresenceRefused) => refusal.status === 400 && refusal.message.startsWith("bad request: "),
      )
      await assert.rejects(
        presence.publish({ presentity: "nobody at all", body: open }),
        (refusal: PresenceRefused) =>
          refusal.status === 400 && refusal.message.includes("write sip:alice@example.com"),
      )
      const weather = await start(context, {
        packages: [passThrough({ name: "weather", contentTypes: ["text/plain"] })],
      })
      await weather.publish({ presentity: alice, event: "weather", body: "sunny" })
      assert.equal(
        (await weather.fetch({ presentity: alice, watcher: bob, event: "weather" })).body?.text,
        "sunny",
      )
    },
  )

  it(
    "what is published for a second is shown to everybody, and then gone",
    { tags: ["OPS-notify_all_on_publish"] },
    async (context) => {
      const clock = handClock()
      const presence = await start(context, { now: clock.now })
      const watches = await Promise.all(
        [bob, "sip:carol@example.com"].map((watcher) => presence.watch({ presentity: alice, watcher })),
      )
      const items = watches.map(readily)
      const next = (): Promise<readonly string[]> =>
        Promise.all(items.map(async (each) => brief((await each()).value as Notification)))
      assert.deepEqual(await next(), ["active -", "active -"])
      await presence.publish({ presentity: alice, body: open, expires: 1 })
      assert.deepEqual(await next(), ["active phone=open", "active phone=open"])
      await presence.settle()
      clock.advance(1_000)
      await presence.settle()
      assert.deepEqual(await next(), ["active phone=closed", "active phone=closed"])
      assert.equal(presence.isPublished(alice), false)
    },
  )

  it(
    "the device that made a change is not told of it",
    { tags: ["LIB-device", "BLA-3"] },
    async (context) => {
      const presence = await start(context)
      const [own, other] = [
        await presence.watch({ presentity: alice, watcher: alice, device: "desk" }),
        await presence.watch({ presentity: alice, watcher: alice, device: "mobile" }),
      ].map((watch) => watch[Symbol.asyncIterator]())
      await Promise.all([own!.next(), other!.next()])
      await presence.settle()
      await presence.publish({ presentity: alice, body: open, device: "desk" })
      await presence.settle()
      assert.equal(brief((await other!.next()).value as Notification), "active phone=open")
      await presence.close()
      assert.equal((await own!.next()).done, true)
    },
  )

  it(
    "every decision, the presentity as of any instant, and everything as it happens",
    { tags: ["LIB-history"] },
    async (context) => {
      const clock = handClock()
      const presence = await start(context, { now: clock.now })
      const [told, decided]: [string[], string[]] = [[], []]
      const following = [
        (async () => {
          for await (const notification of presence.notifications) told.push(brief(notification))
        })(),
        (async () => {
          for await (const { cause } of presence.decisions) decided.push(cause)
        })(),
      ]
      await presence.publish({ presentity: alice, body: open, expires: 60 })
      clock.advance(30_000)
      const watch = await presence.watch({ presentity: alice, watcher: bob, expires: 600 })
      await readily(watch)()
      await presence.settle()
      clock.advance(30_000)
      await presence.settle()
      const began = clock.now() - 60_000
      const [early, late] = [
        await presence.at(alice, began + 59_999),
        await presence.at(alice, new Date(began + 60_000)),
      ]
      assert.deepEqual(
        early.publications.map(({ event, body }) => [event, bodyInShort(body)]),
        [["presence", "phone=open"]],
      )
      assert.equal(bodyInShort(early.documents["presence"]!), "phone=open")
      assert.deepEqual(
        early.watchers.map(({ watcher, status, since, document }) => [
          watcher,
          status,
          since - began,
          bodyInShort(document),
        ]),
        [[bob, "active", 30_000, "phone=open"]],
      )
      assert.deepEqual([late.publications, late.watchers.length, late.version], [[], 1, 4])
      assert.deepEqual((await presence.at(alice, began - 1)).version, 0)
      await assert.rejects(
        presence.at(alice, "yesterday"),
        /^PresenceRefused: at: instant = "yesterday": expected an instant/,
      )
      assert.deepEqual(
        (await presence.history(alice)).map(({ cause }) => cause),
        ["Publish", "Subscribe", "RecordDeliveries", "FallDue"],
      )
      await presence.close()
      await Promise.all(following)
      assert.deepEqual(told, ["active phone=open", "active phone=closed"])
      assert.deepEqual(decided, ["Publish", "Subscribe", "RecordDeliveries", "FallDue"])
    },
  )

  it("what a watcher was sent, why, and what changed", { tags: ["LIB-why", "A3"] }, async (context) => {
    const clock = handClock()
    const presence = await start(context, { now: clock.now })
    const watch = await presence.watch({ presentity: alice, watcher: bob, expires: 600 })
    const next = readily(watch)
    await next()
    clock.advance(1000)
    await presence.publish({ presentity: alice, body: open, expires: 60 })
    await next()
    await presence.settle()
    const { sentence, change } = await presence.why(alice, bob)
    assert.match(
      sentence,
      /^sip:bob@example\.com was told of the change at .* at once: NOTIFY CSeq 2 answered/,
    )
    assert.ok(change !== null)
    const { items } = await presence.seen(bob, alice)
    assert.deepEqual(
      items.map(({ cseq, delivery }) => [cseq, delivery]),
      [
        [1, "answered"],
        [2, "answered"],
      ],
    )
    const { text } = await presence.diff(alice, clock.now() - 500, clock.now())
    assert.match(text, /^\+ publication {2}presence/)
    const before = await presence.why(alice, bob, { at: clock.now() - 500 })
    assert.deepEqual(before.change, null)
    await assert.rejects(presence.seen("bob", alice), /bob is no presentity URI/)
    await assert.rejects(
      presence.diff(alice, "yesterday", 1),
      /diff: before = "yesterday": expected an instant/,
    )
  })

  it(
    "keeps its decisions where it is told to; a new one goes on where the old one stopped",
    { tags: ["LIB-store"] },
    async (context) => {
      const log = makeMemoryLog()
      const store = storeOf({
        append: async (decisions) => log.append(decisions),
        load: async (streams) => streams.map(log.load),
        read: async (after, max) => log.read(after, max),
        history: async (stream, afterVersion, max) => log.history(stream, afterVersion, max),
      })
      const first = await Presence.make({ store })
      const { entityTag } = await first.publish({ presentity: alice, body: open })
      await first.watch({ presentity: alice, watcher: bob })
      await first.close()
      const second = await start(context, { store })
      assert.equal(second.isPublished(alice), true)
      await second.publish({ presentity: alice, entityTag, body: closed })
      await second.settle()
      // nobody is there any more for the watch of the first: it ends by itself
      assert.deepEqual((await second.at(alice, Date.now() + 1)).watchers, [])
      const broken = await start(context, {
        store: storeOf({
          append: () => Promise.reject(new Error("full")),
          load: async (streams) => streams.map(log.load),
          read: async () => [],
          history: async () => [],
        }),
      })
      await assert.rejects(
        broken.publish({ presentity: alice, body: open }),
        (refusal: PresenceRefused) => refusal.status === 503,
      )
    },
  )

  it(
    "watchers are sent away with a reason; the sphere is what is published",
    { tags: ["LIB-terminate", "OPS-terminate_watchers", "OPS-get_sphere"] },
    async (context) => {
      const presence = await start(context)
      assert.equal(presence.sphere(alice), null)
      const person = pidf(
        tuple("phone", "open"),
        '<dm:person xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" id="p"><r:sphere xmlns:r="urn:ietf:params:xml:ns:pidf:rpid"><r:work/></r:sphere></dm:person>',
      )
      await presence.publish({ presentity: alice, body: person })
      assert.equal(presence.sphere(alice), "work")
      assert.ok(presence.events.includes("dialog") && presence.events.includes("presence.winfo"))
      const [own, other] = [
        await presence.watch({ presentity: alice, watcher: bob }),
        await presence.watch({ presentity: alice, watcher: "sip:carol@example.com" }),
      ]
      await presence.terminate({ presentity: alice, watcher: bob, reason: "probation" })
      const ends: (string | null)[] = []
      for await (const { reason } of own) ends.push(reason)
      assert.deepEqual(ends, [null, "probation"])
      await presence.terminate({ presentity: alice })
      for await (const { reason } of other) ends.push(reason)
      assert.deepEqual(ends.slice(2), [null, "deactivated"])
    },
  )

  it(
    "hard state shows while nobody publishes; a seized line is told in headers, and seized once",
    { tags: ["AGG-4", "SCA-1"] },
    async (context) => {
      const presence = await start(context)
      await presence.setHardState(alice, pidf(tuple("desk", "closed")))
      const shown = async (): Promise<string> =>
        bodyInShort((await presence.fetch({ presentity: alice, watcher: bob })).body)
      assert.equal(await shown(), "desk=closed")
      const { entityTag } = await presence.publish({ presentity: alice, body: open })
      assert.equal(await shown(), "desk=closed phone=open")
      await presence.publish({ presentity: alice, entityTag, expires: 0 })
      assert.equal(await shown(), "desk=closed")
      assert.equal(
        bodyInShort((await presence.at(alice, Date.now() + 1)).hardState["presence"]!),
        "desk=closed",
      )
      await assert.rejects(
        presence.setHardState(alice, "<presence"),
        (refusal: PresenceRefused) => refusal.status === 400,
      )
      await presence.setHardState(alice, null)
      assert.equal(await shown(), "-")

      const argument = "<sip:line@example.com>;appearance-index=2"
      const seize = { presentity: alice, event: "line-seize", argument } as const
      await presence.watch({ ...seize, watcher: alice })
      await assert.rejects(
        presence.watch({ ...seize, watcher: bob }),
        (refusal: PresenceRefused) => refusal.status === 480,
      )
      const lamp = await presence.fetch({ presentity: alice, watcher: bob, event: "call-info" })
      assert.match(lamp.headers[0]?.[1] ?? "", /appearance-index=2;appearance-state=seized/)
    },
  )

  it(
    "what happens is told with its type, from any place in the log on",
    { tags: ["LIB-7", "OPS-E_PRESENCE_PUBLISH", "OPS-E_PRESENCE_EXPOSED"] },
    async (context) => {
      const presence = await start(context)
      const first = await presence.publish({ presentity: alice, body: open, expires: 600 })
      await presence.publish({ presentity: alice, entityTag: first.entityTag, expires: 0 })
      await presence.publish({ presentity: bob, body: closed })
      const taken = async (count: number, from: AsyncIterable<PresenceEvent>): Promise<PresenceEvent[]> => {
        const found: PresenceEvent[] = []
        for await (const one of from) if (found.push(one) === count) break
        return found
      }
      const all = await taken(3, presence.feed({ after: 0 }))
      assert.deepEqual(
        all.map((one) =>
          one.type === "E_PRESENCE_PUBLISH" ? `${one.data.user} ${one.data.cause}` : one.type,
        ),
        ["alice published", "alice removed", "bob published"],
      )
      const [{ position } = assert.fail()] = all
      assert.deepEqual(await taken(2, presence.feed({ after: position ?? 0 })), all.slice(1))
      assert.deepEqual(await taken(1, presence.feed({ after: 0, presentity: "sip:bob@*" })), all.slice(2))

      const exposed = taken(1, presence.feed({ types: ["E_PRESENCE_EXPOSED"] }))
      await new Promise((resolve) => setTimeout(resolve, 20))
      assert.deepEqual(await presence.expose("presence", (uri) => uri === alice), [])
      const rows = await presence.expose("presence")
      assert.deepEqual(
        rows.map(({ user, domain, body }) => [user, domain, body]),
        [["bob", "example.com", closed]],
      )
      assert.deepEqual(
        (await exposed).map(({ data }) => data),
        rows,
      )
      await assert.rejects(
        presence.expose("weather" as "presence"),
        (refusal: PresenceRefused) => refusal.status === 489,
      )

      const waiting = taken(1, presence.feed())
      await presence.close()
      assert.deepEqual(await waiting, [])
    },
  )

  it("the same as a service with streams", { tags: ["LIB-effect"] }, async () => {
    const program = Effect.gen(function* () {
      const presence = yield* PresenceService
      const watching = yield* presence
        .watch({ presentity: alice, watcher: bob })
        .pipe(Stream.take(2), Stream.map(brief), Stream.runCollect, Effect.forkChild)
      yield* Effect.sleep(20)
      yield* presence.publish({ presentity: alice, body: open })
      const seen = yield* Fiber.join(watching)
      yield* presence.settle
      const refusal = yield* Effect.flip(
        presence.publish({ presentity: alice, event: "weather", body: "sunny" }),
      )
      const { watchers } = yield* presence.at(alice, Date.now() + 1)
      const causes = yield* presence.history(alice).pipe(
        Stream.map(({ cause }) => cause),
        Stream.runCollect,
      )
      const told = yield* presence.feed({ after: 0 }).pipe(Stream.take(1), Stream.runCollect)
      assert.deepEqual(
        told.map(({ type, id }) => [type, id]),
        [["E_PRESENCE_PUBLISH", "2.0"]],
      )
      assert.equal((yield* presence.expose("presence")).length, 1)
      return { seen, status: refusal.status, watchers, causes, is: yield* presence.isPublished(alice) }
    })
    const layer = Presence.layer().pipe(Layer.provide(memoryStore()))
    const { seen, status, watchers, causes, is } = await Effect.runPromise(Effect.provide(program, layer))
    assert.deepEqual(seen, ["active -", "active phone=open"])
    assert.deepEqual([status, watchers, is], [489, [], true])
    // a change that comes before the first notification is taken is told when it is
    assert.deepEqual(
      causes.filter((cause) => cause !== "ReportDelivery"),
      ["Subscribe", "Publish", "Resubscribe"],
    )
  })
})
