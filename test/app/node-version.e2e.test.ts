/**
 * The command under a Node that is too old says in one line which one it needs: the one that package.json asks for.
 */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "vitest"

const checkout = join(import.meta.dirname, "../..")
const { engines } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as {
  readonly engines: { readonly node: string }
}
const [, major = "", minor = ""] = /^>=(\d+)\.(\d+)\.0$/.exec(engines.node) ?? []

const runAs = (version: string) => {
  const code = `Object.defineProperty(process.versions, "node", { value: "${version}" }); process.argv = [process.execPath, "presently", "--version"]; require("./bin/presently.js")`
  return spawnSync(process.execPath, ["-e", code], { cwd: checkout, encoding: "utf8" })
}

describe("bin/presently.js", () => {
  it.each(["20.19.5", `${major}.${Number(minor) - 1}.9`])("refuses Node %s", { tags: ["CLI"] }, (version) => {
    const { status, stderr } = runAs(version)
    assert.equal(status, 78, stderr)
    assert.ok(
      stderr.startsWith(`presently: needs Node ${major}.${minor} or newer, this is ${version}: `),
      stderr,
    )
  })

  it.each([`${major}.${minor}.0`, `${Number(major) + 1}.0.0`])(
    "takes Node %s",
    { tags: ["CLI"] },
    (version) => {
      const { status, stdout } = runAs(version)
      assert.equal(status, 0)
      assert.match(stdout, /presently/)
    },
  )
})
