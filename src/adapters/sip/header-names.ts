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
/** Headers of which a message has one line at most. */
export const isSingle = new Set(singles)
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

/** The usual spellings, so that the hot path neither checks nor lower-cases them. */
export const spellings = new Map<string, string>(lowerNames)
for (const name of [...singles, ...multiples]) {
  const usual = name
    .split("-")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("-")
  spellings.set(usual, name)
}
spellings.set("Call-ID", "call-id")
spellings.set("CSeq", "cseq")
spellings.set("SIP-If-Match", "sip-if-match")
for (const [short, name] of compact) spellings.set(short.toUpperCase(), name)
