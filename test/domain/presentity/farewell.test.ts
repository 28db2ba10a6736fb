/**
 * Last NOTIFYs that are repeated after a restart: each a request of its own, by the rules of now.
 */
import { deepStrictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import { askTheRules, defaultLimits } from "../../../src/domain/presentity/context.ts"
import type { Context, Limits } from "../../../src/domain/presentity/context.ts"
import { decide } from "../../../src/domain/presentity/decide.ts"
import { fold } from "../../../src/domain/presentity/evolve.ts"
import { endingsIn } from "../../../src/domain/presentity/farewell.ts"
import type { Farewell } from "../../../src/domain/presentity/farewell.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import { react } from "../../../src/domain/presentity/react.ts"
import type { State } from "../../../src/domain/presentity/state.ts"
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
  const last = watching.and().when(watchAgain(1, bob, { expires: 0 }), after("30 s"))
  const decision = { events: last.events, at: after("30 s") }
  const [one] = endingsIn(watching.state, decision, last.state)
  return { last, farewell: one!.farewell! }
}

/** What is said after a restart, and the state with it. */
const repeat = (
  farewells: readonly Farewell[],
  state: State,
  context: Context,
): readonly [readonly Notify[], State] => {
  const { events } = decide(state, { _tag: "RepeatFarewells", farewells }, context)
  const next = fold(state, { events, at: context.now, version: state.version + 1 })
  return [react(state, events, next, context.now, context), next]
}

const allowing: SmallRule = { who: bob, treat: "allow" }

describe("a last NOTIFY that is repeated", () => {
  it(
    "is what it was, with the next CSeq of its dialog, while the rules are the same",
    { tags: ["L08", "L12", "AUT-7"] },
    () => {
      const { last, farewell } = ended(allowing)
      deepStrictEqual(last.sent.map(brief), ["3/2 terminated;timeout t1=open t2=closed"])
      const [sent] = repeat([farewell], last.state, contextOf())
      deepStrictEqual(sent.map(brief), ["3/3 terminated;timeout t1=open t2=closed"])
      deepStrictEqual({ ...sent[0], cseq: 2 }, last.sent[0])
    },
  )

  it(
    "two of one dialog take two numbers, and one that lives on in it goes on behind them",
    { tags: ["L08"] },
    () => {
      const world = story(
        ruledWorld,
        [after("0 s"), publishPidf("t1=open")],
        [after("1 s"), replaceRules(allowing)],
        [after("2 s"), watch(1, bob, { expires: 600 })],
        [after("3 s"), watchAgain(1, bob, { eventId: "a", expires: 600, cseq: 2 })],
        [after("4 s"), watchAgain(1, bob, { eventId: "b", expires: 600, cseq: 3 })],
      )
      const farewells: Farewell[] = []
      let state = world.state
      for (const [index, eventId] of ["a", "b"].entries()) {
        const command = watchAgain(1, bob, { eventId, expires: 0, cseq: 4 + index })
        const context = { ...contextOf(), now: after(`${5 + index} s`), findDialog: () => 3 }
        const { events } = decide(state, command, context)
        const decision = { events, at: context.now, version: state.version + 1 }
        const next = fold(state, decision)
        farewells.push(...endingsIn(state, decision, next).flatMap((one) => one.farewell ?? []))
        state = next
      }
      deepStrictEqual(
        farewells.map(({ cseq }) => cseq),
        [4, 5],
      )
      const [sent, next] = repeat(farewells, state, contextOf())
      deepStrictEqual(
        sent.map((one) => [one.eventId, one.cseq]),
        [
          ["a", 6],
          ["b", 7],
        ],
      )
      const again = decide(next, watchAgain(1, bob, { cseq: 9 }), { ...contextOf(), findDialog: () => 3 })
      const then = fold(next, { events: again.events, at: after("61 s"), version: next.version + 1 })
      deepStrictEqual(
        react(next, again.events, then, after("61 s"), contextOf()).map(({ cseq }) => cseq),
        [8],
      )
    },
  )

  it(
    "goes without a document where nothing is proven, and while something is overdue",
    { tags: ["T38"] },
    () => {
      const { last, farewell } = ended(allowing)
      const [[unproven]] = repeat([{ ...farewell, isUnproven: true }], last.state, contextOf())
      deepStrictEqual([unproven?.body, unproven?.proof], [null, { _tag: "Unproven", room: 0, since: 2 }])
      const [[late]] = repeat([farewell], last.state, { ...contextOf(), now: after("2 h") })
      deepStrictEqual([late?.body, late?.state], [null, "terminated"])
    },
  )

  it.each([
    ["block", replaceRules({ who: bob, treat: "block" })],
    ["confirm", replaceRules({ who: bob, treat: "confirm" })],
    ["polite-block", replaceRules({ who: bob, treat: "polite-block" })],
    ["other tuples", replaceRules({ who: bob, treat: "allow", tuples: ["t2"] })],
    ["nobody of that kind", replaceRules({ who: "sip:zoe@example.com" as Uri, treat: "allow" })],
    ["none", removeRules],
  ])("has no document when the rules are others now: %s", { tags: ["AUT-7"] }, (_, rules) => {
    const { last, farewell } = ended(allowing)
    const { state } = last.and().when(rules, after("40 s"))
    const [[repeated]] = repeat([farewell], state, contextOf())
    deepStrictEqual(
      [repeated?.state, repeated?.reason, repeated?.body, repeated?.cseq],
      ["terminated", "timeout", null, 3],
    )
  })

  it(
    "has none while the source is unread and the log knows no rules, whatever no_rules says",
    { tags: ["AUT-7"] },
    () => {
      const { last, farewell } = ended(allowing)
      const { state } = last.and().when(removeRules, after("40 s"))
      const none = { ...farewell, rulesFrom: null, matched: null }
      const allow = { noRules: "allow" } as const
      const shown = (isUnread: boolean) => repeat([none], state, contextOf(allow, isUnread))[0][0]?.body
      deepStrictEqual(shown(false), last.sent[0]?.body)
      deepStrictEqual(shown(true), null)
    },
  )

  it("of whom the operator admitted whatever the rules say is as it was", { tags: ["AUT-7"] }, () => {
    const { last, farewell } = ended({ who: bob, treat: "block" }, { forceActive: true })
    const [[repeated]] = repeat([{ ...farewell, forced: true }], last.state, contextOf())
    deepStrictEqual(repeated?.body, last.sent[0]?.body)
  })
})
