/**
 * URIs and domains: their canonical spelling, and when two are equivalent.
 *
 * The functions are total: rules and documents come from people and programs of all kinds, so nothing is refused here,
 * and what is no URI is compared as it stands. What may be sent on the wire is checked where it is parsed
 * (`adapters/sip/uri.ts`).
 *
 * There are two spellings for two questions. `addressOfRecord` identifies a presentity or watcher, which is the same
 * for sip, sips and pres and for every port. `canonicalUri` and `sameUri` decide whether two URIs are equivalent: there
 * everything counts, above all the scheme, because rules never equate schemes, not even sip and sips (RFC 5025
 * §3.1.1.2).
 */
import type { Uri } from "./vocabulary.ts"

/** A parsed URI, as far as it identifies somebody. */
export type Address =
  | {
      readonly scheme: "sip" | "sips" | "pres"
      /** Without unnecessary escapes; null: there is none. */
      readonly user: string | null
      readonly host: string
    }
  | {
      readonly scheme: "tel"
      /** In canonical spelling. */
      readonly text: string
    }

/**
 * The spelling that identifies a presentity or watcher: `sip:user@host` or a telephone number, without port, password,
 * parameters and headers.
 *
 * @source RFC 3856 §5
 */
export const addressOfRecord = (address: Address): Uri => {
  if (address.scheme === "tel") return address.text as Uri
  const host = canonicalHost(address.host)
  return (address.user === null ? `sip:${host}` : `sip:${address.user}@${host}`) as Uri
}

/** Schemes that are followed by `[user@]host` with port, parameters and headers. */
const addressSchemes = ["sip", "sips", "pres", "im", "mailto", "xmpp"]

const schemePattern = /^[A-Za-z][A-Za-z0-9+.-]*(?=:)/

/** The scheme as written; null: the text has none. */
export const schemeOf = (uri: string): string | null => schemePattern.exec(uri)?.[0] ?? null

/**
 * The canonical spelling of a URI; parameters and headers are kept, in order. Total and idempotent.
 *
 * @source RFC 3261 §19.1.4 (sip), RFC 3966 §4 (tel), RFC 8141 §3.1 (urn), RFC 3986 §6.2.2 (all)
 */
export const canonicalUri = (text: string): string => {
  const trimmed = text.trim()
  const written = schemeOf(trimmed)
  if (written === null) return trimmed
  const scheme = written.toLowerCase()
  const rest = trimmed.slice(written.length + 1)
  if (scheme === "tel") return canonicalTel(rest)
  if (scheme === "urn") return canonicalUrn(rest)
  if (addressSchemes.includes(scheme)) return canonicalAddress(scheme, rest)
  return `${scheme}:${withPlainEscapes(rest)}`
}

const canonicalTel = (rest: string): string => {
  const [number = "", ...parameters] = rest.toLowerCase().split(";")
  return [`tel:${number.replace(/[-.()]/g, "").trim()}`, ...inOrder(parameters)].join(";")
}

const canonicalUrn = (rest: string): string => {
  const colon = rest.indexOf(":")
  if (colon === -1) return `urn:${rest.toLowerCase()}`
  const kind = rest.slice(0, colon).toLowerCase()
  const name = withPlainEscapes(rest.slice(colon + 1))
  // RFC 9562 §4: the case of hexadecimal digits in a UUID has no meaning.
  return `urn:${kind}:${kind === "uuid" ? name.toLowerCase() : name}`
}

const canonicalAddress = (scheme: string, rest: string): string => {
  // The only unescaped `@` in a URI ends the user part.
  const sign = rest.indexOf("@")
  const user = sign === -1 ? "" : `${withPlainEscapes(rest.slice(0, sign)).replaceAll("#", "%23")}@`
  const [, hostPort = "", parameters = "", headers = ""] =
    /^([^;?]*)(;[^?]*)?(\?.*)?$/s.exec(rest.slice(sign + 1)) ?? []
  const [, host = "", port = ""] = /^(.*?)(:[0-9]*)?$/s.exec(hostPort.trim()) ?? []
  const domain = canonicalDomain(host)
  const number = port === ":" ? "" : port.replace(/^:0+(?=[0-9])/, ":")
  const place = domain === null ? hostPort.trim().toLowerCase() : `${domain}${number}`
  const each = inOrder(parameters.slice(1).split(";").map(canonicalParameter))
  const fields = inOrder(headers.slice(1).split("&").map(withPlainEscapes))
  return [
    `${scheme}:${user}${place}`,
    ...each.map((parameter) => `;${parameter}`),
    fields.length === 0 ? "" : `?${fields.join("&")}`,
  ].join("")
}

const inOrder = (parts: readonly string[]): readonly string[] =>
  parts
    .map((part) => part.trim())
    .filter(Boolean)
    .sort()

/** Names and values are case-insensitive in RFC 3261 §19.1.4; the value of `gr` in a GRUU is not (RFC 5627 §3). */
const canonicalParameter = (text: string): string => {
  const plain = withPlainEscapes(text)
  const equals = plain.indexOf("=")
  const name = (equals === -1 ? plain : plain.slice(0, equals)).toLowerCase()
  if (equals === -1) return name
  const value = plain.slice(equals + 1)
  return `${name}=${name === "gr" ? value : value.toLowerCase()}`
}

/**
 * Unnecessary escapes are decoded, others written in capitals (RFC 3986 §6.2.2). A stray `%` leaves the whole text
 * unchanged.
 */
export const withPlainEscapes = (text: string): string =>
  text.includes("%") && !/%(?![0-9A-Fa-f]{2})/.test(text)
    ? text.replace(/%[0-9A-Fa-f]{2}/g, (escape) => {
        const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16))
        return /[A-Za-z0-9\-_.!~*'()]/.test(character) ? character : escape.toUpperCase()
      })
    : text

/**
 * Parameters that must be present in both URIs or in neither: those of RFC 3261 §19.1.4, and `gr`, which makes a GRUU.
 */
const telling = ["user", "ttl", "method", "maddr", "transport", "gr"]

/**
 * Whether two URIs in canonical spelling are equivalent.
 *
 * @source RFC 3261 §19.1.4; not transitive there either: a parameter that only one side has is mostly ignored.
 */
export const sameUri = (left: string, right: string): boolean => {
  if (left === right) return true
  // Only parameters can be ignored, and only addresses have them.
  if (!left.includes(";") && !right.includes(";")) return false
  if (!addressSchemes.includes(schemeOf(left) ?? "")) return false
  const [leftParts, rightParts] = [partsOf(left), partsOf(right)]
  if (leftParts.base !== rightParts.base || leftParts.headers !== rightParts.headers) return false
  if (telling.some((name) => leftParts.parameters.has(name) !== rightParts.parameters.has(name))) return false
  return [...leftParts.parameters].every(
    ([name, value]) => (rightParts.parameters.get(name) ?? value) === value,
  )
}

interface Parts {
  readonly base: string
  readonly parameters: ReadonlyMap<string, string>
  readonly headers: string
}

const partsOf = (canonical: string): Parts => {
  // A user part may contain semicolons and question marks of its own.
  const host = canonical.indexOf("@") + 1
  const [, base = "", parameters = "", headers = ""] =
    /^([^;?]*)(;[^?]*)?(\?.*)?$/s.exec(canonical.slice(host)) ?? []
  const pairs = parameters
    .slice(1)
    .split(";")
    .map((pair): [string, string] => {
      const equals = pair.indexOf("=")
      return equals === -1 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals)]
    })
  return { base: canonical.slice(0, host) + base, parameters: new Map(pairs), headers }
}

/** The canonical domain of a canonical URI; null: it has none, for example a telephone number. */
export const domainOf = (uri: string): string | null => {
  const scheme = schemeOf(uri)
  if (scheme === null || !addressSchemes.includes(scheme)) return null
  const rest = uri.slice(Math.max(scheme.length + 1, uri.indexOf("@") + 1))
  return canonicalDomain(rest.replace(/[;?].*$/s, "").replace(/:[0-9]*$/, ""))
}

/** The canonical spelling of any host. */
export const canonicalHost = (host: string): string => canonicalDomain(host) ?? host.toLowerCase()

/**
 * The canonical spelling of a domain: each label without escapes, in ASCII and lower case.
 *
 * A label is mapped with NFKC and to lower case, then to Punycode, as in RFC 3490 §4.1, except for the few letters that
 * IDNA 2008 made distinct (`ß` is no longer `ss`), which today may belong to different owners. Unassigned characters
 * and the rules on bidirectional text are not checked: a domain that cannot be registered belongs to nobody.
 *
 * @returns null if a label has no ASCII form or is empty
 */
export const canonicalDomain = (domain: string): string | null => {
  const trimmed = domain.trim()
  if (trimmed.startsWith("[")) return canonicalIpv6(trimmed)
  if (isPlainDomain.test(trimmed)) return trimmed
  const written = trimmed.split(dots)
  if (written.length > 1 && written.at(-1) === "") written.pop()
  const labels = written.map(canonicalLabel)
  return labels.includes(null) ? null : labels.join(".")
}

/** The common case, which needs no conversion. */
const isPlainDomain = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/

/** RFC 3490 §3.1: each of these characters separates labels. */
const dots = /[.\u3002\uff0e\uff61]/

const canonicalLabel = (written: string): string | null => {
  const text = unescaped(written)
  if (text === null) return null
  // Letter by letter: in a whole word a capital sigma would become one of two letters.
  const lower = Array.from(text.normalize("NFKC"), (letter) => letter.toLowerCase()).join("")
  const plain = lower.normalize("NFKC")
  const ascii = isAscii(plain) ? plain : inPunycode(plain)
  // A host name contains nothing else (RFC 3490 §4.1 step 3), above all no character that would end it inside a URI.
  return isPlainLabel.test(ascii) ? ascii : null
}

/**
 * Each letter takes at least one character. A label that cannot fit is not converted, because the cost is quadratic in
 * its length.
 */
const inPunycode = (text: string): string => {
  const points = Array.from(text, (character) => character.codePointAt(0) ?? 0)
  return points.length > 63 ? "" : `xn--${punycode(points)}`
}

const isPlainLabel = /^[a-z0-9_-]{1,63}$/

const isAscii = (text: string): boolean => {
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) > 0x7f) return false
  return true
}

const unescaped = (text: string): string | null => {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

/** @source RFC 3492 §6.3, with the parameters of §5 */
const punycode = (points: readonly number[]): string => {
  const basic = points.filter((point) => point < 0x80)
  let text = basic.length === 0 ? "" : `${String.fromCharCode(...basic)}-`
  let [handled, next, delta, bias] = [basic.length, 0x80, 0, 72]
  while (handled < points.length) {
    const smallest = points.reduce((low, point) => (point >= next && point < low ? point : low), Infinity)
    delta += (smallest - next) * (handled + 1)
    next = smallest
    for (const point of points) {
      if (point < next) delta += 1
      if (point !== next) continue
      text += variableLength(delta, bias)
      bias = adapted(delta, handled + 1, handled === basic.length)
      delta = 0
      handled += 1
    }
    delta += 1
    next += 1
  }
  return text
}

/** RFC 3492 §3.3: digits to base 36, least significant first, with weights that depend on `bias`. */
const variableLength = (value: number, bias: number): string => {
  let [rest, text] = [value, ""]
  for (let base = 36; ; base += 36) {
    const threshold = Math.min(26, Math.max(1, base - bias))
    if (rest < threshold) return text + rest.toString(36).replace(/./, punycodeDigit)
    const digit = threshold + ((rest - threshold) % (36 - threshold))
    text += digit.toString(36).replace(/./, punycodeDigit)
    rest = Math.floor((rest - threshold) / (36 - threshold))
  }
}

/** In Punycode, letters come before digits. */
const punycodeDigit = (digit: string): string =>
  "abcdefghijklmnopqrstuvwxyz0123456789".charAt(Number.parseInt(digit, 36))

/** @source RFC 3492 §6.1 */
const adapted = (delta: number, count: number, isFirst: boolean): number => {
  let rest = Math.floor(delta / (isFirst ? 700 : 2))
  rest += Math.floor(rest / count)
  let bias = 0
  for (; rest > 455; bias += 36) rest = Math.floor(rest / 35)
  return bias + Math.floor((36 * rest) / (rest + 38))
}

/** @source RFC 5952 §4, except that an embedded IPv4 address stays hexadecimal; null: not an address in brackets */
const canonicalIpv6 = (host: string): string | null => {
  const groups = ipv6Groups(host)
  if (groups === null) return null
  const zeros = longestZeros(groups)
  if (zeros.length < 2) return `[${groups.join(":")}]`
  return `[${groups.slice(0, zeros.start).join(":")}::${groups.slice(zeros.start + zeros.length).join(":")}]`
}

/** The eight groups without leading zeros. */
const ipv6Groups = (host: string): readonly string[] | null => {
  const address = /^\[([0-9a-f:.]{2,45})\]$/i.exec(host)?.[1]?.toLowerCase()
  if (address === undefined) return null
  const halves = address.replace(/(?<=:)[0-9.]+$/, hexadecimal).split("::")
  if (halves.length > 2) return null
  const [head = [], tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")))
  const gap = 8 - head.length - tail.length
  if (halves.length === 1 ? gap !== 0 : gap < 1) return null
  const all = [...head, ...Array.from({ length: gap }, () => "0"), ...tail]
  if (!all.every((group) => /^[0-9a-f]{1,4}$/.test(group))) return null
  return all.map((group) => group.replace(/^0+(?=.)/, ""))
}

/** An IPv4 address as two groups; any other text is returned unchanged and rejected later. */
const hexadecimal = (text: string): string => {
  const bytes = text.split(".")
  if (
    bytes.length !== 4 ||
    !bytes.every((byte) => /^(?:0|[1-9][0-9]{0,2})$/.test(byte) && Number(byte) < 256)
  )
    return text
  const [a = 0, b = 0, c = 0, d = 0] = bytes.map(Number)
  return [a * 256 + b, c * 256 + d].map((group) => group.toString(16)).join(":")
}

/** The first of the longest runs of zero groups. */
const longestZeros = (groups: readonly string[]): { readonly start: number; readonly length: number } => {
  let longest = { start: 0, length: 0 }
  let start = 0
  for (const [at, group] of groups.entries()) {
    if (group !== "0") start = at + 1
    else if (at + 1 - start > longest.length) longest = { start, length: at + 1 - start }
  }
  return longest
}
