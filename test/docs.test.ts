/**
 * What the documents say of the tree: links lead somewhere, and a test that is named is there.
 */
import assert from "node:assert/strict"
import { existsSync, readFileSync, readdirSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { describe, it } from "vitest"

const root = resolve(import.meta.dirname, "..")
const pages = [
  "README.md",
  "CHANGELOG.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => join("docs", file)),
]

describe("documents", () => {
  it.each(pages)(
    "DOC-links: every link of %s leads to a file; one that names a test leads to that test",
    (page) => {
      const text = readFileSync(join(root, page), "utf8")
      for (const [, label = "", target = ""] of text.matchAll(/\[([^\]]+)\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue
        const file = join(root, dirname(page), target.replace(/#.*$/, ""))
        assert.ok(existsSync(file), `${page} links to ${target}`)
        if (!target.includes("/test/")) continue
        const titles = readFileSync(file, "utf8")
        assert.match(
          titles,
          new RegExp(`["'\`][^"'\`]*${label.replaceAll(/[.*+?^$(){}|\\]/g, "\\$&")}\\b`),
          `${page}: ${label} is in ${target}`,
        )
      }
    },
  )
})
