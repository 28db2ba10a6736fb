/**
 * The topmost Via: reading it, and writing back where the request really came from.
 *
 * @source RFC 3261 §18.2, §20.42; RFC 3581 §4
 */
import { isToken, readDigits } from "./message-reader.ts"
import type { Transport } from "./transports/transport.ts"
import { isMulticast, numericHost, readHostPort } from "./uri.ts"

export interface Via {
  /** `UDP`, `TCP`, in upper case. */
  readonly transport: string
  /** Lower case, IPv6 in brackets. */
  readonly host: string
  readonly port: number | null
  readonly branch: string | null
  /** Null without `rport`; 0 for one that asks. */
  readonly rport: number | null
  readonly maddr: string | null
  /** Ranges of the text taken by `received` and `rport`, which are ours to fill in. */
  readonly received: readonly [number, number] | null
  readonly rportAt: readonly [number, number] | null
  /** Where the first value ends; a comma and more may follow. */
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

/** Reads the first value of a Via line; null when it is malformed. */
export const parseVia = (text: string): Via | null => {
  let at = 0
  let transport = ""
  // sent-protocol = name "/" version "/" transport, blanks allowed around the slashes.
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
  const blanks = skipBlanks(text, at)
  if (blanks === at) return null
  const sentBy = readSentBy(text, blanks)
  return sentBy === null ? null : readViaParameters(text, sentBy, transport)
}

interface SentBy {
  readonly host: string
  readonly port: number | null
  readonly end: number
}

/** Host and port with blanks around the colon, as the grammar allows. */
const readSentBy = (text: string, at: number): SentBy | null => {
  const tight = readHostPort(text, at)
  if (tight === null) return null
  if (tight.port !== null) return tight.port === 0 ? null : tight
  let next = skipBlanks(text, tight.end)
  if (next === tight.end || text.charCodeAt(next) !== 58) return tight
  next = skipBlanks(text, next + 1)
  let end = next
  while (end < text.length && text.charCodeAt(end) >= 48 && text.charCodeAt(end) <= 57) end++
  const port = readDigits(text, next, end, 65_536)
  return port <= 0 ? null : { host: tight.host, port, end }
}

const readViaParameters = (text: string, sentBy: SentBy, transport: string): Via | null => {
  let branch: string | null = null
  let rport: number | null = null
  let maddr: string | null = null
  let received: [number, number] | null = null
  let rportAt: [number, number] | null = null
  let at = sentBy.end
  for (;;) {
    const start = at
    at = skipBlanks(text, at)
    const code = text.charCodeAt(at)
    if (at >= text.length || code === 44) {
      return {
        transport,
        host: sentBy.host,
        port: sentBy.port,
        branch,
        rport,
        maddr,
        received,
        rportAt,
        end: at,
      }
    }
    if (code !== 59) return null
    at = skipBlanks(text, at + 1)
    const nameEnd = tokenEnd(text, at)
    if (!isToken(text, at, nameEnd)) return null
    const name = text.slice(at, nameEnd)
    const equals = skipBlanks(text, nameEnd)
    let value: string | null = null
    at = nameEnd
    if (text.charCodeAt(equals) === 61) {
      const valueStart = skipBlanks(text, equals + 1)
      at = valueEnd(text, valueStart)
      if (at <= valueStart) return null
      value = text.slice(valueStart, at)
    }
    switch (name.length === 5 || name.length === 6 || name.length === 8 ? name.toLowerCase() : "") {
      case "branch":
        if (branch !== null) return null
        branch = value ?? ""
        break
      case "rport":
        rport = 0
        rportAt = [start, at]
        break
      case "maddr":
        maddr = value
        break
      case "received":
        received = [start, at]
    }
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
 * The line as it goes into the response: the first value with `received` and `rport` filled in by us, the rest
 * untouched.
 *
 * @source RFC 3261 §18.2.1: `received` when sent-by is not the source; RFC 3581 §4: both when `rport` asks
 */
export const stampVia = (line: string, via: Via, address: string, port: number): string => {
  const isSame = via.rport === null && (numericHost(via.host) ?? via.host) === address
  if (isSame && via.received === null) return line
  let text = ""
  let at = 0
  const cuts = [via.received, via.rportAt].filter((cut) => cut !== null).toSorted((a, b) => a[0] - b[0])
  for (const cut of cuts) {
    text += line.slice(at, cut[0])
    if (cut === via.rportAt) text += `;rport=${port}`
    at = cut[1]
  }
  text += line.slice(at, via.end)
  if (!isSame) text += `;received=${address}`
  return text + line.slice(via.end)
}

export interface Target {
  readonly address: string
  readonly port: number
}

/**
 * Where a response goes: back over the connection that the request came over; as a datagram back to where the request came from,
 * or to a multicast group that `maddr` names.
 *
 * Any other `maddr` is passed over, or whoever writes one could have responses sent to a stranger.
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
