/**
 * Man pages are made from the command's help: everything that the help names is there, as roff that nothing complains about.
 */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Option } from "effect"
import { describe, it } from "vitest"
import { manPages, plain } from "../../build/man.ts"
import { commandPaths, helpOf } from "../../build/texts.ts"

const checkout = join(import.meta.dirname, "../..")
const pages = await manPages()
const hasGroff = spawnSync("groff", ["--version"]).status === 0

describe("man pages", () => {
  it("are one for the command and one for each of its subcommands, all named in package.json", () => {
    const names = commandPaths
      .filter(({ length }) => length < 2)
      .map((path) => `${["presently", ...path].join("-")}.1`)
    assert.deepEqual([...pages.keys()].sort(), names.sort())
    const { man } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as {
      readonly man: readonly string[]
    }
    assert.deepEqual([...man].sort(), names.map((name) => `./dist/man/${name}`).sort())
  })

  it.each(commandPaths.map((path) => [path.join(" "), path] as const))(
    "say what `presently %s --help` says",
    async (_, path) => {
      const page = pages.get(`${["presently", ...path.slice(0, 1)].join("-")}.1`) ?? ""
      const { description, usage, flags, args = [], examples = [], subcommands = [] } = await helpOf(path)
      const descriptions = [...flags, ...args].map((part) => Option.getOrElse(part.description, () => ""))
      const below = subcommands.flatMap(({ commands }) => commands)
      const said = [description, usage, ...descriptions, ...examples.map(({ command }) => command)]
      for (const text of [...said, ...below.map((command) => command.description)])
        assert.ok(page.includes(plain(text)), text)
      for (const { name } of flags) assert.ok(page.includes(`\\fB${plain(`--${name}`)}\\fR`), name)
    },
  )

  it("begin no line with a text that roff takes for a request", () => {
    const requests = new Set(["TH", "SH", "TP", "PP", "nf", "fi", "RS", "RE", "nh", "ad"])
    for (const [name, page] of pages) {
      for (const [line, request] of page.matchAll(/^[.'](\w*).*$/gm))
        assert.ok(requests.has(request ?? ""), `${name}: ${line}`)
    }
    assert.equal(plain(".a\\b-c\n'd"), String.raw`\&.a\eb\-c` + "\n" + String.raw`\&'d`)
  })

  it("are formatted without a warning", ({ skip }) => {
    if (!hasGroff) return skip("groff is not installed")
    for (const [name, page] of pages) {
      const { status, stderr } = spawnSync("groff", ["-man", "-Tutf8", "-ww", "-z"], {
        input: page,
        encoding: "utf8",
      })
      assert.deepEqual([name, status, stderr], [name, 0, ""])
    }
  })
})
