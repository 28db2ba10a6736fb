/**
 * The short form of events in encrypted rows: whatever is packed comes out again as it was.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import type { About } from "../../src/domain/presentity/about.ts"
import type { Event } from "../../src/domain/presentity/events.ts"
import { decodeEvents } from "../../src/encoding/event-codec.ts"
import { packAbout, packEvent, unpackAbout, unpackEvent } from "../../src/encoding/packed-events.ts"
import { eventRows, goldenLogs } from "../golden/golden.ts"

const throughJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
const nonce = "5f0c1d2e3a4b"

const recorded = goldenLogs().flatMap((name) =>
  eventRows(name).flatMap((row) => decodeEvents(row.events).map((event) => ({ event, nonce: row.nonce }))),
)

/** Values that a field may have had in a log of somebody else, or that could be mistaken for a short one. */
const oddText = fc.oneof(
  fc.string(),
  fc.constantFrom(
    "",
    ".",
    ".x",
    "presence",
    "presence.winfo",
    "@",
    "0@",
    nonce,
    `${nonce}.`,
    `${nonce}.1`,
    `${nonce}1`,
  ),
)
const odd = fc.oneof(
  oddText,
  fc.integer(),
  fc.constantFrom(null, true, false, [], [1], [1, 2, 3], {}, "active"),
)

describe("an event in its short form", () => {
  it("comes out as it was, for every event of every golden log", { tags: ["L03"] }, () => {
    const packed = new Set<string>()
    for (const { event, nonce: own } of recorded) {
      const short = throughJson(packEvent(event, own))
      if (Array.isArray(short)) packed.add(event._tag)
      assert.deepEqual(unpackEvent(short, own), event)
      assert.ok(JSON.stringify(short).length <= JSON.stringify(event).length)
    }
    assert.ok(packed.size === 9, [...packed].join())
  })

  it(
    "and so it does with any value in any field, and fields that this version does not know",
    { tags: ["L03"] },
    () => {
      fc.assert(
        fc.property(
          fc.constantFrom(...recorded),
          fc.nat(),
          odd,
          fc.boolean(),
          ({ event }, index, value, isNew) => {
            const fields = Object.keys(event).filter((name) => name !== "_tag")
            const field = isNew ? "foreign" : fields[index % Math.max(1, fields.length)]
            if (field === undefined) return
            const changed = { ...event, [field]: value } as Event
            assert.deepEqual(unpackEvent(throughJson(packEvent(changed, nonce)), nonce), throughJson(changed))
          },
        ),
        { numRuns: 20_000 },
      )
    },
  )

  it("what cannot have been packed is left for the schema to refuse", { tags: ["L03"] }, () => {
    for (const foreign of [[], [99, 1], ["1"], [1, 0, "a", "b", 5, []], [1, 0, "a", "b", 5, {}, {}], [null]])
      assert.throws(() => decodeEvents([unpackEvent(foreign, nonce)]))
  })

  it("parts of what is known of a request come out as they were", { tags: ["L03"] }, () => {
    const text = fc.string()
    const abouts: fc.Arbitrary<About> = fc.record(
      {
        command: text,
        by: fc.integer({ min: 1 }),
        request: text,
        node: text,
        epoch: fc.nat(),
        profile: fc.oneof(text, fc.nat()),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(abouts, (about) => {
        const packed = throughJson(packAbout({ ...about })) as readonly unknown[]
        assert.deepEqual(unpackAbout(packed), { ...about })
        // one that a later version appends is none of ours
        assert.deepEqual(unpackAbout([...packed, ...Array(8 - packed.length).fill(null), "later"]), {
          ...about,
        })
      }),
    )
  })
})
