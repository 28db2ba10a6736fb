/**
 * The server's life under faults, many times over; see `src/app/testing/simulator.ts` for what happens and
 * `simulator-checks.ts` for what must hold after every step.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import { readFileSync } from "node:fs"
import { describe, it } from "vitest"
import { simulateRuledSeed, simulateSeed } from "../support/simulation.ts"

/** Seeds of both worlds, apart. */
const lines = readFileSync(new URL("seeds.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => /^[0-9]/.test(line))
const numberOf = (line: string): number => Number(line.split(" ", 1)[0])
const known = lines.filter((line) => !line.includes("ruled:")).map(numberOf)
const knownRuled = lines.filter((line) => line.includes("ruled:")).map(numberOf)

const seeds = Number(process.env["PRESENTLY_TEST_SEEDS"] ?? 100)
const first = Number(process.env["PRESENTLY_TEST_SEED"] ?? 1)

describe("the simulation", () => {
  it(
    "holds through lost messages, crashes, failed appends and other writers",
    { tags: ["L12", "L08", "L03", "L36", "3903-6-c"] },
    () => {
      const totals: Record<string, number> = {}
      for (let seed = first; seed < first + seeds; seed++) {
        for (const [name, some] of Object.entries(simulateSeed(seed).counts))
          totals[name] = (totals[name] ?? 0) + some
      }
      // nothing is proved by what did not happen
      for (const [name, some] of Object.entries(totals))
        ok(some > seeds / 4, `${name} happened ${some} times`)
    },
  )

  it(
    "and with rules, spheres, watcher information, calls and calls in presence",
    { tags: ["L24", "L29", "L30", "L31", "L33"] },
    () => {
      const totals: Record<string, number> = {}
      for (let seed = first; seed < first + seeds; seed++) {
        for (const [name, some] of Object.entries(simulateRuledSeed(seed).counts))
          totals[name] = (totals[name] ?? 0) + some
      }
      for (const [name, some] of Object.entries(totals))
        ok(some > seeds / 4, `${name} happened ${some} times`)
    },
  )

  it("holds for every seed that once failed", { tags: ["OPS-seeds"] }, () => {
    for (const seed of known) simulateSeed(seed)
    for (const seed of knownRuled) simulateRuledSeed(seed)
  })

  it("equal seeds give equal logs, different seeds different ones", { tags: ["L03"] }, () => {
    for (const seed of [1, 2, 3, 4]) deepStrictEqual(simulateSeed(seed), simulateSeed(seed))
    ok(JSON.stringify(simulateSeed(1).log) !== JSON.stringify(simulateSeed(5).log))
  })
})
