/**
 * Policies at a start: who watches already is judged before anything else happens, and is shown nothing any more.
 */
import assert from "node:assert/strict"
import { Clock, Effect, Exit, Scope } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { makeMemoryLog, makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import type { MemoryLog } from "../../../src/adapters/store/memory.ts"
import { clockTelling } from "../../../src/app/clock/clocks.ts"
import { readConfig } from "../../../src/app/config/config.ts"
import { packagesOf } from "../../../src/app/config/packages.ts"
import { beginPolicies, policyReports } from "../../../src/app/node/begin-policies.ts"
import { makePump, pumpDefaults } from "../../../src/app/node/pump.ts"
import type { Pump } from "../../../src/app/node/pump.ts"
import type { Command } from "../../../src/domain/presentity/commands.ts"
import { allowEveryone, askTheRules, defaultLimits } from "../../../src/domain/presentity/context.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import { ownPolicies } from "../../../src/domain/presentity/watching.ts"
import type { Watching } from "../../../src/domain/presentity/watching.ts"
import { values } from "../../../src/domain/table.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { EventStore, StoreUnavailable } from "../../../src/ports/event-store.ts"
import { alice, at, bob, carol, dialogOf, publish, subscribe } from "../../support/builders.ts"

const packages = packagesOf(
  readConfig({ flags: {}, set: [], env: {}, file: null, defaults: { pass_through: ["note=text/plain"] } }),
)

const makeRun = ({ onTestFinished }: TestContext) => {
  let now = at("10:00:00")
  const log: MemoryLog = makeMemoryLog()
  const scope = Effect.runSync(Scope.make())
  onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return {
    log,
    pass: (millis: number) => void (now += millis),
    /** A process of its own on the same log; `watching` null: an open server. */
    start: async (watching: Watching | null, store: EventStore["Service"] = makeMemoryStore(log)) => {
      const sent: Notify[] = []
      const outages: string[] = []
      const pump: Pump = await Effect.runPromise(
        Effect.gen(function* () {
          const clock = clockTelling(() => now, yield* Clock.Clock)
          return yield* makePump(
            {
              packages,
              limits: { ...defaultLimits, ...(watching === null ? {} : { watching }) },
              authorize: watching === null ? allowEveryone : askTheRules,
              ...pumpDefaults,
              patienceMillis: 50,
            },
            {
              notify: (notifies) => void sent.push(...notifies),
              stored: () => {},
              outage: (state) => void outages.push(state),
            },
          ).pipe(Effect.provideService(Clock.Clock, clock))
        }).pipe(Effect.provideService(EventStore, store)),
      )
      await Effect.runPromise(pump.recover)
      const reports = policyReports(pump.policyChanges())
      await Effect.runPromise(beginPolicies(pump))
      await Effect.runPromise(pump.start.pipe(Scope.provide(scope)))
      const ask = (command: Command, presentity: Uri = alice) =>
        Effect.runPromise(pump.ask(presentity, command, "test"))
      return { pump, sent, outages, reports, ask, settle: () => Effect.runPromise(pump.settle) }
    },
  }
}

const watches = (no: number, packageName: string, watcher: Uri, expires = 3600): Command =>
  subscribe({ packageName, watcher, expires, dialog: dialogOf(no) })

const voice = (count: number): Command =>
  publish({
    packageName: "message-summary",
    expires: 3600,
    body: {
      contentType: "application/simple-message-summary",
      text: `Messages-Waiting: yes\r\nVoice-Message: ${count}/0\r\n`,
    },
  })

const brief = ({ no, state, reason, body, packageName }: Notify): readonly unknown[] => [
  packageName,
  no,
  reason === null ? state : `${state} ${reason}`,
  body === null ? "empty" : "document",
]

describe("a start on a log that is older than policies", () => {
  it(
    "names who is ended, ends them before what was held back or may be lost is sent, and sends them no document",
    { tags: ["AUT-13"] },
    async (context) => {
      const run = makeRun(context)
      const open = await run.start(null)
      await open.ask(voice(1))
      await open.ask(watches(1, "message-summary", bob))
      await open.ask(watches(2, "message-summary", alice))
      await open.ask(watches(3, "message-summary", carol))
      await open.ask(watches(4, "dialog", bob))
      await open.ask(watches(5, "dialog", carol))
      await open.ask(watches(6, "note", bob, 60))
      await open.settle()
      // held back for everybody: no answer has come yet, and it is soon after the last one
      await open.ask(voice(2))
      await open.settle()
      run.pass(120_000)

      const judged = await run.start(ownPolicies)
      assert.deepEqual(
        judged.reports.map(({ what, keeping }) => `${what}; ${keeping}`),
        [
          `1 subscription of dialog is ended: ${carol} to ${alice} (policy domain); watch_policy = dialog=everybody keeps them, *=everybody all but presence and lists of watchers; see docs/watching.md`,
          `2 subscriptions of message-summary are ended: ${bob} to ${alice}, ${carol} to ${alice} (policy owner); watch_policy = message-summary=everybody keeps them, *=everybody all but presence and lists of watchers; see docs/watching.md`,
        ],
      )
      await judged.settle()
      const state = judged.pump.engine.state(alice)!
      assert.deepEqual(
        [...values(state.subscriptions)]
          .map(({ packageName, watcher }) => `${packageName} ${watcher}`)
          .sort(),
        [`dialog ${bob}`, `message-summary ${alice}`],
      )
      const others = judged.sent.filter(({ dialog }) => !["call-2", "call-4"].includes(dialog.callId))
      assert.deepEqual(
        others.map(brief).sort((one, other) => Number(one[1]) - Number(other[1])),
        [
          ["message-summary", 2, "terminated rejected", "empty"],
          ["message-summary", 4, "terminated rejected", "empty"],
          ["dialog", 6, "terminated rejected", "empty"],
          // that one was over by time, and of a package whose policy would refuse it: no document either way
          ["note", 7, "terminated timeout", "empty"],
        ],
      )
      const [first] = run.log.read(0, 1000).filter(({ decision }) => decision.cause === "ApplyPolicies")
      assert.deepEqual(
        first?.decision.events.flatMap((event) =>
          event._tag === "SubscriptionTerminated" ? [[event.reason, event.policy]] : [],
        ),
        [
          ["rejected", "domain"],
          ["rejected", "owner"],
          ["rejected", "owner"],
        ],
      )
      // whoever is left has been told what was held back
      const own = judged.sent.filter(({ dialog }) => dialog.callId === "call-2").at(-1)
      assert.match(own?.body?.text ?? "", /Voice-Message: 2\/0/)

      const again = await run.start(ownPolicies)
      assert.deepEqual(again.reports, [])
    },
  )

  it(
    "*=everybody keeps what was, but for lists of watchers and presence",
    { tags: ["AUT-13"] },
    async (context) => {
      const run = makeRun(context)
      const open = await run.start(null)
      await open.ask(watches(1, "message-summary", bob))
      await open.ask(watches(2, "dialog", carol))
      await open.ask(watches(3, "note", carol))
      await open.settle()
      const kept = await run.start({ ...ownPolicies, policies: { "*": "everybody" } })
      assert.deepEqual(kept.reports, [])
      const names = run.log.read(0, 1000).map(({ decision }) => decision.cause)
      assert.ok(!names.includes("ApplyPolicies"))
    },
  )

  it(
    "presence that was open becomes pending where nobody has rules, and active again for everybody",
    { tags: ["AUT-13"] },
    async (context) => {
      const run = makeRun(context)
      const open = await run.start(null)
      await open.ask(watches(1, "presence", bob))
      await open.settle()
      const ruled = await run.start(ownPolicies)
      assert.deepEqual(
        ruled.reports.map(({ what, keeping }) => `${what}; ${keeping}`),
        [
          `1 subscription of presence is treated differently: ${bob} to ${alice} (active to pending) (policy rules); rules that let them in keep them; see docs/watching.md`,
        ],
      )
      await ruled.settle()
      assert.deepEqual(brief(ruled.sent.find(({ state }) => state === "pending")!), [
        "presence",
        1,
        "pending",
        "empty",
      ])
      const everybody = await run.start({ ...ownPolicies, policies: { presence: "everybody" } })
      await everybody.settle()
      const [one] = values(everybody.pump.engine.state(alice)!.subscriptions)
      assert.deepEqual([one?.status, one?.policy], ["active", "everybody"])
    },
  )

  it(
    "a store that fails at that moment changes nothing: they are ended when it is back, before anybody is told",
    { tags: ["AUT-13"] },
    async (context) => {
      const run = makeRun(context)
      const open = await run.start(null)
      await open.ask(voice(1))
      await open.ask(watches(1, "message-summary", bob))
      await open.settle()
      await open.ask(voice(2))
      await open.settle()
      run.pass(5_000)
      const good = makeMemoryStore(run.log)
      let failures = 0
      const store: EventStore["Service"] = {
        ...good,
        append: (...args) => {
          if (failures === 4) return good.append(...args)
          failures++
          // so long that what is undecided is given up
          run.pass(60)
          return Effect.fail(new StoreUnavailable({ cause: "away" }))
        },
      }
      const judged = await run.start(ownPolicies, store)
      assert.deepEqual([failures, judged.outages.includes("down")], [4, true])
      await judged.settle()
      assert.ok(judged.sent.length > 0)
      assert.ok(judged.sent.every(({ body }) => body === null))
      assert.deepEqual(judged.sent.map(({ state, reason }) => [state, reason]).at(-1), [
        "terminated",
        "rejected",
      ])
    },
  )

  it(
    "the last NOTIFY of a subscription that ended before a crash is repeated without what its watcher may not see any more",
    { tags: ["AUT-13"] },
    async (context) => {
      const run = makeRun(context)
      const open = await run.start(null)
      await open.ask(voice(1))
      await open.ask(watches(1, "message-summary", bob))
      await open.ask(watches(2, "message-summary", alice))
      await open.ask({
        _tag: "Terminate",
        packageName: "message-summary",
        watcher: null,
        reason: "deactivated",
      })
      await open.settle()
      assert.ok(open.sent.filter(({ state }) => state === "terminated").every(({ body }) => body !== null))
      const judged = await run.start(ownPolicies)
      await judged.settle()
      assert.deepEqual(
        judged.sent.map(({ dialog, state, body }) => [dialog.callId, state, body === null]),
        [
          ["call-1", "terminated", true],
          ["call-2", "terminated", false],
        ],
      )
    },
  )
})
