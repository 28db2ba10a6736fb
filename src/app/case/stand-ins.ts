/**
 * Pseudonyms for words: of the same length and the same kinds of characters, equal for equal words and different for different
 * ones, under a key that is thrown away.
 *
 * Words of ASCII letters and digits are enciphered within the set of words of their shape, by a Feistel network whose halves need
 * not be equal; so no table of pseudonyms is kept. Case is ignored, because host names are case-insensitive. For other scripts,
 * length and equality are preserved.
 */
import { createHmac } from "node:crypto"

export interface StandIns {
  /** For one run of ASCII letters and digits. */
  readonly word: (word: string) => string
  /** For the four numbers of an IPv4 address: addresses in one network stay in one network, and each number keeps its length. */
  readonly ipv4: (address: string) => string
  /** For an IPv6 address, without its brackets. */
  readonly hex: (text: string) => string
  /** For a digest whose document is not known. */
  readonly digest: (digest: string) => string
}

const rounds = 8
/** Longer words are enciphered in pieces of this length. */
const pieceMax = 24
const knownMax = 20_000

/** A keyed pseudorandom function, and the cipher over words that is made of it. */
interface Cipher {
  readonly random: (tweak: string, bytes: number) => Buffer
  readonly permuted: (
    digits: readonly number[],
    radices: readonly number[],
    tweak: string,
  ) => readonly number[]
}

const makeCipher = (key: Buffer): Cipher => {
  const random = (tweak: string, bytes: number): Buffer => {
    const digest = createHmac("sha512", key).update(tweak).digest()
    return bytes <= digest.length
      ? digest.subarray(0, bytes)
      : Buffer.concat([digest, random(`${tweak}+`, bytes - 64)])
  }
  const numberFrom = (tweak: string, below: bigint): bigint =>
    below <= 1n ? 0n : BigInt(`0x${random(tweak, 24).toString("hex")}`) % below

  /** Enciphers the digits of a word, with one radix for each place. */
  const permuted = (digits: readonly number[], radices: readonly number[], tweak: string): number[] => {
    const [only, size] = [digits[0]!, radices[0]!]
    // a word of one character never maps to itself
    if (digits.length === 1) return [(only + 1 + Number(numberFrom(tweak, BigInt(size - 1)))) % size]
    const half = Math.ceil(digits.length / 2)
    const sizes = [radices.slice(0, half), radices.slice(half)].map((places) =>
      places.reduce((product, radix) => product * BigInt(radix), 1n),
    ) as [bigint, bigint]
    let [left, right] = [
      numberOf(digits.slice(0, half), radices.slice(0, half)),
      numberOf(digits.slice(half), radices.slice(half)),
    ]
    for (let round = 0; round < rounds; round++) {
      if (round % 2 === 0) left = (left + numberFrom(`${tweak}|${round}|${right}`, sizes[0])) % sizes[0]
      else right = (right + numberFrom(`${tweak}|${round}|${left}`, sizes[1])) % sizes[1]
    }
    return [...digitsOf(left, radices.slice(0, half)), ...digitsOf(right, radices.slice(half))]
  }

  return { random, permuted }
}

/** The number that digits are, with one radix for each place. */
const numberOf = (digits: readonly number[], radices: readonly number[]): bigint =>
  digits.reduce((value, digit, index) => value * BigInt(radices[index]!) + BigInt(digit), 0n)

const digitsOf = (number: bigint, radices: readonly number[]): readonly number[] => {
  const found: number[] = []
  for (const radix of radices.toReversed().map(BigInt)) {
    found.unshift(Number(number % radix))
    number /= radix
  }
  return found
}

const wordsWith = ({ random, permuted }: Cipher) => {
  const piece = (text: string, tweak: string): string => {
    const digits = text
      .split("")
      .map((char) => (isDigit(char) ? char.charCodeAt(0) - 48 : char.charCodeAt(0) - 97))
    const radices = text.split("").map((char) => (isDigit(char) ? 10 : 26))
    const shape = radices.join(",")
    return permuted(digits, radices, `${tweak}|${shape}`)
      .map((digit, index) => String.fromCharCode(digit + (radices[index] === 10 ? 48 : 97)))
      .join("")
  }

  const lower = (word: string): string => {
    let text = ""
    for (let from = 0; from < word.length; from += pieceMax) {
      const before = word.slice(0, from)
      text += piece(
        word.slice(from, from + pieceMax),
        before === "" ? "" : random(before, 16).toString("hex"),
      )
    }
    return text
  }

  const ascii = (word: string): string => {
    const small = word.toLowerCase()
    const standIn = lower(small)
    return standIn
      .split("")
      .map((char, index) => (word[index] === small[index] ? char : char.toUpperCase()))
      .join("")
  }

  /** For other scripts: each letter outside ASCII is replaced by a letter of Latin Extended. */
  const foreign = (word: string): string => {
    const bytes = random(`foreign|${word.toLowerCase()}`, word.length * 2)
    return word
      .split("")
      .map((char, index) => {
        const number = bytes.readUInt16BE(index * 2)
        if (isDigit(char)) return String(number % 10)
        if (/[a-z]/.test(char)) return String.fromCharCode(97 + (number % 26))
        if (/[A-Z]/.test(char)) return String.fromCharCode(65 + (number % 26))
        return String.fromCharCode(0x100 + (number % 0x80))
      })
      .join("")
  }

  return { ascii, foreign }
}

const ipv4With = ({ permuted }: Cipher, address: string): string => {
  const parts = address.split(".")
  return parts
    .map((part, index) => {
      const number = Number(part)
      const [from, size] = number < 10 ? [0, 10] : number < 100 ? [10, 90] : [100, 156]
      const tweak = `ipv4|${parts.slice(0, index).join(".")}|${from}`
      return String(from + permuted([number - from], [size], tweak)[0]!)
    })
    .join(".")
}

const hexWith = ({ permuted }: Cipher, text: string): string =>
  text
    .split(":")
    .map((group, index, groups) => {
      if (!/^[0-9a-fA-F]+$/.test(group)) return group
      const digits = Array.from(group, (char) => Number.parseInt(char, 16))
      const tweak = `hex|${groups.slice(0, index).join(":").toLowerCase()}`
      return permuted(
        digits,
        digits.map(() => 16),
        tweak,
      )
        .map((digit) => digit.toString(16))
        .join("")
    })
    .join(":")

export const makeStandIns = (key: Buffer): StandIns => {
  const cipher = makeCipher(key)
  const { ascii, foreign } = wordsWith(cipher)
  const known = new Map<string, string>()
  const once = (name: string, make: () => string): string => {
    const found = known.get(name)
    if (found !== undefined) return found
    const made = make()
    if (known.size >= knownMax) known.clear()
    known.set(name, made)
    return made
  }
  return {
    word: (word) => once(word, () => (/^[A-Za-z0-9]+$/.test(word) ? ascii(word) : foreign(word))),
    ipv4: (address) => once(`ipv4 ${address}`, () => ipv4With(cipher, address)),
    hex: (text) => once(`hex ${text}`, () => hexWith(cipher, text)),
    digest: (digest) =>
      BigInt(`0x${cipher.random(`digest|${digest}`, 8).toString("hex")}`)
        .toString(36)
        .padStart(digest.length, "0")
        .slice(0, digest.length),
  }
}

const isDigit = (char: string): boolean => char >= "0" && char <= "9"
