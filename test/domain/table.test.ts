import { deepStrictEqual, strictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import { emptyTable, entries, remove, set, setAll, size } from "../../src/domain/table.ts"

describe("tables", () => {
  it("an empty table is one for all, and stays empty whatever is made of it", () => {
    const empty = emptyTable<string, number>()
    strictEqual(emptyTable<string, number>(), empty)
    const tables = [
      set(empty, "a", 1),
      set(empty, "b", 2),
      setAll(empty, [
        ["c", 3],
        ["d", 4],
      ]),
      setAll(set(empty, "e", 5), [["f", 6]]),
      remove(set(empty, "g", 7), "g"),
      setAll(empty, []),
    ]
    deepStrictEqual(
      tables.map((table) => [...entries(table)].sort(([left], [right]) => (left < right ? -1 : 1))),
      [
        [["a", 1]],
        [["b", 2]],
        [
          ["c", 3],
          ["d", 4],
        ],
        [
          ["e", 5],
          ["f", 6],
        ],
        [],
        [],
      ],
    )
    strictEqual(size(emptyTable()), 0)
  })
})
