/**
 * Histories that are played once and looked at by many laws: playing them costs more than most laws do.
 */
import fc from "fast-check"
import type { Run, World } from "./machine.ts"

/**
 * Plays histories when a law first asks for them, in every world; what it returns holds a law against as many as the
 * parameters say. A history on which a law fails is shrunk and printed with its seed.
 *
 * @param keptMax a law that asks for more of each world has its own, since memory has to hold those that are kept
 */
export const makePlayed = <Step>(
  anySteps: fc.Arbitrary<readonly Step[]>,
  worlds: readonly World[],
  play: (world: World, steps: readonly Step[]) => Run,
  keptMax = 600,
): ((check: (run: Run) => void, parameters: fc.Parameters<[readonly Step[]]>) => void) => {
  const kept = worlds.map((world) => ({
    world,
    seed: Math.floor(Math.random() * 2 ** 31),
    runs: [] as Run[],
  }))
  return (check, parameters) => {
    const { numRuns = 100 } = parameters
    for (const each of kept) {
      const { world } = each
      if (parameters.seed !== undefined && parameters.seed !== each.seed)
        Object.assign(each, { seed: parameters.seed, runs: [] })
      const { seed, runs } = each
      const law = fc.property(anySteps, (steps) => check(play(world, steps)))
      if (numRuns > keptMax) {
        fc.assert(law, parameters)
        continue
      }
      try {
        if (runs.length < numRuns)
          for (const steps of fc.sample(anySteps, { seed, numRuns }).slice(runs.length))
            runs.push(play(world, steps))
        for (const run of runs.slice(0, numRuns)) check(run)
      } catch (cause) {
        // the same histories again, from which fast-check goes on to the smallest that fails
        fc.assert(law, { ...parameters, seed })
        throw cause
      }
    }
  }
}
