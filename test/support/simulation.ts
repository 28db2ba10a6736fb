/**
 * What simulations run with: stub packages and bodies, and which world a seed lives in.
 */
import { simulate } from "../../src/app/testing/simulator.ts"
import type { Simulation } from "../../src/app/testing/simulator.ts"
import { presentities, watchers } from "./arbitraries.ts"
import { offlineLine, packages, text } from "./stub-package.ts"

const contents = ["a", "b", "c\nd", "e"].map(text)

const universe = {
  presentities,
  watchers,
  bodies: new Map([
    ["stub", contents],
    ["stub-all", contents],
  ]),
}

/** What is said to be there: neither ended nor absent. */
const present = (shown: string): string =>
  shown
    .split("\n")
    .filter((line) => !line.startsWith("-") && line !== offlineLine)
    .join("\n")

/** One simulation; profile, interval, offset and what a timeout means follow from the seed. */
export const simulateSeed = (seed: number, steps = 300, traceLines = 40): Simulation =>
  simulate({
    seed,
    steps,
    packages,
    universe,
    present,
    traceLines,
    limits: {
      profile: seed % 2 === 0 ? "3265" : "6665",
      notifyIntervalMillis: seed % 4 < 2 ? null : 0,
      expiresOffset: seed % 3 === 0 ? 2 : 0,
      endSubOnTimeout: seed % 5 !== 0,
    },
  })
