/**
 * What went wrong in presence servers before, and must not here.
 */
import { deepStrictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import { askTheRules } from "../../../src/domain/presentity/context.ts"
import type { Decision, Event } from "../../../src/domain/presentity/events.ts"
import { fold } from "../../../src/domain/presentity/evolve.ts"
import { freeze, thaw } from "../../../src/domain/presentity/snapshot.ts"
import type { Snapshot } from "../../../src/domain/presentity/snapshot.ts"
import { initial, isEmpty } from "../../../src/domain/presentity/state.ts"
import { size, values } from "../../../src/domain/table.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { after, alice, at, bob, fallDue, publish, redeliver } from "../../support/builders.ts"
import { standing } from "../../support/given.ts"
import {
  brief,
  pidf,
  publishPidf,
  removeRules,
  replaceRules,
  ruledPackages,
  ruledWorld,
  statusOf,
  story,
  watch,
  watchAgain,
} from "../../support/ruled.ts"
import { handling, rule, ruleset } from "../../support/rules-builders.ts"

const ruledWorldOptions = { packages: ruledPackages, authorize: askTheRules }

const onlyFirst = replaceRules({ who: bob, treat: "allow", tuples: ["t1"] })

describe("what rules hide stays hidden, whatever makes the NOTIFY", { tags: ["BUG-1"] }, () => {
  const watching = story(
    ruledWorld,
    [after("0 s"), onlyFirst],
    [after("1 s"), publishPidf("t1=open", "t2=open")],
    [after("2 s"), watch(1, bob)],
  )

  it("the first NOTIFY", { tags: ["BUG-1"] }, () => {
    deepStrictEqual(watching.sent.map(brief), ["3/1 active t1=open"])
  })

  it("the answer to a refresh", { tags: ["BUG-1"] }, () => {
    const outcome = watching.and().when(watchAgain(1, bob), after("10 s"))
    deepStrictEqual(outcome.sent.map(brief), ["3/2 active t1=open"])
  })

  it("the answer to an unsubscribe, and to a fetch", { tags: ["BUG-1"] }, () => {
    const over = watching.and().when(watchAgain(1, bob, { expires: 0 }), after("10 s"))
    deepStrictEqual(over.sent.map(brief), ["3/2 terminated;timeout t1=open"])
    const fetched = watching.and().when(watch(2, bob, { expires: 0 }), after("10 s"))
    deepStrictEqual(fetched.sent.map(brief), ["4/1 terminated;timeout t1=open"])
  })

  it("a publication", { tags: ["BUG-1"] }, () => {
    const outcome = watching.and().when(publishPidf("t1=closed", "t3=open"), after("10 s"))
    deepStrictEqual(outcome.sent.map(brief), ["3/2 active t1=closed"])
  })

  it("the end of a publication and its expiry", { tags: ["BUG-1"] }, () => {
    const removed = watching
      .and()
      .when(publish({ packageName: "presence", ifMatch: "n.2", expires: 0 }), after("10 s"))
    deepStrictEqual(removed.sent.map(brief), ["3/2 active t1=closed"])
    const expired = watching
      .and()
      .when(watchAgain(1, bob), after("3000 s"))
      .and()
      .when(fallDue, after("3601 s"))
    deepStrictEqual(expired.sent.map(brief), ["3/3 active t1=closed"])
  })

  it("the expiry of the subscription", { tags: ["BUG-1"] }, () => {
    const outcome = watching
      .and()
      .when(watchAgain(1, bob, { expires: 60 }), after("10 s"))
      .and()
      .when(fallDue, after("70 s"))
    deepStrictEqual(outcome.sent.map(brief), ["3/3 terminated;timeout t1=open"])
  })

  it("other rules", { tags: ["BUG-1"] }, () => {
    const other = replaceRules({ who: bob, treat: "allow", tuples: ["t2"] })
    deepStrictEqual(watching.and().when(other, after("10 s")).sent.map(brief), ["3/2 active t2=open"])
  })

  it("a second device", { tags: ["BUG-1"] }, () => {
    deepStrictEqual(watching.and().when(watch(2, bob), after("10 s")).sent.map(brief), ["4/1 active t1=open"])
    const further = watching.and().when(watchAgain(1, bob, { eventId: "2" }), after("10 s"))
    deepStrictEqual(further.sent.map(brief), ["4/2 active t1=open"])
  })

  it("a repetition after a restart", { tags: ["BUG-1"] }, () => {
    const restarted = standing(thaw(freeze(watching.state)), ruledWorldOptions)
    deepStrictEqual(restarted.when(redeliver(after("0 s")), after("10 s")).sent.map(brief), [
      "3/2 active t1=open",
    ])
  })

  it("a change held back", { tags: ["BUG-1"] }, () => {
    const held = story(
      watching.and(),
      [after("10 s"), publishPidf("t1=closed", "t2=open")],
      [after("11 s"), publishPidf("t1=open", "t2=closed")],
    )
    deepStrictEqual(held.sent.map(brief), [])
    deepStrictEqual(held.and().when(fallDue, after("15 s")).sent.map(brief), ["3/3 active t1=open"])
  })
})

describe("what has expired is over", { tags: ["BUG-2"] }, () => {
  it("nobody is shown an expired publication, be there others or not", { tags: ["BUG-2"] }, () => {
    const world = story(
      ruledWorld,
      [after("0 s"), replaceRules({ who: null, treat: "allow" })],
      [after("1 s"), publish({ packageName: "presence", body: pidf("t1=open"), expires: 60 })],
      [after("2 s"), publish({ packageName: "presence", body: pidf("t2=open"), expires: 600 })],
      [after("61 s"), fallDue],
    )
    deepStrictEqual(world.and().when(watch(1, bob), after("61 s")).sent.map(brief), ["5/1 active t2=open"])
  })
})

describe("a restart decides nothing", { tags: ["BUG-3", "BUG-16"] }, () => {
  const steps = [
    [after("0 s"), replaceRules({ who: null, treat: "confirm" })],
    [after("1 s"), publishPidf("t1=open")],
    [after("2 s"), watch(1, bob, { expires: 600 })],
    [after("3 s"), watch(2, "sip:dave@example.com" as Uri, { expires: 0 })],
  ] as const

  const log = (): readonly Decision[] => {
    let world = ruledWorld
    return steps.map(([when, command], index) => {
      const { events, and } = world.when(command, when)
      world = and()
      const meta = { stream: alice, cause: command._tag, origin: "", nonce: "n" }
      return { ...meta, version: index + 1, at: when, events: structuredClone(events) as readonly Event[] }
    })
  }

  const restarts = {
    "from the log": () => log().reduce(fold, initial(alice)),
    "from a snapshot": () =>
      thaw(JSON.parse(JSON.stringify(freeze(log().reduce(fold, initial(alice))))) as Snapshot),
  }

  for (const [how, restart] of Object.entries(restarts)) {
    it(`a pending watcher is pending and shown nothing after a restart ${how}`, { tags: ["BUG-3"] }, () => {
      const world = standing(restart(), ruledWorldOptions)
      deepStrictEqual(
        [...values(world.state.subscriptions)].map(({ status }) => status),
        ["pending"],
      )
      deepStrictEqual(world.when(redeliver(0), after("10 s")).sent.map(brief), ["3/2 pending -"])
      deepStrictEqual(world.when(watchAgain(1, bob), after("10 s")).sent.map(brief), ["3/2 pending -"])
    })

    it(`a waiting watcher is known after a restart ${how}`, { tags: ["BUG-16"] }, () => {
      const world = standing(restart(), ruledWorldOptions)
      const waiting = [...values(world.state.waiting)]
      deepStrictEqual(
        waiting.map(({ no, watcher, giveUpAt }) => ({ no, watcher, giveUpAt })),
        [{ no: 4, watcher: "sip:dave@example.com", giveUpAt: after("3 s") + 3 * 86_400_000 }],
      )
      const shown = world.when(watch(9, alice, { packageName: "presence.winfo" }), after("10 s"))
      deepStrictEqual(shown.sent.map(brief), [
        "5/1 active full 0: w3 bob pending/subscribe, w4 dave waiting/timeout",
      ])
    })
  }

  it("somebody who only has rules, or a waiting watcher, is not nobody", { tags: ["BUG-16"] }, () => {
    const rules = story(ruledWorld, [after("0 s"), replaceRules({ who: null, treat: "confirm" })])
    deepStrictEqual(isEmpty(rules.state), false)
    const waiting = story(ruledWorld, [after("0 s"), watch(1, bob, { expires: 0 })])
    deepStrictEqual([isEmpty(waiting.state), size(waiting.state.rules)], [false, 0])
    const forgotten = waiting.and().when(fallDue, after("0 s") + 3 * 86_400_000)
    deepStrictEqual(isEmpty(forgotten.state), true)
  })
})

describe("rules and those who watch already", { tags: ["BUG-7", "BUG-8", "BUG-9"] }, () => {
  const watching = story(
    ruledWorld,
    [after("0 s"), replaceRules({ who: null, treat: "allow" })],
    [after("1 s"), publishPidf("t1=open")],
    [after("2 s"), watch(1, bob)],
  )
  const replacing = (inside: string) =>
    watching.and().when(
      {
        _tag: "ReplaceRules",
        packageName: "presence",
        rules: { contentType: "application/auth-policy+xml", text: ruleset(inside) },
      },
      after("10 s"),
    )
  const allow = handling("allow")

  it("a domain of the same length is another domain", { tags: ["BUG-7"] }, () => {
    const outcome = replacing(rule("a", '<identity><many domain="example.net"/></identity>', allow))
    deepStrictEqual(outcome.sent.map(brief), ["3/2 terminated;rejected -"])
    deepStrictEqual(statusOf(outcome.and().when(watch(2, bob), after("11 s")).answer), "403")
  })

  it("who is excepted is excepted", { tags: ["BUG-7"] }, () => {
    for (const except of [`<except id="${bob}"/>`, '<except domain="example.com"/>']) {
      const outcome = replacing(rule("a", `<identity><many>${except}</many></identity>`, allow))
      deepStrictEqual(outcome.sent.map(brief), ["3/2 terminated;rejected -"])
    }
  })

  it("the validity of one rule is no other's", { tags: ["BUG-8"] }, () => {
    const pair = (from: string, until: string): string =>
      `<validity><from>${from}</from><until>${until}</until></validity>`
    const valid = rule("a", pair("2020-01-01T00:00:00Z", "2040-01-01T00:00:00Z"), handling("confirm"))
    const expired = rule("b", pair("2001-01-01T00:00:00Z", "2002-01-01T00:00:00Z"), allow)
    for (const inside of [valid + expired, expired + valid]) {
      deepStrictEqual(replacing(inside).sent.map(brief), ["3/2 pending -"])
    }
  })

  it("without a document nobody is decided on, watchers that are there included", { tags: ["BUG-9"] }, () => {
    const outcome = watching.and().when(removeRules, after("10 s"))
    deepStrictEqual(outcome.sent.map(brief), ["3/2 pending -"])
    deepStrictEqual(outcome.and().when(publishPidf("t1=closed"), at("10:00:20")).sent.map(brief), [])
    deepStrictEqual(outcome.and().when(removeRules, at("10:00:20")).sent.map(brief), [])
  })
})
