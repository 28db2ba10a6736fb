/**
 * Suppositions: a world in which nothing is different is the recorded one, and one without a request is the one in which it
 * was never made.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { momentOf } from "../../src/domain/history/moments.ts"
import type { DecisionStep } from "../../src/domain/history/moments.ts"
import { reconstructCommand } from "../../src/domain/history/reconstruct-command.ts"
import type { ReconstructionContext } from "../../src/domain/history/reconstruction-context.ts"
import { makeOtherWorld } from "../../src/domain/history/what-if.ts"
import type { Difference, SentNotify, Supposition } from "../../src/domain/history/what-if.ts"
import { askTheRules } from "../../src/domain/presentity/context.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { anySteps } from "../support/arbitraries.ts"
import type { Step } from "../support/arbitraries.ts"
import { streamsOf } from "../support/case.ts"
import { parameters, play, replay } from "../support/history.ts"
import { packagesOf, reactionOf, worlds } from "../support/machine.ts"
import type { Run, World } from "../support/machine.ts"
import { anyRuledSteps, people, playRuled, ruledWorlds } from "../support/ruled-history.ts"
import type { RuledStep } from "../support/ruled-history.ts"
import { rulesBody } from "../support/ruled.ts"

const worldOf = (of: World, authorize: ReconstructionContext["authorize"]): ReconstructionContext => ({
  packages: packagesOf(of),
  limits: of.limits,
  authorize,
})

const momentsOf = (run: Run): ReadonlyMap<Uri, readonly DecisionStep[]> =>
  new Map(
    streamsOf(run).map(({ begin, recorded }) => {
      let state = begin
      const moments = recorded.map((one) => {
        const moment = momentOf(state, one, reactionOf(run.world))
        state = moment.after
        return moment
      })
      return [begin.presentity, moments]
    }),
  )

/** Whether no decision needed a NOTIFY to be on its way: when those are answered is not in the log. */
const isCalm = (moments: readonly DecisionStep[], world: ReconstructionContext): boolean =>
  moments.every(
    ({ before, decision }) => (reconstructCommand(before, decision, world)?.inFlight.size ?? 1) === 0,
  )

const differencesIn = (
  moments: readonly DecisionStep[],
  world: ReconstructionContext,
  supposition: Supposition,
  until: number,
): readonly Difference[] => {
  const [first] = moments
  if (first === undefined) return []
  const other = makeOtherWorld(first.before, world, supposition)
  return [...moments.flatMap((moment) => other.step(moment)), ...other.end(until)]
}

const arrive = { _tag: "Arrive" } as const

describe("what if", () => {
  it(
    "a world in which nothing is different, decided again from the beginning, tells everybody the same",
    { tags: ["L03"] },
    () => {
      let compared = 0
      const check = (run: Run, authorize: ReconstructionContext["authorize"]): void => {
        const world = worldOf(run.world, authorize)
        for (const moments of momentsOf(run).values()) {
          if (!isCalm(moments, world)) continue
          compared++
          assert.deepEqual(
            differencesIn(
              moments,
              world,
              { without: new Set(), rules: null, again: true },
              moments.at(-1)!.decision.at,
            ),
            [],
          )
        }
      }
      for (const of of worlds) {
        const property = fc.property(anySteps, (steps) =>
          check(
            play(
              of,
              steps.flatMap((one): readonly Step[] => [one, arrive]),
            ),
            null,
          ),
        )
        fc.assert(property, parameters<[readonly Step[]]>(0.3))
      }
      for (const of of ruledWorlds) {
        const property = fc.property(anyRuledSteps(), (steps) =>
          check(
            playRuled(
              of,
              steps.flatMap((one): readonly RuledStep[] => [one, arrive]),
            ),
            askTheRules,
          ),
        )
        fc.assert(property, parameters<[readonly RuledStep[]]>(0.3))
      }
      assert.ok(compared > 20, `only ${compared} histories were calm`)
    },
  )

  it(
    "without a request everybody is told what would have been told had it never been made",
    { tags: ["L03"] },
    () => {
      let compared = 0
      // requests that name nothing another one has made, and devices that answer
      const independent = (one: Step): readonly Step[] =>
        one._tag === "Publish"
          ? [{ ...one, names: "nothing", sender: null }, arrive]
          : one._tag === "Subscribe" || one._tag === "Advance" || one._tag === "Aim"
            ? [one, arrive]
            : []
      for (const of of worlds) {
        fc.assert(
          fc.property(anySteps, fc.nat(), (steps, which) => {
            const run = play(of, steps.flatMap(independent))
            const world = worldOf(of, null)
            const asked = run.moments.filter(
              ({ input, events }) => input?._tag === "Ask" && events.length > 0,
            )
            const moment = asked[which % Math.max(1, asked.length)]
            if (moment === undefined || moment.command._tag !== "Publish") return
            // what a bound refused is not in the log, and might have been accepted
            if (
              run.moments.some(({ answer }) => answer._tag === "Rejected" && answer.rejection.status === 503)
            )
              return
            const stream = moment.before.presentity
            const rest = replay(
              of,
              run.inputs.filter((one) => one !== moment.input),
            )
            const [moments, others] = [run, rest].map((one) => momentsOf(one).get(stream) ?? [])
            if (!isCalm(moments!, world) || !isCalm(others!, world)) return
            const position = moments!.find(
              ({ decision }) => decision.version === moment.before.version + 1,
            )!.position
            const supposed: Supposition = { without: new Set([position]), rules: null }
            const found = differencesIn(moments!, world, supposed, run.now)
            compared++
            const told = (one: SentNotify): string =>
              JSON.stringify([
                one.at,
                one.notify.dialog.callId,
                one.notify.eventId,
                one.notify.packageName,
                one.notify.state,
                one.notify.reason,
                one.notify.body?.text ?? null,
              ])
            const real = (of: readonly DecisionStep[]): string[] =>
              of.flatMap(({ decision, notifications }) =>
                notifications.map((notify) => told({ at: decision.at, notify })),
              )
            const expected = real(others!)
            const actual = real(moments!)
            for (const difference of found) {
              if (difference._tag !== "Told") continue
              if (difference.was !== null) actual.splice(actual.indexOf(told(difference.was)), 1)
              if (difference.would !== null) actual.push(told(difference.would))
            }
            assert.deepEqual(actual.sort(), expected.sort())
          }),
          parameters<[readonly Step[], number]>(2),
        )
      }
      assert.ok(compared > 50, `only ${compared} were compared`)
    },
  )

  it(
    "with other rules from the beginning nobody sees what those hide, whatever was put in force since",
    { tags: ["AUT-2"] },
    () => {
      const hidesAll = rulesBody([{ who: null, treat: "polite-block" }])
      for (const of of ruledWorlds) {
        fc.assert(
          fc.property(anyRuledSteps(), (steps) => {
            const run = playRuled(of, steps)
            const world = worldOf(of, askTheRules)
            const rules = { packageName: "presence", body: hidesAll, from: 0 }
            for (const moments of momentsOf(run).values()) {
              const found = differencesIn(moments, world, { without: new Set(), rules }, run.now)
              for (const one of found) {
                if (one._tag !== "Told" || one.would === null || one.would.notify.packageName !== "presence")
                  continue
                const decided = moments.some(({ decision }) =>
                  decision.events.some(({ _tag }) => _tag === "WatcherDecided"),
                )
                if (!decided) assert.doesNotMatch(one.would.notify.body?.text ?? "", /<basic>open/)
                assert.ok(one.watcher === "sip:alice@example.com" || people.includes(one.watcher))
              }
            }
          }),
          parameters<[readonly RuledStep[]]>(0.5),
        )
      }
    },
  )
})
