/** The headers we read, and the forms of their names. */

const singles = [
  "from",
  "to",
  "call-id",
  "cseq",
  "content-length",
  "content-type",
  "content-encoding",
  "content-disposition",
  "event",
  "expires",
  "subscription-state",
  "retry-after",
  "max-forwards",
  "sender",
]
const multiples = [
  "via",
  "contact",
  "route",
  "record-route",
  "require",
  "supported",
  "accept",
  "accept-encoding",
  "sip-if-match",
  "suppress-if-match",
  "authorization",
  "p-asserted-identity",
  "privacy",
]
/** Headers that may occur once in a message, each with its bit. */
export const singleBits: ReadonlyMap<string, number> = new Map(
  singles.map((name, index) => [name, 1 << index]),
)

/**
 * Compact forms (RFC 3261 §7.3.3, RFC 6665 §8.2.1) of headers we read. Others need no entry: unknown and
 * unread headers are both skipped.
 */
const compact: readonly (readonly [string, string])[] = [
  ["v", "via"],
  ["f", "from"],
  ["t", "to"],
  ["i", "call-id"],
  ["m", "contact"],
  ["l", "content-length"],
  ["c", "content-type"],
  ["e", "content-encoding"],
  ["k", "supported"],
  ["o", "event"],
]

/** From a name or compact form, in lower case, to the full name in lower case. */
export const lowerNames = new Map<string, string>([...singles, ...multiples].map((name) => [name, name]))
for (const [short, name] of compact) lowerNames.set(short, name)

/** One way of writing a name, and the full name in lower case. */
interface Spelling {
  readonly written: string
  readonly name: string
}

/** Indexed by length and first letter, which few names share. */
const spellings: (readonly Spelling[] | undefined)[] = []
const placeOf = (length: number, first: number): number => length * 32 + (first & 31)

const spell = (written: string, name: string): void => {
  const place = placeOf(written.length, written.charCodeAt(0))
  spellings[place] = [...(spellings[place] ?? []), { written, name }]
}
/** Names that capitalizing each word does not produce. */
const unusual: Readonly<Record<string, string>> = {
  "call-id": "Call-ID",
  cseq: "CSeq",
  "sip-if-match": "SIP-If-Match",
}
for (const name of [...singles, ...multiples]) {
  const capitalized = name
    .split("-")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("-")
  const usual = unusual[name] ?? capitalized
  spell(usual, name)
  if (usual !== capitalized) spell(capitalized, name)
  spell(name, name)
}
for (const [short, name] of compact) {
  spell(short, name)
  spell(short.toUpperCase(), name)
}

/**
 * The lower-case full name of the header whose name stands from `start` to `end`, if we read it and it is
 * written in a usual way. Allocates nothing.
 *
 * @returns undefined if the name is unknown, or written in an unusual way
 */
export const usualNameAt = (text: string, start: number, end: number): string | undefined => {
  const candidates = spellings[placeOf(end - start, text.charCodeAt(start))]
  if (candidates === undefined) return undefined
  for (const { written, name } of candidates) if (text.startsWith(written, start)) return name
  return undefined
}
