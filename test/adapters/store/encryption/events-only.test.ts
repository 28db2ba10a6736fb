/**
 * Rows that are read for folding alone: their events are those of the row, and a changed event is not read.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { decodeRow } from "../../../../src/adapters/store/encryption/stored-row.ts"
import { goldenLogs, keysFor, storedRows } from "../../../golden/golden.ts"

/** Another character in the middle of it: at the end of base64 not every bit counts. */
const spoilt = (text: string): string => {
  const middle = Math.floor(text.length / 2)
  return `${text.slice(0, middle)}${text[middle] === "A" ? "B" : "A"}${text.slice(middle + 1)}`
}

describe("rows that are read for their events alone", () => {
  it("give the same events as those that are read whole", { tags: ["T38", "L03"] }, () => {
    for (const name of goldenLogs()) {
      const keyOf = keysFor(name) ?? (() => undefined)
      for (const row of storedRows(name))
        assert.deepEqual(decodeRow(row, keyOf, "events").events, decodeRow(row, keyOf).events)
    }
  })

  it("need no key of somebody who is only asked about", { tags: ["T38"] }, () => {
    const name = goldenLogs().at(-1)!
    const keyOf = keysFor(name)!
    let spared = 0
    for (const row of storedRows(name)) {
      const { s: sealed } = row.events as { readonly s?: readonly string[] }
      if (row.cause !== "Publish" || sealed === undefined) continue
      const isAll = JSON.stringify((row.events as { readonly e: unknown }).e).includes('"@"')
      const broken = {
        ...row,
        events: { ...(row.events as object), s: sealed.map(spoilt) },
      }
      assert.throws(() => decodeRow(broken, keyOf))
      if (isAll) assert.throws(() => decodeRow(broken, keyOf, "events"))
      else {
        spared++
        assert.ok(decodeRow(broken, keyOf, "events").events.length > 0)
      }
    }
    assert.ok(spared > 0)
  })
})
