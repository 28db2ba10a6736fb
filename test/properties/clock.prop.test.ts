/**
 * Clocks that stand ahead for a while, or behind, and are set right: what is granted lasts as long as it is granted for, order
 * stays order, and whoever reads the log finds what was.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict"
import { Effect } from "effect"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeMemoryLog, makeMemoryStore } from "../../src/adapters/store/memory.ts"
import { makeHistoryReader } from "../../src/app/history/reader.ts"
import { makeDeadlines } from "../../src/domain/engine/deadlines.ts"
import type { Release } from "../../src/domain/engine/engine.ts"
import { makeEngine } from "../../src/domain/engine/make-engine.ts"
import { momentOf } from "../../src/domain/history/moments.ts"
import { reconstructCommand } from "../../src/domain/history/reconstruct-command.ts"
import { makeOtherWorld } from "../../src/domain/history/what-if.ts"
import { clockOf, lastClock } from "../../src/domain/presentity/clock.ts"
import type { Answer, Command } from "../../src/domain/presentity/commands.ts"
import { askTheRules, defaultLimits } from "../../src/domain/presentity/context.ts"
import { nextDeadline } from "../../src/domain/presentity/deadlines.ts"
import type { Notify } from "../../src/domain/presentity/intents.ts"
import { freeze, thaw } from "../../src/domain/presentity/snapshot.ts"
import type { Snapshot } from "../../src/domain/presentity/snapshot.ts"
import { initial, isEmpty } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import { get, values } from "../../src/domain/table.ts"
import type { Millis } from "../../src/domain/vocabulary.ts"
import { alice, at, bob, carol, dialogOf, publish, resubscribe, subscribe } from "../support/builders.ts"
import { parameters } from "../support/history.ts"
import { pidf, replaceRules, ruledPackages } from "../support/ruled.ts"

const noon = at("12:00:00")
const [second, minute, hour, day, year] = [1000, 60_000, 3_600_000, 86_400_000, 365 * 86_400_000]
const limits = { ...defaultLimits, notifyIntervalMillis: 0, waitingDays: 1 }

/** A server with a clock that can be set; real time goes on beside it. */
const begin = () => {
  const log = makeMemoryLog()
  const options = { packages: ruledPackages, limits, authorize: askTheRules, recordAfterMillis: 10_000 }
  let engine = makeEngine<string>(options)
  let now = noon
  let wrong = 0
  let minted = 0
  let flying: Notify[] = []
  const sent: Notify[] = []
  const clock = (): Millis => now + wrong
  const nonce = (): string => `n${minted++}`
  let last: Answer | null = null
  const take = ({ answer, notifications, ticket }: Release<string>): void => {
    if (ticket === "asked") last = answer
    flying.push(...notifications)
    sent.push(...notifications)
  }
  const commit = (): void => {
    for (let batch = engine.takeBatch(50); batch !== null; batch = engine.takeBatch(50))
      for (const one of engine.committed(log.append(batch.decisions).conflicts).release) take(one)
  }
  const offer = (command: Command, ticket: string): void => {
    const presentity = command._tag === "Resubscribe" ? null : alice
    const offered = engine.offer({ presentity, command, origin: "", ticket }, clock(), nonce)
    if (offered._tag === "Missing") {
      engine.load(log.load(alice))
      return offer(command, ticket)
    }
    if (offered._tag === "Released") take(offered.release)
  }
  const self = {
    log,
    clock,
    sent,
    state: (): State => log.load(alice),
    setWrong: (by: Millis): void => void (wrong = by),
    turn: (): void => {
      engine.advance(clock(), nonce)
      commit()
    },
    pass: (millis: Millis): void => {
      now += millis
      self.turn()
    },
    ask: (command: Command): number => {
      self.turn()
      last = null
      offer(command, "asked")
      commit()
      const answer = last as Answer | null
      if (answer === null) return 0
      if (answer._tag === "Rejected") return answer.rejection.status
      return answer.reply._tag === "Subscribed" ? answer.reply.status : 200
    },
    arrive: (): void => {
      for (let some = flying; some.length > 0; some = flying) {
        flying = []
        for (const { no, cseq } of some)
          offer({ _tag: "ReportDelivery", no, cseq, outcome: { _tag: "Accepted", remoteTarget: null } }, "")
        commit()
      }
    },
    restart: (): void => {
      engine = makeEngine<string>(options)
      const state = thaw(JSON.parse(JSON.stringify(freeze(log.load(alice)))) as Snapshot)
      if (!isEmpty(state)) engine.load(state)
      flying = []
      self.turn()
    },
  }
  return self
}

const published = (expires: number, ...parts: readonly string[]): Command =>
  publish({ packageName: "presence", body: pidf(...parts), expires })
const watches = (dialog: number, expires = 600, watcher = bob): Command =>
  subscribe({ packageName: "presence", watcher, expires, dialog: dialogOf(dialog) })

const anyWrong = fc.constantFrom(
  -year,
  -day,
  -hour,
  -30 * minute,
  -5 * second,
  5 * second,
  30 * minute,
  hour,
  day,
  year,
  2 * year,
)

describe("a clock that was wrong and is set right", () => {
  it(
    "leaves nothing that lasts longer than it was granted for, in any history, over restarts",
    { tags: ["L10"] },
    () => {
      const anyStep = fc.oneof(
        fc.record({ _tag: fc.constant("wrong" as const), by: fc.oneof(anyWrong, fc.constant(0)) }),
        fc.record({
          _tag: fc.constant("pass" as const),
          millis: fc.constantFrom(0, second, 15 * second, 5 * minute, 2 * hour),
        }),
        fc.record({ _tag: fc.constant("publish" as const), expires: fc.constantFrom(5, 60, 3600) }),
        fc.record({
          _tag: fc.constant("watch" as const),
          dialog: fc.nat(1000),
          expires: fc.constantFrom(0, 5, 600, 3600),
          who: fc.constantFrom(bob, carol),
        }),
        fc.constant({ _tag: "rules" as const }),
        fc.constant({ _tag: "arrive" as const }),
        fc.constant({ _tag: "restart" as const }),
      )
      fc.assert(
        fc.property(
          fc.array(anyStep, { maxLength: 25, size: "max" }),
          fc.constantFrom(5, 60),
          (steps, expires) => {
            const one = begin()
            one.ask(replaceRules({ who: bob, treat: "allow" }, { who: carol, treat: "confirm" }))
            for (const [index, step] of steps.entries()) {
              if (step._tag === "wrong") one.setWrong(step.by)
              else if (step._tag === "pass") one.pass(step.millis)
              else if (step._tag === "publish") one.ask(published(step.expires, `t${index}=open`))
              else if (step._tag === "watch")
                one.ask(watches(index * 1001 + step.dialog, step.expires, step.who))
              else if (step._tag === "rules")
                one.ask(replaceRules({ who: bob, treat: "allow", from: noon - hour, until: noon + hour }))
              else if (step._tag === "arrive") one.arrive()
              else one.restart()
            }
            one.setWrong(0)
            one.turn()
            const state = one.state()
            const now = one.clock()
            const longest = limits.maxExpiresSubscribe * 1000
            for (const some of values(state.publications))
              for (const { expiresAt, receivedAt } of values(some)) {
                ok(expiresAt > now && expiresAt <= now + longest)
                ok(receivedAt <= now + second)
              }
            for (const one of values(state.subscriptions)) {
              ok(one.expiresAt > now && one.expiresAt <= now + longest)
              ok(one.createdAt <= now + second && one.issuedAt <= now + second && one.pacedAt <= now + second)
              ok(one.giveUpAt === null || one.giveUpAt <= now + day)
            }
            for (const { giveUpAt } of values(state.waiting)) ok(giveUpAt <= now + day)
            // what is granted now lasts that long, by the clock
            strictEqual(one.ask(published(expires, "short=open")), 200)
            const is = (): boolean => JSON.stringify(freeze(one.state()).publications).includes("short")
            one.restart()
            one.pass(expires * 1000 - 1500)
            ok(is(), "it lives for as long as was granted")
            one.pass(1500 + second)
            ok(!is(), "and no longer")
            // and in the end nothing is left but rules and whoever is decided on
            one.arrive()
            one.pass(2 * day)
            strictEqual(nextDeadline({ ...one.state(), rules: initial(alice).rules }), null)
            // order is order, and today's code decides it so again
            let before = initial(alice)
            const rows = one.log.read(0, 100_000)
            const world = { packages: ruledPackages, limits, authorize: askTheRules }
            for (const recorded of rows) {
              const { decision } = recorded
              ok(decision.at >= before.decidedAt)
              ok(clockOf(decision) <= decision.at)
              const moment = momentOf(before, recorded, { packages: ruledPackages, limits })
              const reconstructed = reconstructCommand(before, decision, world)
              deepStrictEqual(
                reconstructed?.outcome.events,
                decision.events,
                `version ${decision.version} ${decision.cause}`,
              )
              before = moment.after
              strictEqual(lastClock(before), clockOf(decision))
            }
            deepStrictEqual(freeze(before), freeze(one.state()))
          },
        ),
        parameters(0.4),
      )
    },
  )

  it(
    "a year ahead for 15 s, then right: who subscribed and published before, in it and after lasts as granted",
    { tags: ["L10"] },
    () => {
      const one = begin()
      one.ask(replaceRules({ who: bob, treat: "allow" }, { who: carol, treat: "confirm" }))
      one.ask(watches(1, 3600))
      one.ask(published(3600, "before=open"))
      one.arrive()
      one.setWrong(year)
      one.turn()
      one.ask(watches(2, 600))
      one.ask(watches(3, 600, carol))
      one.ask(published(60, "within=open"))
      one.arrive()
      one.pass(15 * second)
      one.setWrong(0)
      one.turn()
      strictEqual(one.ask(published(5, "after=open")), 200)
      strictEqual(
        one.ask(resubscribe(2, { packageName: "presence", watcher: bob, expires: 600, cseq: 2 })),
        200,
      )
      one.arrive()
      const names = (): readonly string[] =>
        freeze(one.state()).publications.flatMap(([, some]) =>
          some.map(({ body }) => /id="(\w+)"/.exec(body?.text ?? "")?.[1] ?? ""),
        )
      deepStrictEqual(names(), ["within", "after"])
      one.pass(5 * second)
      deepStrictEqual(names(), ["within"])
      one.restart()
      one.pass(41 * second)
      deepStrictEqual(names(), [])
      one.pass(10 * minute)
      deepStrictEqual([...values(one.state().subscriptions)], [])
      one.pass(day)
      strictEqual([...values(one.state().waiting)].length, 0)
    },
  )

  it(
    "what was answered is written down in time, and rules are asked again by the clock that is right",
    { tags: ["L36"] },
    () => {
      const one = begin()
      one.ask(replaceRules({ who: bob, treat: "allow", from: noon - hour, until: noon + hour }))
      one.setWrong(day)
      one.turn()
      // by that clock the rules are over
      strictEqual(one.ask(watches(1, 3600)), 403)
      one.ask(replaceRules({ who: bob, treat: "allow" }))
      strictEqual(one.ask(watches(2, 3600)), 200)
      one.arrive()
      one.setWrong(0)
      one.pass(10 * second)
      ok(
        one.log
          .read(0, 1000)
          .some(({ decision }) => decision.events.some(({ _tag }) => _tag === "NotificationsAccepted")),
      )
      one.ask(replaceRules({ who: bob, treat: "allow", from: noon - hour, until: noon + hour }))
      strictEqual(get(one.state().rules, "presence")?.boundaryAt, noon + hour)
      strictEqual([...values(one.state().subscriptions)].length, 1)
      one.pass(hour)
      strictEqual([...values(one.state().subscriptions)].length, 0)
    },
  )

  it(
    "whoever asks what was at an instant is told by the clock, also while order has not caught up",
    { tags: ["L39"] },
    async () => {
      const one = begin()
      one.ask(replaceRules({ who: bob, treat: "allow" }))
      one.ask(published(3600, "first=open"))
      one.setWrong(year)
      one.turn()
      one.ask(published(600, "ahead=open"))
      one.setWrong(0)
      one.turn()
      one.pass(minute)
      one.ask(published(3600, "second=open"))
      one.pass(minute)
      one.ask(published(3600, "third=open"))
      const store = makeMemoryStore(one.log)
      const circumstances = { packages: ruledPackages, limits, authorize: askTheRules }
      const reader = makeHistoryReader(store, circumstances, one.clock)
      const bodies = async (when: Millis): Promise<readonly string[]> =>
        (await Effect.runPromise(reader.at(alice, when))).publications
          .map(({ body }) => /id="(\w+)"/.exec(body?.text ?? "")?.[1] ?? "")
          .sort()
      deepStrictEqual(await bodies(noon + second), ["ahead"])
      deepStrictEqual(await bodies(noon + minute), ["ahead", "second"])
      deepStrictEqual(await bodies(noon + 2 * minute), ["ahead", "second", "third"])
      deepStrictEqual(await bodies(noon - 1), [])
      const page = await Effect.runPromise(
        reader.page(alice, {
          types: null,
          event: null,
          since: noon + minute,
          until: noon + hour - 1,
          before: null,
          after: null,
          limit: 10,
        }),
      )
      deepStrictEqual(
        page.entries.map(({ at: when }) => when),
        [noon + minute, noon + 2 * minute],
      )
    },
  )

  it("EVT-what-if: a world that is played again without a change goes as it went", () => {
    const one = begin()
    one.ask(replaceRules({ who: bob, treat: "allow" }))
    one.ask(watches(1, 3600))
    one.arrive()
    one.setWrong(year)
    one.turn()
    one.ask(watches(2, 3600))
    one.ask(published(60, "t=open"))
    one.arrive()
    one.setWrong(0)
    one.turn()
    one.ask(published(5, "u=open"))
    one.arrive()
    for (const span of [5 * second, minute, 2 * hour]) {
      one.pass(span)
      one.arrive()
    }
    const world = { packages: ruledPackages, limits, authorize: askTheRules }
    const other = makeOtherWorld(initial(alice), world, { without: new Set(), rules: null, again: true })
    let state = initial(alice)
    for (const recorded of one.log.read(0, 1000)) {
      const moment = momentOf(state, recorded, { packages: ruledPackages, limits })
      deepStrictEqual(other.step(moment), [], `position ${recorded.position} ${recorded.decision.cause}`)
      state = moment.after
    }
  })

  it("the wheel of deadlines turns back with it", { tags: ["L10"] }, () => {
    const deadlines = makeDeadlines<string>()
    deadlines.arm("a", noon + hour)
    deepStrictEqual(deadlines.due(noon + year), ["a"])
    for (let one = 0; one < 1000; one++) deadlines.arm(`b${one}`, noon + hour + one)
    deepStrictEqual(deadlines.due(noon), [])
    deadlines.arm("c", noon + second)
    deepStrictEqual(deadlines.due(noon + second), ["c"])
    strictEqual(deadlines.due(noon + hour + 499).length, 500)
    strictEqual(deadlines.size(), 500)
  })
})
