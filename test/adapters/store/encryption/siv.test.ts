/**
 * How what is personal was encrypted before: octet for octet what Node's hash objects make of it, and read for ever.
 */
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import fc from "fast-check"
import { describe, it } from "vitest"
import { decryptTextEarlier, encryptTextEarlier } from "../../../../src/adapters/store/encryption/siv.ts"

const anyKey = fc.uint8Array({ minLength: 32, maxLength: 32 })
/** Mostly short; some longer than any buffer that is kept. */
const anyText = fc
  .tuple(fc.string({ unit: "binary", maxLength: 300 }), fc.constantFrom(1, 1, 1, 1, 40, 200))
  .map(([text, times]) => text.repeat(times))

const shake256 = (outputLength: number, ...parts: readonly Uint8Array[]): Buffer =>
  createHash("shake256", { outputLength }).update(Buffer.concat(parts)).digest()

describe("siv", () => {
  it(
    "is the text under a stream that its tag begins, equal for equal texts, and reads what it wrote",
    { tags: ["T38"] },
    () => {
      fc.assert(
        fc.property(anyKey, anyText, (key, text) => {
          const plain = Buffer.from(text, "utf8")
          const tag = shake256(12, Buffer.of(1), key, plain)
          const stream = shake256(Math.max(1, plain.length), Buffer.of(2), key, tag)
          const sealed = encryptTextEarlier(key, text)
          const expected = Buffer.concat([tag, plain.map((octet, index) => octet ^ stream[index]!)])
          assert.equal(sealed, expected.toString("base64url"))
          assert.equal(decryptTextEarlier(key, sealed), plain.toString("utf8"))
          assert.equal(encryptTextEarlier(key, text), sealed)
        }),
      )
    },
  )

  it("no other characters stand for the same text", { tags: ["T38"] }, () => {
    fc.assert(
      fc.property(anyKey, anyText, fc.nat(), fc.integer({ min: 1, max: 127 }), (key, text, at, bits) => {
        const sealed = encryptTextEarlier(key, text)
        for (const place of [at % sealed.length, sealed.length - 1]) {
          const other = String.fromCharCode(sealed.charCodeAt(place) ^ bits)
          assert.equal(
            decryptTextEarlier(key, sealed.slice(0, place) + other + sealed.slice(place + 1)),
            null,
          )
        }
      }),
    )
  })

  it("a changed octet, another key and anything else is nothing", { tags: ["T38"] }, () => {
    fc.assert(
      fc.property(anyKey, anyText, fc.nat(), fc.integer({ min: 1, max: 255 }), (key, text, at, bits) => {
        const octets = Buffer.from(encryptTextEarlier(key, text), "base64url")
        octets[at % octets.length]! ^= bits
        assert.equal(decryptTextEarlier(key, octets.toString("base64url")), null)
        const other = Uint8Array.from(key, (octet) => octet ^ 1)
        assert.equal(decryptTextEarlier(other, encryptTextEarlier(key, text)), null)
        assert.equal(decryptTextEarlier(key, octets.subarray(0, 11).toString("base64url")), null)
      }),
    )
  })
})
