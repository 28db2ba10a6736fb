/**
 * Encryption of what is personal: published vectors of its parts, and octet for octet what Node's own HMAC and hash objects make of
 * the whole.
 */
import assert from "node:assert/strict"
import { createHash, createHmac } from "node:crypto"
import fc from "fast-check"
import { describe, it } from "vitest"
import {
  decryptText,
  decryptTexts,
  encryptText,
  encryptTexts,
  macOf,
} from "../../../../src/adapters/store/encryption/cipher.ts"

const anyKey = fc.uint8Array({ minLength: 64, maxLength: 64 })
const anyEarlierKey = fc.uint8Array({ minLength: 32, maxLength: 32 })
/** Mostly short; some longer than any buffer that is kept. */
const anyText = fc
  .tuple(fc.string({ unit: "binary", maxLength: 300 }), fc.constantFrom(1, 1, 1, 1, 40, 200))
  .map(([text, times]) => text.repeat(times))
const anyPlace = fc.string({ unit: "binary", maxLength: 60 })

const hmac = (key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer =>
  createHmac("sha256", key).update(Buffer.concat(parts)).digest()

/** The whole of it, as its description says, of other functions. */
const expected = (key: Uint8Array, place: string, text: string): string => {
  const [first, second] =
    key.length === 64
      ? [key.subarray(0, 32), key.subarray(32)]
      : [hmac(key, Buffer.of(1)), hmac(key, Buffer.of(2))]
  const plain = Buffer.from(text, "utf8")
  const associated = Buffer.from(place, "utf8")
  const bits = Buffer.alloc(8)
  bits.writeBigUInt64BE(8n * BigInt(associated.length))
  const tag = hmac(first, associated, plain, bits).subarray(0, 16)
  const outputLength = Math.max(1, plain.length)
  const stream = createHash("shake256", { outputLength }).update(second).update(tag).digest()
  return Buffer.concat([tag, plain.map((octet, index) => octet ^ stream[index]!)]).toString("base64url")
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ""), "hex")

const macInHex = (key: Uint8Array, message: Uint8Array): string => {
  const work = Buffer.concat([Buffer.alloc(64), message])
  const padded = Buffer.concat([key, Buffer.alloc(32 - key.length)])
  return Buffer.from(macOf(padded, work, work.length), "binary").toString("hex")
}

describe("cipher", () => {
  it.each([
    // RFC 4868 §2.7.2.1, test case PRF-1
    ["0b".repeat(32), "4869205468657265", "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7"],
    // RFC 4231 §4.2, §4.3, §4.4, §4.5
    ["0b".repeat(20), "4869205468657265", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
    [
      "4a656665",
      "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ],
    ["aa".repeat(20), "dd".repeat(50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"],
    [
      "0102030405060708090a0b0c0d0e0f10111213141516171819",
      "cd".repeat(50),
      "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ],
  ])("its MAC is HMAC-SHA-256: %#", { tags: ["T38"] }, (key, message, mac) => {
    assert.equal(macInHex(hex(key), hex(message)), mac)
  })

  it("its MAC covers what RFC 7518 says: the vector of appendix B.1", { tags: ["T38"] }, () => {
    const key = hex("000102030405060708090a0b0c0d0e0f")
    const associated = "The second principle of Auguste Kerckhoffs"
    const initial = hex("1af38c2dc2b96ffdd86694092341bc04")
    const encrypted = hex(`
      c80edfa32ddf39d5ef00c0b468834279a2e46a1b8049f792f76bfe54b903a9c9
      a94ac9b47ad2655c5f10f9aef71427e2fc6f9b3f399a221489f16362c7032336
      09d45ac69864e3321cf82935ac4096c86e133314c54019e8ca7980dfa4b9cf1b
      384c486f3a54c51078158ee5d79de59fbd34d848b3d69550a67646344427ade5
      4b8851ffb598f7f80074b9473c82e2db`)
    const length = Buffer.alloc(8)
    length.writeBigUInt64BE(8n * BigInt(associated.length))
    const message = Buffer.concat([Buffer.from(associated), initial, encrypted, length])
    assert.equal(macInHex(key, message).slice(0, 32), "652c3fa36b0a7c5b3219fab3a30bc1c4")
  })

  it("its stream is SHAKE256: the digest of nothing, FIPS 202", { tags: ["T38"] }, () => {
    assert.equal(
      createHash("shake256", { outputLength: 32 }).digest("hex"),
      "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f",
    )
  })

  it(
    "is what other functions make of it, equal for equal texts in one place, and reads what it wrote",
    { tags: ["T38"] },
    () => {
      fc.assert(
        fc.property(fc.oneof(anyKey, anyEarlierKey), anyPlace, anyText, (key, place, text) => {
          const sealed = encryptText(key, place, text)
          assert.equal(sealed, expected(key, place, text))
          assert.equal(decryptText(key, place, sealed), Buffer.from(text, "utf8").toString("utf8"))
          assert.equal(encryptText(key, place, text), sealed)
        }),
      )
    },
  )

  it(
    "in another place it is another text, and cannot be read; what is of the place is not of the text",
    { tags: ["T38"] },
    () => {
      fc.assert(
        fc.property(anyKey, anyPlace, anyPlace, anyText, (key, place, other, text) => {
          fc.pre(Buffer.compare(Buffer.from(place), Buffer.from(other)) !== 0)
          const sealed = encryptText(key, place, text)
          assert.notEqual(encryptText(key, other, text), sealed)
          assert.equal(decryptText(key, other, sealed), null)
          if (other !== "")
            assert.notEqual(encryptText(key, place + other, text), encryptText(key, place, other + text))
        }),
      )
    },
  )

  it("no other characters stand for the same text", { tags: ["T38"] }, () => {
    fc.assert(
      fc.property(anyKey, anyText, fc.nat(), fc.integer({ min: 1, max: 127 }), (key, text, at, bits) => {
        const sealed = encryptText(key, "here", text)
        for (const place of [at % sealed.length, sealed.length - 1]) {
          const other = String.fromCharCode(sealed.charCodeAt(place) ^ bits)
          assert.equal(
            decryptText(key, "here", sealed.slice(0, place) + other + sealed.slice(place + 1)),
            null,
          )
        }
      }),
    )
  })

  it("a changed octet, another key and anything else is nothing", { tags: ["T38"] }, () => {
    fc.assert(
      fc.property(anyKey, anyText, fc.nat(), fc.integer({ min: 1, max: 255 }), (key, text, at, bits) => {
        const octets = Buffer.from(encryptText(key, "here", text), "base64url")
        octets[at % octets.length]! ^= bits
        assert.equal(decryptText(key, "here", octets.toString("base64url")), null)
        for (const half of [0, 32]) {
          const other = Uint8Array.from(key)
          other[half]! ^= 1
          const opened = decryptText(other, "here", encryptText(key, "here", text))
          // of nothing there is no stream
          assert.equal(opened, half === 32 && text === "" ? "" : null)
        }
        assert.equal(decryptText(key, "here", octets.subarray(0, 15).toString("base64url")), null)
        assert.equal(decryptText(key, "here", ""), null)
      }),
    )
  })

  describe("of several texts together", () => {
    const anyGroup = fc.array(fc.tuple(fc.constantFrom("watcher", "callId", "origin", "header X"), anyText), {
      minLength: 1,
      maxLength: 6,
    })
    const parted = (group: readonly (readonly [string, string])[]) => ({
      kinds: group.map(([kind]) => kind),
      texts: group.map(([, text]) => text),
    })

    it(
      "is what the cipher makes of all of them as one text, bound to what each is and how long",
      { tags: ["T38"] },
      () => {
        fc.assert(
          fc.property(fc.oneof(anyKey, anyEarlierKey), anyPlace, anyGroup, (key, place, group) => {
            const { kinds, texts } = parted(group)
            const sealed = encryptTexts(key, place, kinds, texts)
            const octets = texts.map((text) => Buffer.from(text, "utf8"))
            const bound = kinds.map((kind, index) => `\0${kind} ${octets[index]!.length}`).join("")
            assert.equal(
              Buffer.concat(sealed.map((text) => Buffer.from(text, "base64url"))).toString("base64url"),
              expected(key, place + bound, Buffer.concat(octets).toString("utf8")),
            )
            assert.deepEqual(
              decryptTexts(key, place, kinds, sealed),
              octets.map((text) => text.toString("utf8")),
            )
          }),
        )
      },
    )

    it("whatever is changed, moved, exchanged or left out is nothing", { tags: ["T38"] }, () => {
      let tried = 0
      fc.assert(
        fc.property(anyKey, anyPlace, anyGroup, fc.nat(), fc.nat(), (key, place, group, first, second) => {
          const { kinds, texts } = parted(group)
          const sealed = encryptTexts(key, place, kinds, texts)
          const [at, other] = [first % sealed.length, second % sealed.length]
          const isNothing = (changedKinds: readonly string[], changed: readonly string[]): void => {
            if (changed.join() === sealed.join() && changedKinds.join() === kinds.join()) return
            tried++
            assert.equal(decryptTexts(key, place, changedKinds, changed), null)
          }
          const exchanged = sealed.with(at, sealed[other]!).with(other, sealed[at]!)
          isNothing(kinds, exchanged)
          isNothing(kinds.with(at, kinds[other]!).with(other, kinds[at]!), exchanged)
          isNothing(kinds.with(at, "other"), sealed)
          isNothing(kinds.toSpliced(at, 1), sealed.toSpliced(at, 1))
          isNothing([...kinds, "watcher"], [...sealed, ""])
          const octets = Buffer.from(sealed[at]!, "base64url")
          if (octets.length > 0) {
            octets[second % octets.length]! ^= 1
            isNothing(kinds, sealed.with(at, octets.toString("base64url")))
            // an octet that goes over to the next one
            const [begin, end] = [octets.subarray(0, -1), octets.subarray(-1)]
            octets[second % octets.length]! ^= 1
            const after = Buffer.concat([end, Buffer.from(sealed[at + 1] ?? "", "base64url")])
            const shifted = sealed.with(at, begin.toString("base64url"))
            if (at + 1 < sealed.length) isNothing(kinds, shifted.with(at + 1, after.toString("base64url")))
          }
          assert.equal(decryptTexts(key, `${place}x`, kinds, sealed), null)
        }),
      )
      assert.ok(tried > 300, `${tried}`)
      assert.equal(decryptTexts(new Uint8Array(64), "", ["origin"], [""]), null)
      assert.equal(decryptTexts(new Uint8Array(64), "", ["origin", "sender"], ["AAAA", "A".repeat(40)]), null)
    })
  })
})
