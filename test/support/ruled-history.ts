/**
 * Histories of one presentity with rules: three watchers, the presentity watching them, validity that begins and ends
 * within the history, spheres; alone, or as two worlds that differ only where a law allows it.
 */
import fc from "fast-check"
import type { Command, DeliveryOutcome } from "../../src/domain/presentity/commands.ts"
import { nextDeadline } from "../../src/domain/presentity/deadlines.ts"
import { anonymous } from "../../src/domain/privacy.ts"
import { get, values } from "../../src/domain/table.ts"
import type { Body, Millis, SubHandling, Uri } from "../../src/domain/vocabulary.ts"
import { anyOutcome } from "./arbitraries.ts"
import { alice, dialogOf } from "./builders.ts"
import { parameters } from "./history.ts"
import { beginning, keyOf, makeMachine, worlds } from "./machine.ts"
import type { Input, Machine, Moment, Run, World } from "./machine.ts"
import { makePlayed } from "./played.ts"
import { pidf, ruledPackages, rulesBody } from "./ruled.ts"
import type { SmallRule } from "./ruled.ts"

export const people: readonly Uri[] = ["sip:bob", "sip:carol", "sip:dave"].map(
  (name) => `${name}@example.com` as Uri,
)

/** An undecided watcher is remembered for a quarter of an hour, so that a history can last longer. */
export const waitingMillis = 900_000

export const ruledWorlds: readonly World[] = worlds.map((world) => ({
  ...world,
  packages: ruledPackages,
  hook: null,
  limits: {
    ...world.limits,
    minExpiresPublish: 0,
    minExpiresSubscribe: 0,
    subscriptionsMax: 20,
    sphereCheck: true,
    waitingDays: waitingMillis / 86_400_000,
  },
}))

export type RuledStep =
  | {
      readonly _tag: "Publish"
      readonly which: number
      readonly seen: string | null
      /** What some rules hide, in each of the two worlds. */
      readonly hidden: readonly [string | null, string | null]
      readonly sphere: string | null
      readonly expires: number
      /** The end of a publication, or only a refresh. */
      readonly empty: boolean
    }
  /** Hard state; all null: none. */
  | {
      readonly _tag: "Hard"
      readonly seen: string | null
      readonly hidden: readonly [string | null, string | null]
      readonly sphere: string | null
    }
  | {
      readonly _tag: "Watch"
      readonly who: number
      readonly packageName: string
      readonly expires: number
      /** The watcher asks for privacy. */
      readonly isPrivate: boolean
    }
  | {
      readonly _tag: "Again"
      readonly which: number
      readonly expires: number
      /** Undefined: the request does not mention privacy. */
      readonly isPrivate: boolean | undefined
      /** A trusted peer passes it on without an identity. */
      readonly isUnnamed: boolean
    }
  | { readonly _tag: "Rules"; readonly rules: readonly SmallRule[] | null }
  /** The operator's decision on one watcher, never the first one; null: withdrawn. */
  | { readonly _tag: "Decide"; readonly who: 1 | 2; readonly handling: SubHandling | null }
  | { readonly _tag: "Advance"; readonly by: Millis }
  | { readonly _tag: "Aim"; readonly beside: number }
  | { readonly _tag: "Arrive" }
  | { readonly _tag: "Report"; readonly which: number; readonly outcome: DeliveryOutcome }
  | { readonly _tag: "Redeliver" }

const anyTreatment = fc.constantFrom<SubHandling>("allow", "allow", "confirm", "polite-block", "block")

const anyInstant = fc.nat(12).map((count) => beginning + count * 60_000)

/** @param treatment what a rule may say about the watcher that the law is about, the first of `people` */
const anyRule = (treatment: fc.Arbitrary<SubHandling>, hides: boolean): fc.Arbitrary<SmallRule> =>
  fc
    .record({
      who: fc.constantFrom(people[0]!, people[0]!, people[1]!, people[2]!, null),
      treat: fc.constant<SubHandling>("allow"),
      hidden: fc.boolean(),
      sphere: fc.constantFrom(undefined, undefined, undefined, "work", "home"),
      validity: fc.option(fc.tuple(anyInstant, anyInstant), { freq: 2 }),
    })
    .chain(({ who, hidden, sphere, validity }) => {
      const concerns = who === null || who === people[0]
      return (concerns ? treatment : anyTreatment).map((treat) => ({
        who,
        treat,
        ...(hidden || (hides && concerns) ? { tuples: ["t1"] } : {}),
        ...(sphere === undefined ? {} : { sphere }),
        ...(validity === null ? {} : { from: Math.min(...validity), until: Math.max(...validity) }),
      }))
    })

export interface Shape {
  /** What rules may say about the first watcher. */
  readonly treatment?: fc.Arbitrary<SubHandling>
  /** Whatever lets the first watcher see something hides the second tuple from it. */
  readonly hides?: boolean
  /** Rules that apply to the first watcher in addition to all others. */
  readonly always?: readonly SmallRule[]
  readonly rulesNull?: boolean
  /** The presentity watches her watchers from the beginning. */
  readonly watched?: boolean
}

const rarely = fc.nat(3).map((number) => number === 0)

const anyExpires = fc.constantFrom(0, 5, 60, 600, 600, 3600, 3600)

export const anyRuledSteps = (shape: Shape = {}): fc.Arbitrary<readonly RuledStep[]> => {
  const { treatment = anyTreatment, hides = false, always = [], rulesNull = true, watched = false } = shape
  const anyRules = fc
    .array(anyRule(treatment, hides), { maxLength: 4 })
    .map((rules): RuledStep => ({ _tag: "Rules", rules: [...always, ...rules] }))
  const anyHidden = fc.constantFrom(null, "t2=open", "t2=closed")
  const anyStep: fc.Arbitrary<RuledStep> = fc.oneof(
    {
      weight: 26,
      arbitrary: fc.record({
        _tag: fc.constant("Publish" as const),
        which: fc.nat(3),
        seen: fc.constantFrom(null, "t1=open", "t1=open", "t1=closed"),
        hidden: fc.tuple(anyHidden, anyHidden),
        sphere: fc.constantFrom(null, null, "work", "home"),
        expires: anyExpires,
        empty: fc.nat(5).map((number) => number === 0),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        _tag: fc.constant("Hard" as const),
        seen: fc.constantFrom(null, "t1=open", "t1=closed", "t3=open"),
        hidden: fc.tuple(anyHidden, anyHidden),
        sphere: fc.constantFrom(null, null, null, "work", "home"),
      }),
    },
    {
      weight: 18,
      arbitrary: fc.record({
        _tag: fc.constant("Watch" as const),
        who: fc.constantFrom(0, 0, 1, 2),
        packageName: fc.constantFrom("presence", "presence", "presence", "presence", "presence.winfo"),
        expires: anyExpires,
        isPrivate: rarely,
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        _tag: fc.constant("Watch" as const),
        who: fc.constant(3),
        packageName: fc.constantFrom("presence.winfo", "presence.winfo", "presence.winfo.winfo", "presence"),
        expires: fc.constantFrom(0, 60, 3600, 3600, 3600),
        isPrivate: rarely,
      }),
    },
    {
      weight: 14,
      arbitrary: fc.record({
        _tag: fc.constant("Again" as const),
        which: fc.nat(7),
        expires: anyExpires,
        isPrivate: fc.constantFrom(undefined, undefined, undefined, true, false),
        isUnnamed: rarely,
      }),
    },
    { weight: 14, arbitrary: anyRules },
    {
      weight: 6,
      arbitrary: fc.record({
        _tag: fc.constant("Decide" as const),
        who: fc.constantFrom(1 as const, 2 as const),
        handling: fc.constantFrom(null, null, "block", "confirm", "polite-block", "allow"),
      }),
    },
    ...(rulesNull ? [{ weight: 2, arbitrary: fc.constant<RuledStep>({ _tag: "Rules", rules: null }) }] : []),
    {
      weight: 12,
      arbitrary: fc
        .constantFrom(0, 1, 1000, 1000, 4999, 5000, 5000, 60_000, 120_000, 900_000)
        .map((by): RuledStep => ({ _tag: "Advance", by })),
    },
    {
      weight: 14,
      arbitrary: fc.constantFrom(-1, 0, 0, 0, 1).map((beside): RuledStep => ({ _tag: "Aim", beside })),
    },
    { weight: 14, arbitrary: fc.constant<RuledStep>({ _tag: "Arrive" }) },
    {
      weight: 8,
      arbitrary: fc.record({ _tag: fc.constant("Report" as const), which: fc.nat(5), outcome: anyOutcome }),
    },
    { weight: 1, arbitrary: fc.constant<RuledStep>({ _tag: "Redeliver" }) },
  )
  const owner: RuledStep = {
    _tag: "Watch",
    who: people.length,
    packageName: "presence.winfo",
    expires: 3600,
    isPrivate: false,
  }
  return fc.noBias(
    fc
      .tuple(anyRules, fc.array(anyStep, { maxLength: 40, size: "max" }))
      .map(([rules, steps]) => [rules, ...(watched ? [owner] : []), ...steps]),
  )
}

export interface Side {
  readonly side: 0 | 1
  /** False: the presentity never publishes. */
  readonly publishes: boolean
  readonly rules: (rules: readonly SmallRule[] | null) => readonly SmallRule[] | null
  /** Only NOTIFYs to this watcher are ever late or lost; null: any may be. */
  readonly focus: Uri | null
}

const plain: Side = { side: 0, publishes: true, rules: (rules) => rules, focus: null }

const bodies = new Map<string, Body>()
/** The same object each time, so that each body is parsed once. */
const bodyOf = (make: () => Body, name: string): Body => {
  const known = bodies.get(name) ?? make()
  bodies.set(name, known)
  return known
}

/** The inputs of one step, where it happens. */
const inputsOf = (machine: Machine, step: RuledStep, id: number, side: Side): readonly Input[] => {
  const at = machine.now()
  const state = machine.state(alice)
  const ask = (command: Command, more = 0): Input => ({
    _tag: "Ask",
    id: id + more,
    at,
    presentity: command._tag === "Resubscribe" ? null : alice,
    command,
  })
  switch (step._tag) {
    case "Publish": {
      if (!side.publishes) return []
      const table = get(state.publications, "presence")
      const live = table === undefined ? [] : [...values(table)].sort((a, b) => a.createdIn - b.createdIn)
      const publication = live[step.which % (live.length + 1)]
      const hidden = step.hidden[side.side]
      const parts = [step.seen, hidden, step.sphere === null ? null : `@${step.sphere}`].flatMap(
        (part) => part ?? [],
      )
      return [
        ask({
          _tag: "Publish",
          packageName: "presence",
          ifMatch: publication === undefined ? [] : [publication.entityTag],
          expires: step.expires,
          body:
            publication !== undefined && step.empty ? null : bodyOf(() => pidf(...parts), parts.join(" ")),
          bodyFault: null,
          sender: null,
        }),
      ]
    }
    case "Hard": {
      if (!side.publishes) return []
      const parts = [
        step.seen,
        step.hidden[side.side],
        step.sphere === null ? null : `@${step.sphere}`,
      ].flatMap((part) => part ?? [])
      const isNone = step.seen === null && step.hidden.every((part) => part === null) && step.sphere === null
      const body = isNone ? null : bodyOf(() => pidf(...parts), parts.join(" "))
      return [ask({ _tag: "SetHardState", packageName: "presence", body })]
    }
    case "Watch": {
      const watcher = people[step.who] ?? alice
      return [
        ask({
          _tag: "Subscribe",
          packageName: step.packageName,
          eventId: null,
          watcher,
          expires: step.expires,
          accept: null,
          dialog: dialogOf(id),
          ...(step.isPrivate ? { private: true } : {}),
          forceActive: false,
          bodyFault: null,
        }),
      ]
    }
    case "Again": {
      // in order of creation: numbers may differ between two worlds, the order and the observed watcher do not
      const live = [...values(state.subscriptions)]
        .filter((subscription) => side.focus === null || subscription.watcher === side.focus)
        .sort((a, b) => a.no - b.no)
      const subscription = live[step.which % Math.max(1, live.length)]
      const dialog = subscription === undefined ? undefined : get(state.dialogs, subscription.dialog)
      if (subscription === undefined || dialog === undefined) return []
      return [
        ask({
          _tag: "Resubscribe",
          dialog: keyOf(dialog.start),
          packageName: subscription.packageName,
          eventId: null,
          watcher: step.isUnnamed ? anonymous : subscription.watcher,
          ...(step.isUnnamed ? { through: "192.0.2.20" } : {}),
          ...(step.isPrivate === undefined ? {} : { private: step.isPrivate }),
          expires: step.expires,
          accept: null,
          cseq: dialog.remoteCseq + 1,
          remoteTarget: null,
          forceActive: false,
          bodyFault: null,
        }),
      ]
    }
    case "Rules": {
      const rules = side.rules(step.rules)
      const body = rules === null ? null : bodyOf(() => rulesBody(rules), JSON.stringify(rules))
      return [ask({ _tag: "ReplaceRules", packageName: "presence", rules: body })]
    }
    case "Decide": {
      const { handling } = step
      const decided = people[step.who] ?? alice
      return [ask({ _tag: "DecideWatcher", packageName: "presence", watcher: decided, handling })]
    }
    case "Advance":
      return [{ _tag: "Advance", to: at + step.by }]
    case "Aim": {
      const deadline = nextDeadline(state)
      return deadline === null ? [] : [{ _tag: "Advance", to: Math.max(at, deadline + step.beside) }]
    }
    case "Arrive":
      return machine
        .flying()
        .map(({ no: subscription, cseq }, index) => ask(report(subscription, cseq, arrived), index))
    case "Report": {
      const flying = machine
        .flying()
        .filter(
          ({ no: subscription }) =>
            side.focus === null || get(state.subscriptions, subscription)?.watcher === side.focus,
        )
      const flight = flying[step.which % Math.max(1, flying.length)]
      return flight === undefined ? [] : [ask(report(flight.no, flight.cseq, step.outcome))]
    }
    case "Redeliver":
      return [ask({ _tag: "Redeliver", since: at - 1000 })]
  }
}

const arrived: DeliveryOutcome = { _tag: "Accepted", remoteTarget: null }
const report = (id: number, cseq: number, outcome: DeliveryOutcome): Command => ({
  _tag: "ReportDelivery",
  no: id,
  cseq,
  outcome,
})

/** NOTIFYs to everybody except the watcher that a law is about arrive at once. */
const calm = (machine: Machine, side: Side, id: number): void => {
  if (side.focus === null) return
  for (let more = 0; ; more++) {
    const state = machine.state(alice)
    const flight = machine
      .flying()
      .find(({ no: subscription }) => get(state.subscriptions, subscription)?.watcher !== side.focus)
    if (flight === undefined) return
    machine.apply({
      _tag: "Ask",
      id: id + 500 + more,
      at: machine.now(),
      presentity: alice,
      command: report(flight.no, flight.cseq, arrived),
    })
  }
}

/** Plays two worlds in step: the clock of the first applies to both. */
export const playBoth = (
  world: World,
  steps: readonly RuledStep[],
  sides: readonly [Side, Side],
): readonly [Run, Run] => {
  const [first, second] = [makeMachine(world), makeMachine(world)]
  for (const [index, step] of steps.entries()) {
    const id = (index + 1) * 1000
    const inputs = inputsOf(first, step, id, sides[0])
    const moves = inputs.some(({ _tag }) => _tag === "Advance")
    const inputsOfSecond = moves ? inputs : step._tag === "Aim" ? [] : inputsOf(second, step, id, sides[1])
    for (const input of inputs) first.apply(input)
    for (const input of inputsOfSecond) second.apply(input)
    calm(first, sides[0], id)
    calm(second, sides[1], id)
  }
  return [first.run(), second.run()]
}

export const playRuled = (world: World, steps: readonly RuledStep[]): Run => {
  const machine = makeMachine(world)
  for (const [index, step] of steps.entries()) {
    for (const input of inputsOf(machine, step, (index + 1) * 1000, plain)) machine.apply(input)
  }
  // everything due by now has been decided
  machine.apply({ _tag: "Advance", to: machine.now() })
  return machine.run()
}

const onPlayed = {
  alone: makePlayed(anyRuledSteps(), ruledWorlds, playRuled),
  watched: makePlayed(anyRuledSteps({ watched: true }), ruledWorlds, playRuled),
}

export const forEveryRuledHistory = (
  check: (run: Run) => void,
  share = 1,
  { watched = false }: Pick<Shape, "watched"> = {},
): void => onPlayed[watched ? "watched" : "alone"](check, parameters(share))

/** Everything that one watcher receives, without what is opaque to it. */
export const inboxOf = (run: Run, watcher: Uri): readonly unknown[] =>
  run.moments.flatMap((moment) => [
    ...answerTo(moment, watcher),
    ...moment.notifications
      .filter(({ dialog, no: id }) => {
        const subscription = get(moment.before.subscriptions, id) ?? get(moment.after.subscriptions, id)
        const created = moment.events.find((event) => event._tag === "SubscriptionCreated" && event.no === id)
        const owner =
          subscription?.watcher ?? (created?._tag === "SubscriptionCreated" ? created.watcher : null)
        return dialog.callId !== "" && owner === watcher
      })
      .map(({ dialog, cseq, packageName, state, expires, reason, retryAfter, body }) => ({
        at: moment.at,
        callId: dialog.callId,
        cseq,
        packageName,
        state,
        expires,
        reason,
        retryAfter,
        body,
      })),
  ])

const answerTo = ({ command, answer, at }: Moment, watcher: Uri): readonly unknown[] =>
  (command._tag === "Subscribe" || command._tag === "Resubscribe") && command.watcher === watcher
    ? [{ at, answer }]
    : []
