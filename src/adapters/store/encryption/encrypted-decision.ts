/**
 * Decisions as they are stored: personal strings are encrypted with the key of the person they are about, and are read again
 * as long as there is that key. What nobody can read any more comes out as stand-ins. docs/log.md says the form in words.
 *
 * The encryption is deterministic (`cipher.ts`), and bound to the key's number and to what the string is (`Field`): equal strings
 * of one kind of one person are equal in the log, and so are their stand-ins, also those of states that were saved. That
 * says which of a person's documents and addresses are the same, to whoever reads the database; versions and times say nearly as
 * much. Only `origin`, which no state holds, is bound to its row as well.
 *
 * A string that is encrypted has a colon after the place of its key; before, it had none, or a full stop (`siv.ts`).
 */
import { randomBytes } from "node:crypto"
import type { Decision, Event } from "../../../domain/presentity/events.ts"
import type { Body, Header, Uri } from "../../../domain/vocabulary.ts"
import type { Envelope, PersonKey, StoredEvents } from "../../../ports/stored-events.ts"
import { sha256Hex } from "../integrity/sha256.ts"
import { packOrigin, unpackOrigin } from "../postgres/origin.ts"
import { decryptText, encryptText } from "./cipher.ts"
import { isPerson, isPersonalOrigin, mapPersonalFields } from "./personal-fields.ts"
import type { DocumentField, Field, PersonalFieldMapper } from "./personal-fields.ts"
import { decryptTextEarlier as openEarlier } from "./siv.ts"

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
  const octets = randomBytes(76)
  return { id: octets.toString("hex", 64), person, key: octets.subarray(0, 64) }
}

/** Whether strings may stand in the log as `siv.ts` wrote them. */
export const isEarlierKey = ({ id }: PersonKey): boolean => id.length === 12

/** What a string is, as it is bound to it: no field of a row has another's. `header NAME`, `was` and `wasHeaders` are digests or parts of documents. */
type Kind =
  | Field
  | DocumentField
  | "watcher"
  | "shown"
  | "parameters"
  | "origin"
  | "was"
  | "wasHeaders"
  | `header ${string}`

/** @param row that of an `origin`; what its decision's nonce is */
const associated = (id: string, kind: Kind, row: string): string => `${kind}\0${id}\0${row}`

/** Without the place of the key; the colon says that it is this form. */
export const encrypt = ({ id, key }: PersonKey, kind: Kind, text: string, row = ""): string =>
  `:${encryptText(key, associated(id, kind, row), text)}`

/** @throws Error when it is not what was encrypted with that key, in that place */
const decrypt = ({ id, key }: PersonKey, kind: Kind, encrypted: string, row = ""): string => {
  const text =
    encrypted[0] === ":"
      ? decryptText(key, associated(id, kind, row), encrypted.slice(1))
      : openEarlier(key, encrypted)
  if (text === null) throw new Error(`a text that key ${id} should open is not what was written there`)
  return text
}

/** What could be read as encrypted though it was written in clear is encrypted. */
const isMistakable = (text: string): boolean => sealedNow.test(text) || sealedEarlier.test(text)
const sealedNow = /^\d*:[\w-]{22,}$/
const sealedEarlier = /^(?:\d+\.)?[\w-]{22,}$/

/**
 * The decision as it is stored.
 *
 * @param watcher whose request it was; null: the presentity's own, or nobody's
 * @param keyOf the key of a person, made when there is none
 */
export const encryptDecision = (
  decision: Decision,
  watcher: Uri | null,
  keyOf: (person: string) => PersonKey,
): { readonly origin: string; readonly stored: StoredEvents } => {
  const { stream, origin } = decision
  if (!isPerson(stream)) return { origin, stored: decision.events }
  let own: PersonKey | null = null
  const by: string[] = []
  const ofOwner = (text: string, kind: Kind, row?: string): string =>
    encrypt((own ??= keyOf(stream)), kind, text, row)
  const ofWatcher = (text: string, person: Uri | null, kind: Kind, row?: string): string => {
    const key = keyOf(person ?? watcher ?? stream)
    let place = by.indexOf(key.id)
    if (place < 0) place = by.push(key.id) - 1
    return place + encrypt(key, kind, text, row)
  }
  const touch: PersonalFieldMapper = {
    body: (body, field) => {
      if (body.dropped !== undefined) return body
      const text = ofOwner(body.text, field)
      const { parameters } = body
      return parameters === undefined
        ? { ...body, text }
        : { ...body, parameters: ofOwner(parameters, "parameters"), text }
    },
    header: ([name, value]): Header => [name, ofOwner(value, `header ${name}`)],
    shown: (digest) => ofOwner(digest, "shown"),
    own: ofOwner,
    watcher: (uri) => ofWatcher(uri, uri, "watcher") as Uri,
    theirs: ofWatcher,
    address: ofWatcher,
  }
  const events = decision.events.map((event) => mapPersonalFields(event, touch))
  const sealedOrigin =
    !isPersonalOrigin(origin) && !isMistakable(origin)
      ? origin
      : watcher === null
        ? ofOwner(packOrigin(origin), "origin", decision.nonce)
        : ofWatcher(packOrigin(origin), watcher, "origin", decision.nonce)
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
export const pseudonym = (id: string): Uri => `sip:erased-${id}@erased.invalid` as Uri

/**
 * Opens a stored row.
 *
 * @param nonce of the decision
 * @param stored with events of today's shapes
 * @param keyOf the key of that number; undefined: it was erased
 * @throws Error when a string is not what was written, or not there
 */
export const decryptDecision = (
  origin: string,
  nonce: string,
  stored: StoredEvents,
  keyOf: (id: string) => PersonKey | undefined,
): { readonly origin: string; readonly events: readonly Event[] } => {
  if (!isEnvelope(stored)) return { origin, events: stored }
  const { by = [] } = stored
  const own = stored.of === undefined ? undefined : keyOf(stored.of)
  const keys = by.map(keyOf)
  /** The number of the presentity's key, for what needs it. */
  const owner = (): string => {
    if (stored.of === undefined) throw new Error("a text that needs the presentity's key has none")
    return stored.of
  }
  const ofOwner = (text: string, kind: Kind, row?: string): string =>
    own === undefined ? namedFor(owner(), text) : decrypt(own, kind, text, row)
  const placed = (text: string) => {
    const colon = text.indexOf(":")
    const end = colon < 0 ? text.indexOf(".") : colon
    const place = Number(text.slice(0, end))
    const id = by[place]
    if (id === undefined) throw new Error(`a text that needs key ${place} of its row has none`)
    return { id, key: keys[place], text: text.slice(colon < 0 ? end + 1 : end) }
  }
  const ofWatcher = (sealed: string, kind: Kind, row?: string): string => {
    const { id, key, text } = placed(sealed)
    return key === undefined ? namedFor(id, text) : decrypt(key, kind, text, row)
  }
  const touch: PersonalFieldMapper = {
    body: (body, field) => {
      if (body.dropped === undefined) owner()
      return openBody(body, field, own)
    },
    header: ([name, value]): Header => [name, ofOwner(value, `header ${name}`)],
    // before, it was stored in clear
    shown: (digest) => (sealedNow.test(digest) ? ofOwner(digest, "shown") : digest),
    own: (text, field) => (own === undefined ? addressFor(owner(), text) : decrypt(own, field, text)),
    watcher: (sealed) => {
      const { id, key, text } = placed(sealed)
      return key === undefined ? pseudonym(id) : (decrypt(key, "watcher", text) as Uri)
    },
    theirs: (sealed, _, field) => ofWatcher(sealed, field),
    address: (sealed, _, field) => {
      const { id, key, text } = placed(sealed)
      return key === undefined ? addressFor(id, text) : decrypt(key, field, text)
    },
  }
  const events = stored.events
    .map((event) => withoutHeaders(event, own))
    .map((event) => mapPersonalFields(event, touch))
  if (!isMistakable(origin)) return { origin, events }
  const opened = (/^\d+[.:]/.test(origin) ? ofWatcher : ofOwner)(origin, "origin", nonce)
  return { origin: sealedNow.test(origin) ? unpackOrigin(opened) : opened, events }
}

const openBody = (
  body: Body & { readonly was?: string },
  field: DocumentField,
  own: PersonKey | undefined,
): Body => {
  const { was, ...stored } = body
  const rest = withParameters(stored, own)
  if (body.dropped !== undefined) {
    return was === undefined || own === undefined ? rest : { ...rest, dropped: decrypt(own, "was", was) }
  }
  return own === undefined
    ? { ...rest, text: "", dropped: sha256Hex(body.text) }
    : { ...rest, text: decrypt(own, field, body.text) }
}

/** Parameters of a media type, which were stored in clear before; without the key there are none. */
const withParameters = (body: Body, own: PersonKey | undefined): Body => {
  const { parameters, ...rest } = body
  if (parameters === undefined || !sealedNow.test(parameters)) return body
  return own === undefined ? rest : { ...body, parameters: decrypt(own, "parameters", parameters) }
}

/** Texts of the documents and headers in a stored row that can still be read. */
export const documentsIn = (
  stored: StoredEvents,
  keyOf: (id: string) => PersonKey | undefined,
): readonly string[] => {
  const own = isEnvelope(stored) ? keyOf(stored.of ?? "") : null
  if (own === undefined) return []
  const texts: string[] = []
  const note = (text: string, kind: Kind): void =>
    void texts.push(own === null ? text : decrypt(own, kind, text))
  const touch: PersonalFieldMapper = {
    ...unchanged,
    body: (body, field) => {
      if (body.dropped === undefined) note(body.text, field)
      return body
    },
    header: (header) => {
      note(header[1], `header ${header[0]}`)
      return header
    },
  }
  for (const event of eventsIn(stored)) mapPersonalFields(event, touch)
  return texts
}

const asItIs = <A>(value: A): A => value

/** For who only looks: every personal string stays what it is. */
const unchanged: PersonalFieldMapper = {
  body: asItIs,
  header: asItIs,
  shown: asItIs,
  own: asItIs,
  watcher: asItIs,
  theirs: asItIs,
  address: asItIs,
}

/** Headers that were dropped, or that nobody can read any more, are known by a digest. */
const withoutHeaders = (event: Event, own: PersonKey | undefined): Event => {
  if (event._tag !== "PublicationCreated" && event._tag !== "PublicationModified") return event
  const { wasHeaders, ...rest } = event as typeof event & { readonly wasHeaders?: string }
  if (wasHeaders !== undefined && own !== undefined)
    return { ...rest, droppedHeaders: decrypt(own, "wasHeaders", wasHeaders) }
  if (own !== undefined || rest.headers === undefined) return rest
  const { headers, ...others } = rest
  return { ...others, droppedHeaders: sha256Hex(JSON.stringify(headers)) }
}

/**
 * What reading gives for strings of somebody who is erased, for strings that are not encrypted: states that were saved.
 *
 * @param key of that person
 */
export const pseudonymizerFor = (key: PersonKey): PersonalFieldMapper => ({
  body: ({ contentType, text, dropped }, field) => ({
    contentType,
    text: "",
    dropped: sha256Hex(encrypt(key, field, dropped ?? text)),
  }),
  header: ([name, value]): Header => [name, namedFor(key.id, encrypt(key, `header ${name}`, value))],
  shown: (digest) => namedFor(key.id, encrypt(key, "shown", digest)),
  own: (text, field) => addressFor(key.id, encrypt(key, field, text)),
  watcher: () => pseudonym(key.id),
  theirs: (text, _, field) => namedFor(key.id, encrypt(key, field, text)),
  address: (text, _, field) => addressFor(key.id, encrypt(key, field, text)),
})

/** Whether something personal of a presentity stands in clear in a row that is otherwise encrypted: what was not, before. */
export const hasEarlierClear = (origin: string, stored: StoredEvents): boolean => {
  let found = isPersonalOrigin(origin)
  const look = (text: string): string => {
    found ||= !sealedNow.test(text)
    return text
  }
  const touch: PersonalFieldMapper = {
    ...unchanged,
    body: (body) => {
      if (body.parameters !== undefined) look(body.parameters)
      return body
    },
    shown: look,
  }
  for (const event of eventsIn(stored)) mapPersonalFields(event, touch)
  return found
}

const namedFor = (id: string, text: string): string => `erased-${id}-${sha256Hex(text).slice(0, 12)}`
const addressFor = (id: string, text: string): string => `sip:${namedFor(id, text)}@erased.invalid`
