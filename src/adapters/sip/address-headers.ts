/**
 * Address headers (From, To, Contact, Route, Record-Route): the only file that knows the npm package `sip`.
 *
 * Its parser backtracks on hostile text, so every value is first walked once by us: blanks collapsed, quotes and
 * brackets closed, parameters well-formed. What passes is handed over in a message of its own, one value at a time,
 * and what comes back is remembered: a watcher's refreshes carry the same lines again and again.
 */
import sip from "sip"
import { copyText, isToken } from "./message-reader.ts"
import type { Transport } from "./transports/transport.ts"

export interface Address {
  /** The URI as written, without brackets. */
  readonly uri: string
  readonly tag: string | null
  /** The whole value without its tag, blanks collapsed. */
  readonly untagged: string
  /** Everything after the URI but the tag, as written: `;expires=60;+sip.instance="…"`. */
  readonly parameterText: string
  /** All but the tag, by lower-case name; quoted values keep their quotes. */
  readonly parameters: ReadonlyMap<string, string | null>
}

/**
 * Lines remembered before the older half is forgotten.
 *
 * One memory for the process, whatever stacks and clients it has: what a line means depends on nothing but the line, so that
 * nobody can tell from a result what is remembered, and the bound counts once.
 */
const rememberedMax = 32_768

let recent = new Map<string, readonly Address[] | null>()
let older = new Map<string, readonly Address[] | null>()

/** All values of one address line in order; null when any of them is malformed. */
export const parseAddresses = (line: string): readonly Address[] | null => {
  let known = recent.get(line)
  if (known !== undefined) return known
  known = older.get(line)
  if (known === undefined) known = readAddresses(line)
  recent.set(copyText(line), known)
  if (recent.size >= rememberedMax / 2) {
    older = recent
    recent = new Map()
  }
  return known
}

/**
 * The value of a line that holds exactly one; null when malformed.
 *
 * A tag at the end is read here: tags are new with every dialog, and what stands before them comes again.
 */
export const parseAddress = (line: string): Address | null => {
  const at = line.lastIndexOf(";tag=")
  if (at > 0 && isToken(line, at + 5)) {
    const address = oneOf(parseAddresses(line.slice(0, at)))
    return address === null || address.tag !== null ? null : { ...address, tag: line.slice(at + 5) }
  }
  return oneOf(parseAddresses(line))
}

const oneOf = (addresses: readonly Address[] | null): Address | null =>
  addresses !== null && addresses.length === 1 ? addresses[0]! : null

const readAddresses = (line: string): readonly Address[] | null => {
  const addresses: Address[] = []
  let at = 0
  do {
    const gated = gateAddress(line, at)
    if (gated === null) return null
    const address = readGated(gated)
    if (address === null) return null
    addresses.push(address)
    at = gated.next
  } while (at <= line.length)
  return addresses
}

/** One value that is safe to hand to `sip.parse`. */
interface Gated {
  readonly text: string
  /** Where the header parameters start in `text`, and each of them, with its semicolon. */
  readonly parametersAt: number
  readonly parameters: readonly string[]
  /** Where the next value starts in the line; beyond its end when there is none. */
  readonly next: number
}

const isBlank = (code: number): boolean => code === 32 || code === 9

const skipBlanks = (text: string, from: number): number => {
  let at = from
  while (at < text.length && isBlank(text.charCodeAt(at))) at++
  return at
}

/** The index after the closing quote of a quoted string, or -1. */
const quotedEnd = (text: string, from: number): number => {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 92) at++
    else if (code === 34) return at + 1
  }
  return -1
}

/**
 * @source RFC 3261 §25.1 `name-addr`, `addr-spec`; §20.10: a bare URI holds no comma, semicolon or question mark
 */
const gateAddress = (line: string, from: number): Gated | null => {
  let at = skipBlanks(line, from)
  let display = ""
  if (line.charCodeAt(at) === 34) {
    const end = quotedEnd(line, at)
    if (end < 0) return null
    display = line.slice(at, end)
    at = skipBlanks(line, end)
    if (line.charCodeAt(at) !== 60) return null
  } else {
    const words = readWords(line, at)
    if (words === null) return bareAddress(line, at)
    display = words.text
    at = words.end
  }
  const close = line.indexOf(">", at)
  if (close < 0) return null
  let start = skipBlanks(line, at + 1)
  let end = close
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--
  if (!isUriText(line, start, end)) return null
  const text = `${display === "" ? "" : `${display} `}<${line.slice(start, end)}>`
  return gateParameters(line, close + 1, text)
}

/** The tokens of an unquoted display name up to `<`; null when there is no `<` after them. */
const readWords = (line: string, from: number): { readonly text: string; readonly end: number } | null => {
  let text = ""
  let at = from
  while (line.charCodeAt(at) !== 60) {
    let end = at
    while (end < line.length && line.charCodeAt(end) !== 60 && !isBlank(line.charCodeAt(end))) end++
    if (!isToken(line, at, end)) return null
    text += (text === "" ? "" : " ") + line.slice(at, end)
    at = skipBlanks(line, end)
    if (at >= line.length) return null
  }
  return { text, end: at }
}

const bareAddress = (line: string, from: number): Gated | null => {
  let end = from
  while (end < line.length) {
    const code = line.charCodeAt(end)
    if (code === 59 || code === 44 || isBlank(code)) break
    if (code === 63) return null
    end++
  }
  return isUriText(line, from, end) ? gateParameters(line, end, line.slice(from, end)) : null
}

const isUriText = (line: string, start: number, end: number): boolean => {
  if (end <= start) return false
  for (let at = start; at < end; at++) {
    const code = line.charCodeAt(at)
    if (code <= 32 || code >= 127 || code === 34 || code === 60 || code === 62) return false
  }
  return true
}

const gateParameters = (line: string, from: number, head: string): Gated | null => {
  const parameters: string[] = []
  let text = head
  let at = from
  for (;;) {
    at = skipBlanks(line, at)
    if (at >= line.length) return { text, parametersAt: head.length, parameters, next: line.length + 1 }
    if (line.charCodeAt(at) === 44) return { text, parametersAt: head.length, parameters, next: at + 1 }
    if (line.charCodeAt(at) !== 59) return null
    const start = skipBlanks(line, at + 1)
    at = wordEnd(line, start)
    if (!isToken(line, start, at)) return null
    let parameter = `;${line.slice(start, at)}`
    const equals = skipBlanks(line, at)
    if (line.charCodeAt(equals) === 61) {
      const value = skipBlanks(line, equals + 1)
      at = line.charCodeAt(value) === 34 ? quotedEnd(line, value) : wordEnd(line, value)
      if (at <= value) return null
      parameter += `=${line.slice(value, at)}`
    }
    parameters.push(parameter)
    text += parameter
  }
}

const wordEnd = (line: string, from: number): number => {
  let at = from
  while (at < line.length) {
    const code = line.charCodeAt(at)
    if (
      code === 59 ||
      code === 44 ||
      code === 61 ||
      code === 34 ||
      code === 60 ||
      code === 62 ||
      isBlank(code)
    )
      break
    at++
  }
  return at
}

/** The parser wants a whole message: it is given the least one there is, with the value as its To. */
const readGated = (gated: Gated): Address | null => {
  const parsed = sip.parse(`X sip:x SIP/2.0\r\nTo: ${gated.text}\r\n\r\n`)?.headers.to
  if (parsed === undefined || parsed.uri === "") return null
  const parameters = new Map<string, string | null>()
  // Own keys only: the package collects parameters in a plain object, whatever their names are.
  for (const name of Object.keys(parsed.params)) parameters.set(name, parsed.params[name] ?? null)
  let parameterText = ""
  let tag: string | null = null
  for (const parameter of gated.parameters) {
    const name = parameter.slice(1, 5).toLowerCase()
    if (name !== "tag" && name !== "tag=") parameterText += parameter
    // One tag, and a token (RFC 3261 §19.3).
    else if (tag !== null || !isToken(parameter, 5)) return null
    else tag = copyText(parameter.slice(5))
  }
  if (tag !== (parameters.get("tag") ?? null)) return null
  parameters.delete("tag")
  const untagged = copyText(gated.text.slice(0, gated.parametersAt) + parameterText)
  return { uri: copyText(parsed.uri), tag, untagged, parameterText, parameters }
}

/** A URI of ours as text: `sip:presence@192.0.2.10:5060;transport=tcp`. */
export const formatUri = (
  user: string,
  host: string,
  port: number,
  { uriParameter }: Pick<Transport, "uriParameter">,
): string =>
  sip.stringifyUri({
    schema: "sip",
    ...(user === "" ? {} : { user }),
    host,
    port,
    ...(uriParameter === null ? {} : { params: { transport: uriParameter } }),
  })
