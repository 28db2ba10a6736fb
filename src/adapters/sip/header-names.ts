/**
 * The headers that are read, and how their names may be written.
 */

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
/** Headers of which a message has one line at most, each with a bit of its own. */
export const singleBits: ReadonlyMap<string, number> = new Map(
  singles.map((name, index) => [name, 1 << index]),
)
/** Headers that hold addresses, whose lines are shorter than others may be. */
export const isAddress = new Set(["from", "to", "contact", "route", "record-route"])

/**
 * Compact forms are one-to-one with full names (RFC 3261 §7.3.3, RFC 6665 §8.2.1). Those of headers we do not read are
 * left out: an unknown name and an unread name are skipped alike.
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

/** The full name in lower case, by name or compact form in lower case. */
export const lowerNames = new Map<string, string>([...singles, ...multiples].map((name) => [name, name]))
for (const [short, name] of compact) lowerNames.set(short, name)

/** A header's name as it is usually written, and its full name in lower case. */
interface Spelling {
  readonly written: string
  readonly name: string
}

/** By length and first letter, which few names share. */
const spellings: (readonly Spelling[] | undefined)[] = []
const placeOf = (length: number, first: number): number => length * 32 + (first & 31)

const spell = (written: string, name: string): void => {
  const place = placeOf(written.length, written.charCodeAt(0))
  spellings[place] = [...(spellings[place] ?? []), { written, name }]
}
/** Words that are not written with a capital followed by small letters. */
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
 * The full name in lower case of the header whose name stands from `start` to `end`, if it is one that is read and is written
 * in a usual way. Nothing is allocated.
 *
 * @returns undefined: unknown, or written in another way
 */
export const usualNameAt = (text: string, start: number, end: number): string | undefined => {
  const candidates = spellings[placeOf(end - start, text.charCodeAt(start))]
  if (candidates === undefined) return undefined
  for (const { written, name } of candidates) if (text.startsWith(written, start)) return name
  return undefined
}
