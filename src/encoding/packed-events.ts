/**
 * The short form of frequent events and of what is known of a request, as encrypted rows of the log hold it: an array of values in the
 * place of an object of named fields.
 *
 * An event that holds a document is never packed, because retention and the hash chain find documents by name. Any other event that is
 * not listed here, or does not fit its short form, is written as it is. Codes and the order of fields are part of the log format: a new
 * field is appended to the trailing object by itself, and the list of a code never changes.
 */
import type { About } from "../domain/presentity/about.ts"
import type { Event } from "../domain/presentity/events.ts"

type Values = readonly unknown[]
type Json = Readonly<Record<string, unknown>>
type FieldsOf<Tag extends Event["_tag"]> = Exclude<keyof Extract<Event, { readonly _tag: Tag }>, "_tag">

interface Form {
  /** Of the one field: its values follow the code one by one. */
  readonly isList?: true
  readonly code: number
  /** In the order in which they stand in the event. */
  readonly fields: readonly string[]
  /** Values that are left out: a field that has another one stands in the trailing object. */
  readonly usual: Json
}

const form = <Tag extends Event["_tag"]>(
  code: number,
  fields: readonly FieldsOf<Tag>[],
  usual: Partial<Record<FieldsOf<Tag>, null | false | readonly []>> = {},
): Form => ({ code, fields: fields as readonly string[], usual })

/** An event that is not listed is not packed. */
const forms: { readonly [Tag in Event["_tag"]]?: Form } = {
  PublicationRefreshed: form<"PublicationRefreshed">(1, [
    "packageName",
    "entityTag",
    "supersedes",
    "expiresAt",
  ]),
  PublicationRemoved: form<"PublicationRemoved">(2, ["packageName", "entityTag", "cause"]),
  SubscriptionRefreshed: form<"SubscriptionRefreshed">(3, ["no", "expiresAt", "remoteCseq", "remoteTarget"], {
    remoteTarget: null,
  }),
  SubscriptionTerminated: form<"SubscriptionTerminated">(4, ["no", "reason", "silent", "waitsUntil"], {
    silent: false,
    waitsUntil: null,
  }),
  NotificationsIssued: form<"NotificationsIssued">(
    5,
    ["packageName", "to", "except", "suppressed", "shown", "cause"],
    { except: [], suppressed: [] },
  ),
  NotificationsDeferred: form<"NotificationsDeferred">(6, ["to", "until", "undelivered"], {
    undelivered: false,
  }),
  NotificationsAccepted: { ...form<"NotificationsAccepted">(7, ["of"]), isList: true },
  NotificationFailed: form<"NotificationFailed">(8, ["no", "cseq", "outcome"]),
  TargetProven: form<"TargetProven">(9, ["dialog", "address"]),
}

/** The names that are written as their place in this list, which only grows at its end. */
const packageNames = [
  "presence",
  "dialog",
  "presence.winfo",
  "dialog.winfo",
  "message-summary",
  "reg",
  "conference",
  "call-info",
  "line-seize",
  "dialog;sla",
  "xcap-diff",
]

/** The same for values of fields that say why. */
const words = [
  "subscribe",
  "change",
  "rules",
  "refresh",
  "rate",
  "recovery",
  "proof",
  "requested",
  "expired",
  "deactivated",
  "probation",
  "rejected",
  "timeout",
  "giveup",
  "noresource",
  "refused",
  "timed-out",
  "unreachable",
  "unproven",
  "unrepeated",
  "flow-lost",
  "replaced",
  "too-large",
  "credentials",
]

/** By field: what is written as a place in a list. */
const lists: Readonly<Record<string, readonly string[]>> = {
  packageName: packageNames,
  cause: words,
  reason: words,
  outcome: words,
}

const byCode = new Map(
  Object.entries(forms).map(([tag, { code, fields, usual, isList }]) => [
    code,
    { tag, isList, fields: fields.map((name) => ({ name, usual: usual[name] })) },
  ]),
)

const isUsual = (value: unknown, usual: unknown): boolean =>
  Array.isArray(usual) ? Array.isArray(value) && value.length === 0 : value === usual

/**
 * @param nonce of the decision: entity-tags that it gives begin with it, and are written without it
 * @returns the event itself when it has no short form
 */
export const packEvent = (event: Event, nonce: string): Event | Values => {
  const known = forms[event._tag]
  if (known === undefined) return event
  const json = event as unknown as Json
  if (known.isList === true) return packList(known, json) ?? event
  const packed: unknown[] = [known.code]
  let rest: Record<string, unknown> | null = null
  for (const name of known.fields) {
    const value = json[name]
    if (value === undefined) return event
    if (name in known.usual) {
      if (!isUsual(value, known.usual[name])) (rest ??= {})[name] = value
      continue
    }
    const short = shortOf(name, value, nonce)
    if (short === undefined) return event
    packed.push(short)
  }
  for (const name in json) {
    if (name === "_tag" || json[name] === undefined || known.fields.includes(name)) continue
    ;(rest ??= {})[name] = json[name]
  }
  if (rest !== null) packed.push(rest)
  return packed
}

/** Null: there is more in it than the list of numbers. */
const packList = ({ code, fields: [name = ""] }: Form, json: Json): Values | null => {
  const list = json[name]
  const isAll = Array.isArray(list) && Object.keys(json).length === 2
  return isAll && list.every((value) => typeof value === "number") ? [code, ...(list as Values)] : null
}

/** Undefined: it could be mistaken for something else. */
const shortOf = (name: string, value: unknown, nonce: string): unknown => {
  // the usual NOTIFY after a SUBSCRIBE goes to one subscription
  if (name === "to" && Array.isArray(value))
    return value.length === 1 && typeof value[0] === "number" ? (value[0] as unknown) : value
  // a number is what a list or a name is written as
  if (typeof value === "number" && (name === "to" || name in lists)) return undefined
  if (typeof value !== "string") return value
  const list = lists[name]
  if (list !== undefined) {
    const place = list.indexOf(value)
    return place < 0 ? value : place
  }
  if (name !== "entityTag" && name !== "supersedes") return value
  if (value.startsWith(".")) return undefined
  return value.startsWith(nonce) && value[nonce.length] === "." ? value.slice(nonce.length) : value
}

/** The event that was packed. What was not packed, or cannot have been, is returned as it is, and refused by whoever decodes it. */
export const unpackEvent = (stored: unknown, nonce: string): unknown => {
  if (!Array.isArray(stored)) return stored
  const packed = stored as Values
  const known = byCode.get(packed[0] as number)
  if (known === undefined) return stored
  const event: Record<string, unknown> = { _tag: known.tag }
  if (known.isList === true) {
    event[known.fields[0]!.name] = packed.slice(1)
    return event
  }
  let at = 1
  for (const { name, usual } of known.fields) {
    if (usual !== undefined) event[name] = Array.isArray(usual) ? [] : usual
    else event[name] = longOf(name, packed[at++], nonce)
  }
  if (at === packed.length) return event
  const rest = packed[at]
  if (at + 1 !== packed.length || typeof rest !== "object" || rest === null || Array.isArray(rest))
    return stored
  return Object.assign(event, rest)
}

const longOf = (name: string, value: unknown, nonce: string): unknown => {
  if (name === "to") return typeof value === "number" ? [value] : value
  const list = lists[name]
  if (list !== undefined) return typeof value === "number" ? (list[value] ?? value) : value
  if (name !== "entityTag" && name !== "supersedes") return value
  return typeof value === "string" && value.startsWith(".") ? nonce + value : value
}

/** In the order in which they are written; it only grows at its end. A part that is not listed does not compile. */
const parts = Object.keys({
  by: true,
  request: true,
  node: true,
  command: true,
  profile: true,
  epoch: true,
} satisfies Record<keyof About, true>)

/** Parts that are absent are null, and left out at the end. */
export const packAbout = (about: Json): Values => {
  const packed: unknown[] = []
  for (const part of parts) packed.push(about[part] ?? null)
  while (packed.length > 0 && packed.at(-1) === null) packed.pop()
  return packed
}

/** Parts that this version does not know are left out. */
export const unpackAbout = (packed: Values): Json => {
  const about: Record<string, unknown> = {}
  for (const [index, value] of packed.entries()) {
    const part = parts[index]
    if (part !== undefined && value !== null) about[part] = value
  }
  return about
}
