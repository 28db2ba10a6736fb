/**
 * Events that are taken as they are, by compiled checks, are those that the schema takes and leaves as they are; all others get the
 * verdict and the message of the schema.
 */
import fc from "fast-check"
import { assert, describe, it } from "vitest"
import {
  areTodays,
  decodeEvents,
  decodeEventsBySchema,
  eventTags,
  uncompiledEvents,
} from "../../src/encoding/event-codec.ts"
import { eventRows, goldenLogs } from "../golden/golden.ts"

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** Events as some version wrote them, of every kind that there is. */
const samples = new Map<string, Json[]>()
for (const name of goldenLogs()) {
  for (const { events } of eventRows(name)) {
    for (const event of events as { readonly _tag: string; [key: string]: Json }[]) {
      const tag = event._tag
      const known = samples.get(tag) ?? []
      if (known.length < 40) samples.set(tag, [...known, event])
    }
  }
}

const anyEvent = fc.constantFrom(...samples.values()).chain((events) => fc.constantFrom(...events))

const strange: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(
    null,
    true,
    false,
    "",
    "active",
    "change",
    0,
    -0,
    1.5,
    -1,
    2 ** 53,
    1e308,
    [],
    [1],
    {},
  ),
  fc.constantFrom<Json>(["a", "b"], [["a", "b"]], [[1, 2]], { text: "x", contentType: "y" }, { max: 1 }),
  fc.jsonValue() as fc.Arbitrary<Json>,
)

interface Mutation {
  /** How far below the list of events. */
  readonly depth: number
  readonly where: number
  readonly act: "add" | "remove" | "replace" | "rename"
  readonly other: Json
}

/** A value with one place of it changed. */
const mutated = (value: Json, mutation: Mutation): Json => {
  const { depth, where, act, other } = mutation
  if (typeof value !== "object" || value === null) return other
  const entries: [string, Json][] = Array.isArray(value)
    ? value.map((item, index) => [String(index), item])
    : Object.entries(value)
  const rebuilt = (changed: readonly [string, Json][]): Json =>
    Array.isArray(value) ? changed.map(([, item]) => item) : Object.fromEntries(changed)
  if (entries.length === 0) return rebuilt([["added", other]])
  const place = where % entries.length
  const [name, inner] = entries[place]!
  const change = (entry: [string, Json]): Json =>
    rebuilt(entries.map((known, index) => (index === place ? entry : known)))
  if (depth > 0) {
    return change([
      name,
      mutated(inner, { ...mutation, depth: depth - 1, where: Math.floor(where / entries.length) }),
    ])
  }
  switch (act) {
    case "add":
      return rebuilt([...entries, ["added", other]])
    case "remove":
      return rebuilt(entries.filter((_, index) => index !== place))
    case "replace":
      return change([name, other])
    case "rename":
      return change([`${name}x`, inner])
  }
}

const anyMutation: fc.Arbitrary<Mutation> = fc.record({
  depth: fc.constantFrom(0, 1, 1, 1, 2, 2, 3),
  where: fc.nat(100_000),
  act: fc.constantFrom("add", "remove", "replace", "rename"),
  other: strange,
})

const verdictOf = (decode: (json: unknown) => unknown, json: unknown): unknown => {
  try {
    return { decoded: decode(json) }
  } catch (cause) {
    return { refused: (cause as Error).message }
  }
}

const runs = Number(process.env["PRESENTLY_TEST_RUNS"] ?? 400)

describe("reading events", () => {
  it("there is a compiled check for every event, and a sample of each", { tags: ["L03"] }, () => {
    assert.deepEqual(uncompiledEvents(), [])
    assert.deepEqual([...samples.keys()].toSorted(), [...eventTags].toSorted())
  })

  it("today's events are taken as they are", { tags: ["L03"] }, () => {
    for (const { events } of eventRows(goldenLogs().at(-1)!)) assert.equal(decodeEvents(events), events)
  })

  it("whatever is changed in an event, the verdict is that of the schema", { tags: ["L03"] }, () => {
    let taken = 0
    let refused = 0
    fc.assert(
      fc.property(
        fc.array(anyEvent, { minLength: 1, maxLength: 3 }),
        fc.array(anyMutation, { maxLength: 2 }),
        (events, mutations) => {
          let json: Json = events
          for (const mutation of mutations) json = mutated(json, mutation)
          if (areTodays(json)) taken++
          else refused++
          assert.deepEqual(verdictOf(decodeEvents, json), verdictOf(decodeEventsBySchema, json))
        },
      ),
      { numRuns: 10 * runs },
    )
    assert.isAbove(taken, runs)
    assert.isAbove(refused, runs)
  })

  it("what is no list of events is refused by the schema", { tags: ["L03"] }, () => {
    fc.assert(
      fc.property(strange, (json) => {
        assert.deepEqual(verdictOf(decodeEvents, json), verdictOf(decodeEventsBySchema, json))
      }),
      { numRuns: runs },
    )
  })
})
