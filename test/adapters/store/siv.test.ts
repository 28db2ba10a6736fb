/**
 * Encryption of what is personal: octet for octet what Node's own AES and HMAC make of it.
 */
import assert from "node:assert/strict"
import { createDecipheriv, createHmac } from "node:crypto"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeSiv } from "../../../src/adapters/store/siv.ts"

const anyKey = fc.uint8Array({ minLength: 32, maxLength: 32 })
/** Mostly short; some longer than any buffer that is kept. */
const anyText = fc
  .tuple(fc.string({ unit: "binary", maxLength: 300 }), fc.constantFrom(1, 1, 1, 1, 40, 200))
  .map(([text, times]) => text.repeat(times))
const hmac = (key: Uint8Array, text: string | Uint8Array): Buffer =>
  createHmac("sha256", key).update(text).digest()

describe("siv", () => {
  it("T38: is AES-256-CTR under the MAC of the text, equal for equal texts, and reads what it wrote", () => {
    fc.assert(
      fc.property(anyKey, anyText, (key, text) => {
        const siv = makeSiv(key)
        const encrypted = siv.encrypt(text)
        const octets = Buffer.from(encrypted, "base64url")
        const tag = octets.subarray(0, 16)
        const expected = hmac(hmac(key, "presently mac"), Buffer.from(text, "utf8")).subarray(0, 16)
        expected[12]! &= 0x7f
        assert.deepEqual(tag, Buffer.from(expected))
        const plain = createDecipheriv("aes-256-ctr", hmac(key, "presently cipher"), tag)
        assert.equal(
          plain.update(octets.subarray(16)).toString("utf8"),
          Buffer.from(text, "utf8").toString("utf8"),
        )
        assert.equal(siv.decrypt(encrypted, true), Buffer.from(text, "utf8").toString("utf8"))
        assert.equal(siv.decrypt(encrypted, false), siv.decrypt(encrypted, true))
        assert.equal(makeSiv(key).encrypt(text), encrypted)
      }),
    )
  })

  it("T38: a changed octet, another key and anything else is nothing", () => {
    fc.assert(
      fc.property(anyKey, anyText, fc.nat(), fc.integer({ min: 1, max: 255 }), (key, text, at, bits) => {
        const octets = Buffer.from(makeSiv(key).encrypt(text), "base64url")
        octets[at % octets.length]! ^= bits
        assert.equal(makeSiv(key).decrypt(octets.toString("base64url"), true), null)
        const other = Uint8Array.from(key, (octet) => octet ^ 1)
        assert.equal(makeSiv(other).decrypt(makeSiv(key).encrypt(text), true), null)
        assert.equal(makeSiv(key).decrypt(octets.subarray(0, 15).toString("base64url"), true), null)
      }),
    )
  })
})
