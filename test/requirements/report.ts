/**
 * Which requirement has which tests: ids of docs/requirements.md against the titles of all tests.
 *
 *   node test/requirements/report.ts [--missing] [SECTION ...]
 *
 * Sections are headings of the list, all by default. Exit code 1 when one of their requirements has no test.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { root, titlesOfTests } from "./titles.ts"

const idPattern = /\b(?:\d{4}-\d+(?:\.\d+)*-[a-z]|BLA-\d+)\b/g

const { values, positionals } = parseArgs({
  options: { missing: { type: "boolean", default: false } },
  allowPositionals: true,
})

const titles = titlesOfTests()

const idsIn = (text: string): readonly string[] => text.match(idPattern) ?? []

let section = ""
let uncovered = 0
let covered = 0
for (const line of readFileSync(join(root, "docs/requirements.md"), "utf8").split("\n")) {
  if (line.startsWith("## ")) section = line.slice(3)
  const [id] = idsIn(line)
  if (id === undefined || !line.startsWith(`| ${id} `)) continue
  if (positionals.length > 0 && !positionals.includes(section)) continue
  const tests = titles.filter(({ title }) => idsIn(title).includes(id))
  if (tests.length === 0) {
    uncovered++
    console.log(`${id}  ${section}: no test`)
    continue
  }
  covered++
  if (values.missing) continue
  for (const { file, title } of tests) console.log(`${id}  test/${file}: ${title.slice(0, 100)}`)
}
console.log(`${covered} requirements have tests, ${uncovered} have none`)
process.exitCode = uncovered === 0 ? 0 : 1
