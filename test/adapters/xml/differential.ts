/**
 * Holds the reader in one pass against that on fast-xml-parser, on as many damaged documents as one likes.
 *
 *   npm run test:xml -- [COUNT] [FIRST-SEED]
 *
 * Prints how many there were, what became of them and every difference; ends with 1 when there is one.
 */
import { compareReaders } from "../../support/xml-readers.ts"

const [count = 1_000_000, firstSeed = 1] = process.argv.slice(2).map(Number)
const { parsed, refused, differences } = compareReaders(count, firstSeed)
console.log(
  `${count} documents, seeds ${firstSeed} to ${firstSeed + count - 1}: ${parsed} read, ${count - parsed} refused`,
)
for (const [reason, times] of [...refused].sort(([, left], [, right]) => right - left))
  console.log(`  ${times} ${reason}`)
console.log(`${differences.length} differences in verdict, reason or tree`)
for (const difference of differences.slice(0, 20)) console.log(JSON.stringify(difference, null, 2))
process.exitCode = differences.length === 0 ? 0 : 1
