/**
 * Deterministic authenticated encryption of short texts under one key: AES-256-CTR with HMAC-SHA-256 of the text as its
 * initialization vector (the SIV construction of Rogaway and Shrimpton; RFC 5297 has the same with another MAC).
 *
 * Written on block operations of Node's library, since its cipher objects for one text each cost ten times as much: a
 * test compares every octet with `createCipheriv` and `createHmac`.
 */
import { createCipheriv, hash, timingSafeEqual } from "node:crypto"

export interface Siv {
  /** Base64url of 16 octets of MAC and the encrypted text. */
  readonly encrypt: (text: string) => string
  /** Null: it is not what was encrypted with this key. Unchecked, it may be anything then, for half the time. */
  readonly decrypt: (encrypted: string, isChecked: boolean) => string | null
}

const tagOctets = 16
const blockOctets = 16
const hmacBlockOctets = 64
const hashOctets = 32

/** @param key 32 octets */
export const makeSiv = (key: Uint8Array): Siv => {
  const macKey = Buffer.from(hmac(padded(key), Buffer.from("presently mac")), "binary")
  const cipherKey = Buffer.from(hmac(padded(key), Buffer.from("presently cipher")), "binary")
  const pads = padded(macKey)
  const blocks = createCipheriv("aes-256-ecb", cipherKey, null).setAutoPadding(false)

  const writeTag = (plain: Uint8Array, to: Buffer): void => {
    to.write(hmac(pads, plain), 0, tagOctets, "binary")
    // room for the counter (RFC 5297 §2.5): it never carries out of its word
    to[12]! &= 0x7f
  }

  /** AES-256-CTR, in place: its own inverse. */
  const crypt = (tag: Buffer, text: Uint8Array): void => {
    const count = Math.ceil(text.length / blockOctets)
    const octets = count * blockOctets
    const counters =
      octets <= counterBlocks.byteLength ? counterBlocks : new DataView(new ArrayBuffer(octets))
    const [high, low, from] = [tag.readBigUInt64BE(0), tag.readUInt32BE(8), tag.readUInt32BE(12)]
    for (let block = 0; block < count; block++) {
      counters.setBigUint64(block * blockOctets, high)
      counters.setUint32(block * blockOctets + 8, low)
      counters.setUint32(block * blockOctets + 12, from + block)
    }
    const stream = blocks.update(new Uint8Array(counters.buffer, 0, octets))
    for (let index = 0; index < text.length; index++) text[index]! ^= stream[index]!
  }

  return {
    encrypt: (text) => {
      const sealed = room(text.length * 3 + tagOctets)
      const length = tagOctets + sealed.write(text, tagOctets, "utf8")
      const plain = sealed.subarray(tagOctets, length)
      writeTag(plain, sealed)
      crypt(sealed, plain)
      return sealed.toString("base64url", 0, length)
    },
    decrypt: (encrypted, isChecked) => {
      const octets = Buffer.from(encrypted, "base64url")
      if (octets.length < tagOctets || octets[12]! > 0x7f) return null
      const plain = octets.subarray(tagOctets)
      crypt(octets, plain)
      if (!isChecked) return plain.toString("utf8")
      const tag = Buffer.allocUnsafe(tagOctets)
      writeTag(plain, tag)
      return timingSafeEqual(tag, octets.subarray(0, tagOctets)) ? plain.toString("utf8") : null
    },
  }
}

/** Both pads of an HMAC (RFC 2104) for a key of at most 64 octets; the outer one has room for the inner hash. */
interface Pads {
  readonly inner: Uint8Array
  readonly outer: Buffer
}

const padded = (key: Uint8Array): Pads => {
  const inner = Buffer.alloc(hmacBlockOctets, 0x36)
  const outer = Buffer.alloc(hmacBlockOctets + hashOctets, 0x5c)
  for (const [index, octet] of key.entries()) {
    inner[index]! ^= octet
    outer[index]! ^= octet
  }
  return { inner, outer }
}

/** HMAC-SHA-256 as 32 characters of Latin-1: a string costs a third of a buffer. */
const hmac = ({ inner, outer }: Pads, text: Uint8Array): string => {
  const length = hmacBlockOctets + text.length
  const message = length <= scratch.length ? scratch.subarray(0, length) : Buffer.allocUnsafe(length)
  message.set(inner)
  message.set(text, hmacBlockOctets)
  outer.write(hash("sha256", message, "binary"), hmacBlockOctets, "binary")
  return hash("sha256", outer, "binary")
}

/** Used within one call only. */
const scratch = Buffer.alloc(16_384)
const counterBlocks = new DataView(new ArrayBuffer(16_384))
const output = Buffer.alloc(16_384)
const room = (octets: number): Buffer => (octets <= output.length ? output : Buffer.allocUnsafe(octets))
