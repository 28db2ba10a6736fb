/**
 * Which requirement has which tests: ids of docs/requirements.md against the titles of all tests.
 *
 *   node test/requirements/report.ts [--missing] [SECTION ...]
 *
 * Sections are headings of the list, all by default. Exit code 1 when one of their requirements has no test.
 */
import { readFileSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"

const root = join(import.meta.dirname, "../..")
const idPattern = /\b(?:\d{4}-\d+(?:\.\d+)*-[a-z]|BLA-\d+)\b/g

const { values, positionals } = parseArgs({
  options: { missing: { type: "boolean", default: false } },
  allowPositionals: true,
})

/** Titles are what `it`, `describe` and their kin are called with; ids in comments and data do not count. */
const titles: readonly { readonly file: string; readonly title: string }[] = readdirSync(join(root, "test"), {
  recursive: true,
  encoding: "utf8",
})
  .filter((file) => file.endsWith(".test.ts"))
  .flatMap((file) => {
    const text = readFileSync(join(root, "test", file), "utf8")
    const calls = text.matchAll(
      /\b(?:it|test|describe)[.\w]*(?:\([^()]*\))?\(\s*(["'`])((?:\\.|(?!\1)[\s\S])*)\1/g,
    )
    // rows of a table, each of which becomes a test
    const rows = text.matchAll(/\brow:\s*(["'`])((?:\\.|(?!\1)[\s\S])*)\1/g)
    // and rows that begin with their title
    const arrays = text.matchAll(/\[\s*(["'`])((?:\d{4}-|BLA-)(?:\\.|(?!\1)[\s\S])*)\1/g)
    return [...calls, ...rows, ...arrays].map((found) => ({ file, title: found[2] ?? "" }))
  })

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
