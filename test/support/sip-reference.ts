/**
 * What RFC 3261 says of a message, as regular expressions, and what the npm package `sip` makes of it: both beside what the
 * readers of `src/adapters/sip` make of it.
 *
 * Verdicts are compared with the grammar and with what is read beyond it, each of which is named here: the package takes almost
 * anything for a message. Fields are compared with the package, but for the few cases where it departs from the grammar.
 */
import { isIPv6 } from "node:net"
import sip from "sip"
import { parseAddress, parseAddresses } from "../../src/adapters/sip/address-headers.ts"
import type { Address } from "../../src/adapters/sip/address-headers.ts"
import { contradicts, readDatagram } from "../../src/adapters/sip/message-reader.ts"
import type { RawMessage } from "../../src/adapters/sip/message-reader.ts"
import { limitsDefault } from "../../src/adapters/sip/options.ts"
import { writableUri } from "../../src/adapters/sip/uri.ts"
import { parseVia } from "../../src/adapters/sip/via.ts"

const token = "[A-Za-z0-9\\-.!%*_+`'~]+"
const blanks = "[ \\t]*"
const quoted = '"(?:[^"\\\\]|\\\\[\\s\\S])*"'
/** A token, a host or anything else that holds no separator of parameters. */
const word = '[^;,="<> \\t]+'

const isToken = (text: string): boolean => new RegExp(`^${token}$`).test(text)

interface Parameter {
  readonly name: string
  readonly value: string | null
}

interface ReferenceAddress {
  readonly uri: string
  readonly tag: string | null
  readonly parameters: readonly Parameter[]
}

/** Octets of UTF-8 are read too. */
const uriText = "[!#-;=?-~\\x80-\\xff]"

/** RFC 3261 §25.1 `name-addr` with a URI of any scheme; `addr-spec` without `,`, `;` and `?` (§20.10). */
const nameAddress = new RegExp(
  `${blanks}(?:${quoted}${blanks}|${token}(?:[ \\t]+${token})*${blanks})?<${blanks}(${uriText}+)${blanks}>`,
  "y",
)
const bareAddress = new RegExp(`${blanks}([!#-+\\--:=@-~\\x80-\\xff]+)`, "y")
/** Beyond the grammar: a display name that should be in quotes, before a URI with a scheme. */
const looseAddress = new RegExp(
  `${blanks}([^"<>,][^<>]*)<${blanks}([A-Za-z][A-Za-z0-9+.-]*:${uriText}*)${blanks}>`,
  "y",
)
const parameter = new RegExp(`${blanks};${blanks}(${token})(?:${blanks}=${blanks}(${quoted}|${word}))?`, "y")
const separator = new RegExp(`${blanks}(,|$)`, "y")

const at = (pattern: RegExp, text: string, index: number): RegExpExecArray | null => {
  pattern.lastIndex = index
  return pattern.exec(text)
}

const parametersAt = (
  text: string,
  from: number,
): { readonly found: readonly Parameter[]; readonly end: number } => {
  const found: Parameter[] = []
  let end = from
  for (let match = at(parameter, text, end); match !== null; match = at(parameter, text, end)) {
    found.push({ name: match[1]!, value: match[2] ?? null })
    end = parameter.lastIndex
  }
  return { found, end }
}

interface ReferenceValue extends ReferenceAddress {
  /** Where the next value begins; null: there is none. */
  readonly next: number | null
}

/** The value whose URI ends at `from`; null: what follows it does not match. */
const valueWith = (uri: string, line: string, from: number): ReferenceValue | null => {
  const { found, end } = parametersAt(line, from)
  const tags = found.filter(({ name }) => name.toLowerCase() === "tag")
  // RFC 3261 §19.3: one tag, and a token
  if (tags.length > 1 || !tags.every(({ value }) => value !== null && isToken(value))) return null
  const next = at(separator, line, end)
  if (next === null) return null
  return {
    uri,
    tag: tags[0]?.value ?? null,
    parameters: found.filter((one) => !tags.includes(one)),
    next: next[1] === "" ? null : separator.lastIndex,
  }
}

const strictValue = (line: string, index: number): ReferenceValue | null => {
  const match = at(nameAddress, line, index) ?? at(bareAddress, line, index)
  return match === null ? null : valueWith(match[1]!, line, index + match[0].length)
}

/** A comma may be part of the name only where there is one value, and where no other address can be meant. */
const looseValue = (line: string, index: number, isSingle: boolean): ReferenceValue | null => {
  const match = at(looseAddress, line, index)
  const [whole = "", name = "", uri = ""] = match ?? []
  const isName =
    match !== null &&
    /[A-Za-z0-9\x80-\xff]/.test(name) &&
    !/sips?:|tel:|pres:/i.test(name) &&
    (name.match(/"/g) ?? []).length % 2 === 0 &&
    (!name.includes(",") || (isSingle && !name.includes("@")))
  return isName ? valueWith(uri, line, index + whole.length) : null
}

/** All values of an address line; null: it does not match. */
const referenceAddresses = (line: string): readonly ReferenceAddress[] | null => {
  const addresses: ReferenceAddress[] = []
  for (let index: number | null = 0; index !== null;) {
    const value: ReferenceValue | null = strictValue(line, index) ?? looseValue(line, index, false)
    if (value === null) return null
    addresses.push(value)
    index = value.next
  }
  return addresses
}

/** The one value of a line that must have one. */
const referenceAddress = (line: string): ReferenceAddress | null => {
  const value = strictValue(line, 0)
  if (value?.next === null) return value
  const loose = looseValue(line, 0, true)
  return loose?.next === null ? loose : null
}

interface PackageAddress {
  readonly uri: string
  readonly params: Readonly<Record<string, string | null>>
}
interface PackageMessage {
  readonly method?: string
  readonly uri?: string
  readonly status?: number
  readonly content: string
  readonly headers: Readonly<Record<string, unknown>>
}

const packageReading = (text: string): PackageMessage | null => {
  try {
    return (sip.parse(text) as unknown as PackageMessage | undefined) ?? null
  } catch {
    return null
  }
}

/** Values of parameters that are no token and no quoted string (RFC 3261 §25.1 `gen-value`: a host may be in brackets); the package reads none of what follows. */
const hasOtherValue = (parameters: readonly Parameter[]): boolean =>
  parameters.some(({ value }) => value !== null && !value.startsWith('"') && !isToken(value))
/** The package keeps parameters in an object, where this is none. */
const hasPrototype = (parameters: readonly Parameter[]): boolean =>
  parameters.some(({ name }) => name.toLowerCase() === "__proto__")

const valuesByName = (parameters: readonly Parameter[]): ReadonlyMap<string, string | null> =>
  new Map(parameters.map(({ name, value }) => [name.toLowerCase(), value]))

const same = (left: unknown, right: unknown): boolean => JSON.stringify(left) === JSON.stringify(right)
const sorted = (map: ReadonlyMap<string, string | null>): unknown =>
  [...map].toSorted(([left], [right]) => (left < right ? -1 : 1))

/** How an address line is read otherwise than by the grammar and the package; empty: it is not. */
export const addressDifferences = (line: string): readonly string[] => {
  const single = parseAddress(line)
  if (!same(single?.uri, referenceAddress(line)?.uri)) return [`one value: ${single?.uri}`]
  const ours = parseAddresses(line)
  const reference = referenceAddresses(line)
  if (ours === null || reference === null)
    return (ours === null) === (reference === null) ? [] : [`verdict: ${ours === null ? "refused" : "read"}`]
  const wrong: string[] = []
  if (ours.length !== reference.length) return [...wrong, `${ours.length} values, not ${reference.length}`]
  for (const [index, address] of ours.entries()) wrong.push(...valueDifferences(address, reference[index]!))
  return wrong
}

const valueDifferences = (ours: Address, { uri, tag, parameters }: ReferenceAddress): readonly string[] => {
  const wrong: string[] = []
  if (ours.uri !== uri) wrong.push(`uri ${ours.uri}, not ${uri}`)
  if (ours.tag !== tag) wrong.push(`tag ${ours.tag}, not ${tag}`)
  if (!same(sorted(ours.parameters), sorted(valuesByName(parameters)))) wrong.push("parameters")
  const text = parameters
    .map(({ name, value }) => (value === null ? `;${name}` : `;${name}=${value}`))
    .join("")
  if (ours.parameterText !== text) wrong.push(`parameter text ${ours.parameterText}, not ${text}`)
  const again = parseAddress(tag === null ? ours.untagged : `${ours.untagged};tag=${tag}`)
  const written = writableUri(uri)
  if (
    again?.uri !== written ||
    again.tag !== tag ||
    again.untagged !== ours.untagged ||
    again.parameterText !== text
  )
    wrong.push(`not the same when written again: ${ours.untagged}`)
  const value = tag === null ? ours.untagged : `${ours.untagged};tag=${tag}`
  const theirs = packageReading(`X sip:x SIP/2.0\r\nTo: ${value}\r\n\r\n`)?.headers["to"] as
    | PackageAddress
    | undefined
  if (theirs === undefined || theirs.uri !== written) wrong.push(`the package reads ${theirs?.uri}`)
  else if (!hasOtherValue(parameters) && !hasPrototype(parameters)) {
    const named = new Map(Object.entries(theirs.params))
    if ((named.get("tag") ?? null) !== tag) wrong.push(`the package reads tag ${named.get("tag")}`)
    named.delete("tag")
    if (!same(sorted(named), sorted(ours.parameters))) wrong.push("the package reads other parameters")
  }
  return wrong
}

const singles = new Set(
  "from to call-id cseq content-length content-type content-encoding content-disposition event expires subscription-state retry-after max-forwards sender".split(
    " ",
  ),
)
const fullNames: Readonly<Record<string, string>> = {
  v: "via",
  f: "from",
  t: "to",
  i: "call-id",
  m: "contact",
  l: "content-length",
  c: "content-type",
  e: "content-encoding",
  k: "supported",
  o: "event",
}

interface Head {
  readonly start: string
  /** Name in lower case and in full, value with folding undone; those with a name that is none are left out. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
  readonly isRequest: boolean
}

const trimmed = (text: string): string => text.replace(/^[ \t]+/, "").replace(/[ \t]+$/, "")

/** Null: nothing that could be answered. */
const headOf = (datagram: string): Head | null => {
  const message = datagram.replace(/^[\r\n]+/, "")
  const end = message.indexOf("\r\n\r\n")
  if (end < 0) return null
  // RFC 3261 §25.1 has no controls other than a tab, and no line ends of one character: they are read as blanks
  const [start = "", ...lines] = message
    .slice(0, end)
    .split("\r\n")
    // oxlint-disable-next-line no-control-regex
    .map((line) => line.replaceAll(/[\0-\x08\n-\x1f\x7f]/g, " "))
  const isStatusLine = /^SIP\/2\.0 [1-6][0-9]{2}(?: .*)?$/is.test(start)
  const isRequestLine = !/^SIP\//i.test(start) && new RegExp(`^${token} `).test(start)
  if (!isStatusLine && !isRequestLine) return null
  const headers: [string, string][] = []
  /** Where continuation lines go; null: they continue a line that is ignored (RFC 3261 §8.2.2). */
  let last: [string, string] | null = null
  for (const line of lines) {
    if (/^[ \t]/.test(line)) {
      if (last !== null) last[1] = [last[1], trimmed(line)].filter((part) => part !== "").join(" ")
      continue
    }
    const colon = line.indexOf(":")
    const name = line.slice(0, Math.max(0, colon)).replace(/[ \t]+$/, "")
    last = null
    if (!isToken(name)) continue
    const lower = name.toLowerCase()
    last = [fullNames[lower] ?? lower, trimmed(line.slice(colon + 1))]
    headers.push(last)
  }
  return { start, headers, body: message.slice(end + 4), isRequest: isRequestLine }
}

const startFaults = (start: string): readonly string[] => {
  if (/^SIP\//i.test(start)) return []
  const parts = start.split(" ")
  const [, uri = "", version = ""] = parts
  if (parts.length !== 3 || uri === "") return ["Malformed Request-Line"]
  const faults: string[] = []
  if (!/^SIP\/2\.0$/i.test(version))
    faults.push(/^SIP\/[0-9]+\.[0-9]+$/i.test(version) ? "Version Not Supported" : "Malformed Request-Line")
  if (uri.length > limitsDefault.uriBytesMax) faults.push("Request-URI Too Long")
  if (/[ \t"<>]/.test(uri)) faults.push("Malformed Request-URI")
  return faults
}

/** All faults that the grammar and the limits find; the reader reports one of them. */
const faultsOf = ({ start, headers, body, isRequest }: Head): ReadonlySet<string> => {
  const faults = new Set(startFaults(start))
  const values = (name: string): readonly string[] =>
    headers.filter(([one]) => one === name).map(([, value]) => value)
  // RFC 4475 §3.3.8: what identifies the request; §3.3.9: what says where it ends, unless it says the same again
  for (const name of ["from", "to", "call-id", "cseq"])
    if (values(name).length > 1) faults.add("Repeated Single-Value Header")
  if (new Set(values("content-length")).size > 1) faults.add("Repeated Single-Value Header")
  for (const length of values("content-length"))
    if (!/^[0-9]+$/.test(length) || Number(length) >= 2 ** 31) faults.add("Malformed Content-Length")
    else if (Number(length) > body.length) faults.add("Body Shorter Than Content-Length")
  const cseq = values("cseq")[0] ?? ""
  const [, number = "", method = ""] = new RegExp(`^([0-9]+)[ \\t]+(${token})$`).exec(cseq) ?? []
  if (cseq === "" && isRequest) faults.add("Missing CSeq")
  else if (number === "" || Number(number) >= 2 ** 31) faults.add("Malformed CSeq")
  else if (isRequest && method !== start.slice(0, start.indexOf(" "))) faults.add("CSeq Method Mismatch")
  if (!isRequest) return faults
  if (values("via").length === 0) faults.add("Missing Via")
  if ((values("from")[0] ?? "") === "") faults.add("Missing From")
  if ((values("to")[0] ?? "") === "") faults.add("Missing To")
  const callId = values("call-id")[0] ?? ""
  if (callId === "") faults.add("Missing Call-ID")
  else if (callId.length > limitsDefault.callIdBytesMax) faults.add("Call-ID Too Long")
  else if (/[ \t]/.test(callId)) faults.add("Malformed Call-ID")
  return faults
}

/** How a datagram is read otherwise than by the grammar and the package; empty: it is not. */
export const messageDifferences = (datagram: string): readonly string[] => {
  const bytes = Buffer.from(datagram, "latin1")
  const ours = readDatagram(bytes, limitsDefault)
  const head = headOf(datagram)
  if (ours === null || head === null)
    return (ours === null) === (head === null) ? [] : [`verdict: ${ours === null ? "nothing" : "a message"}`]
  const faults = faultsOf(head)
  // a response has no faults: what matches none of ours is dropped
  if (!head.isRequest && faults.size > 0) return ours.fault === null ? [] : [`fault: ${ours.fault.reason}`]
  if (ours.fault !== null) return faults.has(ours.fault.reason) ? [] : [`fault: ${ours.fault.reason}`]
  if (faults.size > 0) return [`no fault, and not ${[...faults].join(", ")}`]
  return [...ownFields(ours, head), ...packageFields(ours, head), ...viaDifferences(ours)]
}

const readNames = [
  "contact",
  "event",
  "expires",
  "content-type",
  "sip-if-match",
  "accept",
  "require",
  "supported",
]

const ownFields = (ours: RawMessage, { headers, body }: Head): readonly string[] => {
  const wrong: string[] = []
  const values = (name: string): readonly string[] =>
    headers.filter(([one]) => one === name).map(([, value]) => value)
  const check = (what: string, left: unknown, right: unknown): void => {
    if (!same(left, right)) wrong.push(`${what} ${JSON.stringify(left)}, not ${JSON.stringify(right)}`)
  }
  check("vias", ours.vias, values("via"))
  check("from", ours.from, values("from")[0] ?? "")
  check("to", ours.to, values("to")[0] ?? "")
  check("call-id", ours.callId, values("call-id")[0] ?? "")
  check("cseq", ours.cseqText, values("cseq")[0] ?? "")
  for (const name of readNames) {
    const written = values(name)
    // of a header that may occur once the first counts, and whether another contradicts it
    check(name, ours.headers.get(name) ?? [], singles.has(name) ? written.slice(0, 1) : written)
    const isDoubtful = singles.has(name) && written.some((value) => value !== written[0])
    check(`${name} contradicted`, contradicts(ours, [name]), isDoubtful)
    check(`first ${name}`, ours.headers.first(name) ?? null, values(name)[0] ?? null)
  }
  const length = values("content-length")[0]
  check("length", ours.contentLength, length === undefined ? null : Number(length))
  check("body", ours.body.toString("latin1"), length === undefined ? body : body.slice(0, Number(length)))
  return wrong
}

/** The package leaves folding and blanks in values. */
const plain = (text: string): string => text.replace(/\s+/g, " ").trim()

/**
 * The package gets what is left when folding is undone (RFC 3261 §7.3.1) and malformed lines are ignored, of repeated single
 * values the first.
 */
const packageFields = (ours: RawMessage, head: Head): readonly string[] => {
  const lines = head.headers.filter(
    ([name], index) => !singles.has(name) || head.headers.findIndex(([one]) => one === name) === index,
  )
  const theirs = packageReading(
    [head.start, ...lines.map(([name, value]) => `${name}: ${value}`)].join("\r\n") + `\r\n\r\n${head.body}`,
  )
  // RFC 3261 §7.1: the version is of either case, and the package knows capitals only
  if (theirs === null)
    return (ours.isRequest ? head.start.endsWith("SIP/2.0") : head.start.startsWith("SIP/2.0"))
      ? ["the package reads nothing"]
      : []
  const wrong: string[] = []
  const check = (what: string, left: unknown, right: unknown): void => {
    if (!same(left, right))
      wrong.push(`${what} ${JSON.stringify(left)}, the package ${JSON.stringify(right)}`)
  }
  // RFC 4475 §3.1.1.5: names of methods and headers have no escapes, and the package undoes them
  const method = unescape(ours.method)
  if (ours.isRequest) {
    check("method", method, theirs.method)
    check("uri", ours.uri, theirs.uri)
  } else check("status", ours.status, theirs.status)
  if (head.headers.some(([name]) => name.includes("%"))) return wrong
  const { headers } = theirs
  const cseq = headers["cseq"] as { readonly seq: number; readonly method: string } | undefined
  check("cseq", [ours.cseq, method], [cseq?.seq, cseq?.method])
  if (ours.callId !== "") check("call-id", plain(ours.callId), plain(String(headers["call-id"])))
  for (const name of ["expires", "content-type", "event"]) {
    const value = ours.headers.first(name)
    if (value !== undefined) check(name, plain(value), plain(String(headers[name])))
  }
  for (const [name, line] of [
    ["from", ours.from],
    ["to", ours.to],
  ] as const) {
    // RFC 3261 §20.10: a comma ends a URI without brackets; the package, which expects one value, takes it for a part
    const address = parseAddress(line)
    const read = headers[name] as PackageAddress | undefined
    const reference = referenceAddress(line)
    // it does not read a display name that should be in quotes
    const isStrict = reference !== null && strictValue(line, 0)?.next === null
    if (address === null || !isStrict || hasOtherValue(reference.parameters)) continue
    // it leaves blanks before `>`
    check(name, [address.uri, address.tag], [read?.uri.trim(), read?.params["tag"] ?? null])
  }
  // RFC 3261 §18.3: with a length of 0 there is no body; the package takes all that follows
  if (ours.contentLength !== 0) check("body", ours.body.toString("latin1"), theirs.content)
  return wrong
}

const viaPattern = new RegExp(
  `^${blanks}SIP${blanks}/${blanks}2\\.0${blanks}/${blanks}(${token})[ \\t]+(\\[[^\\]]*\\]|[A-Za-z0-9._\\-]{1,255})(?:${blanks}:${blanks}([0-9]+)(?![0-9]))?`,
  "i",
)
/** Beyond the grammar: the value may be missing. */
const viaParameter = new RegExp(
  `${blanks};${blanks}(${token})(?:${blanks}=${blanks}(${quoted}|[^;, \\t"]+)?)?`,
  "y",
)
/** Beyond the grammar: a semicolon at the end of the line. */
const viaEnd = new RegExp(`${blanks}(?:,|;?${blanks}$)`, "y")

interface ReferenceVia {
  readonly transport: string
  readonly host: string
  readonly port: number | null
  readonly parameters: readonly Parameter[]
}

const referenceVia = (line: string): ReferenceVia | null => {
  const match = viaPattern.exec(line)
  if (match === null) return null
  const [whole, transport = "", host = "", written] = match
  if (host.startsWith("[") && (!isIPv6(host.slice(1, -1)) || host.includes("%"))) return null
  const port = written === undefined ? null : Number(written)
  if (port !== null && (port === 0 || port > 65_535)) return null
  const parameters: Parameter[] = []
  let end = whole.length
  for (let found = at(viaParameter, line, end); found !== null; found = at(viaParameter, line, end)) {
    parameters.push({ name: found[1]!.toLowerCase(), value: found[2] ?? null })
    end = viaParameter.lastIndex
  }
  if (at(viaEnd, line, end) === null) return null
  // RFC 3261 §7.3.1: a parameter comes once; without its branch a request has no transaction
  if (parameters.filter(({ name }) => name === "branch").length > 1) return null
  return { transport: transport.toUpperCase(), host: host.toLowerCase(), port, parameters }
}

const viaDifferences = ({ vias }: RawMessage): readonly string[] => {
  const [line] = vias
  if (line === undefined) return []
  const ours = parseVia(line)
  const reference = referenceVia(line)
  if (ours === null || reference === null)
    return (ours === null) === (reference === null)
      ? []
      : [`Via: ${ours === null ? "refused" : "read"} ${line}`]
  const last = (name: string): Parameter | undefined =>
    reference.parameters.findLast((one) => one.name === name)
  const branch = last("branch")
  const left = [ours.transport, ours.host, ours.port, ours.branch, ours.rport, ours.maddr]
  const right = [
    reference.transport,
    reference.host,
    reference.port,
    branch === undefined ? null : (branch.value ?? ""),
    last("rport") === undefined ? null : 0,
    last("maddr")?.value ?? null,
  ]
  return same(left, right) ? [] : [`Via ${JSON.stringify(left)}, not ${JSON.stringify(right)}`]
}
