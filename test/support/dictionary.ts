/**
 * An attacker with the database who guesses: digests of likely addresses and documents, in every form that needs no
 * key, are searched for in files and in the database.
 */
import { hash } from "node:crypto"
import { xmlCodec } from "../../src/adapters/xml/codec.ts"
import { presence as makePresence } from "../../src/domain/packages/pidf.ts"
import { digest, digestOfBoth, viewHash } from "../../src/domain/presentity/view-digest.ts"
import { absentView } from "../../src/domain/presentity/view.ts"
import type { Body, Uri } from "../../src/domain/vocabulary.ts"

const pidfType = "application/pidf+xml"
const presence = makePresence({ xml: xmlCodec })

const first =
  "alice bob carol dave erin frank grace heidi ivan judy mallory niaj olivia peggy rupert sybil trent victor walter zerlinde anna ben clara david emma felix greta hugo ida jonas".split(
    " ",
  )
const last =
  "winterbourne smith jones miller weber fischer meyer wagner becker schulz hoffmann koch bauer richter klein wolf schroeder neumann schwarz zimmermann".split(
    " ",
  )

/** As many addresses of one domain as an attacker would try; those of `persons` are among them. */
export const likelyAddresses = (
  count: number,
  domain: string,
  persons: readonly string[],
): readonly string[] => {
  const found = [...persons]
  for (let round = 0; found.length < count; round++) {
    for (const firstName of first) {
      for (const lastName of last) {
        if (found.length === count) return found
        const user = `${firstName}.${lastName}${round === 0 ? "" : round}`
        if (!persons.includes(`sip:${user}@${domain}`)) found.push(`sip:${user}@${domain}`)
      }
    }
  }
  return found
}

/**
 * What the owner of an address is likely to publish: the documents of test phones, and what a watcher may be shown of
 * them.
 */
export const likelyDocuments = (
  address: string,
  write: (address: string, basic: string) => string,
): readonly Body[] =>
  ["open", "closed"].flatMap((basic): readonly Body[] => {
    const sent = { contentType: pidfType, text: write(address, basic) }
    const parsed = presence.parse(sent)
    if (parsed._tag !== "Parsed") throw new Error("a document that is none")
    const presentity = address as Uri
    const documents = [{ key: "1", document: parsed.document }]
    const composed = presence.compose({ presentity, documents, ended: [] })
    const shown = composed === null ? null : presence.render(composed)
    const absent = absentView(presentity, presence).body
    const offline = presence.offline(presentity)
    return [
      sent,
      { ...sent, parameters: "charset=utf-8" },
      ...[shown, absent, offline === null ? null : presence.render(offline)].filter((body) => body !== null),
    ]
  })

/** Every digest of these that can be made without a key, as octets and as text. */
export const digestsOf = (address: string, documents: readonly Body[]): readonly Needle[] => {
  const user = address.slice(address.indexOf(":") + 1, address.indexOf("@"))
  const texts = new Set([address, address.slice(4), user, JSON.stringify(address)])
  const words = new Set<string>()
  for (const body of documents) {
    texts.add(body.text)
    words.add(viewHash(body))
    words.add(digestOfBoth(body, []))
    words.add(digestOfBoth(body, [["Call-Info", address]]))
  }
  texts.add(JSON.stringify([["Call-Info", address]])).add(JSON.stringify([["Call-Info", `<${address}>`]]))
  const needles: Needle[] = []
  for (const text of texts) {
    words.add(digest(text))
    for (const algorithm of algorithms) {
      const whole = algorithm.startsWith("shake")
        ? hash(algorithm, text, { outputEncoding: "buffer", outputLength: 12 })
        : hash(algorithm, text, "buffer")
      const octets = whole.subarray(0, 12)
      const name = `${algorithm} of ${text.slice(0, 60)}`
      const hex = octets.toString("hex", 0, 8)
      const written = [octets.toString("base64"), octets.toString("base64url"), hex, hex.toUpperCase()]
      needles.push({ name, octets })
      for (const spelling of new Set(written)) needles.push({ name, octets: Buffer.from(spelling, "latin1") })
    }
  }
  for (const word of words)
    needles.push({ name: `digest of a view of ${address}`, octets: Buffer.from(word) })
  return needles
}

/** The beginning of a SHAKE256 digest does not depend on its length, and identifies a needle. */
const algorithms = ["sha256", "sha512", "sha1", "md5", "sha3-256", "shake256", "shake128"] as const

export interface Needle {
  /** A description, for failure messages. */
  readonly name: string
  readonly octets: Buffer
}

/** Searches a heap for more needles than could be searched one by one. */
export interface Haystack {
  readonly octets: number
  readonly has: (needle: Buffer) => boolean
}

const window = 6

/**
 * Each sequence of 6 octets in the heap sets a bit in a table. A needle with a sequence whose bit is not set does not
 * occur; the others are searched.
 */
export const makeHaystack = (heap: readonly Buffer[]): Haystack => {
  const octets = heap.reduce((sum, part) => sum + part.length, 0)
  const bits = Math.min(32, Math.max(20, Math.ceil(Math.log2(octets + 1)) + 4))
  const table = new Uint32Array(2 ** (bits - 5))
  const shift = 32 - bits
  const placeOf = (high: number, low: number): number => {
    const mixed = Math.imul(high ^ Math.imul(low, 0x9e3779b1), 0x85ebca6b)
    return (mixed ^ (mixed >>> 15)) >>> shift
  }
  for (const part of heap) {
    let high = 0
    let low = 0
    for (let index = 0; index < part.length; index++) {
      high = ((high << 8) | (low >>> 16)) & 0xff_ffff
      low = ((low << 8) | part[index]!) & 0xff_ffff
      if (index < window - 1 || (high === 0 && low === 0)) continue
      const place = placeOf(high, low)
      table[place >>> 5]! |= 1 << (place & 31)
    }
  }
  const has = (needle: Buffer): boolean => {
    for (let index = 0; index + window <= needle.length; index++) {
      const place = placeOf(needle.readUIntBE(index, 3), needle.readUIntBE(index + 3, 3))
      if ((table[place >>> 5]! & (1 << (place & 31))) === 0) return false
    }
    return heap.some((part) => part.includes(needle))
  }
  return { octets, has }
}
