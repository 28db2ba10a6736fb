/**
 * A checkout needs no more than Node 20: npm runs on it, and everything else on the Node that is a development dependency.
 */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "vitest"

const read = (name: string): unknown =>
  JSON.parse(readFileSync(join(import.meta.dirname, "../..", name), "utf8"))

interface Entry {
  readonly optional?: boolean
  readonly engines?: { readonly node?: string } | readonly string[]
}

/** Whether a range allows some version 20, as far as the major version tells. */
const allows20 = (range: string): boolean =>
  range.split("||").some((alternative) => {
    const [, operator = "", major = "0"] = /^\s*(>=|\^|~)?\s*v?(\d+|\*)/.exec(alternative) ?? []
    return operator === ">=" ? Number(major) <= 20 : major === "*" || Number(major) === 20
  })

describe("npm ci with Node 20", () => {
  it("is what package.json says that a checkout needs", { tags: ["OPS-installed"] }, () => {
    const { devEngines } = read("package.json") as { readonly devEngines: unknown }
    assert.deepEqual(devEngines, { runtime: { name: "node", version: ">=20", onFail: "error" } })
  })

  it(
    "has nothing to warn of: remove `engines` of what only our own Node runs from package-lock.json",
    { tags: ["OPS-installed"] },
    () => {
      const { packages } = read("package-lock.json") as { readonly packages: Readonly<Record<string, Entry>> }
      const asking = Object.entries(packages).flatMap(([path, { optional, engines }]) => {
        // what is optional and does not fit is left out without a word
        if (path === "" || optional === true || engines === undefined || !("node" in engines)) return []
        return allows20(engines.node ?? "*") ? [] : [`${path}: ${engines.node}`]
      })
      assert.deepEqual(asking, [])
    },
  )

  it.each([
    [">=24.4.0", false],
    ["^22.12.0 || ^24.0.0", false],
    ["^20.19.0 || >=22.12.0", true],
    [">= 16", true],
    ["20 || >=22", true],
    ["*", true],
  ])("a package that asks for %s: %s", (range, isFine) => {
    assert.equal(allows20(range), isFine)
  })
})
