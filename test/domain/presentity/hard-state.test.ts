/**
 * Hard state: the oldest publication of all, without entity-tag and without end (RFC 4827).
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import { describe, it } from "vitest"
import { deadlineIn, nextDeadline } from "../../../src/domain/presentity/deadlines.ts"
import { freeze, thaw } from "../../../src/domain/presentity/snapshot.ts"
import { initial, isEmpty } from "../../../src/domain/presentity/state.ts"
import { currentView, visibleView } from "../../../src/domain/presentity/view.ts"
import { allRows, touched } from "../../../src/domain/projections/rows.ts"
import {
  alice,
  at,
  away,
  bob,
  fallDue,
  hardStateReplaced,
  notified,
  open,
  publicationRemoved,
  publish,
  published,
  setHardState,
  subscribe,
  subscribed,
} from "../../support/builders.ts"
import { given, nobodyWaits, standing } from "../../support/given.ts"
import { bodyInShort, pidf, ruledPackages, ruledWorld, rulesBody } from "../../support/ruled.ts"
import { packages, text } from "../../support/stub-package.ts"

describe("hard state", () => {
  it("is shown when nothing is published, at once", { tags: ["4827-3-a", "AGG-4"] }, () => {
    given(subscribed(1))
      .when(setHardState(away), at("10:00:30"))
      .gives(hardStateReplaced(away), notified("active", away))
      .answers(nobodyWaits)
      .sends("1/2 active;expires=3570 away")
  })

  it(
    "gives way to whatever is published, and is there again when that ends",
    { tags: ["4827-3-a", "AGG-4"] },
    () => {
      given(hardStateReplaced(away), subscribed(2, bob, away))
        .when(publish({ body: open, expires: 60 }), at("10:00:30"))
        .sends("2/2 active;expires=3570 open")
        .and({ inFlight: [] })
        .when(fallDue, at("10:01:30"))
        .gives(publicationRemoved("n.3", "expired"), notified("active", away))
        .sends("2/3 active;expires=3510 away")
    },
  )

  it("is the oldest of what is composed, however late it is set", { tags: ["AGG-4"] }, () => {
    const view = given(
      published("tag-1", open, { packageName: "stub-all" }),
      hardStateReplaced(away, "stub-all"),
    )
    deepStrictEqual(currentView(view.state, packages.find("stub-all")!).body, text("away\nopen"))
    // whoever shows only the newest sees no change, and hears of none
    given(published("tag-1", open), subscribed(2, bob, open))
      .when(setHardState(away), at("10:00:30"))
      .gives(hardStateReplaced(away))
      .sends()
  })

  it(
    "loses every clash of ids to a publication, for both ways to settle them",
    { tags: ["AGG-4", "L21"] },
    () => {
      const state = ruledWorld
        .when(setHardState(pidf("t1=closed", "t2=open"), "presence"), at("10:00:00"))
        .and()
        .when(publish({ packageName: "presence", body: pidf("t1=open") }), at("10:00:01")).state
      const view = currentView(state, ruledPackages.find("presence")!)
      deepStrictEqual(bodyInShort(view.body!).split(" ").toSorted(), ["t1=open", "t2=open"])
    },
  )

  it("what cannot be read is refused with the reason, and the old one stays", { tags: ["4827-3-a"] }, () => {
    const world = given(hardStateReplaced(away))
    world
      .when(setHardState(text("!")), at("10:00:30"))
      .refused({ _tag: "BadRequest", status: 400, why: "it starts with !" })
    world
      .when(setHardState({ contentType: "image/png", text: "a" }), at("10:00:30"))
      .refused({ _tag: "UnsupportedMediaType", status: 415, accept: ["text/plain"] })
    world.when(setHardState(open, "nonesuch"), at("10:00:30")).refused(489)
    world.when(setHardState(open, "stub.winfo"), at("10:00:30")).refused(489)
  })

  it("set twice it is set once; removed, absence is shown again", { tags: ["4827-3-a"] }, () => {
    const world = given(hardStateReplaced(away), subscribed(2, bob, away))
    world.when(setHardState({ ...away }), at("10:00:30")).gives()
    world
      .when(setHardState(null), at("10:00:30"))
      .gives(hardStateReplaced(null), notified("active", "nothing"))
      .sends("2/2 active;expires=3570 offline")
    given().when(setHardState(null), at("10:00:30")).gives()
  })

  it(
    "one politely blocked does not see it, nor that it changes",
    { tags: ["L24", "5025-3.2.1-e", "AGG-4"] },
    () => {
      const watching = (blocked: boolean) =>
        ruledWorld
          .when(
            {
              _tag: "ReplaceRules",
              packageName: "presence",
              rules: rulesBody([{ who: bob, treat: blocked ? "polite-block" : "allow" }]),
            },
            at("10:00:00"),
          )
          .and()
      const hard = setHardState(pidf("t1=open"), "presence")
      const asked = subscribe({ packageName: "presence" })
      const blind = watching(true).when(hard, at("10:00:01")).and().when(asked, at("10:00:02"))
      const nobody = watching(false).when(asked, at("10:00:02"))
      deepStrictEqual(
        blind.sent.map(({ body }) => body),
        nobody.sent.map(({ body }) => body),
      )
      deepStrictEqual(blind.and().when(setHardState(null, "presence"), at("10:00:10")).sent, [])
      ok(watching(false).when(hard, at("10:00:01")).and().when(asked, at("10:00:02")).sent[0]!.body !== null)
    },
  )

  it(
    "one document for two presentities is composed, and filtered, for each by itself",
    { tags: ["L24", "AGG-4"] },
    () => {
      const body = pidf("t1=open", "t2=open")
      const eventPackage = ruledPackages.find("presence")!
      const [hers, his] = [alice, bob].map((presentity) => {
        const tuple = presentity === alice ? "t1" : "t2"
        const rules = rulesBody([{ who: null, treat: "allow", tuples: [tuple] }])
        const { state } = standing(initial(presentity), { packages: ruledPackages, authorize: () => null })
          .when({ _tag: "ReplaceRules", packageName: "presence", rules }, at("10:00:00"))
          .and()
          .when(setHardState(body, "presence"), at("10:00:01"))
        const whole = currentView(state, eventPackage).body?.text ?? ""
        return [/entity="([^"]*)"/.exec(whole)?.[1], bodyInShort(visibleView(state, eventPackage, "0").body!)]
      })
      deepStrictEqual(hers, [alice, "t1=open"])
      deepStrictEqual(his, [bob, "t2=open"])
    },
  )

  it("what it says of the sphere counts for the rules", { tags: ["5025-3.1.2-a", "AUT-8"] }, () => {
    const rules = rulesBody([{ who: null, treat: "allow", sphere: "work" }])
    const limits = { sphereCheck: true }
    const { answer } = standing(ruledWorld.state, { packages: ruledPackages, authorize: () => null, limits })
      .when({ _tag: "ReplaceRules", packageName: "presence", rules }, at("10:00:00"))
      .and()
      .when(setHardState(pidf("@work"), "presence"), at("10:00:01"))
      .and()
      .when(subscribe({ packageName: "presence" }), at("10:00:02"))
    deepStrictEqual(answer._tag, "Accepted")
  })

  it(
    "has no deadline and no row, keeps the presentity alive, and survives a snapshot",
    { tags: ["4827-3-a", "L04"] },
    () => {
      const { state } = given(hardStateReplaced(away))
      deepStrictEqual([nextDeadline(state), deadlineIn([hardStateReplaced(away)], state)], [null, null])
      deepStrictEqual([allRows(state), touched(hardStateReplaced(away), state, state)], [[], []])
      deepStrictEqual(isEmpty(state), false)
      const snapshot = freeze(state)
      deepStrictEqual(snapshot.hardState, [["stub", away]])
      deepStrictEqual(freeze(thaw(snapshot)), snapshot)
      deepStrictEqual(freeze(thaw(JSON.parse(JSON.stringify(snapshot)))), snapshot)
      const gone = given(hardStateReplaced(away), hardStateReplaced(null)).state
      deepStrictEqual([isEmpty(gone), "hardState" in freeze(gone), gone.presentity], [true, false, alice])
    },
  )
})
