/**
 * Rows in which an encrypted text was changed by somebody who has no key: they are not read, and no text takes the place of another.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { isSealed } from "../../../../src/adapters/store/encryption/encrypted-decision.ts"
import { decodeRow } from "../../../../src/adapters/store/encryption/stored-row.ts"
import { goldenLogs, keysFor, storedRows } from "../../../golden/golden.ts"
import type { EventRow } from "../../../golden/golden.ts"

const newest = goldenLogs().at(-1)!
/** Logs whose rows have texts that were encrypted together. */
const logs = ["0009-together", "0009-together-at-sign", newest]

type Path = readonly (string | number)[]
type Json = Readonly<Record<string | number, unknown>>

/** Where encrypted texts stand. */
const sealedIn = (value: unknown, path: Path = []): readonly Path[] => {
  if (typeof value === "string") return isSealed(value) || isBlob(path) ? [path] : []
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) =>
    sealedIn(inner, [...path, Array.isArray(value) ? Number(name) : name]),
  )
}

/** What the texts of a person were encrypted to. */
const isBlob = (path: Path): boolean => path[0] === "events" && path[1] === "s"

const textAt = (row: EventRow, path: Path): string =>
  path.reduce<unknown>((value, name) => (value as Json)[name], row) as string

const withAt = <A>(value: A, [name, ...rest]: Path, put: unknown): A => {
  if (name === undefined) return put as A
  const changed = withAt((value as Json)[name], rest, put)
  return (Array.isArray(value) ? value.with(name as number, changed) : { ...value, [name]: changed }) as A
}

const rowsOf = (name: string) =>
  storedRows(name).flatMap((row) => {
    const places = sealedIn(row).filter(([column]) => column === "origin" || column === "events")
    return places.length === 0 ? [] : [{ row, places }]
  })

describe("a row in which an encrypted text was changed", () => {
  it.each(logs)("is not read, whatever of the same looks stands there: %s", { tags: ["T38"] }, (name) => {
    const keyOf = keysFor(name)!
    const rows = rowsOf(name)
    const tried: Record<string, number> = {}
    fc.assert(
      fc.property(
        fc.constantFrom(...rows),
        fc.nat(),
        fc.nat(),
        fc.nat(4),
        ({ row, places }, from, to, how) => {
          const place = places[from % places.length]!
          const other = places[to % places.length]!
          const [text, otherText] = [textAt(row, place), textAt(row, other)]
          const changed =
            how === 0
              ? withAt(withAt(row, place, otherText), other, text)
              : withAt(row, place, [otherText, "@", "0@", "@AAAA"][how - 1])
          if (JSON.stringify(changed) === JSON.stringify(row)) return
          const kind = `${String(place.findLast((name) => typeof name === "string"))} ${how}`
          tried[kind] = (tried[kind] ?? 0) + 1
          assert.throws(
            () => decodeRow(changed, keyOf),
            Error,
            JSON.stringify({ place, other, how, changed }),
          )
        },
      ),
      { numRuns: 6000 },
    )
    const fields = name === newest ? ["s", "a", "e"] : ["by", "request", "shown", "callId"]
    for (const field of ["headers", "text", "watcher", "origin", ...fields])
      assert.ok((tried[`${field} 2`] ?? 0) > 0, JSON.stringify(tried))
  })

  it("and neither is one in which something about the request stands in clear", { tags: ["T38"] }, () => {
    const keyOf = keysFor(newest)!
    let tried = 0
    for (const { row } of rowsOf(newest)) {
      const { a: about = [null] } = row.events as { readonly a?: readonly unknown[] }
      const changed = withAt(row, ["events", "a"], about.with(0, { account: "somebody" }))
      assert.throws(() => decodeRow(changed, keyOf), /is not what was written there/)
      tried++
    }
    assert.ok(tried > 100)
  })
})
