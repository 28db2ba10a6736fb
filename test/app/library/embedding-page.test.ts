/**
 * Tables of docs/embedding.md against what the library takes.
 */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { describe, it } from "vitest"
import { Presence } from "../../../src/app/index.ts"
import { limitsOf } from "../../../src/app/library/options.ts"

const page = readFileSync(join(import.meta.dirname, "../../../docs/embedding.md"), "utf8")

/** Name and last cell of each row of the table with that head. */
const rowsOf = (head: string): readonly (readonly [name: string, last: string])[] => {
  const from = page.indexOf(head)
  assert.ok(from >= 0, head)
  const [table = ""] = page.slice(from).split("\n\n")
  return table
    .split("\n")
    .slice(2)
    .map((row) => {
      const cells = row.split(" | ")
      return [cells[0]!.replaceAll(/[`|\s]/g, ""), cells.at(-1)!.replaceAll(/[`|\s]/g, "")] as const
    })
}

/** All names that are offered to somebody who writes one that is like none. */
const offered = async (options: object): Promise<readonly string[]> => {
  const error = await Presence.make(options).then(
    () => assert.fail("it was taken"),
    (cause: Error) => cause,
  )
  const [, names = ""] = /; there are (.*)$/.exec(error.message) ?? []
  return names.split(", ")
}

describe("docs/embedding.md", () => {
  it("begins with a program that prints something and ends", { tags: ["DOC-embedding"] }, (context) => {
    const [first = ""] = /(?:^ {4}.*\n|^\n)+/m.exec(page.slice(page.indexOf("    import"))) ?? []
    const library = pathToFileURL(join(import.meta.dirname, "../../../src/app/index.ts")).href
    const program = first.replaceAll(/^ {4}/gm, "").replace('"presently"', JSON.stringify(library))
    const folder = mkdtempSync(join(tmpdir(), "presently-opening-"))
    context.onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = join(folder, "opening.mjs")
    writeFileSync(file, program)
    const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: "utf8" })
    assert.equal(status, 0, stderr)
    assert.match(stdout, /<basic>open<\/basic>/)
  })

  it("names each limit, with what it is when it is left out", { tags: ["DOC-embedding"] }, async () => {
    const rows = rowsOf("| Name | Means | Left out |")
    assert.deepEqual(rows.map(([name]) => name).sort(), [...(await offered({ limits: { q: 1 } }))].sort())
    const defaults = limitsOf({}) as unknown as Readonly<Record<string, unknown>>
    for (const [name, last] of rows)
      assert.equal(last, defaults[name] === undefined ? "" : JSON.stringify(defaults[name]), name)
  })

  it("names each option", { tags: ["DOC-embedding"] }, async () => {
    const rows = rowsOf("| Option | Means | Left out |")
    assert.deepEqual(rows.map(([name]) => name).sort(), [...(await offered({ q: 1 }))].sort())
  })

  it("shows the loop of the example that drives the engine", { tags: ["DOC-embedding"] }, () => {
    const example = readFileSync(join(import.meta.dirname, "../../../examples/drive-the-engine.ts"), "utf8")
    const loop = /^const drive = [\s\S]*?^\}$/m.exec(example)?.[0] ?? assert.fail("no loop in the example")
    assert.ok(page.includes(loop.replaceAll(/^(?=.)/gm, "    ")), "docs/embedding.md shows another loop")
  })
})
