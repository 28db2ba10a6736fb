/**
 * Laws of a shared line, over histories of phones that take and give back, publishers, time and lost NOTIFYs.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { parseAppearances } from "../../src/domain/packages/call-info-header.ts"
import { callInfo } from "../../src/domain/packages/call-info.ts"
import { lineSeize } from "../../src/domain/packages/line-seize.ts"
import { makeRegistry } from "../../src/domain/packages/registry.ts"
import type { Command, DeliveryOutcome } from "../../src/domain/presentity/commands.ts"
import { nextDeadline } from "../../src/domain/presentity/deadlines.ts"
import { viewFor } from "../../src/domain/presentity/notify.ts"
import { freeze, thaw } from "../../src/domain/presentity/snapshot.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import { get, values } from "../../src/domain/table.ts"
import type { Header, Uri } from "../../src/domain/vocabulary.ts"
import { alice, dialogOf } from "../support/builders.ts"
import { onEngine, parameters, replay, settle } from "../support/history.ts"
import { keyOf, makeMachine, worlds } from "../support/machine.ts"
import type { Input, Machine, Run, World } from "../support/machine.ts"

const makePackages = () => makeRegistry([callInfo(), lineSeize()])

const lineWorlds: readonly World[] = worlds.map((one) => ({
  ...one,
  packages: makePackages(),
  hook: "allow",
  limits: {
    ...one.limits,
    minExpiresPublish: 0,
    minExpiresSubscribe: 0,
    subscriptionsMax: 20,
    publicationsMax: 6,
  },
}))

const people = ["sip:bob@example.com" as Uri, "sip:carol@example.com" as Uri]
const which = (index: number): string => `<sip:alice@example.com>;appearance-index=${index}`

type Step =
  | {
      readonly _tag: "Watch" | "Seize"
      readonly who: number
      readonly index: number
      readonly expires: number | null
    }
  | {
      readonly _tag: "Again"
      readonly which: number
      readonly index: number | null
      readonly expires: number | null
    }
  | {
      readonly _tag: "Publish"
      readonly which: number
      readonly says: readonly (readonly [number, string])[]
      readonly expires: number
    }
  | {
      readonly _tag: "Treat"
      readonly who: number
      readonly handling: "allow" | "confirm" | "polite-block" | "block"
    }
  | { readonly _tag: "Report"; readonly which: number; readonly outcome: DeliveryOutcome }
  | { readonly _tag: "Arrive" }
  | { readonly _tag: "Advance"; readonly by: number }
  | { readonly _tag: "Aim"; readonly beside: number }

const anyExpires = fc.constantFrom(null, null, 0, 5, 60, 600)
const anyIndex = fc.constantFrom(1, 1, 2, 3)
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    _tag: fc.constantFrom("Watch" as const, "Seize" as const, "Seize" as const),
    who: fc.nat(1),
    index: anyIndex,
    expires: anyExpires,
  }),
  fc.record({
    _tag: fc.constant("Again" as const),
    which: fc.nat(7),
    index: fc.option(anyIndex),
    expires: anyExpires,
  }),
  fc.record({
    _tag: fc.constant("Publish" as const),
    which: fc.nat(3),
    says: fc.uniqueArray(fc.tuple(anyIndex, fc.constantFrom("active", "held", "idle")), {
      selector: ([index]) => index,
      maxLength: 3,
    }),
    expires: fc.constantFrom(0, 5, 60, 600),
  }),
  fc.record({
    _tag: fc.constant("Treat" as const),
    who: fc.nat(1),
    handling: fc.constantFrom(
      "allow" as const,
      "allow" as const,
      "confirm" as const,
      "polite-block" as const,
      "block" as const,
    ),
  }),
  fc.record({
    _tag: fc.constant("Report" as const),
    which: fc.nat(5),
    outcome: fc.constantFrom<DeliveryOutcome>(
      { _tag: "Refused", status: 481, retryAfter: null },
      { _tag: "Refused", status: 500, retryAfter: 3 },
      { _tag: "TimedOut" },
    ),
  }),
  fc.constant<Step>({ _tag: "Arrive" }),
  fc.constantFrom(0, 1000, 5000, 15_000, 60_000).map((by): Step => ({ _tag: "Advance", by })),
  fc.constantFrom(-1, 0, 1).map((beside): Step => ({ _tag: "Aim", beside })),
)
const anySteps = fc.noBias(fc.array(anyStep, { maxLength: 40, size: "max" }))

const inputsOf = (machine: Machine, step: Step, id: number): readonly Input[] => {
  const at = machine.now()
  const state = machine.state(alice)
  const ask = (command: Command, more = 0): Input => ({
    _tag: "Ask",
    id: id + more,
    at,
    presentity: command._tag === "Resubscribe" ? null : alice,
    command,
  })
  const asked = { eventId: null, accept: null, forceActive: false, bodyFault: null }
  switch (step._tag) {
    case "Watch":
    case "Seize": {
      const { expires } = step
      const what =
        step._tag === "Watch"
          ? { packageName: "call-info" }
          : { packageName: "line-seize", argument: which(step.index) }
      return [
        ask({
          _tag: "Subscribe",
          ...asked,
          ...what,
          watcher: people[step.who]!,
          expires,
          dialog: dialogOf(id),
        }),
      ]
    }
    case "Again": {
      const live = [...values(state.subscriptions)].sort((one, other) => one.no - other.no)
      const one = live[step.which % Math.max(1, live.length)]
      const dialog = one === undefined ? undefined : get(state.dialogs, one.dialog)
      if (one === undefined || dialog === undefined) return []
      const { packageName, watcher } = one
      const { expires, index } = step
      const argument = index === null ? {} : { argument: which(index) }
      const call = { dialog: keyOf(dialog.start), cseq: dialog.remoteCseq + 1, remoteTarget: null }
      return [ask({ _tag: "Resubscribe", ...asked, ...argument, ...call, packageName, watcher, expires })]
    }
    case "Publish": {
      const table = get(state.publications, "call-info")
      const live = table === undefined ? [] : [...values(table)].sort((a, b) => a.createdIn - b.createdIn)
      const one = live[step.which % (live.length + 1)]
      const value = step.says.map(([index, what]) => `${which(index)};appearance-state=${what}`).join(",")
      const headers: readonly Header[] = value === "" ? [] : [["Call-Info", value]]
      const ifMatch = one === undefined ? [] : [one.entityTag]
      const { expires } = step
      const nothing = { body: null, bodyFault: null, sender: null }
      return [ask({ _tag: "Publish", packageName: "call-info", ifMatch, expires, headers, ...nothing })]
    }
    case "Treat":
      return [{ _tag: "Treat", watcher: people[step.who]!, handling: step.handling }]
    case "Report": {
      const flying = machine.flying()
      const one = flying[step.which % Math.max(1, flying.length)]
      if (one === undefined) return []
      return [ask({ _tag: "ReportDelivery", no: one.no, cseq: one.cseq, outcome: step.outcome })]
    }
    case "Arrive":
      return machine
        .flying()
        .map(({ no, cseq }, more) =>
          ask({ _tag: "ReportDelivery", no, cseq, outcome: { _tag: "Accepted", remoteTarget: null } }, more),
        )
    case "Advance":
      return [{ _tag: "Advance", to: at + step.by }]
    case "Aim": {
      const deadline = nextDeadline(state)
      return deadline === null ? [] : [{ _tag: "Advance", to: Math.max(at, deadline + step.beside) }]
    }
  }
}

const play = (of: World, steps: readonly Step[]): Run => {
  const machine = makeMachine(of)
  for (const [index, step] of steps.entries())
    for (const input of inputsOf(machine, step, (index + 1) * 1000)) machine.apply(input)
  machine.apply({ _tag: "Advance", to: machine.now() })
  return machine.run()
}

const forEveryLine = (check: (run: Run) => void, share = 1): void => {
  for (const of of lineWorlds) {
    fc.assert(
      fc.property(anySteps, (steps) => check(play(of, steps))),
      parameters<[readonly Step[]]>(share),
    )
  }
}

/** Who has which appearance, by what their subscriptions asked for. */
const seizedIn = (state: State): readonly number[] =>
  [...values(state.subscriptions)].flatMap(({ packageName, status, polite, argument = "" }) =>
    packageName === "line-seize" && status === "active" && !polite
      ? [Number(/index=(\d)/.exec(argument)?.[1])]
      : [],
  )

const shownAs = (value: string | undefined, state: string): readonly number[] => {
  const parsed = parseAppearances(value ?? "")
  ok(parsed._tag === "Parsed", value)
  return parsed.appearances.flatMap((one) => (one.state === state ? [Number(one.index)] : []))
}

describe("a shared line", () => {
  it(
    "a SUBSCRIBE never gets what another has, and 480 only for what another has",
    { tags: ["SCA-6"] },
    () => {
      forEveryLine(({ moments }) => {
        for (const { command, answer, before, after, context, at } of moments) {
          if (command._tag !== "Subscribe" || command.packageName !== "line-seize" || command.expires === 0)
            continue
          const index = Number(/index=(\d)/.exec(command.argument ?? "")?.[1])
          const { packageName, watcher } = command
          const handling = context.authorize({ presentity: alice, packageName, watcher, now: at })
          // who takes nothing is in nobody's way, and learns nothing
          const isTaken = handling === "allow" && seizedIn(before).includes(index)
          const status = answer._tag === "Rejected" ? answer.rejection.status : 200
          deepStrictEqual(status === 480, isTaken)
          if (isTaken) deepStrictEqual(after, before)
        }
      })
    },
  )

  it(
    "what phones have is shown as seized, and nothing else is, in both packages, whatever was remembered",
    { tags: ["SCA-5"] },
    () => {
      let some = 0
      forEveryLine(({ states, world }) => {
        const state = states.get(alice)
        if (state === undefined) return
        const seized = [...new Set(seizedIn(state))].sort((one, other) => one - other)
        some += seized.length
        const cold = { state: thaw(freeze(state)), packages: makePackages() }
        for (const one of values(state.subscriptions)) {
          const view = viewFor(state, one, world.packages!.find(one.packageName)!)
          deepStrictEqual(view, viewFor(cold.state, one, cold.packages.find(one.packageName)!))
          if (one.status !== "active") continue
          deepStrictEqual(shownAs(view.headers?.[0]?.[1], "seized"), one.polite ? [] : seized)
        }
      })
      ok(some > 50, `${some} seized`)
    },
  )

  it(
    "when all is said, everybody who watches has been sent what there is",
    { tags: ["L12", "SCA-7"] },
    () => {
      forEveryLine((run) => {
        const settled = settle(run)
        const sent = new Map<number, string | undefined>()
        for (const { notifications } of settled.moments)
          for (const { no, headers } of notifications) sent.set(no, headers?.[0]?.[1])
        for (const state of settled.states.values()) {
          for (const one of values(state.subscriptions)) {
            if (one.status !== "active" || one.shown === "") continue
            const view = viewFor(state, one, run.world.packages!.find(one.packageName)!)
            deepStrictEqual(sent.get(one.no), view.headers?.[0]?.[1])
          }
        }
      }, 0.5)
    },
  )

  it("the same inputs give the same log, on the engine as well", { tags: ["L03", "L04"] }, () => {
    forEveryLine((run) => {
      deepStrictEqual(replay(run.world, run.inputs).log, run.log)
      const { log } = onEngine(run.world, run.inputs)
      const stored = log.read(0, Number.MAX_SAFE_INTEGER).map(({ decision }) => decision.events)
      deepStrictEqual(
        stored,
        run.log.map(({ events }) => events),
      )
    }, 0.3)
  })
})
