/**
 * Functions, packages and sources of the program that throw, or give what they may not: the program lives, everybody else is
 * served, and what went wrong is told.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { Presence } from "../../../src/app/index.ts"
import type {
  MakeOptions,
  OptionsInvalid,
  PresenceFault,
  PresenceRefused,
  Watch,
} from "../../../src/app/index.ts"
import type { EventPackage } from "../../../src/app/packages/index.ts"
import { presence as presencePackage } from "../../../src/app/packages/index.ts"
import { passThrough } from "../../../src/domain/packages/pass-through.ts"
import { pidf, tuple } from "../../support/sip-client.ts"

const alice = "sip:alice@example.com"
const bob = "sip:bob@example.com"
const carol = "sip:carol@example.com"
const open = pidf(tuple("phone", "open"))

type Loose = Readonly<Record<string, unknown>>

const plain: Loose = {
  name: "x",
  accepts: ["text/plain"],
  produces: ["text/plain"],
  defaultExpires: 60,
  entityTags: "new-each-time",
  notifyIntervalMillis: 0,
  parse: ({ text }: { readonly text: string }) => ({ _tag: "Parsed", document: text }),
  compose: ({ documents }: { readonly documents: readonly { readonly document: string }[] }) =>
    documents.at(-1)?.document ?? null,
  render: (text: string) => ({ contentType: "text/plain", text }),
  offline: () => null,
}

const packageWith = (over: Loose): EventPackage<unknown, "x"> =>
  ({ ...plain, ...over }) as unknown as EventPackage<unknown, "x">

const boom = (): never => {
  throw new Error("boom")
}
/** Of whoever is called alice only. */
const boomAt =
  (matches: (...args: readonly never[]) => boolean, otherwise: (...args: readonly never[]) => unknown) =>
  (...args: readonly never[]): unknown =>
    matches(...args) ? boom() : otherwise(...args)

const start = async <Name extends string>(
  { onTestFinished }: TestContext,
  options: MakeOptions<Name> & { readonly packages?: readonly EventPackage<unknown, Name>[] },
) => {
  const faults: PresenceFault[] = []
  const presence = await Presence.make<Name>({ onFault: (fault) => void faults.push(fault), ...options })
  onTestFinished(() => presence.close())
  return { presence, faults }
}

/** What the call is refused with; fails when it is not. */
const refusal = async (asked: Promise<unknown>): Promise<PresenceRefused> => {
  try {
    await asked
  } catch (error) {
    assert.equal((error as PresenceRefused)._tag, "PresenceRefused", String(error))
    return error as PresenceRefused
  }
  return assert.fail("it was granted")
}

const taking = async (watch: Watch): Promise<void> => {
  for await (const _ of watch);
}

const tagOf = (fault: PresenceFault): string => fault._tag

describe("a package of the program", { tags: ["LIB-8"] }, () => {
  type Case = readonly [member: string, over: Loose, what: RegExp]
  const cases: readonly Case[] = [
    ["parse", { parse: boom }, /parse threw: boom/],
    ["parse", { parse: () => undefined }, /parse gave undefined: expected \{ _tag/],
    ["parse", { parse: async () => Promise.reject(new Error("late")) }, /parse gave a promise/],
    ["parse", { parse: () => ({ _tag: "Parsed" }) }, /parse gave an object/],
    ["compose", { compose: boom }, /compose threw: boom/],
    ["compose", { compose: () => undefined }, /compose gave undefined/],
    ["compose", { compose: async () => Promise.reject(new Error("late")) }, /compose gave a promise/],
    ["render", { render: boom }, /render threw: boom/],
    ["render", { render: () => undefined }, /render gave undefined: expected \{ contentType, text \}/],
    ["render", { render: () => ({ contentType: "text/plain", text: 5 }) }, /render gave an object/],
    ["personalize", { personalize: boom }, /personalize threw: boom/],
    ["personalize", { personalize: () => null }, /personalize gave null/],
    ["checkPublication", { checkPublication: boom }, /checkPublication threw: boom/],
    ["checkPublication", { checkPublication: () => true }, /checkPublication gave true/],
    [
      "checkPublication",
      { checkPublication: () => ({ _tag: "Forbidden", status: 200, why: "" }) },
      /gave an object/,
    ],
    ["checkSubscription", { checkSubscription: boom }, /checkSubscription threw: boom/],
    ["checkSubscription", { checkSubscription: () => ({}) }, /checkSubscription gave an object/],
    ["renderHeaders", { renderHeaders: boom }, /renderHeaders threw: boom/],
    ["renderHeaders", { renderHeaders: () => [{}] }, /renderHeaders gave an array of 1/],
    [
      "throws null",
      {
        compose: () => {
          throw null
        },
      },
      /compose threw: null/,
    ],
    [
      "throws what cannot be said",
      {
        compose: () => {
          throw Object.create(null)
        },
      },
      /compose threw: it cannot be said why/,
    ],
  ]

  it.each(cases)(
    "%s of it that fails costs one presentity, which is told",
    { tags: ["LIB-8"] },
    async (_, over, what) => {
      const context = { onTestFinished: (end: () => Promise<void>) => void ends.push(end) }
      const ends: (() => Promise<void>)[] = []
      const { presence, faults } = await start(context as unknown as TestContext, {
        packages: [packageWith(over), passThrough({ name: "y", contentTypes: ["text/plain"] })] as never,
      })
      const watched = presence
        .watch({ presentity: alice, watcher: bob, event: "x" as never })
        .catch((error: unknown) => error)
      const watch = await watched
      // whoever is told something is shown it
      if (!(watch instanceof Error)) void taking(watch as Watch)
      await presence.settle()
      const published = presence.publish({ presentity: alice, event: "x" as never, body: "1" })
      const outcome = await published.catch((error: PresenceRefused) => error)
      await presence.settle()
      const refused = [await watched, outcome].filter((one) => one instanceof Error)
      for (const one of refused as unknown as PresenceRefused[]) {
        assert.equal(one.status, 500)
        assert.match(one.message, what)
        assert.equal((one.cause as { readonly _tag: string })._tag, "PackageFault")
      }
      assert.ok(refused.length > 0, "nothing was refused")
      assert.deepEqual(faults.map(tagOf), ["DecisionFailed"])
      const [fault] = faults
      assert.ok(fault?._tag === "DecisionFailed" && fault.presentity === alice)
      assert.match(fault.why, what)
      // everybody else is served, of every package
      await presence.publish({ presentity: carol, event: "y" as never, body: "1" })
      const shown = await presence.fetch({ presentity: carol, watcher: bob, event: "y" as never })
      assert.equal(shown.body?.text, "1")
      for (const end of ends) await end()
    },
  )

  it("one that fails when time passes costs that presentity only", { tags: ["LIB-8"] }, async (context) => {
    let now = Date.UTC(2026, 10, 20)
    let isBad = false
    const compose = boomAt(
      (({ presentity }: { readonly presentity: string }) => isBad && presentity === alice) as never,
      plain["compose"] as never,
    )
    const { presence, faults } = await start(context, {
      packages: [packageWith({ compose })],
      now: () => now,
    })
    for (const presentity of [alice, carol]) {
      await presence.publish({ presentity, event: "x", body: "1", expires: 10 })
      await presence.watch({ presentity, watcher: bob, event: "x" })
    }
    await presence.settle()
    isBad = true
    now += 60_000
    await presence.settle()
    assert.equal(presence.isPublished(carol, "x"), false)
    assert.deepEqual(faults.map(tagOf), ["DecisionFailed"])
    assert.equal((await refusal(presence.publish({ presentity: alice, event: "x", body: "2" }))).status, 500)
    await presence.publish({ presentity: carol, event: "x", body: "2" })
  })

  const wrong: readonly (readonly [Loose, RegExp])[] = [
    [{ accepts: "text/plain" }, /^packages\[0\]\.accepts = "text\/plain": expected an array of media types/],
    [{ accepts: ["Text/Plain"] }, /accepts/],
    [{ produces: undefined }, /produces = undefined/],
    [{ defaultExpires: Number.NaN }, /defaultExpires = NaN: expected a whole number/],
    [{ defaultExpires: 2 ** 53 }, /defaultExpires/],
    [{ notifyIntervalMillis: Number.POSITIVE_INFINITY }, /notifyIntervalMillis = Infinity/],
    [{ name: "" }, /name = ""/],
    [{ name: "a b" }, /name = "a b"/],
    [{ compose: "yes" }, /compose = "yes": expected a function/],
    [{ entityTags: "never" }, /entityTags/],
    [{ rules: {} }, /rules = an object: expected an object with a function read/],
    [{ mixes: { from: 5, blend: boom } }, /mixes/],
    [{ watchers: "nobody" }, /watchers/],
    [
      {
        get parse() {
          return boom()
        },
      },
      /packages\[0\] cannot be read: boom/,
    ],
    [{ carriedHeaders: [5] }, /carriedHeaders/],
  ]
  it.each(wrong)(
    "%# one that cannot be meant is refused at the start, with the member",
    { tags: ["LIB-8"] },
    async (over, what) => {
      const eventPackage = Object.create(plain, Object.getOwnPropertyDescriptors(over)) as never
      await assert.rejects(Presence.make({ packages: [eventPackage] }), (error: OptionsInvalid) => {
        assert.equal(error._tag, "OptionsInvalid")
        assert.match(error.message, what)
        return true
      })
    },
  )

  it(
    "a bundled package that is passed goes on as it was, spheres and rules included",
    { tags: ["LIB-8"] },
    async (context) => {
      const { presence } = await start(context, { packages: [presencePackage({ rules: {} })] as never })
      const sphere = `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" entity="${alice}"><dm:person id="p"><r:sphere><r:work/></r:sphere></dm:person></presence>`
      await presence.publish({ presentity: alice, body: sphere } as never)
      assert.equal(presence.sphere(alice), "work")
    },
  )
})

describe("functions among the options", { tags: ["LIB-8"] }, () => {
  it(
    "authorize that throws or gives something else lets nobody in, and costs one presentity",
    { tags: ["LIB-8"] },
    async (context) => {
      const answers: Loose = {
        [alice]: boom,
        [bob]: () => "yes",
        [carol]: async () => Promise.reject(new Error("late")),
      }
      const { presence, faults } = await start(context, {
        authorize: ({ presentity }) =>
          ((answers[presentity] as (() => never) | undefined)?.() ?? "allow") as "allow",
      })
      for (const [presentity, what] of [
        [alice, /authorize threw: boom/],
        [bob, /authorize gave "yes": expected allow/],
        [carol, /authorize gave a promise/],
      ] as const) {
        const { status, message } = await refusal(
          presence.watch({ presentity, watcher: "sip:dave@example.com" }),
        )
        assert.equal(status, 500)
        assert.match(message, what)
      }
      assert.deepEqual(faults.map(tagOf), ["DecisionFailed", "DecisionFailed", "DecisionFailed"])
      const watch = await presence.watch({ presentity: "sip:erin@example.com", watcher: bob })
      await watch.close()
    },
  )

  const clocks: readonly (readonly [string, () => unknown])[] = [
    ["throws", boom],
    ["gives NaN", () => Number.NaN],
    ["gives Infinity", () => Number.POSITIVE_INFINITY],
    ["gives a negative number", () => -1],
    ["gives text", () => "60"],
    ["gives a rejected promise", async () => Promise.reject(new Error("late"))],
    ["gives a Date", () => new Date()],
    ["gives what no calendar has", () => 8.64e15],
  ]
  it.each(clocks)(
    "a clock that %s is told once, and time goes on from where it was",
    { tags: ["LIB-8"] },
    async (_, now) => {
      const faults: PresenceFault[] = []
      let isGood = true
      const good = Date.now()
      const presence = await Presence.make({
        now: () => (isGood ? good + 0.5 : (now() as number)),
        onFault: (fault) => void faults.push(fault),
      })
      const before = await presence.publish({ presentity: alice, body: open })
      isGood = false
      await presence.publish({ presentity: alice, body: open, entityTag: before.entityTag })
      await presence.settle()
      assert.deepEqual(faults.map(tagOf), ["CallbackFailed"])
      const [first] = await presence.history(alice)
      assert.equal(first?.at, good)
      isGood = true
      await presence.settle()
      await presence.close()
    },
  )

  it(
    "onFault and onRulesFault that throw or reject are told in the log, and nothing else comes of it",
    { tags: ["LIB-8"] },
    async (context) => {
      const { presence } = await start(context, {
        authorize: boom,
        rules: boom,
        watching: {},
        onFault: async () => Promise.reject(new Error("nor this")),
        onRulesFault: boom,
      })
      assert.equal((await refusal(presence.watch({ presentity: alice, watcher: bob }))).status, 500)
      await presence.publish({ presentity: carol, body: open })
      const { status } = await refusal(presence.refreshRules(carol))
      assert.equal(status, 503)
    },
  )

  const sources: readonly (readonly [string, () => unknown, RegExp])[] = [
    ["throws", boom, /rules: boom/],
    [
      "throws nothing that can be said",
      () => {
        throw Object.create(null)
      },
      /rules: it cannot be said why/,
    ],
    ["rejects", async () => Promise.reject(new Error("no")), /rules: no/],
    ["is silent", () => new Promise(() => {}), /rules: no answer in 0\.05 s/],
    ["gives a number", () => 5, /rules: it gave number/],
    ["gives no document", () => "<ruleset", /rules: /],
    [
      "gives something with a then that throws",
      // oxlint-disable-next-line unicorn/no-thenable -- that is what is tried
      () => Object.defineProperty({}, "then", { get: boom }),
      /rules: boom/,
    ],
  ]
  it.each(sources)(
    "a source of rules that %s makes watchers wait, and costs nobody else anything",
    { tags: ["LIB-8"] },
    async (_, rules, why) => {
      const presence = await Presence.make({
        rules: rules as () => string,
        rulesWait: 0.05,
        onRulesFault: () => {},
      })
      const watch = await presence.watch({ presentity: alice, watcher: bob })
      const { value } = (await watch[Symbol.asyncIterator]().next()) as {
        readonly value: { readonly state: string }
      }
      assert.equal(value.state, "pending")
      const refused = await refusal(presence.refreshRules(alice))
      assert.match(refused.message, why)
      await presence.publish({ presentity: carol, body: open })
      await presence.close()
    },
  )

  it(
    "a filter of expose that throws or gives something else rejects that call",
    { tags: ["LIB-8"] },
    async (context) => {
      const { presence } = await start(context, {})
      await presence.publish({ presentity: alice, body: open })
      const thrown = await refusal(presence.expose("presence", boom))
      assert.match(thrown.message, /expose: matches threw: boom/)
      await refusal(presence.expose("presence", (async () => Promise.reject(new Error("late"))) as never))
      assert.equal((await presence.expose("presence")).length, 1)
    },
  )
})
