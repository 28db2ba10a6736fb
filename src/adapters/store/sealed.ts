/**
 * Decisions as they are stored: personal strings are encrypted with the key of the person they are about, and are read again
 * as long as there is that key. What nobody can read any more comes out as stand-ins. docs/log.md says the form in words.
 *
 * The encryption is deterministic (`siv.ts`): equal strings of one person are equal
 * in the log, and so are their stand-ins. That says which of a person's documents and addresses are the same, to whoever
 * reads the database; versions and times say nearly as much.
 */
import { randomBytes } from "node:crypto"
import type { Decision, Event } from "../../domain/presentity/events.ts"
import type { Body, Header, Uri } from "../../domain/vocabulary.ts"
import { isPerson, isPersonalOrigin, touchEvent } from "./personal.ts"
import type { Touch } from "./personal.ts"
import { digestOf } from "./digest.ts"
import { openText, sealText } from "./siv.ts"

/** A person's key. */
export interface PersonKey {
  /** Says nothing: 12 hex digits. */
  readonly id: string
  readonly person: string
  /** 32 octets. */
  readonly key: Uint8Array
}

/** Events with the keys that they are encrypted with. `of`: the presentity's; `by`: those of others, in order of need. */
export interface Envelope {
  readonly of?: string
  readonly by?: readonly string[]
  readonly events: readonly Event[]
}

export type StoredEvents = readonly Event[] | Envelope

export const eventsIn = (stored: StoredEvents): readonly Event[] =>
  isEnvelope(stored) ? stored.events : stored

export const isEnvelope = (stored: StoredEvents): stored is Envelope => !Array.isArray(stored)

/** The same around other events. */
export const withEvents = (stored: StoredEvents, events: readonly Event[]): StoredEvents =>
  isEnvelope(stored) ? { ...stored, events } : events

/** Keys that a stored row needs. */
export const keysIn = (stored: unknown): readonly string[] => {
  if (typeof stored !== "object" || stored === null || Array.isArray(stored)) return []
  const { of, by } = stored as { readonly of?: unknown; readonly by?: unknown }
  return [of, ...(Array.isArray(by) ? by : [])].filter((id): id is string => typeof id === "string")
}

export const newPersonKey = (person: string): PersonKey => {
  const octets = randomBytes(38)
  return { id: octets.toString("hex", 32), person, key: octets.subarray(0, 32) }
}

export const encrypt = ({ key }: PersonKey, text: string): string => sealText(key, text)

/** @throws Error when it is not what was encrypted with that key, as far as that is checked */
const decrypt = ({ id, key }: PersonKey, encrypted: string, isChecked: boolean): string => {
  const text = openText(key, encrypted, isChecked)
  if (text === null) throw new Error(`a text that key ${id} should open is not what was written`)
  return text
}

/**
 * The decision as it is stored.
 *
 * @param watcher whose request it was; null: the presentity's own, or nobody's
 * @param keyOf the key of a person, made when there is none
 */
export const sealDecision = (
  decision: Decision,
  watcher: Uri | null,
  keyOf: (person: string) => PersonKey,
): { readonly origin: string; readonly stored: StoredEvents } => {
  const { stream, origin } = decision
  if (!isPerson(stream)) return { origin, stored: decision.events }
  let own: PersonKey | null = null
  const by: string[] = []
  const ofOwner = (text: string): string => encrypt((own ??= keyOf(stream)), text)
  const ofWatcher = (text: string, person: Uri | null): string => {
    const key = keyOf(person ?? watcher ?? stream)
    let place = by.indexOf(key.id)
    if (place < 0) place = by.push(key.id) - 1
    return `${place}.${encrypt(key, text)}`
  }
  const touch: Touch = {
    body: (body) => (body.dropped === undefined ? { ...body, text: ofOwner(body.text) } : body),
    header: ([name, value]): Header => [name, ofOwner(value)],
    own: ofOwner,
    watcher: (uri) => ofWatcher(uri, uri) as Uri,
    theirs: ofWatcher,
    address: ofWatcher,
  }
  const events = decision.events.map((event) => touchEvent(event, touch))
  const sealedOrigin = !isPersonalOrigin(origin)
    ? origin
    : watcher === null
      ? ofOwner(origin)
      : ofWatcher(origin, watcher)
  // what the steps above found out about keys
  const owner = own as PersonKey | null
  if (owner === null && by.length === 0) return { origin, stored: decision.events }
  const envelope: Envelope = {
    ...(owner === null ? {} : { of: owner.id }),
    ...(by.length === 0 ? {} : { by }),
    events,
  }
  return { origin: sealedOrigin, stored: envelope }
}

/** Who somebody is called that was erased. */
export const standIn = (id: string): Uri => `sip:erased-${id}@erased.invalid` as Uri

/**
 * Opens a stored row.
 *
 * @param stored with events of today's shapes
 * @param keyOf the key of that number; undefined: it was erased
 * @param isChecked whether strings must be what was written: for those who look after the log. Others believe the database, as they
 *   do of what is in clear
 * @throws Error when a string is not what was written
 */
export const openDecision = (
  origin: string,
  stored: StoredEvents,
  keyOf: (id: string) => PersonKey | undefined,
  isChecked: boolean,
): { readonly origin: string; readonly events: readonly Event[] } => {
  if (!isEnvelope(stored)) return { origin, events: stored }
  const { of = "", by = [] } = stored
  const own = keyOf(of)
  const keys = by.map(keyOf)
  const ofOwner = (text: string): string =>
    own === undefined ? namedFor(of, text) : decrypt(own, text, isChecked)
  const placed = (text: string) => {
    const dot = text.indexOf(".")
    const place = Number(text.slice(0, dot))
    return { id: by[place] ?? "", key: keys[place], text: text.slice(dot + 1) }
  }
  const ofWatcher = (sealed: string): string => {
    const { id, key, text } = placed(sealed)
    return key === undefined ? namedFor(id, text) : decrypt(key, text, isChecked)
  }
  const touch: Touch = {
    body: (body) => openBody(body, own, isChecked),
    header: ([name, value]): Header => [name, ofOwner(value)],
    own: (text) => (own === undefined ? addressFor(of, text) : decrypt(own, text, isChecked)),
    watcher: (sealed) => {
      const { id, key, text } = placed(sealed)
      return key === undefined ? standIn(id) : (decrypt(key, text, isChecked) as Uri)
    },
    theirs: ofWatcher,
    address: (sealed) => {
      const { id, key, text } = placed(sealed)
      return key === undefined ? addressFor(id, text) : decrypt(key, text, isChecked)
    },
  }
  const events = stored.events
    .map((event) => withoutHeaders(event, own, isChecked))
    .map((event) => touchEvent(event, touch))
  const isSealed = /^(?:\d+\.)?[\w-]{22,}$/.test(origin)
  return { origin: !isSealed ? origin : origin.includes(".") ? ofWatcher(origin) : ofOwner(origin), events }
}

const openBody = (
  body: Body & { readonly was?: string },
  own: PersonKey | undefined,
  isChecked: boolean,
): Body => {
  const { was, ...rest } = body
  if (body.dropped !== undefined) {
    return was === undefined || own === undefined ? rest : { ...rest, dropped: decrypt(own, was, isChecked) }
  }
  return own === undefined
    ? { ...rest, text: "", dropped: digestOf(body.text) }
    : { ...rest, text: decrypt(own, body.text, isChecked) }
}

/** Texts of the documents and headers in a stored row that can still be read. */
export const documentsIn = (
  stored: StoredEvents,
  keyOf: (id: string) => PersonKey | undefined,
): readonly string[] => {
  const own = isEnvelope(stored) ? keyOf(stored.of ?? "") : null
  if (own === undefined) return []
  const texts: string[] = []
  const note = (text: string): void => void texts.push(own === null ? text : decrypt(own, text, false))
  const touch: Touch = {
    body: (body) => {
      if (body.dropped === undefined) note(body.text)
      return body
    },
    header: (header) => {
      note(header[1])
      return header
    },
    own: asItIs,
    watcher: asItIs,
    theirs: asItIs,
    address: asItIs,
  }
  for (const event of eventsIn(stored)) touchEvent(event, touch)
  return texts
}

const asItIs = <A>(value: A): A => value

/** Headers that were dropped, or that nobody can read any more, are known by a digest. */
const withoutHeaders = (event: Event, own: PersonKey | undefined, isChecked: boolean): Event => {
  if (event._tag !== "PublicationCreated" && event._tag !== "PublicationModified") return event
  const { wasHeaders, ...rest } = event as typeof event & { readonly wasHeaders?: string }
  if (wasHeaders !== undefined && own !== undefined)
    return { ...rest, droppedHeaders: decrypt(own, wasHeaders, isChecked) }
  if (own !== undefined || rest.headers === undefined) return rest
  const { headers, ...others } = rest
  return { ...others, droppedHeaders: digestOf(JSON.stringify(headers)) }
}

/**
 * What reading gives for strings of somebody who is erased, for strings that are not encrypted: states that were saved.
 *
 * @param key of that person
 */
export const coverOf = (key: PersonKey): Touch => ({
  body: ({ text, ...body }) => ({
    ...body,
    text: "",
    dropped: digestOf(encrypt(key, body.dropped ?? text)),
  }),
  header: ([name, value]): Header => [name, namedFor(key.id, encrypt(key, value))],
  own: (text) => addressFor(key.id, encrypt(key, text)),
  watcher: () => standIn(key.id),
  theirs: (text) => namedFor(key.id, encrypt(key, text)),
  address: (text) => addressFor(key.id, encrypt(key, text)),
})

const namedFor = (id: string, text: string): string => `erased-${id}-${digestOf(text).slice(0, 12)}`
const addressFor = (id: string, text: string): string => `sip:${namedFor(id, text)}@erased.invalid`
