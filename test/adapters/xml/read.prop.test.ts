import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { anyChoices, anyElement, anyText, writeOtherwise } from "../../support/xml-arbitraries.ts"
import { malformed, oversized, wellFormed } from "../../support/xml-corpus.ts"
import { published } from "../../support/xml-mutants.ts"
import { compareReaders, differenceIn } from "../../support/xml-readers.ts"

/** PRESENTLY_TEST_RUNS: how many generated documents; otherwise few enough for every run of the tests. */
const runs = Number(process.env["PRESENTLY_TEST_RUNS"] ?? 500)

const edit = fc.record({
  at: fc.nat(),
  drop: fc.nat({ max: 3 }),
  put: fc.oneof(
    fc.constantFrom("", "<", ">", "&", '"', "'", "=", "/", ":", "xmlns:a='a'", "<a/>", "]]>"),
    anyText,
  ),
})

describe("the reader in one pass and the one on fast-xml-parser are one", () => {
  it.each([...malformed, ...oversized, ...wellFormed, ...published])(
    "both say the same of %s",
    { tags: ["T27", "L40"] },
    (_, text) => {
      expect(differenceIn(text)).toBeNull()
    },
  )

  it("both say the same of any tree, however it is written", { tags: ["L40"] }, () => {
    fc.assert(
      fc.property(anyElement, anyChoices, (tree, choose) => {
        expect(differenceIn(writeOtherwise(tree, choose))).toBeNull()
      }),
      { numRuns: runs },
    )
  })

  it("both say the same of written trees with damage, under any limits", { tags: ["L01", "T25"] }, () => {
    fc.assert(
      fc.property(
        anyElement,
        anyChoices,
        fc.array(edit, { minLength: 1, maxLength: 3 }),
        fc.nat({ max: 4 }),
        (tree, choose, edits, limits) => {
          let text = writeOtherwise(tree, choose)
          for (const { at, drop, put } of edits) {
            const from = at % (text.length + 1)
            text = text.slice(0, from) + put + text.slice(from + drop)
          }
          expect(differenceIn(text, limits)).toBeNull()
        },
      ),
      { numRuns: 2 * runs },
    )
  })

  it(
    "both say the same of damaged documents of every package (npm run test:xml: of a million)",
    { tags: ["L01"] },
    () => {
      const { count, parsed, refused, differences } = compareReaders(6 * runs, 1)
      expect(differences).toEqual([])
      // neither all nor none are read, and they are refused for all kinds of reasons
      expect(parsed).toBeGreaterThan(count / 10)
      expect(parsed).toBeLessThan(count / 2)
      expect(refused.size).toBeGreaterThan(25)
    },
  )
})
