/**
 * What the chain of a stream is made of: the digest of what was decided, and the hash of a row. docs/log.md says the same
 * in words.
 *
 * The append statement links rows in SQL, for only there position, number and the hash before are known; here it is done
 * again, to check.
 */
import { createHash } from "node:crypto"
import type { Decision, Event } from "../../../domain/presentity/events.ts"
import type { PackageName } from "../../../domain/vocabulary.ts"
import type { Envelope, PackedEnvelope, PersonKey, StoredEvents } from "../../../ports/stored-events.ts"
import { encrypt, eventsIn, isEnvelope } from "../encryption/encrypted-decision.ts"
import { sha256Hex } from "./sha256.ts"

export { sha256Hex as digestOf }

/** What a row says of its decision, as it is stored; `at` in milliseconds since 1970. */
export type Said = Pick<Decision, "version" | "at" | "cause" | "origin" | "nonce"> & {
  readonly events: StoredEvents
}

/**
 * SHA-256, in hex, of `[version,at,cause,origin,nonce,events]` as JSON without blanks, where each document is replaced by
 * the SHA-256 of it in hex.
 *
 * So a document can be dropped and all that was decided about it is still proved; and who has the document can show that
 * it is the one. Documents are the texts of `body` and `rules`, and `headers` (the JSON of them).
 *
 * @param encoded the events as JSON
 */
export const digestOfSaid = (decision: Said, encoded: string = JSON.stringify(decision.events)): string => {
  const events = eventsIn(decision.events)
  const proved = events.some(holdsDocument)
    ? enclosed(decision.events, `[${events.map(provedJson).join()}]`)
    : encoded
  return digestOfJson(decision, proved)
}

/** JSON of events, within what says how they are encrypted. */
const enclosed = (stored: StoredEvents, json: string): string => {
  if (!isEnvelope(stored)) return json
  const { events: _, e: __, ...keys } = stored as Envelope & PackedEnvelope
  return `${JSON.stringify(keys).slice(0, -1)},"${"e" in stored ? "e" : "events"}":${json}}`
}

/** @param proved the events as they are proved */
const digestOfJson = ({ version, at, cause, origin, nonce }: Said, proved: string): string => {
  const texts = `${JSON.stringify(cause)},${JSON.stringify(origin)},${JSON.stringify(nonce)}`
  return sha256Hex(`[${version},${at},${texts},${proved}]`)
}

/**
 * Events as they are stored, and the digest of the decision: each long text is made into JSON once.
 *
 * The event is written with the digest of its text, and the text then put in its place: the place is known, for what is a
 * string in JSON has its quotation marks escaped.
 */
export const encodeWithDigest = (decision: Said): { readonly encoded: string; readonly said: string } => {
  const events = eventsIn(decision.events)
  if (!events.some(holdsDocument)) {
    const encoded = JSON.stringify(decision.events)
    return { encoded, said: digestOfJson(decision, encoded) }
  }
  const encoded: string[] = []
  const proved: string[] = []
  for (const event of events) {
    const json = provedJson(event)
    proved.push(json)
    encoded.push(storedJson(event, json))
  }
  return {
    encoded: enclosed(decision.events, `[${encoded.join()}]`),
    said: digestOfJson(decision, enclosed(decision.events, `[${proved.join()}]`)),
  }
}

const storedJson = (event: Event, proved: string): string => {
  if (!("body" in event) || event.body === null || event.body.dropped !== undefined || "headers" in event) {
    return JSON.stringify(event)
  }
  const { text } = event.body
  const start = proved.lastIndexOf('"text":"') + 7
  return proved.slice(0, start) + JSON.stringify(text) + proved.slice(start + 66)
}

/** The package whose document, or part of one, was dropped; null: nothing was. */
export const droppedFrom = (event: Event): PackageName | null =>
  "body" in event &&
  (event.body?.dropped !== undefined || ("droppedHeaders" in event && event.droppedHeaders !== undefined))
    ? event.packageName
    : null

const holdsDocument = (event: Event): boolean =>
  "body" in event || "rules" in event || "headers" in event || "droppedHeaders" in event

/** Fields keep their order. */
const provedJson = (event: Event): string => {
  if (!holdsDocument(event)) return JSON.stringify(event)
  const { wasHeaders: _, ...proved } = { ...event } as Record<string, unknown>
  if (proved["body"] != null) proved["body"] = withoutText(proved["body"] as Document)
  if (proved["rules"] != null) proved["rules"] = withoutText(proved["rules"] as Document)
  if (proved["headers"] !== undefined) proved["headers"] = sha256Hex(JSON.stringify(proved["headers"]))
  return "droppedHeaders" in event ? JSON.stringify(withDropped(proved)) : JSON.stringify(proved)
}

/** The digest of headers stands where they stood. */
const withDropped = (proved: Readonly<Record<string, unknown>>): object =>
  Object.fromEntries(
    Object.entries(proved).map(([field, value]) => [field === "droppedHeaders" ? "headers" : field, value]),
  )

/**
 * The event without its document: what is left is what the chain covers.
 *
 * The chain covers the digest of what is stored. The digest of what an encrypted document said, by which a saved state that still
 * has the document is recognized, stays encrypted (`was`).
 *
 * @param event as it stands in the log
 * @param opened the same event as it is read
 * @param key of the presentity; undefined: it is not encrypted, or the key is gone
 * @returns the event itself when it has no document, or none any more
 */
export const dropDocuments = (event: Event, opened: Event, key: PersonKey | undefined): Event => {
  if (!("body" in event)) return event
  const body = event.body
  const hasBody = body !== null && body.dropped === undefined
  const hasHeaders = "headers" in event && event.headers !== undefined
  if (!hasBody && !hasHeaders) return event
  const digestFor = (kind: "was" | "wasHeaders", text: string | undefined): string | undefined =>
    key === undefined || text === undefined ? undefined : encrypt(key, kind, sha256Hex(text))
  const plainHeaders = "headers" in opened ? JSON.stringify(opened.headers) : undefined
  return Object.fromEntries(
    Object.entries(event).flatMap(([field, value]): [string, unknown][] => {
      if (field === "headers") {
        const wasHeaders = digestFor("wasHeaders", plainHeaders)
        const digest: [string, unknown] = ["droppedHeaders", sha256Hex(JSON.stringify(value))]
        return wasHeaders === undefined ? [digest] : [digest, ["wasHeaders", wasHeaders]]
      }
      if (field !== "body" || !hasBody) return [[field, value]]
      const plain = "body" in opened ? opened.body?.text : undefined
      const was = digestFor("was", plain)
      const dropped = { ...body, text: "", dropped: sha256Hex(body.text) }
      return [[field, was === undefined ? dropped : { ...dropped, was }]]
    }),
  ) as unknown as Event
}

interface Document {
  readonly text: string
  readonly dropped?: string
  /** See `dropDocuments`. */
  readonly was?: string
}

const withoutText = (one: Document): object => {
  const { dropped, was: _, ...document } = one
  return { ...document, text: dropped ?? sha256Hex(document.text) }
}

/** Where the chain of a stream begins. */
export const rootOf = (salt: Uint8Array, name: string): Buffer =>
  createHash("sha256").update(salt).update(name, "utf8").digest()

/**
 * SHA-256 of: the hash of the stream's row before (or its root), position, number of the stream, digest of what was said.
 *
 * @param said as `digestOfSaid` gives it
 */
export const rowHash = (before: Uint8Array, position: bigint, stream: bigint, said: string): Buffer => {
  const numbers = Buffer.alloc(16)
  numbers.writeBigInt64BE(position, 0)
  numbers.writeBigInt64BE(stream, 8)
  return createHash("sha256").update(before).update(numbers).update(said, "hex").digest()
}
