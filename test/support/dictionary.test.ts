/**
 * A search that finds nothing proves something only if it would have found what is there.
 */
import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import fc from "fast-check"
import { describe, it } from "vitest"
import { sha256Hex as sha256 } from "../../src/adapters/store/integrity/sha256.ts"
import { viewHash } from "../../src/domain/presentity/view-digest.ts"
import { digestsOf, likelyAddresses, likelyDocuments, makeHaystack } from "./dictionary.ts"

const person = "sip:alice.winterbourne@example.test"
const write = (address: string, basic: string): string =>
  `<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${address}"><tuple id="t1"><status><basic>${basic}</basic></status></tuple></presence>`
const documents = likelyDocuments(person, write)

describe("the dictionary of the tests", () => {
  it(
    "finds each form in which a digest of a person may stand, wherever it stands, and nothing else",
    { tags: ["T38"] },
    () => {
      const noise = randomBytes(100_000)
      const needlesOfOther = digestsOf(
        "sip:somebody.else@example.test",
        likelyDocuments("sip:somebody.else@example.test", write),
      )
      assert.equal(makeHaystack([noise]).has(randomBytes(12)), false)
      const planted = [
        sha256(person),
        sha256(write(person, "open")),
        createHash("sha256").update(person).digest("base64url").slice(0, 22),
        createHash("md5").update("alice.winterbourne").digest("hex"),
        createHash("shake256", { outputLength: 12 }).update(person).digest("base64url"),
        viewHash({ contentType: "application/pidf+xml", text: write(person, "open") }),
        viewHash({
          contentType: "application/pidf+xml",
          parameters: "charset=utf-8",
          text: write(person, "closed"),
        }),
      ].map((text) => Buffer.from(text))
      planted.push(createHash("sha256").update(person).digest(), createHash("sha1").update(person).digest())
      for (const form of planted) {
        const haystack = makeHaystack([Buffer.concat([noise, form, noise]), noise])
        assert.ok(
          digestsOf(person, documents).some(({ octets }) => haystack.has(octets)),
          form.toString("latin1"),
        )
        assert.deepEqual(
          needlesOfOther.filter(({ octets }) => haystack.has(octets)),
          [],
        )
      }
    },
  )

  it("says of any octets whether they are there", { tags: ["T38"] }, () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ max: 3, maxLength: 60 }), { minLength: 1, maxLength: 3 }),
        fc.uint8Array({ max: 3, minLength: 6, maxLength: 8 }),
        (heap, needle) => {
          fc.pre(!isBlank(needle))
          const parts = heap.map((part) => Buffer.from(part))
          const isThere = parts.some((part) => part.includes(Buffer.from(needle)))
          assert.equal(makeHaystack(parts).has(Buffer.from(needle)), isThere)
        },
      ),
    )
  })

  it(
    "holds as many addresses as are asked for, each once, with those that are meant",
    { tags: ["T38"] },
    () => {
      const all = likelyAddresses(5000, "example.test", [person])
      assert.equal(new Set(all).size, 5000)
      assert.ok(all.includes(person))
    },
  )
})

/** Six zeros in a row occur in every file and are therefore ignored. */
const isBlank = (octets: Uint8Array): boolean => Buffer.from(octets).includes(Buffer.alloc(6))
