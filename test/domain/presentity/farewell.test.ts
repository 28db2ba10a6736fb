/**
 * Last NOTIFYs that are repeated after a restart: by the rules of now.
 */
import { deepStrictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import { askTheRules, defaultLimits } from "../../../src/domain/presentity/context.ts"
import type { Context, Limits } from "../../../src/domain/presentity/context.ts"
import { farewellNow, rulesFrom } from "../../../src/domain/presentity/farewell.ts"
import { values } from "../../../src/domain/table.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { after, bob } from "../../support/builders.ts"
import {
  brief,
  publishPidf,
  removeRules,
  replaceRules,
  ruledPackages,
  ruledWorld,
  story,
  watch,
  watchAgain,
} from "../../support/ruled.ts"
import type { SmallRule } from "../../support/ruled.ts"

const contextOf = (limits: Partial<Limits> = {}, isUnread = false): Context => ({
  now: after("60 s"),
  nonce: "",
  limits: { ...defaultLimits, ...limits },
  packages: ruledPackages,
  authorize: askTheRules,
  isUnread: () => isUnread,
  inFlight: () => false,
  findDialog: () => null,
})

/** Bob's subscription has ended by his wish, with the last state, under these rules. */
const ended = (rule: SmallRule, over: Parameters<typeof watch>[2] = {}) => {
  const watching = story(
    ruledWorld,
    [after("0 s"), publishPidf("t1=open", "t2=closed")],
    [after("1 s"), replaceRules(rule)],
    [after("2 s"), watch(1, bob, { expires: 600, ...over })],
  )
  const [one] = [...values(watching.state.subscriptions)]
  const last = watching.and().when(watchAgain(1, bob, { expires: 0 }), after("30 s"))
  const farewell = { notify: last.sent[0]!, one: one!, rulesFrom: rulesFrom(last.state, "presence") }
  return { last, farewell }
}

const allowing: SmallRule = { who: bob, treat: "allow" }

describe("a last NOTIFY that is repeated", () => {
  it("AUT-7: is as it was while the rules are", () => {
    const { last, farewell } = ended(allowing)
    deepStrictEqual(brief(farewell.notify), "3/2 terminated;timeout t1=open t2=closed")
    deepStrictEqual(farewellNow(farewell, last.state, contextOf()), farewell.notify)
  })

  it.each([
    ["block", replaceRules({ who: bob, treat: "block" })],
    ["confirm", replaceRules({ who: bob, treat: "confirm" })],
    ["polite-block", replaceRules({ who: bob, treat: "polite-block" })],
    ["other tuples", replaceRules({ who: bob, treat: "allow", tuples: ["t2"] })],
    ["nobody of that kind", replaceRules({ who: "sip:zoe@example.com" as Uri, treat: "allow" })],
    ["none", removeRules],
  ])("AUT-7: has no document when the rules are others now: %s", (_, rules) => {
    const { last, farewell } = ended(allowing)
    const { state } = last.and().when(rules, after("40 s"))
    const repeated = farewellNow(farewell, state, contextOf())
    deepStrictEqual(
      [repeated.state, repeated.reason, repeated.body, repeated.entityTag],
      ["terminated", "timeout", null, null],
    )
  })

  it("AUT-7: has none while the source is unread and the log knows no rules, whatever no_rules says", () => {
    const { last, farewell } = ended(allowing)
    const { state } = last.and().when(removeRules, after("40 s"))
    const none = { ...farewell, rulesFrom: null, one: { ...farewell.one, matched: null } }
    const allow = { noRules: "allow" } as const
    deepStrictEqual(farewellNow(none, state, contextOf(allow)).body, farewell.notify.body)
    deepStrictEqual(farewellNow(none, state, contextOf(allow, true)).body, null)
  })

  it("AUT-7: of whom the operator admitted whatever the rules say is as it was", () => {
    const { last, farewell } = ended({ who: bob, treat: "block" }, { forceActive: true })
    const one = { ...farewell, one: { ...farewell.one, forced: true } }
    deepStrictEqual(farewellNow(one, last.state, contextOf()), one.notify)
  })
})
