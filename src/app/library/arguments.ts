/**
 * Arguments of a program, read once and checked. The results are plain values: getters, proxies and later changes of what was
 * passed are never seen outside this file.
 *
 * The checks are written by hand, because they run for each publication. They throw PresenceRefused, which names the call, the
 * argument, its value and what is expected.
 */
import { isHeaderValue } from "../../domain/vocabulary.ts"
import type { Body, Header, Seconds, Uri } from "../../domain/vocabulary.ts"
import { shown, wordsOf } from "../extensions/words.ts"
import { presentityOf } from "../presentity-uri.ts"
import { PresenceRefused, refuseArgument, refuseUnknownNames } from "./refused.ts"
import type {
  FeedOptions,
  Instant,
  PublishRequest,
  SeenOptions,
  TerminateRequest,
  WatchRequest,
  WhyOptions,
} from "./requests.ts"

/** The longest lifetime that can be expressed on the wire: 136 years. */
export const foreverSeconds = 0xffff_ffff

/** Longest URI. */
const uriMax = 4_096
/** Longest of all other texts: names of events, entity-tags, devices, media types. */
const wordMax = 4_096
/** Most entries of `accept` and `headers`. */
const entriesMax = 100

/** All field names of an object; the compiler asks for those that its type gains. */
const namesOf = <A extends object>(names: Readonly<Record<keyof A, true>>): ReadonlySet<string> =>
  new Set(Object.keys(names))

const bodyNames = namesOf<Body>({ contentType: true, text: true, parameters: true, dropped: true })
const publishNames = namesOf<PublishRequest>({
  presentity: true,
  event: true,
  body: true,
  headers: true,
  entityTag: true,
  expires: true,
  device: true,
  askedBy: true,
})
const fetchNames = namesOf<Omit<WatchRequest, "expires">>({
  presentity: true,
  watcher: true,
  event: true,
  accept: true,
  device: true,
  argument: true,
})
const watchNames: ReadonlySet<string> = new Set([...fetchNames, "expires"])
const terminateNames = namesOf<TerminateRequest>({
  presentity: true,
  event: true,
  watcher: true,
  reason: true,
  askedBy: true,
})
const feedNames = namesOf<FeedOptions>({ after: true, types: true, presentity: true })
const seenNames = namesOf<SeenOptions>({ event: true, since: true, until: true, limit: true, before: true })
const whyNames = namesOf<WhyOptions>({ event: true, at: true, position: true })

/** Does not throw for a revoked proxy. */
const isArray = (value: object): boolean => {
  try {
    return Array.isArray(value)
  } catch {
    return false
  }
}

/**
 * Its properties can be read by name.
 *
 * @throws PresenceRefused when it is no object, or has names that the call does not know
 */
const objectIn = (call: string, value: unknown, known: ReadonlySet<string>): object => {
  if (typeof value !== "object" || value === null || isArray(value))
    return refuseArgument(call, value, "an object")
  refuseUnknownNames(`${call}: `, value, known)
  return value
}

/** Reads one property, once. @param path of the object: `publish: `, `publish: body.` */
const field = (path: string, fields: object, name: string): unknown => {
  try {
    return (fields as Readonly<Record<string, unknown>>)[name]
  } catch (cause) {
    throw new PresenceRefused({
      status: 400,
      rejection: {
        _tag: "BadArgument",
        argument: `${path}${name}`,
        value: "a property that throws",
        expected: `one that can be read (${wordsOf(cause)})`,
      },
      cause,
    })
  }
}

const entriesOf = (argument: string, value: unknown, expected: string): readonly unknown[] => {
  let entries: readonly unknown[] | null
  try {
    entries =
      Array.isArray(value) && value.length <= entriesMax
        ? Array.from({ length: value.length }, (_, index) => value[index] as unknown)
        : null
  } catch {
    entries = null
  }
  return entries ?? refuseArgument(argument, value, `${expected}, at most ${entriesMax}`)
}

/** Text that every store can keep: without lone surrogates and U+0000. */
export const textIn = (argument: string, value: unknown, max: number, what = "text"): string => {
  if (typeof value !== "string") return refuseArgument(argument, value, what)
  if (value.length > max) return refuseArgument(argument, value, `${what} of at most ${max} characters`, 413)
  return value.isWellFormed() && !value.includes("\0")
    ? value
    : refuseArgument(argument, value, `${what} without U+0000 and halves of surrogate pairs`)
}

const wordIn = (argument: string, value: unknown, what: string): string => {
  const text = textIn(argument, value, wordMax, what)
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0x20 || unit === 0x7f)
      return refuseArgument(argument, value, `${what} without control characters`)
  }
  return text
}

const optional = <A>(value: unknown, read: (value: unknown) => A): A | undefined =>
  value === undefined ? undefined : read(value)

export const uriIn = (argument: string, value: unknown): Uri => {
  const text = textIn(argument, value, uriMax, "a URI such as sip:alice@example.com")
  // a single word would be read as a host name
  const found = /[:@]/.test(text) ? presentityOf(text) : null
  if (found !== null) return found
  const uri = text.length > 100 ? `${text.slice(0, 99)}…` : text
  throw new PresenceRefused({ status: 400, rejection: { _tag: "BadUri", uri } })
}

/** A URI as text; the query that receives it parses it. */
export const uriText = (argument: string, value: unknown): string =>
  textIn(argument, value, uriMax, "a URI such as sip:alice@example.com")

export const eventIn = (call: string, value: unknown): string =>
  value === undefined ? "presence" : wordIn(`${call}: event`, value, "the name of an event package")

export const secondsIn = (argument: string, value: unknown): Seconds | undefined =>
  value === undefined ||
  (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= foreverSeconds)
    ? (value as number | undefined)
    : refuseArgument(argument, value, `a whole number of seconds from 0 to ${foreverSeconds}`)

const numberIn = (argument: string, value: unknown, min: number): number | undefined =>
  value === undefined || (typeof value === "number" && Number.isSafeInteger(value) && value >= min)
    ? (value as number | undefined)
    : refuseArgument(argument, value, `a whole number from ${min} on`)

const bodyIn = (call: string, value: unknown, max: number): string | Body => {
  const argument = `${call}: body`
  if (typeof value === "string") return textIn(argument, value, max)
  if (typeof value !== "object" || value === null)
    return refuseArgument(argument, value, "text, or { contentType, text }")
  refuseUnknownNames(`${argument}.`, value, bodyNames)
  const parameters = field(`${argument}.`, value, "parameters")
  return {
    contentType: wordIn(
      `${argument}.contentType`,
      field(`${argument}.`, value, "contentType"),
      "a media type",
    ),
    text: textIn(`${argument}.text`, field(`${argument}.`, value, "text"), max),
    ...(parameters === undefined
      ? {}
      : { parameters: wordIn(`${argument}.parameters`, parameters, "parameters of a media type") }),
  }
}

const headersIn = (call: string, value: unknown): readonly Header[] =>
  entriesOf(`${call}: headers`, value, "an array of [name, value]").map((header, index): Header => {
    const argument = `${call}: headers[${index}]`
    const [name, text, ...more] = entriesOf(argument, header, "[name, value]")
    if (more.length > 0) return refuseArgument(argument, header, "[name, value]")
    const isName = typeof name === "string" && /^[A-Za-z0-9!%*_+`'~.-]{1,100}$/.test(name)
    if (!isName) return refuseArgument(`${argument}[0]`, name, "the name of a header")
    const line = wordIn(`${argument}[1]`, text, "the value of a header")
    return isHeaderValue(line)
      ? [name, line]
      : refuseArgument(`${argument}[1]`, text, "the value of a header, on one line and in ISO 8859-1")
  })

/** Keeps absent what was absent, for exact optional properties. */
type Partial1<K extends string, V> = { readonly [Key in K]?: Exclude<V, undefined> }
const given = <K extends string, V>(name: K, value: V | undefined): Partial1<K, V> =>
  (value === undefined ? {} : { [name]: value }) as Partial1<K, V>

/** @param bodyMax the most characters in a body */
export const readPublish = (request: unknown, bodyMax: number): PublishRequest => {
  const fields = objectIn("publish", request, publishNames)
  // written out, because it runs for each publication
  const found: { -readonly [Name in keyof PublishRequest]: PublishRequest[Name] } = {
    presentity: uriIn("publish: presentity", field("publish: ", fields, "presentity")),
    event: eventIn("publish", field("publish: ", fields, "event")),
  }
  const body = field("publish: ", fields, "body")
  if (body !== undefined) found.body = bodyIn("publish", body, bodyMax)
  const headers = field("publish: ", fields, "headers")
  if (headers !== undefined) found.headers = headersIn("publish", headers)
  const entityTag = field("publish: ", fields, "entityTag")
  if (entityTag !== undefined) found.entityTag = wordIn("publish: entityTag", entityTag, "an entity-tag")
  const expires = secondsIn("publish: expires", field("publish: ", fields, "expires"))
  if (expires !== undefined) found.expires = expires
  const device = field("publish: ", fields, "device")
  if (device !== undefined) found.device = wordIn("publish: device", device, "the name of a device")
  const askedBy = field("publish: ", fields, "askedBy")
  if (askedBy !== undefined) found.askedBy = uriIn("publish: askedBy", askedBy)
  return found
}

export const readWatch = (request: unknown, call: "watch" | "fetch" = "watch"): WatchRequest => {
  const fields = objectIn(call, request, call === "fetch" ? fetchNames : watchNames)
  const path = `${call}: `
  const word = (name: string, what: string): string | undefined =>
    optional(field(path, fields, name), (value) => wordIn(`${call}: ${name}`, value, what))
  const accept = optional(field(path, fields, "accept"), (value) =>
    entriesOf(`${call}: accept`, value, "an array of media types").map((type, index) =>
      wordIn(`${call}: accept[${index}]`, type, "a media type"),
    ),
  )
  return {
    presentity: uriIn(`${call}: presentity`, field(path, fields, "presentity")),
    watcher: uriIn(`${call}: watcher`, field(path, fields, "watcher")),
    event: eventIn(call, field(path, fields, "event")),
    ...given("expires", secondsIn(`${call}: expires`, field(path, fields, "expires"))),
    ...given("accept", accept),
    ...given("device", word("device", "the name of a device")),
    ...given("argument", word("argument", "one line of text")),
  }
}

const reasons = ["deactivated", "probation", "noresource"] as const

export const readTerminate = (request: unknown): TerminateRequest => {
  const call = "terminate"
  const fields = objectIn(call, request, terminateNames)
  const path = `${call}: `
  const reason = field(path, fields, "reason")
  const found = reason === undefined ? undefined : reasons.find((known) => known === reason)
  if (reason !== undefined && found === undefined)
    return refuseArgument(`${call}: reason`, reason, reasons.join(", "))
  return {
    presentity: uriIn(`${call}: presentity`, field(path, fields, "presentity")),
    event: eventIn(call, field(path, fields, "event")),
    ...given(
      "watcher",
      optional(field(path, fields, "watcher"), (value) => uriIn(`${call}: watcher`, value)),
    ),
    ...given("reason", found),
    ...given(
      "askedBy",
      optional(field(path, fields, "askedBy"), (value) => uriIn(`${call}: askedBy`, value)),
    ),
  }
}

/** An authorization document, or hard state given as text. */
export const readText = (argument: string, value: unknown, max: number): string | null =>
  value === null ? null : textIn(argument, value, max, "text, or null")

export const readHardState = (value: unknown, max: number): string | Body | null =>
  value === null ? null : bodyIn("setHardState", value, max)

const feedTypes = ["E_PRESENCE_PUBLISH", "E_PRESENCE_EXPOSED"] as const

export const readFeed = (options: unknown): FeedOptions => {
  const call = "feed"
  if (options === undefined) return {}
  const fields = objectIn(call, options, feedNames)
  const path = `${call}: `
  const types = optional(field(path, fields, "types"), (value) =>
    entriesOf(`${call}: types`, value, `an array of ${feedTypes.join(" and ")}`).map(
      (wanted, index) =>
        feedTypes.find((type) => type === wanted) ??
        refuseArgument(`${call}: types[${index}]`, wanted, feedTypes.join(" or ")),
    ),
  )
  return {
    ...given("after", numberIn(`${call}: after`, field(path, fields, "after"), 0)),
    ...given("types", types),
    ...given(
      "presentity",
      optional(field(path, fields, "presentity"), (value) =>
        textIn(`${call}: presentity`, value, uriMax, "a shell wildcard over URIs"),
      ),
    ),
  }
}

/** Times within the four-digit years of `Date`, which every store can keep. */
export const isInstant = (millis: number): boolean => millis >= 0 && millis <= 253_402_300_799_999

/** Milliseconds since 1970. */
export const instantIn = (argument: string, value: unknown): number => {
  let millis = Number.NaN
  try {
    if (typeof value === "number") millis = value
    else if (typeof value === "string" || value instanceof Date) millis = new Date(value).getTime()
  } catch {
    // an invalid Date
  }
  if (isInstant(millis)) return millis
  throw new PresenceRefused({
    status: 400,
    rejection: {
      _tag: "BadArgument",
      argument,
      value: shown(value),
      expected: "an instant: a Date, milliseconds since 1970, or text such as 2026-11-20T12:00:00Z",
    },
  })
}

export const readSeen = (options: unknown): SeenOptions => {
  const call = "seen"
  if (options === undefined) return {}
  const fields = objectIn(call, options, seenNames)
  const path = `${call}: `
  const instant = (name: string): Instant | undefined =>
    optional(field(path, fields, name), (value) => instantIn(`${call}: ${name}`, value))
  return {
    ...given(
      "event",
      optional(field(path, fields, "event"), (value) => eventIn(call, value)),
    ),
    ...given("since", instant("since")),
    ...given("until", instant("until")),
    ...given("limit", numberIn(`${call}: limit`, field(path, fields, "limit"), 1)),
    ...given("before", numberIn(`${call}: before`, field(path, fields, "before"), 0)),
  }
}

export const readWhy = (options: unknown): WhyOptions => {
  const call = "why"
  if (options === undefined) return {}
  const fields = objectIn(call, options, whyNames)
  const path = `${call}: `
  return {
    ...given(
      "event",
      optional(field(path, fields, "event"), (value) => eventIn(call, value)),
    ),
    ...given(
      "at",
      optional(field(path, fields, "at"), (value) => instantIn(`${call}: at`, value)),
    ),
    ...given("position", numberIn(`${call}: position`, field(path, fields, "position"), 1)),
  }
}
