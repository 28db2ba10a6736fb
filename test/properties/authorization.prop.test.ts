/**
 * Laws of rules in force: what is hidden stays hidden, whoever is undecided hears nothing, and at every instant everybody
 * is treated as the rules of that instant say.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { authorizeWatcher } from "../../src/domain/presentity/authorize.ts"
import { askTheRules } from "../../src/domain/presentity/context.ts"
import { nextDeadline } from "../../src/domain/presentity/deadlines.ts"
import type { Decision } from "../../src/domain/presentity/events.ts"
import { evolve, fold } from "../../src/domain/presentity/evolve.ts"
import { freeze, thaw } from "../../src/domain/presentity/snapshot.ts"
import type { Snapshot } from "../../src/domain/presentity/snapshot.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import { get, values } from "../../src/domain/table.ts"
import type { SubHandling, Uri } from "../../src/domain/vocabulary.ts"
import { decodeEvents } from "../../src/encoding/event-codec.ts"
import { alice, redeliver } from "../support/builders.ts"
import { standing } from "../support/given.ts"
import { onEngine, parameters } from "../support/history.ts"
import { beginning } from "../support/machine.ts"
import type { Moment } from "../support/machine.ts"
import {
  anyRuledSteps,
  forEveryRuledHistory,
  inboxOf,
  people,
  playBoth,
  playRuled,
  ruledWorlds,
  waitingMillis,
} from "../support/ruled-history.ts"
import type { RuledStep, Shape, Side } from "../support/ruled-history.ts"
import {
  brief,
  makeRuledPackages,
  publishPidf,
  ruledPackages,
  ruledWorld,
  statusOf,
  story,
  watch,
} from "../support/ruled.ts"
import { anyRules, epoch, uriOf, writeRules } from "../support/rules-arbitraries.ts"
import { people as persons, referenceGrants, referenceMatches } from "../support/rules-reference.ts"

const watcher = people[0]!

const inTwoWorlds = (shape: Shape, sides: readonly [Side, Side]): number => {
  let received = 0
  for (const of of ruledWorlds) {
    fc.assert(
      fc.property(anyRuledSteps(shape), (steps) => {
        const [one, other] = playBoth(of, steps, sides).map((run) => inboxOf(run, watcher))
        deepStrictEqual(one, other)
        received += one!.length
      }),
      parameters<[readonly RuledStep[]]>(),
    )
  }
  return received
}

const side = (over: Partial<Side>): Side => ({
  side: 0,
  publishes: true,
  rules: (rules) => rules,
  focus: watcher,
  ...over,
})

describe("what is hidden", () => {
  it("what a watcher may not see makes no difference to it, in content or in time", { tags: ["L23"] }, () => {
    ok(inTwoWorlds({ hides: true }, [side({ side: 0 }), side({ side: 1 })]) > 1000)
  })

  it("polite block is like somebody who never publishes", { tags: ["L24"] }, () => {
    const always = (treat: SubHandling) => [{ who: watcher, treat }] as const
    const shape: Shape = {
      treatment: fc.constantFrom<SubHandling>("block", "confirm", "polite-block"),
      always: always("polite-block"),
      rulesNull: false,
    }
    const allowing = side({ publishes: false, rules: () => always("allow") })
    ok(inTwoWorlds(shape, [side({}), allowing]) > 1000)
  })
})

const handlings = ["block", "confirm", "polite-block", "allow"] as const

/** Answer, what is stored, and what is sent; three ways, and polite block is a kind of success. */
const expected = (profile: "3265" | "6665"): Readonly<Record<SubHandling, readonly string[]>> => ({
  block: ["403", "none"],
  confirm: [profile === "3265" ? "202" : "200", "pending", "3/1 pending -"],
  "polite-block": ["200", "active polite", "3/1 active -"],
  allow: ["200", "active", "3/1 active"],
})

describe("what is decided", () => {
  it(
    "every SUBSCRIBE succeeds, waits or is rejected, and which of it a reference by brute force says as well",
    { tags: ["3856-6.6.2-b", "3856-6.6.2-c"] },
    () => {
      const seen = new Map<string, number>()
      const any = fc.record({
        rules: anyRules,
        seed: fc.nat(),
        now: fc.nat(13),
        profile: fc.constantFrom("3265" as const, "6665" as const),
        noMatch: fc.constantFrom<SubHandling>("block", "confirm", "polite-block", "allow"),
      })
      fc.assert(
        fc.property(any, ({ rules, seed, now, profile, noMatch }) => {
          const when = epoch + now * 1_000
          const text = writeRules(rules, seed)
          const body = { contentType: "application/auth-policy+xml", text }
          const ruled = story(
            ruledWorld.and({ limits: { profile, noMatch } }),
            [when, publishPidf("t1=open")],
            [when, { _tag: "ReplaceRules", packageName: "presence", rules: body }],
          )
          for (const { name } of persons) {
            const matched = referenceMatches(rules, { requester: [name], sphere: null, now }, false)
            const granted = handlings[Math.max(0, referenceGrants(rules, matched).handling / 10)]!
            const handling = matched.length === 0 ? noMatch : granted
            const outcome = ruled.and().when(watch(1, uriOf(name) as Uri), when)
            const [one, ...others] = values(outcome.state.subscriptions)
            deepStrictEqual(others, [])
            const state = one === undefined ? "none" : `${one.status}${one.polite ? " polite" : ""}`
            const told = outcome.sent.map(brief)
            if (handling === "allow") told[0] = told[0]?.slice(0, "3/1 active".length) ?? ""
            deepStrictEqual([statusOf(outcome.answer), state, ...told], expected(profile)[handling])
            seen.set(handling, (seen.get(handling) ?? 0) + 1)
          }
        }),
        parameters(5),
      )
      // worth something only when all answers are frequent
      for (const handling of handlings) ok((seen.get(handling) ?? 0) > 200, handling)
    },
  )
})

describe("what is undecided", () => {
  it(
    "a pending watcher hears only that it is pending, when it asks or becomes it; a waiting one nothing",
    { tags: ["L25"] },
    () => {
      forEveryRuledHistory((run) => {
        for (const { before, events, after, command, notifications } of run.moments) {
          for (const one of notifications) {
            deepStrictEqual(get(before.waiting, one.no), undefined)
            if (one.state === "pending") deepStrictEqual(one.body, null)
            const was = get(before.subscriptions, one.no)
            if (was?.status !== "pending" || one.state !== "pending") continue
            const asked = command._tag === "Resubscribe" || command._tag === "Redeliver"
            // one that it refused comes again when it said it would take it
            const asksAgain = command._tag === "FallDue" && was.dueAt !== null
            const flipped = events.some((event) => "no" in event && event.no === one.no)
            ok(asked || asksAgain || flipped, `${command._tag} makes a NOTIFY for pending ${one.no}`)
          }
          for (const { no } of values(after.waiting)) deepStrictEqual(get(after.subscriptions, no), undefined)
        }
      })
    },
  )

  it(
    "one waiting record per watcher and package; neither phase outlasts its time, whatever is refreshed",
    { tags: ["L31"] },
    () => {
      forEveryRuledHistory((run) => {
        const since = new Map<number, number>()
        for (const { after, at } of run.moments) {
          ok(at >= beginning)
          const keys = [...values(after.waiting)].map(
            ({ watcher: who, packageName }) => `${who} ${packageName}`,
          )
          deepStrictEqual(new Set(keys).size, keys.length)
          for (const one of values(after.waiting)) deepStrictEqual(one.giveUpAt, one.since + waitingMillis)
          for (const one of values(after.subscriptions)) {
            if (one.status === "active") {
              since.delete(one.no)
              deepStrictEqual(one.giveUpAt, null)
              continue
            }
            const began = since.get(one.no) ?? at
            since.set(one.no, began)
            deepStrictEqual(one.giveUpAt, began + waitingMillis)
          }
        }
      })
    },
  )
})

/** What the rules say of everybody at an instant, against what is stored. */
const agrees = (state: State, { context }: Pick<Moment, "context">, now: number): void => {
  const eventPackage = ruledPackages.find("presence")!
  for (const one of values(state.subscriptions)) {
    if (one.packageName !== "presence") continue
    const { handling, matched } = authorizeWatcher(state, eventPackage, one.watcher, { ...context, now })
    const is = { status: one.status, polite: one.polite, matched: one.matched }
    const status = handling === "confirm" ? "pending" : handling === "block" ? "over" : "active"
    deepStrictEqual(is, { status, polite: handling === "polite-block", matched })
  }
  for (const one of values(state.waiting)) {
    deepStrictEqual(
      authorizeWatcher(state, eventPackage, one.watcher, { ...context, now }).handling,
      "confirm",
    )
  }
}

describe("what is in force", () => {
  it(
    "at every instant everybody is treated as the rules, the sphere and the time of it say",
    { tags: ["L29", "L30"] },
    () => {
      forEveryRuledHistory((run) => {
        for (const moment of run.moments) {
          agrees(moment.after, moment, moment.at)
          // and until the very moment before, without anybody looking
          if (moment.before.version > 0 && moment.at > moment.before.decidedAt) {
            agrees(moment.before, moment, moment.at - 1)
          }
        }
        for (const state of run.states.values()) {
          const deadline = nextDeadline(state)
          ok(deadline === null || deadline > run.now, "something is overdue")
          const last = run.moments.at(-1)
          if (last !== undefined) agrees(state, last, run.now)
        }
      })
    },
  )

  it("every life is a path of the state machine", { tags: ["L30", "3857-4.7.1-a"] }, () => {
    forEveryRuledHistory((run) => {
      const lives = new Map<number, "pending" | "active" | "waiting" | "terminated">()
      for (const { before, events, at, notifications } of run.moments) {
        let state = before
        for (const event of events) {
          if (event._tag === "SubscriptionCreated") {
            deepStrictEqual(lives.get(event.no), undefined)
            lives.set(event.no, event.status)
          } else if (event._tag === "SubscriptionStatusChanged") {
            ok(["pending", "active"].includes(lives.get(event.no) ?? ""))
            lives.set(event.no, event.status)
          } else if (event._tag === "SubscriptionTerminated") {
            const was = lives.get(event.no)
            ok(was === "pending" || was === "active")
            if (event.waitsUntil !== null) deepStrictEqual([was, event.reason], ["pending", "timeout"])
            if (event.reason === "giveup") deepStrictEqual(was, "pending")
            if (was === "pending" && event.reason === "timeout" && !event.silent)
              ok(event.waitsUntil !== null)
            lives.set(event.no, event.waitsUntil === null ? "terminated" : "waiting")
          } else if (event._tag === "WaitingEnded") {
            deepStrictEqual(lives.get(event.no), "waiting")
            lives.set(event.no, "terminated")
          }
          state = evolve(state, event, at)
        }
        for (const one of notifications) {
          const life = lives.get(one.no)
          // a body shows the state after its decision, and so does what it says of itself
          if (one.state !== "terminated" && life !== "terminated" && life !== "waiting")
            deepStrictEqual(one.state, life)
        }
        for (const one of values(state.subscriptions)) deepStrictEqual(one.status, lives.get(one.no))
        for (const { no } of values(state.waiting)) deepStrictEqual(lives.get(no), "waiting")
      }
    })
  })
})

describe("what is stored of it", () => {
  it(
    "log and snapshot give back pending, waiting, rules and who is gone",
    { tags: ["L04", "BUG-3", "BUG-16"] },
    () => {
      forEveryRuledHistory((run) => {
        for (const { after } of run.moments) deepStrictEqual(freeze(thaw(freeze(after))), freeze(after))
        let state = initial(alice)
        for (const decision of run.log) {
          state = fold(thaw(freeze(state)), structuredClone(decision))
        }
        const last = run.states.get(alice)
        if (last !== undefined) deepStrictEqual(freeze(state), freeze(last))
      }, 0.5)
    },
  )

  it(
    "any server on the same log gives everybody the same document, whether it read all of it or a snapshot",
    { tags: ["3856-6.9-b", "L03"] },
    () => {
      let shown = 0
      forEveryRuledHistory((run) => {
        const log = run.log.map((decision) => ({
          ...decision,
          events: decodeEvents(JSON.parse(JSON.stringify(decision.events))),
        }))
        const half = log.length >> 1
        let second = initial(alice)
        let third = initial(alice)
        for (const [index, decision] of log.entries()) {
          if (index === half) third = thaw(JSON.parse(JSON.stringify(freeze(second))) as Snapshot)
          second = fold(second, decision)
          if (index >= half) third = fold(third, decision)
        }
        const { limits } = run.world
        const [here, there, elsewhere] = [run.states.get(alice) ?? initial(alice), second, third].map(
          (state) =>
            // nothing that one has cached is at hand to another
            standing(state, { packages: makeRuledPackages(), authorize: askTheRules, limits }),
        )
        const fetches = [...people, alice].flatMap((who) =>
          ["presence", "presence.winfo"].map((packageName) => watch(1, who, { packageName, expires: 0 })),
        )
        for (const command of [...fetches, redeliver(0)]) {
          const { answer, events, sent } = here!.when(command, run.now)
          shown += sent.filter(({ body }) => body !== null).length
          for (const other of [there!, elsewhere!]) {
            const same = other.when(command, run.now)
            deepStrictEqual([same.answer, same.events, same.sent], [answer, events, sent])
          }
        }
      }, 0.25)
      ok(shown > 300, `only ${shown} documents`)
    },
  )

  it("the engine decides and sends what the reference does", { tags: ["L05"] }, () => {
    forEveryRuledHistory((run) => {
      const { log, notifications } = onEngine(run.world, run.inputs)
      const essence = ({ version, at, cause, events }: Decision) => ({ version, at, cause, events })
      deepStrictEqual(
        log.history(alice, 0, 1e6).map(({ decision }) => essence(decision)),
        run.log.map(essence),
      )
      deepStrictEqual(
        notifications,
        run.moments.flatMap((moment) => moment.notifications),
      )
    }, 0.5)
  })
})

describe("the histories with rules", () => {
  it(
    "rules, boundaries, spheres, pending, waiting, polite and rejected watchers all occur",
    { tags: ["OPS-coverage"] },
    () => {
      const missing = new Set([
        "RulesReplaced",
        "RulesReviewed",
        "WatcherDecided",
        "HardStateReplaced",
        "rejected",
        "giveup",
        "waiting giveup",
        "waiting approved",
        "waiting rejected",
        "Publish active",
        "Publish pending",
        "FallDue active",
        "FallDue pending",
        "FallDue active polite",
        "DecideWatcher active",
        "DecideWatcher pending",
        "DecideWatcher active polite",
        "SetHardState active",
        "ReplaceRules active",
        "ReplaceRules pending",
        "ReplaceRules active polite",
      ])
      const note = (what: string): void => void missing.delete(what)
      for (const steps of fc.sample(anyRuledSteps(), { numRuns: 1200, seed: 9 })) {
        for (const world of ruledWorlds) {
          for (const { events, command, at } of playRuled(world, steps).moments) {
            for (const event of events) {
              note(event._tag)
              if (event._tag === "SubscriptionTerminated") note(event.reason)
              if (event._tag === "WaitingEnded") note(`waiting ${event.event}`)
              if (event._tag === "SubscriptionStatusChanged") {
                note(`${command._tag} ${event.status}${event.polite ? " polite" : ""}`)
              }
            }
            ok(at >= beginning)
          }
        }
        if (missing.size === 0) return
      }
      deepStrictEqual([...missing], [])
    },
  )
})
