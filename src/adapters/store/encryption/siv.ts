/**
 * How texts were encrypted before `cipher.ts`; such texts are read for ever. Nothing writes them any more but tests.
 *
 * Deterministic authenticated encryption: the tag of a text is its initialization vector (the SIV construction of
 * Rogaway and Shrimpton; RFC 5297 has it with AES). Both halves are SHAKE256 (FIPS 202) with the key in front, which makes a sponge a
 * pseudorandom function:
 *
 *     tag    = SHAKE256(01 ‖ key ‖ text), 12 octets
 *     sealed = tag ‖ (text ⊕ SHAKE256(02 ‖ key ‖ tag)), in base64url
 *
 * Node's cipher objects cost 12 µs and 1.3 kB for each key; a hash in one call needs none.
 */
import { hash } from "node:crypto"

const keyOctets = 32
const tagOctets = 12
const dataAt = 1 + keyOctets

/** @param key 32 octets */
export const encryptTextEarlier = (key: Uint8Array, text: string): string => {
  const plain = Buffer.allocUnsafe(dataAt + 3 * text.length)
  const length = plain.write(text, dataAt, "utf8")
  const sealed = Buffer.allocUnsafe(tagOctets + length)
  sealed.write(tagOf(key, plain, length), 0, "binary")
  const stream = streamOf(key, sealed, length)
  for (let index = 0; index < length; index++)
    sealed[tagOctets + index] = plain[dataAt + index]! ^ stream.charCodeAt(index)
  return sealed.toString("base64url", 0, tagOctets + length)
}

/** @returns null: it was not sealed with this key */
export const decryptTextEarlier = (key: Uint8Array, text: string): string | null => {
  const sealed = Buffer.allocUnsafe(text.length)
  const length = sealed.write(text, 0, "base64url") - tagOctets
  if (length < 0) return null
  const plain = Buffer.allocUnsafe(dataAt + length)
  const stream = streamOf(key, sealed, length)
  for (let index = 0; index < length; index++)
    plain[dataAt + index] = sealed[tagOctets + index]! ^ stream.charCodeAt(index)
  // the last character has bits to spare
  if (sealed.toString("base64url", 0, tagOctets + length) !== text) return null
  if (tagOf(key, plain, length) !== sealed.toString("binary", 0, tagOctets)) return null
  return plain.toString("utf8", dataAt, dataAt + length)
}

/** @param plain the text at `dataAt`; what is before it is written here */
const tagOf = (key: Uint8Array, plain: Buffer, length: number): string => {
  plain[0] = 1
  plain.set(key, 1)
  return shake256(plain.subarray(0, dataAt + length), tagOctets)
}

/** @param sealed begins with the tag */
const streamOf = (key: Uint8Array, sealed: Buffer, length: number): string => {
  const header = Buffer.alloc(dataAt + tagOctets, 2)
  header.set(key, 1)
  sealed.copy(header, dataAt, 0, tagOctets)
  return shake256(header, length)
}

/** Octets as characters of Latin-1: a string costs less than a buffer. */
const shake256 = (data: Uint8Array, outputLength: number): string =>
  outputLength === 0 ? "" : hash("shake256", data, { outputEncoding: "binary", outputLength })
