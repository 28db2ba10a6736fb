/**
 * What the log says became of each NOTIFY, against what did: over lost messages, refusals, crashes, failed appends and
 * other writers.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import { describe, it } from "vitest"
import type { Simulation } from "../../src/app/testing/simulator.ts"
import { deliveryOf, makeLedger } from "../../src/domain/history/ledger.ts"
import { momentOf } from "../../src/domain/history/moments.ts"
import type { Packages } from "../../src/domain/packages/event-package.ts"
import { defaultLimits } from "../../src/domain/presentity/context.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { ruledPackages, simulateRuledSeed, simulateSeed } from "../support/simulation.ts"
import { packages as stubPackages } from "../support/stub-package.ts"

const seeds = Number(process.env["PRESENTLY_TEST_SEEDS"] ?? 60)

/** How often the log says what of NOTIFYs that ended so. */
const compare = ({ log, deliveries }: Simulation, packages: Packages, totals: Map<string, number>): void => {
  /** In order: one that never left may have had the number of the next. */
  const truth = new Map<string, string[]>()
  for (const { presentity, no, cseq, outcome } of deliveries) {
    const name = `${presentity} ${no} ${cseq}`
    truth.set(name, [...(truth.get(name) ?? []), outcome])
  }
  const states = new Map<Uri, State>()
  const ledgers = new Map<Uri, ReturnType<typeof makeLedger>>()
  for (const [index, decision] of log.entries()) {
    const before = states.get(decision.stream) ?? initial(decision.stream)
    const moment = momentOf(before, { position: index + 1, decision }, { packages, limits: defaultLimits })
    states.set(decision.stream, moment.after)
    const ledger = ledgers.get(decision.stream) ?? makeLedger(() => true)
    ledgers.set(decision.stream, ledger)
    ledger.take(moment)
  }
  for (const [presentity, ledger] of ledgers) {
    for (const sent of ledger.lives().flatMap((life) => life.sent)) {
      const { no, cseq } = sent.notify
      const really = truth.get(`${presentity} ${no} ${cseq}`)?.shift() ?? "NeverSent"
      const said = deliveryOf(sent, { asOf: Number.MAX_SAFE_INTEGER, delivery: () => null })
      const key = `${said}: ${really}`
      totals.set(key, (totals.get(key) ?? 0) + 1)
      if (said === "answered") deepStrictEqual(really, "Accepted", `${presentity} #${no} CSeq ${cseq}`)
      if (said === "failed") ok(really !== "Accepted", `${presentity} #${no} CSeq ${cseq}`)
    }
  }
}

describe("what became of NOTIFYs", () => {
  it(
    "answered is said of those that were, failed of those that were not, and unknown of the others",
    { tags: ["A3", "OPS-seen"] },
    () => {
      const totals = new Map<string, number>()
      for (let seed = 1; seed <= seeds; seed++) {
        compare(simulateSeed(seed), stubPackages, totals)
        compare(simulateRuledSeed(seed), ruledPackages, totals)
      }
      for (const key of ["answered: Accepted", "failed: TimedOut", "failed: Refused", "failed: Unreachable"])
        ok((totals.get(key) ?? 0) > seeds / 4, `${key}: ${totals.get(key) ?? 0}`)
      ok([...totals.keys()].some((key) => key.startsWith("unknown")))
    },
  )
})
