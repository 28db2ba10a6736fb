/**
 * Questions about a long history: the answers are those of the whole log, wherever reading begins.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import { Effect } from "effect"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeMemoryLog, makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import type { HistoryPage, PageWish } from "../../../src/app/history/page.ts"
import { makeHistoryReader } from "../../../src/app/history/reader.ts"
import type { SeenWish } from "../../../src/app/history/sent.ts"
import { presentityIn } from "../../../src/domain/history/at.ts"
import { makeLedger, unansweredMillis } from "../../../src/domain/history/ledger.ts"
import { momentOf } from "../../../src/domain/history/moments.ts"
import type { DecisionStep } from "../../../src/domain/history/moments.ts"
import { makeInquiry } from "../../../src/domain/history/why.ts"
import { isLandmark } from "../../../src/domain/presentity/snapshot.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import { anySteps, presentities, watchers } from "../../support/arbitraries.ts"
import { makeMachine, packagesOf, reactionOf, worlds } from "../../support/machine.ts"
import type { Run } from "../../support/machine.ts"
import { resolve } from "../../support/resolve.ts"

/** Some thousand decisions on one presentity: many histories, one after the other on the same machine. */
const longRun = (seed: number): Run => {
  const machine = makeMachine(worlds[seed % worlds.length]!)
  let id = 0
  const enough = 1800
  for (const steps of fc.sample(anySteps, { numRuns: 4000, seed })) {
    for (const step of steps) for (const input of resolve(machine, step, (id += 100))) machine.apply(input)
    if (machine.state(presentities[0]!).version > enough) break
  }
  return machine.run()
}

const of = presentities[0]!

describe("the reader", () => {
  const run = longRun(7)
  const decisions = run.log.filter(({ stream }) => stream === of)
  const circumstances = {
    packages: packagesOf(run.world),
    limits: run.world.limits,
    authorize: () => "allow" as const,
  }
  const moments: DecisionStep[] = []
  const log = makeMemoryLog()
  const store = makeMemoryStore(log)
  let state = initial(of)
  for (const decision of decisions) {
    log.append([decision])
    const moment = momentOf(state, { position: decision.version, decision }, reactionOf(run.world))
    moments.push(moment)
    state = moment.after
    if (isLandmark(state.version)) Effect.runSync(store.saveLandmarks([state]))
  }
  const last = decisions.at(-1)!
  const now = last.at + 100_000
  const reader = makeHistoryReader(store, circumstances, () => now)
  const anyInstant = fc.integer({ min: decisions[0]!.at - 1, max: now })
  const anyWatcher = fc.constantFrom(...watchers)
  const anyPackage = fc.constantFrom("presence", "stub", "stub-all")

  it("the history is long enough to have landmarks", { tags: ["L38"] }, () => {
    ok(decisions.length > 1500)
    ok(Effect.runSync(store.landmarkBefore(of, 1_000_000)) !== null)
  })

  it("as of any instant it is what the first decisions until then make", { tags: ["L38"] }, () => {
    fc.assert(
      fc.property(anyInstant, (at) => {
        const then = moments.findLast(({ decision }) => decision.at <= at)?.after ?? initial(of)
        deepStrictEqual(Effect.runSync(reader.at(of, at)), presentityIn(then, circumstances.packages, at))
      }),
    )
  })

  it("why is answered from near the change as from the beginning", { tags: ["A3"] }, () => {
    fc.assert(
      fc.property(anyInstant, anyWatcher, anyPackage, (at, watcher, packageName) => {
        const question = { presentity: of, watcher, packageName, at }
        const inquiry = makeInquiry(question, circumstances)
        for (const moment of moments) inquiry.take(moment)
        const [answer, whole] = [Effect.runSync(reader.why(question)), inquiry.answer(now)]
        deepStrictEqual(answer.change, whole.change)
        deepStrictEqual(answer.treatment, whole.treatment)
        const findings = ({ cases }: typeof answer) =>
          cases.map(({ life, finding, sequel, sent }) => ({
            no: life.no,
            finding,
            sequel,
            sent: sent?.notify,
          }))
        deepStrictEqual(findings(answer), findings(whole))
        const absence = ({ absence: one }: typeof answer) => [
          one?.last?.no,
          one?.last?.ended,
          one?.next?.no,
          one?.waiting,
          one?.judgement,
        ]
        deepStrictEqual(absence(answer), absence(whole))
      }),
      { numRuns: 200 },
    )
  })

  it("pages hold every NOTIFY once, with what became of it", { tags: ["OPS-seen"] }, () => {
    for (const watcher of watchers) {
      const ledger = makeLedger((one) => one.watcher === watcher)
      for (const moment of moments) ledger.take(moment)
      const all = ledger
        .lives()
        .flatMap(({ sent }) => sent)
        .sort((one, other) => one.place.version - other.place.version)
      const found: (typeof all)[number][] = []
      for (let before: number | null = null, pages = 0; ; pages += 1) {
        const wish: SeenWish = { before, event: null, since: null, until: null, limit: 40 }
        const page: Effect.Success<ReturnType<typeof reader.seen>> = Effect.runSync(
          reader.seen(of, watcher, wish),
        )
        found.unshift(...page.sent)
        if (page.next === null) break
        before = page.next
        ok(pages < 500)
      }
      // no transaction takes so long, but these histories do not know that
      const isLate = all.map(
        ({ place, failed }) => failed !== null && failed.place.at - place.at > unansweredMillis,
      )
      const told = (some: typeof all) =>
        some.map(({ notify, failed, repeated }, index) => ({
          notify,
          failed: isLate[index] === true ? null : failed,
          repeated: repeated?.version,
        }))
      deepStrictEqual(told(found), told(all))
    }
  })

  it("pages hold every decision that fits once, from the newest back", { tags: ["OPS-history"] }, () => {
    for (const types of [null, new Set(["SubscriptionCreated", "NotificationFailed"])]) {
      const found: number[] = []
      for (let before: number | null = null; ;) {
        const wish: PageWish = {
          before,
          after: null,
          limit: 100,
          since: null,
          until: null,
          types,
          event: null,
        }
        const page: HistoryPage = Effect.runSync(reader.page(of, wish))
        found.unshift(...page.entries.map(({ version }) => version))
        if (page.next === null) break
        before = page.next
      }
      const fits = decisions.filter(
        ({ events }) => types === null || events.some(({ _tag }) => types.has(_tag)),
      )
      deepStrictEqual(
        found,
        fits.map(({ version }) => version),
      )
    }
  })

  it("whoever follows gets what came after", { tags: ["OPS-history"] }, () => {
    const wish = { before: null, limit: 10, since: null, until: null, types: null, event: null }
    const page = Effect.runSync(reader.page(of, { ...wish, after: last.version - 4 }))
    deepStrictEqual(
      page.entries.map(({ version }) => version),
      [last.version - 3, last.version - 2, last.version - 1, last.version],
    )
  })

  it("nothing between two equal instants, and back is the other way round", { tags: ["OPS-diff"] }, () => {
    fc.assert(
      fc.property(anyInstant, anyInstant, (one, other) => {
        const there = Effect.runSync(reader.diff(of, one, other))
        const back = Effect.runSync(reader.diff(of, other, one))
        deepStrictEqual(there.length, back.length)
        if (one === other) deepStrictEqual(there, [])
      }),
      { numRuns: 50 },
    )
  })
})
