/**
 * Parser of received SIP, SIPS, PRES and TEL URIs. It scans by index and never backtracks. Canonical form and
 * equality are in `domain/uris.ts`.
 */
import { isUtf8 } from "node:buffer"
import { isIPv4, isIPv6 } from "node:net"
import { domainToASCII } from "node:url"
import {
  addressOfRecord,
  canonicalHost,
  canonicalUri,
  schemeOf,
  withPlainEscapes,
} from "../../domain/uris.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { flattened, readDigits } from "./message-reader.ts"

export interface SipUri {
  readonly scheme: "sip" | "sips" | "pres"
  /** Unnecessary escapes decoded; null if absent. */
  readonly user: string | null
  readonly password: string | null
  /** In lower case; an IPv6 address keeps its brackets. */
  readonly host: string
  readonly port: number | null
  /** Names in lower case, values as written; null for a parameter without a value. */
  readonly parameters: ReadonlyMap<string, string | null>
  /** After the `?`, as written; null if absent. */
  readonly headers: string | null
}

export interface TelUri {
  readonly scheme: "tel"
  /** In canonical form, with the scheme. */
  readonly text: string
}

/** The address of record, as a string that does not hold on to the message. */
export const ownAddressOf = (uri: SipUri | TelUri): Uri => flattened(addressOfRecord(uri))

const characterTable = (extra: string): Uint8Array => {
  const table = new Uint8Array(256)
  for (const character of `ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()${extra}`)
    table[character.charCodeAt(0)] = 1
  return table
}
/** RFC 3261 §25.1 `user-unreserved`, `password`, `param-unreserved`, `hnv-unreserved`. */
const userCharacters = characterTable("&=+$,;?/")
const passwordCharacters = characterTable("&=+$,")
const parameterCharacters = characterTable("[]/:&+$")
const headerCharacters = characterTable("[]/?:+$&=")

const isHexDigit = (code: number): boolean =>
  (code >= 48 && code <= 57) || ((code | 32) >= 97 && (code | 32) <= 102)

/** Whether all characters are in the table or part of a well-formed escape. */
const isMadeOf = (text: string, table: Uint8Array): boolean => {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (table[code] === 1) continue
    if (code !== 37 || !isHexDigit(text.charCodeAt(at + 1)) || !isHexDigit(text.charCodeAt(at + 2)))
      return false
    at += 2
  }
  return true
}

interface HostPort {
  readonly host: string
  readonly port: number | null
  readonly end: number
}

/**
 * The end of the host at `start`: a name, an IPv4 address, or an IPv6 address in brackets.
 *
 * @returns -1 if there is none
 */
export const hostEnd = (text: string, start: number): number => {
  let end = start
  if (text.charCodeAt(start) === 91) {
    end = text.indexOf("]", start) + 1
    if (end <= 0 || end - start > 48) return -1
    const address = text.slice(start + 1, end - 1)
    // a zone is meaningful on its own machine only, and not allowed in a URI (RFC 3261 §25.1)
    return isIPv6(address) && !address.includes("%") ? end : -1
  }
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end)
    const isHostCharacter =
      (code >= 48 && code <= 57) ||
      ((code | 32) >= 97 && (code | 32) <= 122) ||
      code === 45 ||
      code === 46 ||
      code === 95
    if (!isHostCharacter) break
  }
  return end === start || end - start > 255 ? -1 : end
}

/** The index of the first character from `start` on that is not a digit. */
export const digitsEnd = (text: string, start: number): number => {
  let end = start
  while (end < text.length && text.charCodeAt(end) >= 48 && text.charCodeAt(end) <= 57) end++
  return end
}

/**
 * Reads `host [":" port]` from `start`, without whitespace.
 *
 * @returns null if there is no host, or the port is not 0 to 65535
 */
export const readHostPort = (text: string, start: number): HostPort | null => {
  const end = hostEnd(text, start)
  if (end < 0) return null
  const host = text.slice(start, end).toLowerCase()
  if (text.charCodeAt(end) !== 58) return { host, port: null, end }
  const portEnd = digitsEnd(text, end + 1)
  const port = readDigits(text, end + 1, portEnd, 65_536)
  return port < 0 ? null : { host, port, end: portEnd }
}

/**
 * Reads a URI. A user part with raw `#` or UTF-8, and a host name in UTF-8, are read as what they would be
 * written properly (`writableUri`).
 *
 * @returns null for anything malformed and for schemes other than sip, sips, pres and tel
 */
export const parseUri = (text: string): SipUri | TelUri | null => {
  const uri = parseStrictly(text)
  if (uri !== null || !rawCharacters.test(text)) return uri
  const proper = writableUri(text)
  return proper === text ? null : parseStrictly(proper)
}

/** What phones leave unescaped; text from the wire has one character for each octet. */
const rawCharacters = /[#\x80-\xff]/

/**
 * The URI as it may be written (RFC 3261 §25.1): `#` and UTF-8 in its user part as escapes (§19.1.2), a host
 * name in ASCII (RFC 5890 §2.3.2.1). A URI that has none of these is returned as it is, and so is one that has
 * them elsewhere, which no parser takes.
 *
 * @param text one character for each octet
 */
export const writableUri = (text: string): string => {
  if (!rawCharacters.test(text)) return text
  const scheme = schemeOf(text)
  if (scheme === null || !/^(?:sips?|pres)$/i.test(scheme)) return text
  const start = scheme.length + 1
  const sign = text.indexOf("@", start)
  const userEnd = sign < 0 ? start : sign
  const host = text.slice(sign < 0 ? start : sign + 1)
  const hostLength = /[:;?]|$/.exec(host)!.index
  const user = escaped(text.slice(start, userEnd))
  const name = inAscii(host.slice(0, hostLength))
  if (user === null || name === null) return text
  return (
    text.slice(0, start) +
    user +
    text.slice(userEnd, text.length - host.length) +
    name +
    host.slice(hostLength)
  )
}

const escaped = (user: string): string | null =>
  isUtf8(Buffer.from(user, "latin1"))
    ? user.replace(
        /[#\x80-\xff]/g,
        (octet) => `%${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
      )
    : null

const inAscii = (host: string): string | null => {
  if (!beyondAscii.test(host)) return host
  const octets = Buffer.from(host, "latin1")
  const name = isUtf8(octets) ? domainToASCII(octets.toString("utf8")) : ""
  return name === "" ? null : name
}

const beyondAscii = /[^\0-\x7f]/

const parseStrictly = (text: string): SipUri | TelUri | null => {
  const scheme = text.startsWith("sip:") ? "sip" : schemeOf(text)?.toLowerCase()
  if (scheme === "tel") return parseTel(text)
  if (scheme !== "sip" && scheme !== "sips" && scheme !== "pres") return null
  let at = scheme.length + 1
  let user: string | null = null
  let password: string | null = null
  // the only unescaped `@` in a URI ends the user part
  const sign = text.indexOf("@", at)
  if (sign >= 0) {
    const colon = text.indexOf(":", at)
    const userEnd = colon >= 0 && colon < sign ? colon : sign
    user = text.slice(at, userEnd)
    if (user === "" || !isMadeOf(user, userCharacters)) return null
    user = withPlainEscapes(user)
    if (userEnd < sign) {
      password = text.slice(userEnd + 1, sign)
      if (!isMadeOf(password, passwordCharacters)) return null
    }
    at = sign + 1
  }
  const hostPort = readHostPort(text, at)
  if (hostPort === null) return null
  at = hostPort.end
  let parameters = noParameters
  if (text.charCodeAt(at) === 59) {
    const question = text.indexOf("?", at)
    const end = question < 0 ? text.length : question
    const read = readParameters(text, at, end)
    if (read === null) return null
    parameters = read
    at = end
  }
  let headers: string | null = null
  if (text.charCodeAt(at) === 63) {
    headers = text.slice(at + 1)
    if (!isMadeOf(headers, headerCharacters)) return null
    at = text.length
  }
  if (at !== text.length) return null
  return { scheme, user, password, host: hostPort.host, port: hostPort.port, parameters, headers }
}

const noParameters: ReadonlyMap<string, string | null> = new Map()

const readParameters = (text: string, from: number, end: number): Map<string, string | null> | null => {
  const parameters = new Map<string, string | null>()
  let at = from
  while (at < end) {
    let next = text.indexOf(";", at + 1)
    if (next < 0 || next > end) next = end
    let equals = text.indexOf("=", at + 1)
    if (equals < 0 || equals > next) equals = next
    const name = text.slice(at + 1, equals)
    const value = equals < next ? text.slice(equals + 1, next) : null
    if (name === "" || !isMadeOf(name, parameterCharacters)) return null
    if (value !== null && !isMadeOf(value, parameterCharacters)) return null
    // RFC 3261 §19.1.1: each parameter name at most once
    if (parameters.has(name.toLowerCase())) return null
    parameters.set(name.toLowerCase(), value)
    at = next
  }
  return parameters
}

/** @source RFC 3966 §3 */
const parseTel = (text: string): TelUri | null => {
  const semicolon = text.indexOf(";")
  const end = semicolon < 0 ? text.length : semicolon
  let digits = 0
  for (let at = 4; at < end; at++) {
    const character = text.charAt(at)
    if ("-.()".includes(character) || (character === "+" && at === 4)) continue
    if (!"0123456789abcdefABCDEF*#".includes(character)) return null
    digits++
  }
  if (digits === 0) return null
  if (semicolon >= 0 && readParameters(text, semicolon, text.length) === null) return null
  return { scheme: "tel", text: canonicalUri(text) }
}

/**
 * The canonical form of an address, without brackets: IPv6 as in RFC 5952 §4, and an IPv4-mapped address as
 * IPv4 (RFC 4291 §2.5.5.2). All limits and tables by address use this form.
 *
 * @param address numeric, from a URI or the system; a zone is kept
 */
export const canonicalAddress = (address: string): string => {
  if (!address.includes(":")) return address
  const zone = address.indexOf("%")
  const plain = canonicalHost(`[${zone < 0 ? address : address.slice(0, zone)}]`).slice(1, -1)
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(plain) ?? []
  if (high === undefined || low === undefined) return zone < 0 ? plain : plain + address.slice(zone)
  const [upper, lower] = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return `${upper >> 8}.${upper & 255}.${lower >> 8}.${lower & 255}`
}

/**
 * The canonical address of a numeric host, without brackets. Null for a name, and for text that only
 * resembles an address (`127.1`, `010.0.0.1`, an address with a zone).
 *
 * @param host as in a URI, or without the brackets
 */
export const numericHost = (host: string): string | null => {
  if (!host.includes(":")) return isIPv4(host) ? host : null
  const address = host.startsWith("[") ? host.slice(1, -1) : host
  return isIPv6(address) && !address.includes("%") ? canonicalAddress(address) : null
}

/**
 * The canonical form of a host: an address without brackets; a name in lower case and ASCII without a trailing
 * dot.
 */
export const plainHost = (host: string): string => {
  const address = numericHost(host)
  if (address !== null) return address
  const name = beyondAscii.test(host) ? domainToASCII(host) || host.toLowerCase() : host.toLowerCase()
  return name.length > 1 && name.endsWith(".") ? name.slice(0, -1) : name
}

/** A host as printed before a port: IPv6 addresses get brackets. */
export const bracketed = (address: string): string =>
  address.includes(":") && !address.startsWith("[") ? `[${address}]` : address

/**
 * Whether a host cannot be a single host: an unspecified, multicast or broadcast address, or a name that
 * resolvers read as an address.
 */
export const isNobody = (host: string): boolean => {
  const address = numericHost(host)
  if (address === null) return host.includes(":") || isOddNumber(plainHost(host))
  if (!address.includes(":")) {
    const first = readDigits(address, 0, address.indexOf("."), 256)
    return first === 0 || first >= 224
  }
  return address === "::" || address.startsWith("ff")
}

/** Multicast addresses: 224.0.0.0/4 (RFC 5771), ff00::/8 (RFC 4291 §2.7); without brackets. */
export const isMulticast = (address: string): boolean => {
  const plain = canonicalAddress(address)
  if (plain.includes(":")) return plain.startsWith("ff")
  const first = readDigits(plain, 0, plain.indexOf("."), 256)
  return first >= 224 && first < 240
}

/**
 * Resolvers read `127.1`, `0x7f000001` and `010.0.0.1` as addresses; no host name ends in a number (RFC 3261
 * §25.1 `toplabel`).
 */
const isOddNumber = (name: string): boolean => /(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)?$/.test(name)
