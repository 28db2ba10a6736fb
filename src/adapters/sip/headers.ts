/**
 * Values of Event, Expires, Accept, Content-Type, Subscription-State and similar headers. Address headers are
 * in `address-headers.ts`, Via in `via.ts`.
 */
import type { Notify } from "../../domain/presentity/intents.ts"
import type { Rates, Seconds } from "../../domain/vocabulary.ts"
import type { HeaderLines } from "./header-lines.ts"
import { isToken, readDigits } from "./message-reader.ts"
import { remembering } from "./remembered-lines.ts"

const trim = (text: string): string => {
  let start = 0
  let end = text.length
  while (start < end && (text.charCodeAt(start) === 32 || text.charCodeAt(start) === 9)) start++
  while (end > start && (text.charCodeAt(end - 1) === 32 || text.charCodeAt(end - 1) === 9)) end--
  return start === 0 && end === text.length ? text : text.slice(start, end)
}

/**
 * Splits at a separator outside quotes and angle brackets; the pieces are trimmed.
 *
 * @returns null if a quote is not closed
 */
export const splitAt = (text: string, separator: string): readonly string[] | null => {
  if (!text.includes(separator)) return [trim(text)]
  const stop = separator.charCodeAt(0)
  const pieces: string[] = []
  let from = 0
  let isQuoted = false
  let isBracketed = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (isQuoted) {
      if (code === 92) at++
      else if (code === 34) isQuoted = false
    } else if (code === 34) isQuoted = true
    else if (code === 60) isBracketed = true
    else if (code === 62) isBracketed = false
    else if (code === stop && !isBracketed) {
      pieces.push(trim(text.slice(from, at)))
      from = at + 1
    }
  }
  if (isQuoted) return null
  pieces.push(trim(text.slice(from)))
  return pieces
}

/** The values of a header that is a comma-separated list, without empty ones; null if malformed. */
export const listValues = (lines: readonly string[] | undefined): readonly string[] | null => {
  if (lines === undefined) return noValues
  const values: string[] = []
  for (const line of lines) {
    const pieces = splitAt(line, ",")
    if (pieces === null) return null
    for (const piece of pieces) if (piece !== "") values.push(piece)
  }
  return values
}

const noValues: readonly string[] = []

interface Parameters {
  readonly value: string
  /** By lower-case name; null for a parameter without a value; quotes are kept. */
  readonly parameters: ReadonlyMap<string, string | null>
}

/** `value;name=value;name`; null if malformed or if a name is repeated. A semicolon at the end adds nothing. */
export const splitParameters = (text: string): Parameters | null => {
  const pieces = splitAt(text, ";")
  if (pieces === null) return null
  const parameters = new Map<string, string | null>()
  const end = pieces.length > 1 && pieces.at(-1) === "" ? pieces.length - 1 : pieces.length
  for (let at = 1; at < end; at++) {
    const piece = pieces[at]!
    const equals = piece.indexOf("=")
    const name = trim(equals < 0 ? piece : piece.slice(0, equals)).toLowerCase()
    const value = equals < 0 ? null : trim(piece.slice(equals + 1))
    if (!isToken(name) || value === "" || parameters.has(name)) return null
    parameters.set(name, value)
  }
  return { value: pieces[0]!, parameters }
}

export interface EventHeader {
  /** As written, with the parameters that are part of a registered name (`dialog;sla`). */
  readonly packageName: string
  readonly id: string | null
  /** Null if the watcher asks for no particular rate. */
  readonly rates: Rates | null
  /** All parameters by lower-case name; quoted values keep their quotes. Null: there are none. */
  readonly parameters: ReadonlyMap<string, string | null> | null
}

/** Package names with parameters (`dialog;sla`), parsed; those with most parameters first. */
export interface ParameterizedName {
  readonly packageName: string
  readonly type: string
  readonly parameters: readonly (readonly [name: string, value: string | null])[]
}

/** @param names of all registered packages; those without parameters are skipped */
export const parameterizedNames = (names: readonly string[]): readonly ParameterizedName[] =>
  names
    .filter((name) => name.includes(";"))
    .flatMap((packageName) => {
      const parts = splitParameters(packageName)
      return parts === null ? [] : [{ packageName, type: parts.value, parameters: [...parts.parameters] }]
    })
    .sort((left, right) => right.parameters.length - left.parameters.length)

/**
 * @source RFC 3265 §7.2.1: compared byte by byte; exactly one value @param parameterized package names with
 * parameters; all of its parameters must be present, and others are ignored @returns null if malformed
 */
export const parseEvent = (
  text: string,
  idBytesMax: number,
  parameterized: readonly ParameterizedName[],
): EventHeader | null => {
  const plain = readPlainEvent(text)
  if (plain !== null) return plain
  const parts = splitParameters(text)
  if (parts === null || !isToken(parts.value)) return null
  const id = parts.parameters.get("id") ?? null
  if (id !== null && (!isToken(id) || id.length > idBytesMax)) return null
  if (id === null && parts.parameters.has("id")) return null
  for (const value of parts.parameters.values())
    if (value !== null && value.includes(",") && !value.startsWith('"')) return null
  const rates = ratesIn(parts.parameters)
  if (rates === "malformed") return null
  const special = parameterized.find(
    ({ type, parameters }) =>
      type === parts.value &&
      parameters.every(([name, value]) => parts.parameters.has(name) && parts.parameters.get(name) === value),
  )
  return { packageName: special?.packageName ?? parts.value, id, rates, parameters: parts.parameters }
}

/** An event type without parameters; null for anything else. */
const readPlainEvent = remembering((text): EventHeader | null =>
  isToken(text) ? { packageName: text, id: null, rates: null, parameters: null } : null,
)

/** The Event header of a request; null if it has none. */
export const readEvent = (
  headers: Pick<HeaderLines, "first">,
  idBytesMax: number,
  parameterized: readonly ParameterizedName[],
): EventHeader | null | "malformed" => {
  const text = headers.first("event")
  return text === undefined ? null : (parseEvent(text, idBytesMax, parameterized) ?? "malformed")
}

/** @source RFC 6446 §9.2: one or two digits, at most ten decimals, not zero */
const ratesIn = (parameters: ReadonlyMap<string, string | null>): Rates | null | "malformed" => {
  const [max, min, adaptiveMin] = rateNames.map((name) => {
    const text = parameters.get(name)
    if (text === undefined) return null
    return text !== null && /^\d{1,2}(\.\d{1,10})?$/.test(text) && Number(text) > 0
      ? Number(text)
      : Number.NaN
  })
  if (max === undefined || min === undefined || adaptiveMin === undefined) return null
  if (Number.isNaN(max) || Number.isNaN(min) || Number.isNaN(adaptiveMin)) return "malformed"
  return max === null && min === null && adaptiveMin === null ? null : { max, min, adaptiveMin }
}

const rateNames = ["max-rate", "min-rate", "adaptive-min-rate"] as const

const formatRates = ({ max, min, adaptiveMin }: Rates): string =>
  [max, min, adaptiveMin]
    .map((rate, index) => (rate === null ? "" : `;${rateNames[index]}=${decimal(rate)}`))
    .join("")

const decimal = (rate: number): string => rate.toFixed(10).replace(/\.?0+$/, "")

export const formatEvent = (packageName: string, id: string | null): string =>
  id === null ? packageName : `${packageName};id=${id}`

/** The value for an unreadable Expires (RFC 3261 §20.19, RFC 4475 §3.1.2.4). */
const expiresUnreadable: Seconds = 3_600

/** Null if absent; 3600 for anything but a number below 2^32. */
export const parseExpires = (text: string | undefined): Seconds | null => {
  if (text === undefined) return null
  const seconds = readDigits(text, 0, text.length, 0x1_0000_0000)
  return seconds < 0 ? expiresUnreadable : seconds
}

/**
 * Media ranges in lower case without parameters, except those with `q=0`.
 *
 * @returns null without an Accept header that can be read; an empty one accepts nothing (RFC 3261 §20.1)
 */
export const parseAccept = (lines: readonly string[] | undefined): readonly string[] | null => {
  if (lines === undefined) return null
  if (lines.length === 1) return readAccept(lines[0]!)
  const readable = lines.map(readAccept).filter((ranges) => ranges !== null)
  return readable.length === 0 ? null : readable.flat()
}

/** Null: a quote is not closed. */
const readAccept = remembering((line): readonly string[] | null => {
  const pieces = splitAt(line, ",")
  if (pieces === null) return null
  const ranges: string[] = []
  for (const piece of pieces) {
    const semicolon = piece.indexOf(";")
    const range = trim(semicolon < 0 ? piece : piece.slice(0, semicolon)).toLowerCase()
    if (range === "" || (semicolon >= 0 && isExcluded(piece))) continue
    ranges.push(range)
  }
  return ranges
})

const isExcluded = (piece: string): boolean => {
  const quality = splitParameters(piece)?.parameters.get("q")
  return typeof quality === "string" && Number(quality) === 0
}

export interface ContentType {
  /** `type/subtype` in lower case. */
  readonly mediaType: string
  readonly charset: string | null
  /** All except `charset`, as written; may be empty. */
  readonly parameters: string
}

export const parseContentType: (text: string) => ContentType | null = remembering((text) => {
  const semicolon = text.indexOf(";")
  const written = trim(semicolon < 0 ? text : text.slice(0, semicolon)).toLowerCase()
  const slash = written.indexOf("/")
  if (slash < 0 || !isToken(written, 0, slash) || !isToken(written, slash + 1)) return null
  if (semicolon < 0) return { mediaType: written, charset: null, parameters: "" }
  const parts = splitParameters(text)
  if (parts === null) return null
  const charset = parts.parameters.get("charset") ?? null
  const parameters = [...parts.parameters]
    .filter(([name]) => name !== "charset")
    .map(([name, value]) => (value === null ? name : `${name}=${value}`))
    .join(";")
  return {
    mediaType: written,
    charset: charset === null ? null : unquoted(charset).toLowerCase(),
    parameters,
  }
})

/** The content of a quoted string; anything else unchanged. */
export const unquoted = (text: string): string => {
  if (text.length < 2 || text.charCodeAt(0) !== 34) return text
  const inside = text.slice(1, -1)
  if (!inside.includes("\\")) return inside
  let result = ""
  for (let at = 0; at < inside.length; at++) {
    if (inside.charCodeAt(at) === 92) at++
    result += inside.charAt(at)
  }
  return result
}

/** Retry-After in seconds, comment and parameters ignored; null if absent or unreadable. */
export const parseRetryAfter = (text: string | undefined): Seconds | null => {
  if (text === undefined) return null
  let end = 0
  while (end < text.length && text.charCodeAt(end) >= 48 && text.charCodeAt(end) <= 57) end++
  const seconds = readDigits(text, 0, end, 0x1_0000_0000)
  return seconds < 0 ? null : seconds
}

/** @source RFC 3265 §7.2.3, §3.2.4: `expires` while the subscription lasts, `reason` once it is terminated */
export const formatSubscriptionState = (notify: Notify): string => {
  let text: string = notify.state
  if (notify.state === "terminated") {
    if (notify.reason !== null) text += `;reason=${notify.reason}`
    if (notify.retryAfter !== null) text += `;retry-after=${notify.retryAfter}`
  } else if (notify.expires !== null) text += `;expires=${notify.expires}`
  if (notify.rates !== null) text += formatRates(notify.rates)
  return text
}
