/**
 * What changed while nobody looked is decided before what fell due meanwhile.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeMemoryLog } from "../../../src/adapters/store/memory.ts"
import type { MemoryLog } from "../../../src/adapters/store/memory.ts"
import { makeEngine } from "../../../src/domain/engine/make-engine.ts"
import type { Command } from "../../../src/domain/presentity/commands.ts"
import { askTheRules, defaultLimits } from "../../../src/domain/presentity/context.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import type { SubHandling } from "../../../src/domain/vocabulary.ts"
import { accepted, alice, at, bob, delivery, redeliver } from "../../support/builders.ts"
import { publishPidf, removeRules, replaceRules, ruledPackages, watch } from "../../support/ruled.ts"

const noon = at("12:00:00")

/** One life of a server on a log: loads what is there, and keeps what it sends. */
const life = (log: MemoryLog, noRules: SubHandling = "confirm") => {
  const sent: Notify[] = []
  const engine = makeEngine<null>({
    packages: ruledPackages,
    limits: { ...defaultLimits, notifyIntervalMillis: 5_000, noRules },
    authorize: askTheRules,
  })
  let minted = log.read(0, 10_000).length * 1_000
  const nonce = (): string => `n${minted++}`
  engine.load(log.load(alice))
  const commit = (): void => {
    for (let batch = engine.takeBatch(100); batch !== null; batch = engine.takeBatch(100)) {
      log.append(batch.decisions)
      for (const { notifications } of engine.committed(new Set()).release) sent.push(...notifications)
    }
  }
  return {
    sent,
    ask: (command: Command, now: number, amends = false): void => {
      const offer = { presentity: alice, command, origin: "", ticket: null }
      engine.offer(amends ? { ...offer, amends: true } : offer, now, nonce)
      commit()
    },
    advance: (now: number): void => {
      engine.advance(now, nonce)
      commit()
    },
  }
}

const publishFor = (seconds: number, what: string): Command =>
  ({ ...publishPidf(what), expires: seconds }) as Command

/** Bob watches, was told that Alice is open, and is owed that she is closed; then the server stops. */
const stopped = (rules: Command, noRules?: SubHandling): MemoryLog => {
  const log = makeMemoryLog()
  const one = life(log, noRules)
  one.ask(publishFor(60, "t1=open"), noon)
  one.ask(rules, noon + 10)
  one.ask(watch(1, bob, { expires: 3600 }), noon + 20)
  const [notify] = one.sent
  if (notify !== undefined) one.ask(delivery(notify.no, notify.cseq, accepted()), noon + 30)
  one.ask(publishFor(600, "t2=closed"), noon + 40)
  one.ask(publishFor(600, "t3=open"), noon + 50)
  return log
}

const allowing = replaceRules({ who: bob, treat: "allow" })
const blocking = replaceRules({ who: bob, treat: "block" })

describe("what changed while the server was down", () => {
  it("what fell due then is not decided by the rules of before", { tags: ["AUT-7"] }, () => {
    // what is at stake: by the old rules he is told
    const careless = life(stopped(allowing))
    careless.advance(noon + 100_000)
    ok(careless.sent.some(({ body }) => body !== null))

    const one = life(stopped(allowing))
    one.ask(blocking, noon + 100_000, true)
    one.advance(noon + 100_000)
    one.ask(redeliver(noon), noon + 100_000)
    deepStrictEqual(
      one.sent.map(({ state, reason, body }) => [state, reason, body]),
      [["terminated", "rejected", null]],
    )
  })

  it("a document that is gone counts as well", { tags: ["AUT-7"] }, () => {
    const one = life(stopped(allowing, "block"), "block")
    one.ask(removeRules, noon + 100_000, true)
    one.advance(noon + 100_000)
    deepStrictEqual(
      one.sent.map(({ state, body }) => [state, body]),
      [["terminated", null]],
    )
  })

  it(
    "what is overdue is decided after it, at the same time or later, and time never goes back",
    { tags: ["AUT-7"] },
    () => {
      const log = stopped(allowing)
      const one = life(log)
      const before = log.read(0, 1_000).length
      one.ask(replaceRules({ who: bob, treat: "confirm" }), noon + 100_000, true)
      one.advance(noon + 100_000)
      deepStrictEqual(
        log.read(before, 1_000).map(({ decision }) => [decision.cause, decision.at - noon]),
        [
          ["ReplaceRules", 100_000],
          ["FallDue", 100_000],
        ],
      )
      // a command that amends nothing comes after what was due, each at its own time
      const usual = stopped(allowing)
      const other = life(usual)
      const had = usual.read(0, 1_000).length
      other.ask(replaceRules({ who: bob, treat: "confirm" }), noon + 100_000)
      const causes = usual
        .read(had, 1_000)
        .map(({ decision }) => [decision.cause, decision.at - noon] as const)
      deepStrictEqual(causes.at(-1), ["ReplaceRules", 100_000])
      ok(causes.slice(0, -1).every(([cause, when]) => cause === "FallDue" && when < 100_000))
      ok(causes.length > 1)
    },
  )

  it(
    "whatever fell due in whatever time, nobody is shown what the new rules hide",
    { tags: ["AUT-7"] },
    () => {
      const treatments = ["allow", "block", "confirm", "polite-block"] as const
      fc.assert(
        fc.property(
          fc.constantFrom(...treatments),
          fc.option(fc.constantFrom(...treatments)),
          fc.constantFrom(...treatments),
          fc.integer({ min: 100, max: 4_000_000 }),
          (before, now, noRules, millis) => {
            const one = life(stopped(replaceRules({ who: bob, treat: before }), noRules), noRules)
            const when = noon + millis
            one.ask(now === null ? removeRules : replaceRules({ who: bob, treat: now }), when, true)
            one.advance(when)
            one.ask(redeliver(noon), when)
            one.advance(when + 7_200_000)
            for (const { body } of one.sent) {
              const shows = /t[123]/.test(body?.text ?? "")
              ok(!shows || (now ?? noRules) === "allow", `${before}, then ${now ?? `none and ${noRules}`}`)
            }
          },
        ),
        { numRuns: 500 },
      )
    },
  )
})
