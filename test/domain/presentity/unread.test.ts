/**
 * A source of rules that has not been read: whoever it may have something to say of waits, and nobody is shown anything on
 * the ground that nobody looked.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeMemoryLog } from "../../../src/adapters/store/memory.ts"
import type { Engine } from "../../../src/domain/engine/engine.ts"
import { makeEngine } from "../../../src/domain/engine/make-engine.ts"
import { momentOf } from "../../../src/domain/history/moments.ts"
import { reconstructCommand } from "../../../src/domain/history/reconstruct-command.ts"
import { makeInquiry } from "../../../src/domain/history/why.ts"
import { authorizeWatcher } from "../../../src/domain/presentity/authorize.ts"
import type { Command } from "../../../src/domain/presentity/commands.ts"
import { askTheRules, defaultLimits } from "../../../src/domain/presentity/context.ts"
import type { Limits } from "../../../src/domain/presentity/context.ts"
import { evolve } from "../../../src/domain/presentity/evolve.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import { freeze, thaw } from "../../../src/domain/presentity/snapshot.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import { get, values } from "../../../src/domain/table.ts"
import type { SubHandling, Uri } from "../../../src/domain/vocabulary.ts"
import { decodeEvents } from "../../../src/encoding/event-codec.ts"
import { after, alice, at, bob, carol } from "../../support/builders.ts"
import {
  brief,
  publishPidf,
  replaceRules,
  ruledPackages,
  ruledWorld,
  statusOf,
  story,
  watch,
  watchAgain,
} from "../../support/ruled.ts"

const everyNoRules = ["allow", "block", "confirm", "polite-block"] as const
const reviewed: Command = { _tag: "RefreshWatchers", packageName: "presence", kind: "rules" }
const unread = { isUnread: () => true }
const read = { isUnread: () => false }

describe("a source of rules that has not been read", () => {
  it.each(everyNoRules)(
    "with no_rules = %s a watcher waits; what no_rules says counts once it is read and has none",
    { tags: ["AUT-7"] },
    (noRules) => {
      const world = ruledWorld.and({ limits: { noRules } })
      const waiting = story(
        world.and(unread),
        [after("0 s"), publishPidf("t1=open")],
        [after("1 s"), watch(1, bob, { expires: 600 })],
      )
      deepStrictEqual([statusOf(waiting.answer), ...waiting.sent.map(brief)], ["202", "2/1 pending -"])
      const changed = waiting.and(unread).when(publishPidf("t2=open"), after("2 s"))
      deepStrictEqual(changed.sent, [])
      const decided = waiting.and(read).when(reviewed, after("3 s"))
      deepStrictEqual(
        decided.sent.map(({ state, reason, body }) => [state, reason, /open/.test(body?.text ?? "")]),
        {
          allow: [["active", null, true]],
          block: [["terminated", "rejected", false]],
          confirm: [],
          "polite-block": [["active", null, false]],
        }[noRules],
      )
      // nothing is left of it
      ok([...values(decided.state.subscriptions)].every((one) => one.unread === undefined))
    },
  )

  it("a fetch gets no document, and is answered for when the source is read", { tags: ["AUT-7"] }, () => {
    const world = ruledWorld.and({ limits: { noRules: "allow" } })
    const fetched = story(
      world.and(unread),
      [after("0 s"), publishPidf("t1=open")],
      [after("1 s"), watch(1, bob, { expires: 0 })],
    )
    deepStrictEqual(
      [statusOf(fetched.answer), ...fetched.sent.map(brief)],
      ["202", "2/1 terminated;timeout -"],
    )
    const decided = fetched.and(read).when(reviewed, after("3 s"))
    deepStrictEqual(decided.events, [{ _tag: "WaitingEnded", no: 2, event: "approved" }])
  })

  it(
    "rules that the log knows count, and so does the operator's word, the owner's right and force_active",
    { tags: ["AUT-7"] },
    () => {
      const world = ruledWorld.and({ ...unread, limits: { noRules: "allow" } })
      const ruled = world.when(replaceRules({ who: bob, treat: "allow" }), after("0 s")).and(unread)
      deepStrictEqual(statusOf(ruled.when(watch(1, bob), after("1 s")).answer), "200")
      deepStrictEqual(statusOf(ruled.when(watch(1, carol), after("1 s")).answer), "403")
      const decide = (handling: SubHandling): Command => ({
        _tag: "DecideWatcher",
        packageName: "presence",
        watcher: bob,
        handling,
      })
      const said = world.when(decide("allow"), after("0 s")).and(unread)
      deepStrictEqual(statusOf(said.when(watch(1, bob), after("1 s")).answer), "200")
      deepStrictEqual(statusOf(world.when(watch(1, bob, { forceActive: true }), after("1 s")).answer), "200")
      const own = world.when(watch(1, alice, { packageName: "presence.winfo" }), after("1 s"))
      deepStrictEqual(statusOf(own.answer), "200")
    },
  )

  it(
    "whoever watches a presentity that the log knows no rules of waits again, and says why",
    { tags: ["AUT-7"] },
    () => {
      const world = ruledWorld.and({ limits: { noRules: "allow" } })
      const before = story(
        world,
        [after("0 s"), publishPidf("t1=open")],
        [after("1 s"), watch(1, bob, { expires: 600 })],
      )
      const lost = before.and(unread).when(reviewed, after("2 s"))
      deepStrictEqual(lost.sent.map(brief), ["2/2 pending -"])
      const again = before.and(unread).when(watchAgain(1, bob, { expires: 600 }), after("2 s"))
      deepStrictEqual([statusOf(again.answer), ...again.sent.map(brief)], ["202", "2/2 pending -"])
      const inquiry = makeInquiry(
        { presentity: alice, watcher: bob, packageName: "presence", at: after("9 s") },
        { packages: ruledPackages, limits: { ...defaultLimits, noRules: "allow" }, authorize: askTheRules },
      )
      const changed = lost.and(unread).when(publishPidf("t2=open"), after("3 s"))
      const decision = {
        stream: alice,
        version: lost.state.version + 1,
        at: after("3 s"),
        cause: "Publish",
        origin: "",
        nonce: "n",
        events: changed.events,
      }
      inquiry.take(
        momentOf(lost.state, { position: 1, decision }, { packages: ruledPackages, limits: defaultLimits }),
      )
      const [found] = inquiry.answer(after("9 s")).cases
      deepStrictEqual(found?.finding._tag === "Pending" ? found.finding.judgement.by : found, "unread")
    },
  )
})

// ── whole histories ──

type Step =
  | { readonly do: "watch"; readonly who: number; readonly expires: number }
  | { readonly do: "refresh"; readonly dialog: number; readonly expires: number }
  | { readonly do: "publish"; readonly what: string }
  | { readonly do: "rules"; readonly treat: SubHandling | null; readonly who: number }
  | { readonly do: "decide"; readonly treat: SubHandling | null; readonly who: number }
  | { readonly do: "source"; readonly isUnread: boolean }
  | { readonly do: "time"; readonly millis: number }

const people = [bob, carol, "sip:dave@example.com" as Uri]
const anyHandling = fc.constantFrom<SubHandling>("allow", "block", "confirm", "polite-block")
const who = fc.nat(people.length - 1)
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("watch" as const), who, expires: fc.constantFrom(0, 60, 600) }),
  fc.record({ do: fc.constant("refresh" as const), dialog: fc.nat(5), expires: fc.constantFrom(0, 60, 600) }),
  fc.record({
    do: fc.constant("publish" as const),
    what: fc.constantFrom("t1=open", "t1=closed", "t2=open"),
  }),
  fc.record({ do: fc.constant("rules" as const), treat: fc.option(anyHandling), who }),
  fc.record({ do: fc.constant("decide" as const), treat: fc.option(anyHandling), who }),
  fc.record({ do: fc.constant("source" as const), isUnread: fc.boolean() }),
  fc.record({ do: fc.constant("time" as const), millis: fc.constantFrom(100, 6_000, 61_000, 3_600_000) }),
)

/** Plays steps on the engine, a step's review following a change of the source at once, as the server has it. */
const play = (steps: readonly Step[], limits: Limits) => {
  let isUnread = false
  let now = at("10:00:00")
  let minted = 0
  let [dialogs, cseq] = [0, 1]
  const watchers = new Map<number, Uri>()
  const log = makeMemoryLog()
  const told: { readonly notify: Notify; readonly isHidden: boolean }[] = []
  const engine: Engine<null> = makeEngine<null>({
    packages: ruledPackages,
    limits,
    authorize: askTheRules,
    isUnread: () => isUnread,
  })
  const nonce = (): string => `n${minted++}`
  const commit = (): void => {
    for (let batch = engine.takeBatch(50); batch !== null; batch = engine.takeBatch(50)) {
      log.append(batch.decisions)
      for (const { notifications } of engine.committed(new Set()).release) {
        const state = engine.state(alice)
        for (const notify of notifications) {
          const one = state === undefined ? undefined : get(state.subscriptions, notify.no)
          const isRuled = state !== undefined && get(state.rules, "presence") !== undefined
          const isDecided = [...values(state?.verdicts ?? initial(alice).verdicts)].some(
            ({ watcher }) => watcher === one?.watcher,
          )
          told.push({ notify, isHidden: isUnread && !isRuled && one !== undefined && !isDecided })
        }
      }
    }
  }
  const ask = (presentity: Uri | null, command: Command, amends = false): void => {
    const offer = {
      presentity,
      command,
      origin: "",
      ticket: null,
      ...(amends ? { amends: true as const } : {}),
    }
    if (engine.offer(offer, now, nonce)._tag === "Missing") {
      engine.load(log.load(alice))
      engine.offer(offer, now, nonce)
    }
    commit()
  }
  for (const step of steps) {
    now += 10
    switch (step.do) {
      case "watch": {
        const watcher = people[step.who]!
        watchers.set(++dialogs, watcher)
        ask(alice, watch(dialogs, watcher, { expires: step.expires }))
        break
      }
      case "refresh": {
        const watcher = watchers.get(step.dialog)
        if (watcher !== undefined)
          ask(null, watchAgain(step.dialog, watcher, { expires: step.expires, cseq: ++cseq }))
        break
      }
      case "publish":
        ask(alice, { ...publishPidf(step.what), expires: 600 } as Command)
        break
      case "rules":
        ask(
          alice,
          step.treat === null
            ? { _tag: "ReplaceRules", packageName: "presence", rules: null }
            : replaceRules({ who: people[step.who]!, treat: step.treat }),
        )
        break
      case "decide":
        ask(alice, {
          _tag: "DecideWatcher",
          packageName: "presence",
          watcher: people[step.who]!,
          handling: step.treat,
        })
        break
      case "source":
        engine.advance(now, nonce)
        commit()
        isUnread = step.isUnread
        ask(alice, reviewed, true)
        break
      case "time":
        now += step.millis
        engine.advance(now, nonce)
        commit()
    }
  }
  return { log, told, isUnread: () => isUnread, state: () => engine.state(alice), now: () => now }
}

const anyLimits = fc
  .constantFrom(...everyNoRules)
  .map((noRules): Limits => ({ ...defaultLimits, noRules, notifyIntervalMillis: 5_000 }))
const anyHistory = fc.tuple(fc.array(anyStep, { minLength: 3, maxLength: 25 }), anyLimits)

describe("histories in which the source comes and goes", () => {
  it("nobody is shown anything while it is unread and the log knows no rules", { tags: ["AUT-7"] }, () => {
    let hidden = 0
    fc.assert(
      fc.property(anyHistory, ([steps, limits]) => {
        for (const { notify, isHidden } of play(steps, limits).told) {
          if (!isHidden) continue
          hidden++
          deepStrictEqual([notify.state, notify.body], ["pending", null])
        }
      }),
      { numRuns: 1_500 },
    )
    ok(hidden > 50, `only ${hidden}`)
  })

  it(
    "everybody is treated as is true now, and knows by which of the two it waits",
    { tags: ["AUT-7"] },
    () => {
      fc.assert(
        fc.property(anyHistory, ([steps, limits]) => {
          const played = play(steps, limits)
          const state = played.state()
          if (state === undefined) return
          const eventPackage = ruledPackages.find("presence")!
          for (const one of values(state.subscriptions)) {
            const { handling, unread: waits } = authorizeWatcher(state, eventPackage, one.watcher, {
              now: played.now(),
              nonce: "",
              limits,
              packages: ruledPackages,
              authorize: askTheRules,
              isUnread: played.isUnread,
              inFlight: () => false,
              findDialog: () => null,
            })
            deepStrictEqual(
              [one.status === "pending", one.polite, one.unread],
              [handling === "confirm", handling === "polite-block", waits],
            )
          }
        }),
        { numRuns: 300 },
      )
    },
  )

  it(
    "every decision can be decided again from what is written, and is kept by codec and snapshot",
    { tags: ["AUT-7", "L03"] },
    () => {
      fc.assert(
        fc.property(anyHistory, ([steps, limits]) => {
          let state = initial(alice)
          for (const { decision } of play(steps, limits).log.read(0, 1_000)) {
            deepStrictEqual(decodeEvents(JSON.parse(JSON.stringify(decision.events))), decision.events)
            const reconstructed = reconstructCommand(state, decision, {
              packages: ruledPackages,
              limits,
              authorize: askTheRules,
            })
            deepStrictEqual(reconstructed?.outcome.events, decision.events, decision.cause)
            let next = state
            for (const event of decision.events) next = evolve(next, event, decision.at)
            state = { ...next, version: decision.version, decidedAt: decision.at }
            deepStrictEqual(freeze(thaw(freeze(state))), freeze(state))
          }
        }),
        { numRuns: 200 },
      )
    },
  )
})
