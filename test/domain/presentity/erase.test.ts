/**
 * Somebody is forgotten: what lives of that person ends in one decision, and nothing else does.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import { describe, it } from "vitest"
import { decide } from "../../../src/domain/presentity/decide.ts"
import { erase, mentionsPerson } from "../../../src/domain/presentity/erase.ts"
import type { Event } from "../../../src/domain/presentity/events.ts"
import { fold } from "../../../src/domain/presentity/evolve.ts"
import { isEmpty } from "../../../src/domain/presentity/state.ts"
import type { State } from "../../../src/domain/presentity/state.ts"
import { values } from "../../../src/domain/table.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { presentities, watchers } from "../../support/arbitraries.ts"
import {
  alice,
  at,
  away,
  bob,
  carol,
  hardStateReplaced,
  open,
  publicationRemoved,
  published,
  subscribed,
  terminated,
} from "../../support/builders.ts"
import { contextAt, given, nobodyWaits } from "../../support/given.ts"
import { forEveryHistory } from "../../support/history.ts"
import { brief, publishPidf, replaceRules, ruledWorld, story, watch } from "../../support/ruled.ts"

const eraseOf = (person: Uri, silent = false) => ({ _tag: "Erase", person, silent }) as const

describe("erase", () => {
  it("whoever watches the person is told the end, with nothing published any more", { tags: ["T38"] }, () => {
    given(
      hardStateReplaced(away),
      published("tag-1", open),
      subscribed(3, bob, open),
      subscribed(4, carol, open),
    )
      .when(eraseOf(alice), at("10:00:30"))
      .gives(
        publicationRemoved("tag-1", "requested"),
        hardStateReplaced(null),
        terminated(3, "noresource"),
        terminated(4, "noresource"),
      )
      .answers(nobodyWaits)
      .sends("3/2 terminated;reason=noresource -open", "4/2 terminated;reason=noresource -open")
  })

  it("a watcher that is forgotten is told the end, the others go on", { tags: ["T38"] }, () => {
    given(published("tag-1", open), subscribed(2, bob, open), subscribed(3, carol, open))
      .when(eraseOf(bob), at("10:00:30"))
      .gives(terminated(2, "noresource"))
      .sends("2/2 terminated;reason=noresource open")
  })

  it("where no server is, nobody is told", { tags: ["T38"] }, () => {
    given(published("tag-1", open), subscribed(2, bob, open))
      .when(eraseOf(alice, true), at("10:00:30"))
      .gives(publicationRemoved("tag-1", "requested"), {
        ...terminated(2, "noresource"),
        silent: true,
      } as Event)
      .sends()
  })

  it(
    "what rules hide is not shown at the end either, and a second erasure takes the rules",
    { tags: ["T38"] },
    () => {
      const told = story(
        ruledWorld,
        [at("10:00:00"), replaceRules({ who: bob, treat: "allow", tuples: ["t1"] })],
        [at("10:00:01"), publishPidf("t1=open", "t2=open")],
        [at("10:00:02"), watch(1, bob)],
        [at("10:00:03"), eraseOf(alice)],
      )
      deepStrictEqual(told.sent.map(brief), ["3/2 terminated;noresource t1=closed"])
      const again = told.and().when(eraseOf(alice, true), at("10:00:04"))
      again.gives({ _tag: "RulesReplaced", packageName: "presence", rules: null, boundaryAt: null })
      ok(isEmpty(again.state))
    },
  )

  it("after it nothing of the person lives, and everything else is as it was", { tags: ["T38"] }, () => {
    const seen = { own: 0, watching: 0, nothing: 0 }
    const others = (state: State, person: Uri) =>
      [...values(state.subscriptions)]
        .filter(({ watcher }) => watcher !== person)
        .map(({ no, watcher, expiresAt, status }) => ({ no, watcher, expiresAt, status }))
        .sort((one, other) => one.no - other.no)
    forEveryHistory(({ moments }) => {
      const last = new Map(moments.map(({ after }) => [after.presentity, after]))
      for (const state of last.values()) {
        for (const person of new Set([...presentities, ...watchers])) {
          for (const silent of [false, true]) {
            const { events } = decide(state, eraseOf(person, silent), contextAt(state, state.decidedAt))
            if (events.length === 0) {
              seen.nothing++
              ok(!mentionsPerson(state, person) || erase(state, eraseOf(person)).events.length === 0)
              continue
            }
            const after = fold(state, {
              version: state.version + 1,
              at: state.decidedAt,
              events,
            })
            deepStrictEqual(erase(after, eraseOf(person)).events, [])
            if (person === state.presentity) {
              seen.own++
              ok(isEmpty(after))
              continue
            }
            seen.watching++
            deepStrictEqual(others(after, person), others(state, person))
            for (const part of ["publications", "hardState", "rules"] as const)
              deepStrictEqual(after[part], state[part])
          }
        }
      }
    }, 4)
    for (const count of Object.values(seen)) ok(count > 100, JSON.stringify(seen))
  })
})
