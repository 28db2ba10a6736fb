import { assert, describe, it } from "vitest"
import { anySteps } from "./arbitraries.ts"
import { play } from "./history.ts"
import { worlds } from "./machine.ts"
import type { Run } from "./machine.ts"
import { makePlayed } from "./played.ts"

const counted = (keptMax?: number) => {
  const plays = { count: 0 }
  const counting: typeof play = (world, steps) => {
    plays.count++
    return play(world, steps)
  }
  const holds = makePlayed(anySteps, worlds, counting, keptMax)
  return { plays, holds }
}

describe("histories that are played once", () => {
  it("are held against each law as often as it asks, and played as often as the most demanding one asks", () => {
    const { plays, holds } = counted()
    const seen: Run[][] = []
    for (const numRuns of [10, 30, 20]) {
      const runs: Run[] = []
      holds((run) => void runs.push(run), { numRuns })
      seen.push(runs)
    }
    assert.deepStrictEqual(
      seen.map((runs) => runs.length),
      [10, 30, 20].map((count) => count * worlds.length),
    )
    assert.equal(plays.count, 30 * worlds.length)
    // the same ones
    assert.ok(seen[2]!.every((run) => seen[1]!.includes(run)))
  })

  it("are those that fast-check generates from that seed", () => {
    const { holds } = counted()
    const [first, second]: [unknown[], unknown[]] = [[], []]
    holds(() => {}, { numRuns: 5 })
    holds((run) => void first.push(run.inputs), { numRuns: 5, seed: 7 })
    counted().holds((run) => void second.push(run.inputs), { numRuns: 5, seed: 7 })
    assert.deepStrictEqual(first, second)
  })

  it("are shrunk when a law fails, and printed with their seed", () => {
    const { holds } = counted()
    const law = (run: Run): void => assert.isBelow(run.inputs.length, 3)
    holds(() => {}, { numRuns: 50 })
    assert.throws(
      () => holds(law, { numRuns: 50 }),
      /Property failed after \d+ tests\n\{ seed: -?\d+, path: .*Shrunk [1-9]\d* time/s,
    )
  })

  it("are played anew for each law where there are too many to keep", () => {
    const { plays, holds } = counted(20)
    for (let law = 0; law < 2; law++) holds(() => {}, { numRuns: 21 })
    assert.equal(plays.count, 2 * 21 * worlds.length)
  })
})
