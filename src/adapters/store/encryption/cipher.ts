/**
 * Deterministic authenticated encryption of texts with associated data: the synthetic initialization vector of Rogaway and
 * Shrimpton (EUROCRYPT 2006; RFC 5297 is the same composition of AES functions), of functions that have published vectors.
 *
 *     K1 ‖ K2 = key, 32 octets each
 *     tag     = HMAC-SHA-256-128(K1, A ‖ text ‖ AL)
 *     sealed  = tag ‖ (text ⊕ SHAKE256(K2 ‖ tag)), in base64url
 *
 * A is the associated data, AL the number of its bits in 64 bits, big-endian: the same text is sealed otherwise in another place.
 * Why these: docs/decisions/0025-cipher.md. Node's MAC and cipher objects cost 12 to 30 µs each; hashes in one call need none.
 *
 * @source RFC 2104 (HMAC), RFC 4868 §2.3 (its first 128 bits), RFC 7518 §5.2.2.1 (A and AL), FIPS 202 §6.2 (SHAKE256)
 */
import { hash } from "node:crypto"

const halfOctets = 32
const keyOctets = 2 * halfOctets
const tagOctets = 16
/** Octets of a block of SHA-256. */
const block = 64
const hashOctets = 32
const lengthOctets = 8

/**
 * @param key 64 octets, or 32 as keys had before, from which 64 are made
 * @param associated what must be the same when it is opened
 */
export const encryptText = (key: Uint8Array, associated: string, text: string): string => {
  const both = keyPair(key)
  const work = room(macRoom, block + 3 * (associated.length + text.length) + lengthOctets)
  const from = block + work.write(associated, block, "utf8")
  const length = work.write(text, from, "utf8")
  const sealed = sealedOf(both, work, from, length)
  return sealed.toString("base64url", 0, tagOctets + length)
}

/** @returns null: it was not sealed with this key and this associated data */
export const decryptText = (key: Uint8Array, associated: string, text: string): string | null => {
  const sealed = room(sealedRoom, text.length)
  const length = sealed.write(text, 0, "base64url") - tagOctets
  // the last character has bits to spare
  if (length < 0 || sealed.toString("base64url", 0, tagOctets + length) !== text) return null
  const both = keyPair(key)
  const work = room(macRoom, block + 3 * associated.length + length + lengthOctets)
  const from = block + work.write(associated, block, "utf8")
  if (!isOpened(both, sealed, work, from, length)) return null
  return work.toString("utf8", from, from + length)
}

/** A text whose tag has not been compared yet. */
export interface Unchecked {
  readonly text: string
  /** As characters of Latin-1. */
  readonly tag: string
}

/**
 * Decrypts before it is known what the text is bound to: it must not be believed before `isTagOf` said so.
 *
 * @returns null: it is no encrypted text at all
 */
export const decryptUnchecked = (key: Uint8Array, text: string): Unchecked | null => {
  const sealed = room(sealedRoom, text.length)
  const length = sealed.write(text, 0, "base64url") - tagOctets
  // the last character has bits to spare
  if (length < 0 || sealed.toString("base64url", 0, tagOctets + length) !== text) return null
  const stream = streamOf(keyPair(key), sealed, length)
  for (let index = 0; index < length; index++)
    sealed[tagOctets + index] = sealed[tagOctets + index]! ^ stream.charCodeAt(index)
  return {
    text: sealed.toString("utf8", tagOctets, tagOctets + length),
    tag: sealed.toString("binary", 0, tagOctets),
  }
}

/** Whether a text that was decrypted is what was encrypted with that key and that associated data. */
export const isTagOf = (key: Uint8Array, associated: string, { text, tag }: Unchecked): boolean => {
  const work = room(macRoom, block + 3 * (associated.length + text.length) + lengthOctets)
  const from = block + work.write(associated, block, "utf8")
  return tagOf(keyPair(key), work, from, work.write(text, from, "utf8")) === tag
}

/**
 * Several texts with one tag and one stream: the same construction over the texts one after the other, with associated data that says
 * of each what it is and how many octets it has. Rows were written so before `sealed-texts.ts`, and are read for ever; nothing writes
 * them any more but tests.
 *
 * @param kinds what each text is; as many as there are texts, and at least one
 * @returns for each text its octets in base64url, those of the first with the tag before them
 */
export const encryptTexts = (
  key: Uint8Array,
  associated: string,
  kinds: readonly string[],
  texts: readonly string[],
): readonly string[] => {
  const both = keyPair(key)
  const lengths: number[] = []
  let listed = associated
  let length = 0
  for (let index = 0; index < texts.length; index++) {
    const octets = Buffer.byteLength(texts[index]!)
    lengths.push(octets)
    length += octets
    listed += listedAs(kinds[index]!, octets)
  }
  const work = room(macRoom, block + 3 * listed.length + length + lengthOctets)
  const from = block + work.write(listed, block, "utf8")
  let at = from
  for (const text of texts) at += work.write(text, at, "utf8")
  const sealed = sealedOf(both, work, from, length)
  const results: string[] = []
  let begin = 0
  let end = tagOctets
  for (const octets of lengths) {
    end += octets
    results.push(sealed.toString("base64url", begin, end))
    begin = end
  }
  return results
}

/**
 * What `encryptTexts` gave, as texts again.
 *
 * @returns null: they were not encrypted together with this key and this associated data, as texts of these kinds in this order
 */
export const decryptTexts = (
  key: Uint8Array,
  associated: string,
  kinds: readonly string[],
  sealedTexts: readonly string[],
): readonly string[] | null => {
  const both = keyPair(key)
  let characters = 0
  for (const text of sealedTexts) characters += text.length
  const sealed = room(sealedRoom, characters)
  const lengths: number[] = []
  let listed = associated
  let end = 0
  for (let index = 0; index < sealedTexts.length; index++) {
    const text = sealedTexts[index]!
    const begin = end
    end += sealed.write(text, end, "base64url")
    // the last character has bits to spare
    if (sealed.toString("base64url", begin, end) !== text) return null
    const octets = end - begin - (index === 0 ? tagOctets : 0)
    lengths.push(octets)
    listed += listedAs(kinds[index]!, octets)
  }
  const length = end - tagOctets
  if (length < 0 || lengths[0]! < 0) return null
  const work = room(macRoom, block + 3 * listed.length + length + lengthOctets)
  const from = block + work.write(listed, block, "utf8")
  if (!isOpened(both, sealed, work, from, length)) return null
  const texts: string[] = []
  let begin = from
  for (const octets of lengths) texts.push(work.toString("utf8", begin, (begin += octets)))
  return texts
}

/** @param work associated data from octet 64 up to `from`, then the text. @returns the tag, and the text encrypted */
const sealedOf = (both: Uint8Array, work: Buffer, from: number, length: number): Buffer => {
  const sealed = room(sealedRoom, tagOctets + length)
  sealed.write(tagOf(both, work, from, length), 0, "binary")
  const stream = streamOf(both, sealed, length)
  for (let index = 0; index < length; index++)
    sealed[tagOctets + index] = work[from + index]! ^ stream.charCodeAt(index)
  return sealed
}

/** Writes the text to `work`, after the associated data that ends at `from`. @returns whether the tag is theirs */
const isOpened = (both: Uint8Array, sealed: Buffer, work: Buffer, from: number, length: number): boolean => {
  const stream = streamOf(both, sealed, length)
  for (let index = 0; index < length; index++)
    work[from + index] = sealed[tagOctets + index]! ^ stream.charCodeAt(index)
  return tagOf(both, work, from, length) === sealed.toString("binary", 0, tagOctets)
}

/** What a text is and how long it is, in associated data. Kinds have no octet 00 in them. */
const listedAs = (kind: string, octets: number): string => `\0${kind} ${octets}`

/**
 * @param work associated data from octet 64 up to `from`, then the text; what is before and after them is written here
 * @returns its octets as characters of Latin-1
 */
const tagOf = (both: Uint8Array, work: Buffer, from: number, length: number): string => {
  const end = from + length
  const bits = 8 * (from - block)
  work.writeUInt32BE(Math.floor(bits / 2 ** 32), end)
  work.writeUInt32BE(bits % 2 ** 32, end + 4)
  return macOf(both, work, end + lengthOctets).slice(0, tagOctets)
}

/**
 * HMAC-SHA-256 in two calls.
 *
 * @param key its first 32 octets count; a shorter one is filled with zeros, as HMAC does
 * @param work the message from octet 64 on; the block before it is written here
 * @param end where it ends
 * @returns 32 octets as characters of Latin-1: a string costs less than a buffer
 */
export const macOf = (key: Uint8Array, work: Buffer, end: number): string => {
  for (let index = 0; index < halfOctets; index++) {
    const octet = key[index]!
    work[index] = octet ^ 0x36
    outer[index] = octet ^ 0x5c
  }
  work.fill(0x36, halfOctets, block)
  outer.write(hash("sha256", work.subarray(0, end), "binary"), block, "binary")
  return hash("sha256", outer, "binary")
}

/** @param sealed begins with the tag */
const streamOf = (both: Uint8Array, sealed: Buffer, outputLength: number): string => {
  if (outputLength === 0) return ""
  for (let index = 0; index < halfOctets; index++) header[index] = both[halfOctets + index]!
  sealed.copy(header, halfOctets, 0, tagOctets)
  return hash("shake256", header, { outputEncoding: "binary", outputLength })
}

/** Two keys of one, for persons that the log knew before keys had two halves. */
const keyPair = (key: Uint8Array): Uint8Array => {
  if (key.length === keyOctets) return key
  let both = pairs.get(key)
  if (both === undefined) {
    both = Buffer.alloc(keyOctets)
    for (const half of [0, 1]) {
      const work = Buffer.alloc(block + 1, half + 1)
      both.write(macOf(key, work, work.length), half * halfOctets, "binary")
    }
    pairs.set(key, both)
  }
  return both
}

const pairs = new WeakMap<Uint8Array, Buffer>()

// used within one call only
const outer = Buffer.alloc(block + hashOctets, 0x5c)
const header = Buffer.alloc(halfOctets + tagOctets)
const macRoom = Buffer.alloc(16_384)
const sealedRoom = Buffer.alloc(16_384)
const room = (usual: Buffer, octets: number): Buffer =>
  octets <= usual.length ? usual : Buffer.allocUnsafe(octets)
