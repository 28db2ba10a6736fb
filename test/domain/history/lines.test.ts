/**
 * Differences line by line.
 */
import { deepStrictEqual } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { differenceOf, linesOf } from "../../../src/domain/history/lines.ts"

const anyLines = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 12 })

/** The length of a longest common part, from its definition. */
const longest = (one: readonly string[], other: readonly string[]): number =>
  one.length === 0 || other.length === 0
    ? 0
    : one[0] === other[0]
      ? 1 + longest(one.slice(1), other.slice(1))
      : Math.max(longest(one.slice(1), other), longest(one, other.slice(1)))

describe("differences", () => {
  it(
    "without what came it is the text before, without what is gone the text after",
    { tags: ["OPS-diff"] },
    () => {
      fc.assert(
        fc.property(anyLines, anyLines, (before, after) => {
          const lines = differenceOf(before, after)
          const without = (mark: string) => lines.flatMap((line) => (line.mark === mark ? [] : [line.text]))
          deepStrictEqual(without("+"), before)
          deepStrictEqual(without("-"), after)
        }),
      )
    },
  )

  it("as much as can be is in both", { tags: ["OPS-diff"] }, () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 7 }),
        fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 7 }),
        (before, after) => {
          const kept = differenceOf(before, after).filter(({ mark }) => mark === " ").length
          deepStrictEqual(kept, longest(before, after))
        },
      ),
    )
  })

  it(
    "two large texts without a line in common are told apart without comparing each with each",
    { tags: ["T19"] },
    () => {
      const before = Array.from({ length: 20_000 }, (_, line) => `a${line}`)
      const after = Array.from({ length: 20_000 }, (_, line) => `b${line}`)
      deepStrictEqual(differenceOf(before, after).length, 40_000)
    },
  )

  it("XML without lines has one for each tag", { tags: ["OPS-diff"] }, () => {
    deepStrictEqual(linesOf("<a><b>c d</b>\n</a>\n"), ["<a>", "<b>c d</b>", "</a>"])
  })
})
