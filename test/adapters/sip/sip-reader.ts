/**
 * Compares the SIP reader with the grammar of RFC 3261 and the npm package `sip` on many mutated messages and address lines.
 *
 *   node test/adapters/sip/sip-reader.ts [--count 1000000] [--seed 1]
 */
import { parseArgs } from "node:util"
import { makeNumbers, messages, mutated, mutatedLine } from "../../support/sip-mutations.ts"
import { addressDifferences, messageDifferences } from "../../support/sip-reference.ts"

const { values } = parseArgs({
  options: { count: { type: "string", default: "1000000" }, seed: { type: "string", default: "1" } },
})

const count = Number(values.count)
const number = makeNumbers(Number(values.seed))
let found = 0
const report = (text: string, differences: readonly string[]): void => {
  if (differences.length === 0 || ++found > 20) return
  console.error(`${JSON.stringify(text)}\n  ${differences.join("\n  ")}`)
}
for (let run = 0; run < count; run++) {
  // as many messages as address lines
  const text = run % 2 === 0 ? mutated(messages, number) : mutatedLine(number)
  report(text, run % 2 === 0 ? messageDifferences(text) : addressDifferences(text))
}
console.log(`${count} compared, ${found} differ`)
process.exitCode = found === 0 ? 0 : 1
