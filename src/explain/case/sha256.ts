/**
 * SHA-256 of texts (FIPS 180-4), in UTF-8. A program passes the implementation of its platform; `pureSha256` needs none
 * and is meant for web pages, because WebCrypto digests only whole messages, and asynchronously.
 */

export interface Sha256 {
  /** The digest of a text: 64 hexadecimal digits in lower case. */
  readonly hex: (text: string) => string
  readonly running: () => RunningSha256
}

/** A digest of texts that arrive one after the other. */
export interface RunningSha256 {
  readonly update: (text: string) => void
  /** The digest of all texts so far; more may follow. */
  readonly hex: () => string
}

const blockBytes = 64

const primes = (count: number): readonly number[] => {
  const result: number[] = []
  for (let candidate = 2; result.length < count; candidate++)
    if (result.every((prime) => candidate % prime !== 0)) result.push(candidate)
  return result
}

/** The first 32 bits of the fractional part. */
const fraction = (value: number): number => Math.floor((value - Math.floor(value)) * 2 ** 32) | 0

/** @source FIPS 180-4 §4.2.2: cube roots of the first 64 primes */
const constants = Int32Array.from(primes(64), (prime) => fraction(Math.cbrt(prime)))

/** @source FIPS 180-4 §5.3.3: square roots of the first 8 primes */
const initialState = Int32Array.from(primes(8), (prime) => fraction(Math.sqrt(prime)))

const rotated = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits))

const schedule = new Int32Array(64)

const fillSchedule = (bytes: Uint8Array, start: number): void => {
  for (let t = 0; t < 16; t++) {
    const at = start + 4 * t
    schedule[t] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
  }
  for (let t = 16; t < 64; t++) {
    const [w15, w2] = [schedule[t - 15]!, schedule[t - 2]!]
    const sigma0 = rotated(w15, 7) ^ rotated(w15, 18) ^ (w15 >>> 3)
    const sigma1 = rotated(w2, 17) ^ rotated(w2, 19) ^ (w2 >>> 10)
    schedule[t] = (sigma1 + schedule[t - 7]! + sigma0 + schedule[t - 16]!) | 0
  }
}

/** Adds one block to the state. @source FIPS 180-4 §6.2.2 */
const compress = (state: Int32Array, bytes: Uint8Array, start: number): void => {
  fillSchedule(bytes, start)
  let [a, b, c, d, e, f, g, h] = state as unknown as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  for (let t = 0; t < 64; t++) {
    const sum1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)
    const sum0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)
    const first = (h + sum1 + ((e & f) ^ (~e & g)) + constants[t]! + schedule[t]!) | 0
    const second = (sum0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + first) | 0
    d = c
    c = b
    b = a
    a = (first + second) | 0
  }
  for (const [index, word] of [a, b, c, d, e, f, g, h].entries()) state[index] = (state[index]! + word) | 0
}

/** Pads the rest of a message and adds it to the state. @source FIPS 180-4 §5.1.1 */
const finish = (state: Int32Array, rest: Uint8Array, messageBytes: number): string => {
  const padded = new Uint8Array(rest.length + 9 > blockBytes ? 2 * blockBytes : blockBytes)
  padded.set(rest)
  padded[rest.length] = 0x80
  const length = new DataView(padded.buffer, padded.length - 8)
  length.setUint32(0, Math.floor(messageBytes / 2 ** 29))
  length.setUint32(4, (messageBytes * 8) % 2 ** 32)
  for (let start = 0; start < padded.length; start += blockBytes) compress(state, padded, start)
  return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("")
}

const running = (): RunningSha256 => {
  const encoder = new TextEncoder()
  const state = Int32Array.from(initialState)
  let rest = new Uint8Array(0)
  let messageBytes = 0
  return {
    update: (text) => {
      const added = encoder.encode(text)
      messageBytes += added.length
      const bytes = new Uint8Array(rest.length + added.length)
      bytes.set(rest)
      bytes.set(added, rest.length)
      let start = 0
      for (; start + blockBytes <= bytes.length; start += blockBytes) compress(state, bytes, start)
      rest = bytes.slice(start)
    },
    hex: () => finish(Int32Array.from(state), rest, messageBytes),
  }
}

/** In plain JavaScript, for any platform. */
export const pureSha256: Sha256 = {
  hex: (text) => {
    const hash = running()
    hash.update(text)
    return hash.hex()
  },
  running,
}
