import { strictEqual } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { matchesWildcard } from "../../src/domain/wildcards.ts"

describe("wildcards", () => {
  it("say what the same regular expression says", { tags: ["OPS-subs_phtable_list"] }, () => {
    const letters = fc.constantFrom("a", "b", "*", "?", ".", "\\")
    fc.assert(
      fc.property(
        fc.array(letters, { maxLength: 8 }),
        fc.array(fc.constantFrom("a", "b", "."), { maxLength: 8 }),
        (pattern, text) => {
          const source = pattern
            .map((one) =>
              one === "*" ? ".*" : one === "?" ? "." : one === "a" || one === "b" ? one : `\\${one}`,
            )
            .join("")
          strictEqual(
            matchesWildcard(pattern.join(""), text.join("")),
            new RegExp(`^${source}$`, "s").test(text.join("")),
          )
        },
      ),
      { numRuns: 2000 },
    )
  })
})
