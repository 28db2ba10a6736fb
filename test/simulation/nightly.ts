/**
 * A long search: `node test/simulation/nightly.ts --seeds 10000 --from 1 --steps 300 --world ruled`.
 *
 * Prints each failing seed with its last happenings and goes on; append what it finds to `seeds.txt`.
 */
import { parseArgs } from "node:util"
import { simulateRuledSeed, simulateSeed } from "../support/simulation.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "10000" },
    from: { type: "string", default: "1" },
    steps: { type: "string", default: "300" },
    trace: { type: "string", default: "40" },
    world: { type: "string", default: "stub" },
  },
})

const run = values.world === "ruled" ? simulateRuledSeed : simulateSeed
const first = Number(values.from)
const count = Number(values.seeds)
const failed: number[] = []
const totals: Record<string, number> = {}
for (let seed = first; seed < first + count; seed++) {
  try {
    const { counts } = run(seed, Number(values.steps), Number(values.trace))
    for (const [name, some] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + some
  } catch (error) {
    failed.push(seed)
    if (failed.length <= 3) console.error(error instanceof Error ? error.message : error)
  }
}
console.log(`${count} seeds from ${first}, ${failed.length} failed: ${failed.slice(0, 50).join(" ")}`)
console.log(totals)
process.exitCode = failed.length === 0 ? 0 : 1
