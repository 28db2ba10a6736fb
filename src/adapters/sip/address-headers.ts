/**
 * Address headers: From, To, Contact, Route, Record-Route and the like.
 *
 * A line is scanned once, forward, and only positions are recorded; strings are cut out on demand, because
 * most requests need little more than the tag. Tests compare this reader with the npm package `sip`
 * (`sip-package.ts`), which reads the same values where speed does not matter.
 *
 * Reading is more liberal than the grammar in two ways, and what is written (`untagged`) is proper: a display
 * name that is no token needs no quotes (RFC 4475 §3.1.2.15), and of the URI see `writableUri`.
 */
import { isUtf8 } from "node:buffer"
import { schemeOf } from "../../domain/uris.ts"
import { isToken, tokenEnd } from "./message-reader.ts"
import { writableUri } from "./uri.ts"

/** One address; its strings are slices of the line, so copy (`copyText`) any that outlive the message. */
export interface Address {
  /** The URI as written, without brackets. */
  readonly uri: string
  readonly tag: string | null
  /** The whole value without its tag, whitespace collapsed, as it may be written. */
  readonly untagged: string
  /** All parameters except the tag, without whitespace: `;expires=60;+sip.instance="…"`. */
  readonly parameterText: string
  /**
   * All parameters except the tag, by lower-case name. Quoted values keep their quotes; the last of a
   * repeated name wins.
   */
  readonly parameters: ReadonlyMap<string, string | null>
}

/** All values of one header line, in order; null if any is malformed. */
export const parseAddresses = (line: string): readonly Address[] | null => {
  const addresses: Address[] = []
  let at = 0
  do {
    const address = readAddress(line, at)
    if (address === null) return null
    addresses.push(address)
    at = address.next
  } while (at <= line.length)
  return addresses
}

/** The value of a line that must hold exactly one; null if it is malformed or there are more. */
export const parseAddress = (line: string): Address | null => {
  const address = readAddress(line, 0)
  if (address !== null && address.next > line.length) return address
  const loose = readLoosely(line, 0, true)
  return loose !== null && loose.next > line.length ? loose : null
}

/** One well-formed value of a line. A class, so that its strings are created lazily. */
class AddressInLine implements Address {
  readonly tag: string | null
  /** Where the next value starts in the line; past the end of the line if there is none. */
  readonly next: number
  readonly #line: string
  readonly #place: Place

  constructor(line: string, place: Place, tag: string | null, next: number) {
    this.tag = tag
    this.next = next
    this.#line = line
    this.#place = place
  }

  get uri(): string {
    return this.#line.slice(this.#place.uriStart, this.#place.uriEnd)
  }

  get untagged(): string {
    const { start, bracket, isLoose } = this.#place
    const uri = writableUri(this.uri)
    if (bracket < 0) return uri + this.parameterText
    const display = collapsed(this.#line, start, bracket)
    const written = isLoose === true ? quoted(display) : display
    return `${written}${written === "" ? "" : " "}<${uri}>${this.parameterText}`
  }

  get parameterText(): string {
    let text = ""
    for (const [name, value] of this.#parameters()) text += value === null ? `;${name}` : `;${name}=${value}`
    return text
  }

  get parameters(): ReadonlyMap<string, string | null> {
    return new Map(this.#parameters().map(([name, value]) => [name.toLowerCase(), value]))
  }

  /** In order and as written, without the tag. */
  #parameters(): readonly (readonly [name: string, value: string | null])[] {
    const line = this.#line
    const found: [string, string | null][] = []
    let at = skipBlanks(line, this.#place.parametersAt)
    while (line.charCodeAt(at) === SEMICOLON) {
      const start = skipBlanks(line, at + 1)
      const nameEnd = wordEnd(line, start)
      const name = line.slice(start, nameEnd)
      const valueStart = valueAfter(line, nameEnd)
      const end = valueStart < 0 ? nameEnd : valueEnd(line, valueStart)
      if (!isTagAt(line, start, nameEnd))
        found.push([name, valueStart < 0 ? null : line.slice(valueStart, end)])
      at = skipBlanks(line, end)
    }
    return found
  }
}

/** Positions of the parts of a value in its line. */
interface Place {
  readonly start: number
  /** Position of `<`; -1 if the URI has no brackets. */
  readonly bracket: number
  readonly uriStart: number
  readonly uriEnd: number
  readonly parametersAt: number
  /** The display name lacks the quotes that it needs. */
  readonly isLoose?: true
}

const TAB = 9
const SPACE = 32
const QUOTE = 34
const COMMA = 44
const SEMICOLON = 59
const LESS = 60
const EQUALS = 61
const GREATER = 62
const QUESTION = 63
const BACKSLASH = 92

const isBlank = (code: number): boolean => code === SPACE || code === TAB

const skipBlanks = (text: string, from: number): number => {
  let at = from
  while (at < text.length && isBlank(text.charCodeAt(at))) at++
  return at
}

/** A display name as written, each run of whitespace between tokens reduced to one space. */
const collapsed = (line: string, start: number, end: number): string => {
  let last = end
  while (last > start && isBlank(line.charCodeAt(last - 1))) last--
  const text = line.slice(start, last)
  return text.startsWith('"') ? text : text.replace(/[ \t]+/g, " ")
}

/** A quoted string; text that is not UTF-8 is taken for ISO-8859-1. */
const quoted = (display: string): string => {
  const octets = Buffer.from(display, "latin1")
  const text = isUtf8(octets) ? display : Buffer.from(display, "utf8").toString("latin1")
  return `"${text.replace(/[\\"]/g, "\\$&")}"`
}

/** The index after the closing quote of a quoted string, or -1. */
const quotedEnd = (text: string, from: number): number => {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === BACKSLASH) at++
    else if (code === QUOTE) return at + 1
  }
  return -1
}

const readAddress = (line: string, from: number): AddressInLine | null =>
  readStrictly(line, from) ?? readLoosely(line, from, false)

/**
 * A value whose display name is neither tokens nor a quoted string: all before the first bracket, which must
 * hold a URI with a scheme. Text in which another address might be meant is refused.
 *
 * @param isSingle the line holds one value, so that a comma may be part of the name
 */
const readLoosely = (line: string, from: number, isSingle: boolean): AddressInLine | null => {
  const start = skipBlanks(line, from)
  const bracket = line.indexOf("<", start)
  if (bracket <= start || line.charCodeAt(start) === QUOTE) return null
  const display = line.slice(start, bracket)
  if (!isPossibleName(display, isSingle)) return null
  const close = line.indexOf(">", bracket)
  if (close < 0) return null
  const [uriStart, uriEnd] = withoutBlanks(line, bracket + 1, close)
  if (!isUriText(line, uriStart, uriEnd) || schemeOf(line.slice(uriStart, uriEnd)) === null) return null
  return readParameters(line, { start, bracket, uriStart, uriEnd, parametersAt: close + 1, isLoose: true })
}

const isPossibleName = (display: string, isSingle: boolean): boolean => {
  if (display.includes(">") || /(?:sips?|tel|pres):/i.test(display)) return false
  if (display.startsWith(",") || !/[A-Za-z0-9\x80-\xff]/.test(display)) return false
  if (display.includes(",") && (!isSingle || display.includes("@"))) return false
  return display.split('"').length % 2 === 1
}

/**
 * @source RFC 3261 §25.1 `name-addr`, `addr-spec`; §20.10: a URI with a comma, semicolon or question mark
 * needs brackets
 */
const readStrictly = (line: string, from: number): AddressInLine | null => {
  const start = skipBlanks(line, from)
  const bracket = bracketAfter(line, start)
  if (bracket === malformed) return null
  if (bracket === noBracket) {
    const end = bareEnd(line, start)
    return isUriText(line, start, end)
      ? readParameters(line, { start, bracket, uriStart: start, uriEnd: end, parametersAt: end })
      : null
  }
  const close = line.indexOf(">", bracket)
  if (close < 0) return null
  const [uriStart, uriEnd] = withoutBlanks(line, bracket + 1, close)
  if (!isUriText(line, uriStart, uriEnd)) return null
  return readParameters(line, { start, bracket, uriStart, uriEnd, parametersAt: close + 1 })
}

const withoutBlanks = (line: string, from: number, to: number): readonly [start: number, end: number] => {
  const start = skipBlanks(line, from)
  let end = to
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--
  return [start, end]
}

const noBracket = -1
const malformed = -2

/** Position of the `<` after a display name, which is a quoted string, tokens or empty. */
const bracketAfter = (line: string, start: number): number => {
  if (line.charCodeAt(start) === QUOTE) {
    const end = quotedEnd(line, start)
    if (end < 0) return malformed
    const at = skipBlanks(line, end)
    return line.charCodeAt(at) === LESS ? at : malformed
  }
  let at = start
  while (line.charCodeAt(at) !== LESS) {
    const end = tokenEnd(line, at)
    if (end === at) return noBracket
    at = skipBlanks(line, end)
    if (at === end && line.charCodeAt(at) !== LESS) return noBracket
  }
  return at
}

/** Where a URI without brackets ends; its start if it contains a question mark. */
const bareEnd = (line: string, start: number): number => {
  let end = start
  for (; end < line.length; end++) {
    const code = line.charCodeAt(end)
    if (code === SEMICOLON || code === COMMA || isBlank(code)) return end
    if (code === QUESTION) return start
  }
  return end
}

const isUriText = (line: string, start: number, end: number): boolean => {
  if (end <= start) return false
  for (let at = start; at < end; at++) {
    const code = line.charCodeAt(at)
    if (code <= SPACE || code === 127 || code === QUOTE || code === LESS || code === GREATER) return false
  }
  return true
}

/** Reads to the end of a value; null if it is malformed. */
const readParameters = (line: string, place: Place): AddressInLine | null => {
  let tag: string | null = null
  let at = place.parametersAt
  for (;;) {
    at = skipBlanks(line, at)
    const code = line.charCodeAt(at)
    if (at >= line.length) return new AddressInLine(line, place, tag, line.length + 1)
    if (code === COMMA) return new AddressInLine(line, place, tag, at + 1)
    if (code !== SEMICOLON) return null
    const start = skipBlanks(line, at + 1)
    const nameEnd = wordEnd(line, start)
    if (!isToken(line, start, nameEnd)) return null
    const valueStart = valueAfter(line, nameEnd)
    at = valueStart < 0 ? nameEnd : valueEnd(line, valueStart)
    if (at <= valueStart) return null
    if (!isTagAt(line, start, nameEnd)) continue
    // RFC 3261 §19.3: the tag is a token, and there is only one
    if (tag !== null || valueStart < 0 || !isToken(line, valueStart, at)) return null
    tag = line.slice(valueStart, at)
  }
}

const isTagAt = (line: string, start: number, end: number): boolean =>
  end - start === 3 &&
  (line.charCodeAt(start) | 32) === 116 &&
  (line.charCodeAt(start + 1) | 32) === 97 &&
  (line.charCodeAt(start + 2) | 32) === 103

/** Where the value of the parameter whose name ends at `nameEnd` starts; -1 if it has none. */
const valueAfter = (line: string, nameEnd: number): number => {
  const equals = skipBlanks(line, nameEnd)
  return line.charCodeAt(equals) === EQUALS ? skipBlanks(line, equals + 1) : -1
}

/** The end of a value that starts at `start`; not greater than `start` if the value is missing. */
const valueEnd = (line: string, start: number): number =>
  line.charCodeAt(start) === QUOTE ? quotedEnd(line, start) : wordEnd(line, start)

/** The end of a token or host. */
const wordEnd = (line: string, from: number): number => {
  let at = from
  for (; at < line.length; at++) {
    const code = line.charCodeAt(at)
    if (code === SEMICOLON || code === COMMA || code === EQUALS || isBlank(code)) break
    if (code === QUOTE || code === LESS || code === GREATER) break
  }
  return at
}
