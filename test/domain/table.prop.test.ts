import { deepStrictEqual, ok, strictEqual } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import {
  each,
  emptyTable,
  entries,
  get,
  has,
  isTable,
  remove,
  set,
  setAll,
  size,
  values,
} from "../../src/domain/table.ts"
import type { Table } from "../../src/domain/table.ts"

type Key = string | number

/** One change of a table, and of the map that says what the table holds. */
type Change<K extends Key> =
  | { readonly _tag: "set"; readonly key: K; readonly value: number }
  | { readonly _tag: "remove"; readonly key: K }
  /** Keys that follow each other, as numbers of subscriptions do, or not. */
  | { readonly _tag: "setAll"; readonly entries: readonly (readonly [K, number])[] }
  /** The first so many, or the last. */
  | { readonly _tag: "removeMany"; readonly count: number; readonly isFromEnd: boolean }

const changesOf = <K extends Key>(key: fc.Arbitrary<K>, run: fc.Arbitrary<readonly K[]>) =>
  fc.array(
    fc.oneof(
      { weight: 5, arbitrary: fc.record({ _tag: fc.constant("set" as const), key, value: fc.nat() }) },
      { weight: 4, arbitrary: fc.record({ _tag: fc.constant("remove" as const), key }) },
      {
        weight: 1,
        arbitrary: fc.record({
          _tag: fc.constant("setAll" as const),
          entries: fc.array(fc.tuple(key, fc.nat()), { maxLength: 300 }),
        }),
      },
      {
        weight: 1,
        arbitrary: run.map((keys) => ({
          _tag: "setAll" as const,
          entries: keys.map((one, index) => [one, index] as const),
        })),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          _tag: fc.constant("removeMany" as const),
          count: fc.nat(400),
          isFromEnd: fc.boolean(),
        }),
      },
    ),
    { maxLength: 60, size: "max" },
  )

const ascending = (left: Key, right: Key): number => (left < right ? -1 : left > right ? 1 : 0)

const applied = <K extends Key>(
  table: Table<K, number>,
  model: ReadonlyMap<K, number>,
  change: Change<K>,
): readonly [Table<K, number>, ReadonlyMap<K, number>] => {
  const next = new Map(model)
  switch (change._tag) {
    case "set":
      return [set(table, change.key, change.value), next.set(change.key, change.value)]
    case "remove":
      next.delete(change.key)
      return [remove(table, change.key), next]
    case "setAll":
      for (const [key, value] of change.entries) next.set(key, value)
      return [setAll(table, change.entries), next]
    case "removeMany": {
      const keys = [...model.keys()].sort(ascending)
      let left = table
      for (const key of change.isFromEnd ? keys.slice(-change.count - 1) : keys.slice(0, change.count)) {
        left = remove(left, key)
        next.delete(key)
      }
      return [left, next]
    }
  }
}

const holds = <K extends Key>(table: Table<K, number>, model: ReadonlyMap<K, number>, strange: K): void => {
  const expected = [...model].sort(([left], [right]) => ascending(left, right))
  deepStrictEqual(entries(table), expected)
  deepStrictEqual(
    values(table),
    expected.map(([, value]) => value),
  )
  const seen: [K, number][] = []
  each(table, (value, key) => seen.push([key, value]))
  deepStrictEqual(seen, expected)
  strictEqual(size(table), model.size)
  for (const [key, value] of model) strictEqual(get(table, key), value)
  strictEqual(get(table, strange), model.get(strange))
  strictEqual(has(table, strange), model.has(strange))
  ok(isTable(table))
}

interface Branch {
  readonly size: number
  readonly keys: readonly Key[]
  readonly children: readonly (Branch | readonly unknown[])[]
}

/** The depth, when no node is too wide and all leaves lie equally deep; what makes a look-up O(log n). */
const depthOf = (node: Branch | readonly unknown[]): number => {
  if (Array.isArray(node)) {
    ok(node.length <= 64)
    return 0
  }
  const { keys, children } = node as Branch
  ok(children.length > 0 && children.length <= 32)
  strictEqual(keys.length, children.length)
  const depths = new Set(children.map(depthOf))
  strictEqual(depths.size, 1)
  return 1 + Math.max(...depths)
}

const law = <K extends Key>(key: fc.Arbitrary<K>, run: fc.Arbitrary<readonly K[]>) =>
  fc.property(changesOf(key, run), key, (changes, strange) => {
    let table = emptyTable<K, number>()
    let model: ReadonlyMap<K, number> = new Map()
    const versions = [[table, model] as const]
    for (const change of changes) {
      ;[table, model] = applied<K>(table, model, change)
      versions.push([table, model])
    }
    // every version is what it was, whatever became of it
    for (const [version, known] of versions) {
      holds(version, known, strange)
      const depth = depthOf(version as unknown as Branch)
      ok(depth <= 1 + Math.log(Math.max(1, known.size)) / Math.log(4), `depth ${depth} of ${known.size}`)
    }
  })

describe("a table", () => {
  it("holds what a Map holds, in order of its keys, and keeps what it was: numbers", () => {
    const run = fc
      .tuple(fc.nat(5000), fc.nat(500), fc.integer({ min: 1, max: 3 }))
      .map(([from, count, step]) => Array.from({ length: count }, (_, index) => from + index * step))
    fc.assert(law(fc.nat(5000), run))
  })

  it("holds what a Map holds, in order of its keys, and keeps what it was: strings", () => {
    const text = fc.oneof(
      fc.constantFrom("presence", "dialog", "__proto__", "constructor", "", "toString"),
      fc.nat(3000).map((number) => `n${number}.${(number * 7).toString(36)}`),
      fc.string({ maxLength: 3 }),
    )
    fc.assert(law(text, fc.array(text, { maxLength: 300 })))
  })

  it("is the same one where nothing changes", () => {
    const entry = fc.tuple(fc.nat(300), fc.nat())
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 200, size: "max" }), fc.nat(300), (some, strange) => {
        const table = setAll(emptyTable<number, number>(), some)
        for (const [key, value] of entries(table)) strictEqual(set(table, key, value), table)
        if (!has(table, strange)) strictEqual(remove(table, strange), table)
        strictEqual(setAll(table, []), table)
      }),
    )
  })

  it("may hold undefined and nothing else as nothing", () => {
    const table = set(emptyTable<string, number | undefined>(), "a", undefined)
    deepStrictEqual([has(table, "a"), get(table, "a"), size(table)], [true, undefined, 1])
  })

  it("is told from what is none", () => {
    const many = setAll(
      emptyTable<number, string>(),
      Array.from({ length: 100 }, (_, index) => [index, "x"] as const),
    )
    for (const one of [emptyTable(), many]) ok(isTable(one))
    const none = [
      null,
      undefined,
      1,
      "x",
      {},
      [1],
      [{ no: 1 }, { no: 2 }],
      [2, "x", 1, "y"],
      new Map(),
      { children: [] },
    ]
    for (const one of none) ok(!isTable(one))
  })
})
