/**
 * Decisions as they are stored: personal strings are encrypted with the key of the person they are about, and are read again
 * as long as there is that key. What nobody can read any more comes out as stand-ins. docs/log.md says the form in words.
 *
 * The strings of one person in one decision are encrypted together (`sealed-texts.ts`), bound to the decision. Documents and headers
 * are encrypted one by one, bound to what they are, since retention drops them alone, and saved states, which do not know the rows
 * that they come from, must name what is gone by the digests that rows give. So equal documents of a person are equal in the log,
 * which says to whoever reads the database that they are the same; versions and times say nearly as much.
 *
 * A colon after the place of its key marks a string that is encrypted alone, an at sign one that is encrypted with others. Frequent
 * events are packed (`packed-events.ts`). Earlier forms are in `texts-together.ts` and `siv.ts`.
 */
import { randomBytes } from "node:crypto"
import { erasedHost } from "../../../domain/presentity/erase.ts"
import type { Decision, Event } from "../../../domain/presentity/events.ts"
import type { Body, Header, Uri } from "../../../domain/vocabulary.ts"
import { packAbout, packEvent } from "../../../encoding/packed-events.ts"
import type { Envelope, PackedEnvelope, PersonKey, StoredEvents } from "../../../ports/stored-events.ts"
import { sha256Hex } from "../integrity/sha256.ts"
import { packOrigin, unpackOrigin } from "../postgres/origin.ts"
import { aboutAsTexts, openedAbout, skipAbout } from "./about-texts.ts"
import type { AboutField } from "./about-texts.ts"
import { decryptText, encryptText } from "./cipher.ts"
import { isPerson, isPersonalOrigin, mapPersonalFields } from "./personal-fields.ts"
import type { DocumentField, Field, PersonalFieldMapper } from "./personal-fields.ts"
import { makeOpening, makeSealing } from "./sealed-texts.ts"
import type { Opening } from "./sealed-texts.ts"
import { decryptTextEarlier as openEarlier } from "./siv.ts"
import { isTogether, makeEarlierOpening } from "./texts-together.ts"
import type { EarlierOpening, OpenedText } from "./texts-together.ts"

/** The events of a stored row; one that is packed is an array, and holds no document. */
export const eventsIn = (stored: StoredEvents): readonly Event[] =>
  isEnvelope(stored) ? ("e" in stored ? stored.e : stored.events) : stored

export const isEnvelope = (stored: StoredEvents): stored is Envelope | PackedEnvelope =>
  !Array.isArray(stored)

/** The same around other events. */
export const withEvents = (stored: StoredEvents, events: readonly Event[]): StoredEvents =>
  isEnvelope(stored) ? ("e" in stored ? { ...stored, e: events } : { ...stored, events }) : events

/** Keys that a stored row needs. */
export const keysIn = (stored: unknown): readonly string[] => {
  if (typeof stored !== "object" || stored === null || Array.isArray(stored)) return []
  const { of, by } = stored as { readonly of?: unknown; readonly by?: unknown }
  return [of, ...(Array.isArray(by) ? by : [])].filter((id): id is string => typeof id === "string")
}

const keyOctets = 64
const idOctets = 12
/** Keys that are drawn at once: a call for random octets costs as much for one of them as for many. */
const keysDrawn = 64

let drawn = Buffer.alloc(0)

export const newPersonKey = (person: string): PersonKey => {
  if (drawn.length === 0) drawn = randomBytes(keysDrawn * (keyOctets + idOctets))
  const octets = drawn.subarray(0, keyOctets + idOctets)
  drawn = drawn.subarray(octets.length)
  const id = octets.toString("base64url", keyOctets)
  // memory of its own; where it was drawn nothing of it is left
  const key = Uint8Array.prototype.slice.call(octets, 0, keyOctets)
  octets.fill(0)
  return { id, person, key }
}

/** What a string is, as it is bound to it: no field of a row has another's. `header NAME`, `was` and `wasHeaders` are digests or parts of documents. */
export type Kind =
  | Field
  | DocumentField
  | "watcher"
  | "shown"
  | "parameters"
  | "origin"
  | AboutField
  | "was"
  | "wasHeaders"
  | `header ${string}`

/** @param row the nonce of the decision for an `origin`; else empty */
const associated = (id: string, kind: Kind, row: string): string => `${kind}\0${id}\0${row}`

/** Without the place of the key; the colon says that it is this form. */
export const encrypt = ({ id, key }: PersonKey, kind: Kind, text: string, row = ""): string =>
  `:${encryptText(key, associated(id, kind, row), text)}`

/** @throws Error when it is not what was encrypted with that key, in that place */
export const decrypt = ({ id, key }: PersonKey, kind: Kind, encrypted: string, row = ""): string => {
  const text =
    encrypted[0] === ":"
      ? decryptText(key, associated(id, kind, row), encrypted.slice(1))
      : openEarlier(key, encrypted)
  if (text === null) throw new Error(`a text that key ${id} should open is not what was written there`)
  return text
}

/** Clear text that looks like a ciphertext is encrypted, so that it cannot be mistaken for one. */
const isMistakable = (text: string): boolean => isSealed(text) || sealedEarlier.test(text)
/** Encrypted alone, or with others. */
export const isSealed = (text: string): boolean => /^\d*(?::[\w-]{22,}|[~@][\w-]*)$/.test(text)
/** Whether parameters of a stored document are encrypted. Beside documents of the first form, which have no colon, they stand in clear. */
export const hasSealedParameters = (body: Body & { readonly was?: string }): boolean => {
  const { parameters, text, dropped, was = ":" } = body
  return (
    parameters !== undefined && isSealed(parameters) && (dropped === undefined ? text : was).startsWith(":")
  )
}
const sealedEarlier = /^(?:\d+\.)?[\w-]{22,}$/

/** Applies `owners` to every string of the presentity that is encrypted with others, and `others` to every string of other people. */
const mapperOf = (
  owners: (text: string, kind: Kind) => string,
  others: (text: string, person: Uri | null, kind: Kind) => string,
  documents: Pick<PersonalFieldMapper, "body" | "header">,
): PersonalFieldMapper => ({
  ...documents,
  shown: (digest) => owners(digest, "shown"),
  own: owners,
  watcher: (uri) => others(uri, uri, "watcher") as Uri,
  theirs: others,
  address: others,
})

/** What the column `events` holds of a decision of which nothing is encrypted. */
export const inClear = ({ events, about }: Pick<Decision, "events" | "about">): StoredEvents =>
  about === undefined ? events : { about, events }

/** The texts and keys of a row that is written. */
const makeWriting = (
  { stream, nonce }: Decision,
  watcher: Uri | null,
  keyOf: (person: string) => PersonKey,
) => {
  const sealing = makeSealing(nonce)
  const by: string[] = []
  let owner: PersonKey | null = null
  const own = (): PersonKey => (owner ??= keyOf(stream))
  const owners = (text: string, kind: Kind): string => sealing.add(own(), "", kind, text)
  const others = (text: string, person: Uri | null, kind: Kind): string => {
    const key = keyOf(person ?? watcher ?? stream)
    const known = by.indexOf(key.id)
    return sealing.add(key, String(known < 0 ? by.push(key.id) - 1 : known), kind, text)
  }
  return {
    own,
    owners,
    others,
    /** A text of whoever sent the request. */
    requesters: (text: string, kind: Kind): string =>
      watcher === null ? owners(text, kind) : others(text, watcher, kind),
    /** After the last text; null: nothing is encrypted. */
    envelope: (): Omit<Envelope, "events"> | null => {
      if (owner === null && by.length === 0) return null
      const sealed = sealing.seal()
      return {
        ...(owner === null ? {} : { of: owner.id }),
        ...(by.length === 0 ? {} : { by }),
        ...(sealed === null ? {} : { s: sealed }),
      }
    },
  }
}

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
  const { stream, origin, nonce, about } = decision
  if (!isPerson(stream)) return { origin, stored: inClear(decision) }
  const writing = makeWriting(decision, watcher, keyOf)
  const { own, owners, requesters } = writing
  const sealedOrigin =
    isPersonalOrigin(origin) || isMistakable(origin) ? requesters(packOrigin(origin), "origin") : origin
  const known = about === undefined ? undefined : aboutAsTexts(about, requesters)
  const map = mapperOf(owners, writing.others, {
    body: (body, field) => {
      if (body.dropped !== undefined) return body
      const parameters =
        body.parameters === undefined ? {} : { parameters: owners(body.parameters, "parameters") }
      return { ...body, ...parameters, text: encrypt(own(), field, body.text) }
    },
    header: ([name, value]): Header => [name, encrypt(own(), `header ${name}`, value)],
  })
  const events = decision.events.map((event) => packEvent(mapPersonalFields(event, map), nonce) as Event)
  const keys = writing.envelope()
  if (keys === null) return { origin, stored: inClear(decision) }
  const packed = known === undefined ? {} : { a: packAbout(known) }
  return { origin: sealedOrigin, stored: { ...keys, ...packed, e: events } }
}

/** Who somebody is called that was erased. */
export const pseudonym = (id: string): Uri => `sip:erased-${id}@${erasedHost}` as Uri

/**
 * Opens a stored row.
 *
 * @param nonce of the decision
 * @param stored with events of today's shapes
 * @param keyOf the key of that number; undefined: it was erased
 * @param only where nothing but the events is needed: keys that they do not need are not used
 * @throws Error when a string is not what was written, or not there
 */
export const decryptDecision = (
  origin: string,
  nonce: string,
  stored: Envelope,
  keyOf: (id: string) => PersonKey | undefined,
  only?: "events",
): { readonly origin: string; readonly events: readonly Event[]; readonly about?: object } => {
  const { about } = stored
  if (stored.of === undefined && stored.by === undefined)
    return { origin, events: stored.events, ...(about === undefined ? {} : { about }) }
  const { own, owner, keyAt } = keysFor(stored, keyOf)
  const isSealedOrigin = isMistakable(origin)
  const opening =
    stored.s === undefined
      ? openingOfEarlier(origin, nonce, stored, keyAt)
      : makeOpening(nonce, stored.s, keyAt)

  /** A text that was encrypted alone. */
  const alone = (place: string, text: string, kind: Kind): OpenedText => {
    const { id, key } = keyAt(place)
    const row = kind === "origin" ? nonce : ""
    return { id, text: key === undefined ? null : decrypt(key, kind, text, row), token: text }
  }
  const owners = (sealed: string, kind: Kind): OpenedText =>
    isTogether(sealed) ? opening.next(sealed, kind) : alone("", sealed, kind)
  const others = (sealed: string, kind: Kind): OpenedText => {
    if (isTogether(sealed)) return opening.next(sealed, kind)
    const colon = sealed.indexOf(":")
    const end = colon < 0 ? sealed.indexOf(".") : colon
    return alone(end <= 0 ? "none" : sealed.slice(0, end), sealed.slice(colon < 0 ? end + 1 : end), kind)
  }
  const touch: PersonalFieldMapper = {
    body: (body, field) => {
      if (body.dropped === undefined) owner()
      return openBody(body, field, own, owners)
    },
    header: ([name, value]): Header => [name, namedIn(alone("", value, `header ${name}`))],
    // before, it was stored in clear
    shown: (digest) => (isSealed(digest) ? namedIn(owners(digest, "shown")) : digest),
    own: (sealed, field) => addressIn(owners(sealed, field)),
    watcher: (sealed) => {
      const { id, text } = others(sealed, "watcher")
      return text === null ? pseudonym(id) : (text as Uri)
    },
    theirs: (sealed, _, field) => namedIn(others(sealed, field)),
    address: (sealed, _, field) => addressIn(others(sealed, field)),
  }
  if (only === "events" && stored.s !== undefined) {
    if (isTogether(origin)) opening.skip(origin, "origin")
    if (about !== undefined) skipAbout(about, opening)
    const events = openedEvents(stored.events, own, touch)
    opening.check()
    return { origin: "", events }
  }
  const opened = !isSealedOrigin
    ? origin
    : namedIn((/^\d+[.:~@]/.test(origin) ? others : owners)(origin, "origin"))
  const known = about === undefined ? undefined : openedAbout(about, opening)
  const events = openedEvents(stored.events, own, touch)
  opening.check()
  return {
    origin: isSealed(origin) ? unpackOrigin(opened) : opened,
    events,
    ...(known === undefined ? {} : { about: known }),
  }
}

/** The keys of a row that is read. */
const keysFor = ({ of: ownId, by = [] }: Envelope, keyOf: (id: string) => PersonKey | undefined) => {
  const own = ownId === undefined ? undefined : keyOf(ownId)
  /** The number of the presentity's key, for what needs it. */
  const owner = (): string => {
    if (ownId === undefined) throw new Error("a text that needs the presentity's key has none")
    return ownId
  }
  const keyAt = (place: string) => {
    if (place === "") return { id: owner(), key: own }
    const id = by[Number(place)]
    if (id === undefined) throw new Error(`a text that needs key ${place} of its row has none`)
    return { id, key: keyOf(id) }
  }
  return { own, owner, keyAt }
}

const openedEvents = (
  events: readonly Event[],
  own: PersonKey | undefined,
  touch: PersonalFieldMapper,
): readonly Event[] => events.map((event) => mapPersonalFields(withoutHeaders(event, own), touch))

/** Rows of the form before `s`. */
const openingOfEarlier = (
  origin: string,
  nonce: string,
  { about, events }: Envelope,
  keyAt: (place: string) => { readonly id: string; readonly key: PersonKey | undefined },
): Opening => {
  const { note, open, next } = makeEarlierOpening(nonce, keyAt)
  if (isMistakable(origin)) note("origin", origin)
  if (about !== undefined) aboutAsTexts(about, (text, kind) => (note(kind, text), text))
  const noted = notedBy(note)
  for (const event of events) mapPersonalFields(event, noted)
  open()
  return { next, skip: () => {}, check: () => {} }
}

/** Notes what was encrypted together; the rest is left for when it is its turn. */
const notedBy = (note: EarlierOpening["note"]): PersonalFieldMapper => {
  const text = (stored: string, kind: Kind): string => {
    // digests may be in clear
    if (isSealed(stored)) note(kind, stored)
    return stored
  }
  return mapperOf(text, (stored, _, kind) => text(stored, kind), {
    body: (body) => {
      // what a document was that is gone does not always show
      if (hasSealedParameters(body)) note("parameters", body.parameters!, body.dropped !== undefined)
      return body
    },
    header: (header) => header,
  })
}

/** What a text says, or a word in its place. */
const namedIn = ({ id, text, token }: OpenedText): string => text ?? namedFor(id, token)
/** What a text says, or an address in its place. */
const addressIn = ({ id, text, token }: OpenedText): string => text ?? addressFor(id, token)

const openBody = (
  body: Body & { readonly was?: string },
  field: DocumentField,
  own: PersonKey | undefined,
  owners: (sealed: string, kind: Kind) => OpenedText,
): Body => {
  const { was, ...stored } = body
  const rest = hasSealedParameters(body) ? withParameters(stored, owners) : stored
  if (body.dropped !== undefined) {
    return was === undefined || own === undefined ? rest : { ...rest, dropped: decrypt(own, "was", was) }
  }
  return own === undefined
    ? { ...rest, text: "", dropped: sha256Hex(body.text) }
    : { ...rest, text: decrypt(own, field, body.text) }
}

/** Without the key there are none. */
const withParameters = (body: Body, owners: (sealed: string, kind: Kind) => OpenedText): Body => {
  const { parameters, ...rest } = body
  const { text } = owners(parameters!, "parameters")
  return text === null ? rest : { ...body, parameters: text }
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

const namedFor = (id: string, text: string): string => `erased-${id}-${sha256Hex(text).slice(0, 12)}`
const addressFor = (id: string, text: string): string => `sip:${namedFor(id, text)}@${erasedHost}`
