/**
 * Every name of the OpenSIPS presence modules, what it is here, and which tests prove it.
 *
 *   node test/requirements/parity.ts [--missing]
 *
 * Exit code 1 when a name has no test.
 */
import { parseArgs } from "node:util"
import { opensipsNames } from "./parity-names.ts"
import { proofsOf } from "./proofs.ts"

const { values } = parseArgs({ options: { missing: { type: "boolean", default: false } } })

const plain = (markdown: string): string => markdown.replaceAll("`", "")

const proven = proofsOf(opensipsNames)
const lines = proven.flatMap(({ seed, tests }) => {
  const head = [seed.kind.padEnd(10), seed.name.padEnd(32), plain(seed.here).slice(0, 44).padEnd(45)].join("")
  if (tests.length === 0) return [`${head}no test (${seed.id})`]
  if (values.missing) return []
  return tests.map(
    ({ file, title }, index) =>
      `${index === 0 ? head : " ".repeat(head.length)}test/${file}: ${title.slice(0, 120)}`,
  )
})
for (const line of lines) console.log(line)
const missing = proven.filter(({ tests }) => tests.length === 0).length
console.log(`${proven.length - missing} names have tests, ${missing} have none`)
process.exitCode = missing === 0 ? 0 : 1
