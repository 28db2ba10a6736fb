/**
 * Texts of one person in one row, encrypted as one.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { newPersonKey } from "../../../../src/adapters/store/encryption/encrypted-decision.ts"
import { makeOpening, makeSealing } from "../../../../src/adapters/store/encryption/sealed-texts.ts"

const keys = ["sip:alice@example.com", "sip:bob@example.com", "sip:carol@example.com"].map(newPersonKey)
const places = ["", "0", "1"]
/** Lone surrogates cannot be written in UTF-8, and never stand in what was read from a wire. */
const text = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("", "\0", "\u0001", "\u00010", "\u00011", "\0\u0001\0", "a\0b", "é".repeat(300)),
)
const entries = fc.array(
  fc.record({ who: fc.nat(2), kind: fc.constantFrom("origin", "by", "shown", "watcher", "header X"), text }),
  { minLength: 1, maxLength: 12 },
)
interface Entry {
  readonly who: number
  readonly kind: string
  readonly text: string
}
type Entries = readonly Entry[]

const sealed = (all: Entries) => {
  const sealing = makeSealing("n1")
  const marks = all.map(({ who, kind, text: plain }) => sealing.add(keys[who]!, places[who]!, kind, plain))
  return { marks, texts: sealing.seal()! }
}

const opened = (
  all: Entries,
  marks: readonly string[],
  texts: readonly string[],
  without: number | null = null,
  nonce = "n1",
): readonly (string | null)[] => {
  const opening = makeOpening(nonce, texts, (place) => {
    const who = places.indexOf(place)
    return { id: keys[who]!.id, key: who === without ? undefined : keys[who] }
  })
  const found = marks.map((mark, index) => opening.next(mark, all[index]!.kind).text)
  opening.check()
  return found
}

describe("texts that are encrypted as one", () => {
  it("are read as they were, whatever is in them; without a key its texts are not", { tags: ["T38"] }, () => {
    fc.assert(
      fc.property(entries, fc.nat(2), (all, without) => {
        const { marks, texts } = sealed(all)
        assert.deepEqual(
          opened(all, marks, texts),
          all.map((entry) => entry.text),
        )
        assert.deepEqual(
          opened(all, marks, texts, without),
          all.map((entry) => (entry.who === without ? null : entry.text)),
        )
      }),
      { numRuns: 2000 },
    )
  })

  it(
    "may be passed over: a key that is not used opens nothing, others are checked with all",
    { tags: ["T38"] },
    () => {
      fc.assert(
        fc.property(entries, fc.nat(12), (all, passed) => {
          const { marks, texts } = sealed(all)
          let used = 0
          const opening = makeOpening("n1", texts, (place) => {
            used++
            const who = places.indexOf(place)
            return { id: keys[who]!.id, key: keys[who] }
          })
          const found = marks.map((mark, index) => {
            if (index < passed) return opening.skip(mark, all[index]!.kind)
            return opening.next(mark, all[index]!.kind).text
          })
          opening.check()
          assert.deepEqual(
            found,
            all.map((entry, index) => (index < passed ? undefined : entry.text)),
          )
          assert.equal(used, new Set(all.slice(passed).map(({ who }) => who)).size)
        }),
        { numRuns: 1000 },
      )
    },
  )

  it(
    "are not read in another row, order or field, nor with a character changed or one text fewer",
    { tags: ["T38"] },
    () => {
      fc.assert(
        fc.property(entries, fc.nat(), fc.nat(), (all, first, second) => {
          const { marks, texts } = sealed(all)
          assert.throws(() => opened(all, marks, texts, null, "n2"))
          assert.throws(() => opened(all.slice(1), marks.slice(1), texts))
          assert.throws(() => opened([...all, all[0]!], [...marks, marks[0]!], texts))
          const at = first % all.length
          const other: readonly Entry[] = all.map((entry, index) =>
            index === at ? { ...entry, kind: `${entry.kind}x` } : entry,
          )
          assert.throws(() => opened(other, marks, texts))
          const filled = texts.findIndex((one) => one !== "")
          const place = second % texts[filled]!.length
          const character = texts[filled]![place] === "A" ? "B" : "A"
          const changed = texts[filled]!.slice(0, place) + character + texts[filled]!.slice(place + 1)
          assert.throws(() => opened(all, marks, texts.with(filled, changed)))
        }),
        { numRuns: 1000 },
      )
    },
  )
})
