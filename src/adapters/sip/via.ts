/**
 * The topmost Via: parsing it, filling in where the request came from, and routing the response.
 *
 * @source RFC 3261 §18.2, §20.42; RFC 3581 §4
 */
import { isToken, readDigits } from "./message-reader.ts"
import type { Transport } from "./transports/transport.ts"
import { digitsEnd, hostEnd, isMulticast, numericHost } from "./uri.ts"

export interface Via {
  /** In upper case: `UDP`, `TCP`. */
  readonly transport: string
  /** In lower case; an IPv6 address keeps its brackets. */
  readonly host: string
  readonly port: number | null
  readonly branch: string | null
  /** Null without `rport`; 0 for `rport` without a value. */
  readonly rport: number | null
  readonly maddr: string | null
  /** Positions of the first `received` and `rport`, with their semicolons, for us to fill in; -1 if absent. */
  readonly receivedStart: number
  readonly receivedEnd: number
  readonly rportStart: number
  readonly rportEnd: number
  /**
   * Alternating start and end of what is not allowed and left out when the line is filled in: further
   * `received` and `rport` parameters (RFC 3261 §7.3.1), and a semicolon at the end of the line.
   */
  readonly repeated: readonly number[]
  /** The end of the first value; a comma and further values may follow. */
  readonly end: number
}

const skipBlanks = (text: string, at: number): number => {
  while (text.charCodeAt(at) === 32 || text.charCodeAt(at) === 9) at++
  return at
}

const tokenEnd = (text: string, at: number): number => {
  let end = at
  while (end < text.length) {
    const code = text.charCodeAt(end)
    if (code === 47 || code === 32 || code === 9 || code === 59 || code === 44 || code === 61) break
    end++
  }
  return end
}

/**
 * Parses the first value of a Via line; null if it is malformed.
 *
 * Two forms that the grammar does not allow are common and have one meaning only: a semicolon at the end of
 * the line, and a parameter with a `=` but no value (`rport=`).
 */
export const parseVia = (text: string): Via | null => {
  if (text.startsWith("SIP/2.0/UDP ")) return readSentByAndParameters(text, 11, "UDP")
  let at = 0
  let transport = ""
  // sent-protocol = name "/" version "/" transport; whitespace is allowed around the slashes
  for (let part = 0; part < 3; part++) {
    at = skipBlanks(text, at)
    const end = tokenEnd(text, at)
    if (!isToken(text, at, end)) return null
    const word = text.slice(at, end)
    if (part === 0 && word !== "SIP" && word.toUpperCase() !== "SIP") return null
    if (part === 1 && word !== "2.0") return null
    if (part === 2) transport = word.toUpperCase()
    at = end
    if (part === 2) break
    at = skipBlanks(text, at)
    if (text.charCodeAt(at) !== 47) return null
    at++
  }
  return readSentByAndParameters(text, at, transport)
}

const readSentByAndParameters = (text: string, protocolEnd: number, transport: string): Via | null => {
  const start = skipBlanks(text, protocolEnd)
  const sentBy = start === protocolEnd ? null : readSentBy(text, start)
  return sentBy === null ? null : readViaParameters(text, sentBy, transport)
}

interface SentBy {
  readonly host: string
  readonly port: number | null
  readonly end: number
}

/** Host and port, with whitespace around the colon as the grammar allows. */
const readSentBy = (text: string, at: number): SentBy | null => {
  const end = hostEnd(text, at)
  if (end < 0) return null
  const host = text.slice(at, end).toLowerCase()
  const colon = skipBlanks(text, end)
  if (text.charCodeAt(colon) !== 58) return { host, port: null, end }
  const start = skipBlanks(text, colon + 1)
  const portEnd = digitsEnd(text, start)
  const port = readDigits(text, start, portEnd, 65_536)
  return port <= 0 ? null : { host, port, end: portEnd }
}

/** Whether the text from `start` to `end` is that word, ignoring case; `word` is in lower case. */
const isWordAt = (text: string, start: number, end: number, word: string): boolean => {
  if (end - start !== word.length) return false
  for (let at = 0; at < word.length; at++)
    if ((text.charCodeAt(start + at) | 32) !== word.charCodeAt(at)) return false
  return true
}

const noneRepeated: readonly number[] = []

const readViaParameters = (
  text: string,
  { host, port, end: from }: SentBy,
  transport: string,
): Via | null => {
  let branch: string | null = null
  let rport: number | null = null
  let maddr: string | null = null
  let [receivedStart, receivedEnd, rportStart, rportEnd] = [-1, -1, -1, -1]
  let repeated: number[] | null = null
  let at = from
  for (;;) {
    const start = at
    at = skipBlanks(text, at)
    const code = text.charCodeAt(at)
    if (at >= text.length || code === 44) {
      const end = at
      return {
        transport,
        host,
        port,
        branch,
        rport,
        maddr,
        receivedStart,
        receivedEnd,
        rportStart,
        rportEnd,
        repeated: repeated ?? noneRepeated,
        end,
      }
    }
    if (code !== 59) return null
    const nameStart = skipBlanks(text, at + 1)
    if (nameStart >= text.length) {
      ;(repeated ??= []).push(start, text.length)
      at = text.length
      continue
    }
    const nameEnd = tokenEnd(text, nameStart)
    if (!isToken(text, nameStart, nameEnd)) return null
    const equals = skipBlanks(text, nameEnd)
    let valueStart = -1
    at = nameEnd
    if (text.charCodeAt(equals) === 61) {
      valueStart = skipBlanks(text, equals + 1)
      at = valueEnd(text, valueStart)
      if (at < valueStart) return null
      if (at === valueStart) valueStart = -1
    }
    if (isWordAt(text, nameStart, nameEnd, "branch")) {
      if (branch !== null) return null
      branch = valueStart < 0 ? "" : text.slice(valueStart, at)
    } else if (isWordAt(text, nameStart, nameEnd, "rport")) {
      if (rport !== null) (repeated ??= []).push(start, at)
      else {
        rport = 0
        rportStart = start
        rportEnd = at
      }
    } else if (isWordAt(text, nameStart, nameEnd, "received")) {
      if (receivedStart >= 0) (repeated ??= []).push(start, at)
      else {
        receivedStart = start
        receivedEnd = at
      }
    } else if (isWordAt(text, nameStart, nameEnd, "maddr"))
      maddr = valueStart < 0 ? null : text.slice(valueStart, at)
  }
}

/** The end of a token, host or quoted string. */
const valueEnd = (text: string, start: number): number => {
  if (text.charCodeAt(start) === 34) {
    for (let at = start + 1; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code === 92) at++
      else if (code === 34) return at + 1
    }
    return -1
  }
  let end = start
  while (end < text.length) {
    const code = text.charCodeAt(end)
    if (code === 59 || code === 44 || code === 32 || code === 9 || code === 34) break
    end++
  }
  return end
}

/**
 * The line for the response: `received` and `rport` of the first value filled in, the rest unchanged.
 *
 * @source RFC 3261 §18.2.1: `received` if sent-by is not the source; RFC 3581 §4: both if `rport` is present
 */
export const stampVia = (line: string, via: Via, address: string, port: number): string => {
  const { host, rport, receivedStart, receivedEnd, rportStart, rportEnd, repeated, end } = via
  if (repeated.length > 0) {
    const plain = withoutRanges(line, repeated)
    return stampVia(plain, parseVia(plain)!, address, port)
  }
  const isSame = rport === null && (host === address || (numericHost(host) ?? host) === address)
  if (isSame && receivedStart < 0) return line
  let text = ""
  let at = 0
  if (receivedStart >= 0 && receivedStart < rportStart) {
    text = line.slice(0, receivedStart)
    at = receivedEnd
  }
  if (rportStart >= 0) {
    text += `${line.slice(at, rportStart)};rport=${port}`
    at = rportEnd
  }
  if (receivedStart > rportStart) {
    text += line.slice(at, receivedStart)
    at = receivedEnd
  }
  text += line.slice(at, end)
  if (!isSame) text += `;received=${address}`
  return end === line.length ? text : text + line.slice(end)
}

/** @param ranges start and end of each range alternating, in order */
const withoutRanges = (text: string, ranges: readonly number[]): string => {
  let kept = ""
  let at = 0
  for (let index = 0; index < ranges.length; index += 2) {
    kept += text.slice(at, ranges[index])
    at = ranges[index + 1]!
  }
  return kept + text.slice(at)
}

export interface Target {
  readonly address: string
  readonly port: number
}

/**
 * Where a response goes: back over the connection of the request, or as a datagram to its source, or to a
 * multicast group in `maddr`. Any other `maddr` is ignored: a sender could direct responses at a third party
 * with it.
 *
 * @source RFC 3261 §18.2.2, RFC 3581 §4
 */
export const responseTarget = (
  via: Via,
  address: string,
  port: number,
  { isReliable, defaultPort }: Pick<Transport, "isReliable" | "defaultPort">,
): Target => {
  if (isReliable) return { address, port }
  if (via.maddr !== null) {
    const maddr = numericHost(via.maddr)
    const isOfSameFamily = maddr !== null && maddr.includes(":") === address.includes(":")
    if (isOfSameFamily && isMulticast(maddr)) return { address: maddr, port: via.port ?? defaultPort }
  }
  return { address, port: via.rport === null ? (via.port ?? defaultPort) : port }
}
