/**
 * The digest of a decision: the same however it is made, and with its documents gone.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import {
  digestOfSaid,
  dropDocuments,
  encodeWithDigest,
} from "../../../../src/adapters/store/integrity/hash-chain.ts"
import type { Decision, Event } from "../../../../src/domain/presentity/events.ts"
import type { EntityTag, PackageName, Uri } from "../../../../src/domain/vocabulary.ts"
import { decodeEvents } from "../../../../src/encoding/event-codec.ts"
import { anySteps } from "../../../support/arbitraries.ts"
import { play } from "../../../support/history.ts"
import { worlds } from "../../../support/machine.ts"

/** Texts that look like what is written around them. */
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom('"text":"', '","text":"\\"text":"', "\\", '"}],[{"text":"', "é\u2028\ud800", ""),
)

const anyBody = fc.record(
  { contentType: anyText, parameters: anyText, text: anyText },
  { requiredKeys: ["contentType", "text"] },
)

const anyDocument = fc.oneof(
  fc.record(
    {
      _tag: fc.constant("PublicationCreated" as const),
      packageName: anyText as fc.Arbitrary<PackageName>,
      entityTag: anyText as fc.Arbitrary<EntityTag>,
      expiresAt: fc.nat(),
      body: fc.option(anyBody, { nil: null }),
      headers: fc.array(fc.tuple(anyText, anyText), { minLength: 1, maxLength: 2 }),
      sender: fc.option(anyText, { nil: null }),
    },
    { requiredKeys: ["_tag", "packageName", "entityTag", "expiresAt", "body", "sender"] },
  ),
  fc.record({
    _tag: fc.constant("HardStateReplaced" as const),
    packageName: anyText as fc.Arbitrary<PackageName>,
    body: fc.option(anyBody, { nil: null }),
  }),
  fc.record({
    _tag: fc.constant("RulesReplaced" as const),
    packageName: anyText as fc.Arbitrary<PackageName>,
    rules: fc.option(anyBody, { nil: null }),
    boundaryAt: fc.constant(null),
  }),
) as fc.Arbitrary<Event>

const anyDecision = fc.record({
  stream: anyText as fc.Arbitrary<Uri>,
  version: fc.nat(),
  at: fc.nat(),
  cause: anyText,
  origin: anyText,
  nonce: anyText,
  events: fc.array(anyDocument, { minLength: 1, maxLength: 3 }),
})

const laws = (decision: Decision): void => {
  const { encoded, said } = encodeWithDigest(decision)
  assert.equal(encoded, JSON.stringify(decision.events))
  assert.equal(said, digestOfSaid(decision))
  const read = JSON.parse(encoded) as readonly Event[]
  assert.equal(said, digestOfSaid({ ...decision, events: read }, encoded))
  // without its documents it is still the same decision, and is stored and read as such
  const dropped = decision.events.map((event) => dropDocuments(event, event, undefined))
  assert.equal(digestOfSaid({ ...decision, events: dropped }), said)
  const again = encodeWithDigest({ ...decision, events: dropped })
  assert.equal(again.said, said)
  assert.deepEqual(decodeEvents(JSON.parse(again.encoded)), JSON.parse(JSON.stringify(dropped)))
  assert.deepEqual(
    dropped.map((event) => dropDocuments(event, event, undefined)),
    dropped,
  )
  for (const event of dropped) {
    if (!("body" in event)) continue
    assert.ok((event.body?.text ?? "") === "" && !("headers" in event))
  }
}

describe("the digest of a decision", () => {
  it(
    "is that of the JSON that is stored, whatever documents hold, and does not change when they are dropped",
    { tags: ["T39"] },
    () => {
      fc.assert(fc.property(anyDecision, laws), { numRuns: 500 })
    },
  )

  it("of every decision of a history too", { tags: ["T39"] }, () => {
    fc.assert(
      fc.property(fc.constantFrom(...worlds), anySteps, (world, steps) =>
        play(world, steps).log.forEach(laws),
      ),
      { numRuns: 30 },
    )
  })

  it("another value anywhere is another digest", { tags: ["T39"] }, () => {
    fc.assert(
      fc.property(anyDecision, anyDecision, (one, other) => {
        const { stream: _, ...said } = one
        const { stream: __, ...others } = other
        assert.equal(
          JSON.stringify(said) === JSON.stringify(others),
          digestOfSaid(one) === digestOfSaid(other),
        )
        for (const field of ["cause", "origin", "nonce", "version", "at"] as const) {
          const mixed = { ...one, [field]: other[field] }
          assert.equal(one[field] === other[field], digestOfSaid(mixed) === digestOfSaid(one))
        }
      }),
      { numRuns: 300 },
    )
  })
})
