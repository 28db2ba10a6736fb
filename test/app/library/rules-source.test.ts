/**
 * A program's own source of rules that throws, is silent, or answers in the wrong order: nobody is shown anything because of it.
 */
import assert from "node:assert/strict"
import { Layer } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { makeMemoryLog, makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { Presence } from "../../../src/app/index.ts"
import type { MakeOptions, Notification, PresenceRefused, RulesFault } from "../../../src/app/index.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { EventStore } from "../../../src/ports/event-store.ts"
import { bodyInShort, rulesText } from "../../support/ruled.ts"
import { pidf, tuple } from "../../support/sip-client.ts"

const alice = "sip:alice@example.com"
const bob = "sip:bob@example.com"
const carol = "sip:carol@example.com"
const open = pidf(tuple("phone", "open"))
const allowing = rulesText([{ who: bob as Uri, treat: "allow" }])
const blocking = rulesText([{ who: bob as Uri, treat: "block" }])

const start = async ({ onTestFinished }: TestContext, options: MakeOptions) => {
  const faults: RulesFault[] = []
  const presence = await Presence.make({ onRulesFault: (fault) => void faults.push(fault), ...options })
  onTestFinished(() => presence.close())
  return { presence, faults }
}

const brief = ({ state, body }: Notification): string => `${state} ${bodyInShort(body)}`

const failing: readonly (readonly [string, MakeOptions["rules"], RegExp])[] = [
  [
    "throws",
    () => {
      throw new Error("the directory is away")
    },
    /the directory is away/,
  ],
  ["rejects", () => Promise.reject(new Error("no route")), /no route/],
  ["never answers", () => new Promise(() => {}), /no answer in 0\.05 s/],
  ["gives what is no text", () => 7 as unknown as string, /it gave number, neither text nor null/],
  ["gives nothing", () => undefined as unknown as null, /it gave undefined, neither text nor null/],
  ["gives what cannot be read", () => "<ruleset", /./],
]

describe("a program's source of rules", () => {
  for (const [what, rules, why] of failing) {
    it(
      `that ${what}: watchers wait whatever no_rules says, and the program is told once`,
      { tags: ["LIB-rules", "AUT-7"] },
      async (context) => {
        const { presence, faults } = await start(context, {
          rules: rules!,
          rulesWait: 0.05,
          limits: { noRules: "allow" },
        })
        await presence.publish({ presentity: alice, body: open })
        assert.equal(brief(await presence.fetch({ presentity: alice, watcher: bob })), "terminated -")
        const watch = await presence.watch({ presentity: alice, watcher: bob })
        const items = watch[Symbol.asyncIterator]()
        assert.equal(brief((await items.next()).value as Notification), "pending -")
        assert.deepEqual(
          faults.map(({ presentity, event }) => [presentity, event]),
          [[alice, "presence"]],
        )
        assert.match(faults[0]?.why ?? "", why)
        await assert.rejects(
          presence.refreshRules(alice),
          (refusal: PresenceRefused) => refusal.status === 503 && why.test(refusal.message),
        )
      },
    )
  }

  it(
    "heals by itself: whoever waits is told when it answers again, also that there are none",
    { tags: ["LIB-rules", "AUT-7"] },
    async (context) => {
      let isAway = true
      const { presence } = await start(context, {
        rules: () => {
          if (isAway) throw new Error("away")
          return null
        },
        limits: { noRules: "allow" },
      })
      await presence.publish({ presentity: alice, body: open })
      const watch = await presence.watch({ presentity: alice, watcher: bob })
      const items = watch[Symbol.asyncIterator]()
      assert.equal(brief((await items.next()).value as Notification), "pending -")
      isAway = false
      assert.equal(brief((await items.next()).value as Notification), "active phone=open")
    },
  )

  it("what was in force stays in force while it fails", { tags: ["LIB-rules", "AUT-7"] }, async (context) => {
    let text: string | null = allowing
    const { presence } = await start(context, {
      rules: () => {
        if (text === null) throw new Error("away")
        return text
      },
      limits: { noRules: "block" },
    })
    await presence.publish({ presentity: alice, body: open })
    assert.equal(brief(await presence.fetch({ presentity: alice, watcher: bob })), "terminated phone=open")
    text = null
    assert.equal(brief(await presence.fetch({ presentity: alice, watcher: bob })), "terminated phone=open")
  })

  it(
    "an answer that was overtaken by a newer one does not count",
    { tags: ["LIB-rules", "AUT-7"] },
    async (context) => {
      const answers: ((text: string) => void)[] = []
      const { presence } = await start(context, {
        rules: () => new Promise<string>((answer) => void answers.push(answer)),
      })
      await presence.publish({ presentity: alice, body: open })
      const first = presence.refreshRules(alice)
      const second = presence.refreshRules(alice)
      while (answers.length < 2) await new Promise((resolve) => setImmediate(resolve))
      answers[1]!(blocking)
      await second
      answers[0]!(allowing)
      await first
      const asking = presence.fetch({ presentity: alice, watcher: bob })
      while (answers.length < 3) await new Promise((resolve) => setImmediate(resolve))
      // this one fails: the newest answer is what is in force
      answers[2]!("<ruleset")
      await assert.rejects(asking, (refusal: PresenceRefused) => refusal.status === 403)
    },
  )

  it(
    "is asked once for all who wait for the same rules, and anew for each refreshRules and each other presentity",
    { tags: ["LIB-rules", "AUT-7"] },
    async (context) => {
      const answers = new Map<string, ((text: string) => void)[]>()
      const { presence } = await start(context, {
        rules: (presentity) =>
          new Promise<string>((answer) => {
            answers.set(presentity, [...(answers.get(presentity) ?? []), answer])
          }),
      })
      const questions = (presentity: string): number => answers.get(presentity)?.length ?? 0
      const turns = () => new Promise((resolve) => setImmediate(resolve))
      await presence.publish({ presentity: alice, body: open })
      const early = [1, 2, 3].map(() => presence.fetch({ presentity: alice, watcher: bob }))
      const elsewhere = presence.fetch({ presentity: carol, watcher: bob })
      while (questions(alice) < 1 || questions(carol) < 1) await turns()
      const refreshed = presence.refreshRules(alice)
      while (questions(alice) < 2) await turns()
      // they wait for the newest question, whose answer is the one that counts
      const late = [1, 2].map(() => presence.fetch({ presentity: alice, watcher: bob }))
      for (let count = 0; count < 20; count++) await turns()
      assert.deepEqual([questions(alice), questions(carol)], [2, 1])
      answers.get(alice)![1]!(allowing)
      await refreshed
      for (const shown of await Promise.all(late)) assert.equal(brief(shown), "terminated phone=open")
      answers.get(alice)![0]!(blocking)
      for (const shown of await Promise.all(early)) assert.equal(brief(shown), "terminated phone=open")
      answers.get(carol)![0]!(allowing)
      await elsewhere
    },
  )

  it(
    "that never answers: who waits when the program closes is refused",
    { tags: ["LIB-rules"] },
    async (context) => {
      let isAsked = false
      const { presence } = await start(context, {
        rules: () => {
          isAsked = true
          return new Promise(() => {})
        },
      })
      const waiting = presence.fetch({ presentity: alice, watcher: bob })
      while (!isAsked) await new Promise((resolve) => setImmediate(resolve))
      const refused = assert.rejects(
        waiting,
        (refusal: PresenceRefused) => refusal.status === 503 && /stopping/.test(refusal.message),
      )
      await presence.close()
      await refused
    },
  )

  it(
    "is not waited for after the end: watchers and refreshes of rules are refused with 503",
    { tags: ["LIB-rules"] },
    async (context) => {
      const { presence } = await start(context, { rules: () => allowing })
      await presence.close()
      const isRefused = (refusal: PresenceRefused): boolean => refusal.status === 503
      await assert.rejects(presence.watch({ presentity: alice, watcher: bob }), isRefused)
      await assert.rejects(presence.refreshRules(alice), isRefused)
    },
  )

  it(
    "is asked after a start before anybody is shown anything, and what fell due meanwhile is shown to nobody",
    { tags: ["LIB-rules", "AUT-7"] },
    async (context) => {
      const log = makeMemoryLog()
      let now = Date.UTC(2026, 10, 20, 10)
      const options = {
        store: Layer.succeed(EventStore, makeMemoryStore(log)),
        now: () => now,
        limits: { notifyIntervalMillis: 5_000 },
      }
      const first = await start(context, { ...options, rules: () => allowing })
      await first.presence.publish({ presentity: alice, body: open, expires: 60 })
      await first.presence.watch({ presentity: alice, watcher: bob })
      await first.presence.settle()
      await first.presence.close()
      now += 120_000
      const before = log.read(0, 1_000).length
      const second = await start(context, { ...options, rules: () => blocking })
      await second.presence.settle()
      const asked = second.presence.fetch({ presentity: alice, watcher: bob })
      await assert.rejects(asked, (refusal: PresenceRefused) => refusal.status === 403)
      // who watched in the program ended with it: of what fell due meanwhile nobody is told, whatever the rules were
      const events = log.read(before, 1_000).flatMap(({ decision }) => decision.events)
      assert.ok(!events.some((event) => event._tag === "NotificationsIssued"))
    },
  )
})
