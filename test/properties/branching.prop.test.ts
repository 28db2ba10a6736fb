/**
 * `decide` and `react` are functions of their arguments: what is decided in one future of a state does not show in another.
 *
 * Two futures of one state are played alone, each on a state, commands and bodies of its own; then again on one and the same
 * state, in both orders and in turns, with all that commands and states share.
 */
import { deepStrictEqual, notDeepStrictEqual } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { decide } from "../../src/domain/presentity/decide.ts"
import { fold } from "../../src/domain/presentity/evolve.ts"
import { react } from "../../src/domain/presentity/react.ts"
import { freeze, thaw } from "../../src/domain/presentity/snapshot.ts"
import type { Snapshot } from "../../src/domain/presentity/snapshot.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import { entries } from "../../src/domain/table.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { anySteps } from "../support/arbitraries.ts"
import { alice, bob } from "../support/builders.ts"
import { standing, treatAs } from "../support/given.ts"
import { parameters, play } from "../support/history.ts"
import { keyOf, reactionOf, worlds } from "../support/machine.ts"
import type { Moment, Run, World } from "../support/machine.ts"
import { anyRuledSteps, people, playRuled, ruledWorlds } from "../support/ruled-history.ts"
import type { RuledStep } from "../support/ruled-history.ts"
import { publishPidf, ruledPackages, watch } from "../support/ruled.ts"

/** What one decision comes to, and the state after it. */
interface Step {
  readonly said: unknown
  readonly state: State
}

const copyOf = (state: State): State => thaw(JSON.parse(JSON.stringify(freeze(state))) as Snapshot)

const take = (of: World, state: State, { command, context, at }: Moment, isApart: boolean): Step => {
  const { events, answer } = decide(state, isApart ? structuredClone(command) : command, {
    ...context,
    findDialog: (key) =>
      [...entries(state.dialogs)].find(([, { start }]) => keyOf(start) === key)?.[0] ?? null,
  })
  if (events.length === 0) return { said: { answer }, state }
  const after = fold(state, { events, at, version: state.version + 1 })
  const notifications = react(state, events, after, at, reactionOf(of))
  return { said: { answer, events, notifications, after: freeze(after) }, state: after }
}

/** A future of a state, one decision at a time; `isApart`: it shares nothing with any other. */
function* future(of: World, begin: State, moments: readonly Moment[], isApart: boolean): Generator<unknown> {
  let state = isApart ? copyOf(begin) : begin
  for (const moment of moments) {
    const { said, state: after } = take(of, state, moment, isApart)
    state = after
    yield said
  }
}

/** Turn by turn. */
const inTurns = (some: Generator<unknown>, others: Generator<unknown>): readonly [unknown[], unknown[]] => {
  const all: [unknown[], unknown[]] = [[], []]
  for (let isOther = false, over = 0; over < 2; isOther = !isOther) {
    const { done, value } = (isOther ? others : some).next()
    over = done === true ? over + 1 : 0
    if (done !== true) all[isOther ? 1 : 0].push(value)
  }
  return all
}

/** What both runs have done to a presentity after their common beginning. */
const branches = (of: Uri, shared: number, runs: readonly [Run, Run]) => {
  const [some, others] = runs.map(({ moments }) =>
    moments.filter(({ before }) => before.presentity === of).slice(shared),
  )
  return [some ?? [], others ?? []] as const
}

const holds = (of: World, begin: State, [some, others]: ReturnType<typeof branches>): void => {
  const alone = [[...future(of, begin, some, true)], [...future(of, begin, others, true)]]
  const fresh = copyOf(begin)
  const oneFirst = [[...future(of, fresh, some, false)], [...future(of, fresh, others, false)]]
  deepStrictEqual(oneFirst, alone, "the second future is decided as if the first had not been looked at")
  const again = copyOf(begin)
  const otherFirst = [[...future(of, again, others, false)], [...future(of, again, some, false)]].reverse()
  deepStrictEqual(otherFirst, alone, "so is the first, looked at last")
  deepStrictEqual(
    inTurns(future(of, begin, some, false), future(of, begin, others, false)),
    alone,
    "and both in turns, on a state that has a past",
  )
}

describe("two futures of one state", () => {
  const share = 0.12

  it("come out as if each were the only one, whatever is published and watched", { tags: ["L03"] }, () => {
    for (const of of worlds) {
      fc.assert(
        fc.property(anySteps, anySteps, anySteps, (past, some, others) => {
          const begun = play(of, past)
          const runs = [play(of, [...past, ...some]), play(of, [...past, ...others])] as const
          for (const [presentity, state] of begun.states) {
            const shared = begun.moments.filter(({ before }) => before.presentity === presentity).length
            holds(of, state, branches(presentity, shared, runs))
          }
        }),
        parameters(share),
      )
    }
  })

  const watched: readonly RuledStep[] = [0, 1].map((who) => ({
    _tag: "Watch",
    who,
    packageName: "presence",
    expires: 3600,
    isPrivate: false,
  }))
  const published: RuledStep = {
    _tag: "Publish",
    which: 0,
    seen: "t1=open",
    hidden: ["t2=open", "t2=open"],
    sphere: null,
    expires: 3600,
    empty: false,
  }
  const anyTuples = fc.constantFrom(undefined, ["t1"], ["t2"])
  /** All are let in, and see this much; so the documents put in force differ in nothing but that. */
  const anyRules = fc.tuple(anyTuples, anyTuples).map((seen): RuledStep => ({
    _tag: "Rules",
    rules: seen.map((tuples, index) => ({
      who: people[index]!,
      treat: "allow",
      ...(tuples === undefined ? {} : { tuples }),
    })),
  }))
  const anyFuture = fc
    .tuple(anyRules, anyRuledSteps())
    .map(([rules, [, ...steps]]) => [rules, ...watched, ...steps])

  it("show each watcher what the rules in force there let through", { tags: ["L03", "L23"] }, () => {
    for (const of of ruledWorlds) {
      fc.assert(
        fc.property(anyRuledSteps(), anyFuture, anyFuture, ([rules, ...steps], some, others) => {
          const past = [rules!, published, ...watched, ...steps.slice(0, 12)]
          const begun = playRuled(of, past)
          const state = begun.states.get(alice) ?? initial(alice)
          const runs = [playRuled(of, [...past, ...some]), playRuled(of, [...past, ...others])] as const
          holds(of, state, branches(alice, begun.moments.length, runs))
        }),
        parameters(share),
      )
    }
  })

  it("of two presentities with the same tables each is shown as itself", { tags: ["L03"] }, () => {
    const told = (state: State): readonly unknown[] =>
      standing(state, ruled)
        .when(watch(1, bob), 2_000)
        .sent.map(({ body }) => body?.text)
    const one = standing(initial(alice), ruled).when(publishPidf("t1=open"), 1_000).state
    const other: State = { ...one, presentity: "sip:twin@example.com" as Uri }
    const apart = [told(copyOf(one)), told(copyOf(other))]
    deepStrictEqual([told(one), told(other)], apart)
    deepStrictEqual([told(other), told(one)].reverse(), apart)
    notDeepStrictEqual(apart[0], apart[1])
  })
})

const ruled = { packages: ruledPackages, authorize: treatAs("allow") }
