/**
 * Stored rows as somebody sees them who looks for one kind of text only: documents, or what was not encrypted before.
 */
import type { Event } from "../../../domain/presentity/events.ts"
import type { Header } from "../../../domain/vocabulary.ts"
import type { PersonKey, StoredEvents } from "../../../ports/stored-events.ts"
import { decrypt, eventsIn, hasSealedParameters, isEnvelope, isSealed } from "./encrypted-decision.ts"
import type { Kind } from "./encrypted-decision.ts"
import { isPersonalOrigin, mapPersonalFields } from "./personal-fields.ts"
import type { PersonalFieldMapper } from "./personal-fields.ts"

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

/** The events of a stored row with their documents and headers decrypted, and all else as it stands there. */
export const decryptDocuments = (
  stored: StoredEvents,
  keyOf: (id: string) => PersonKey | undefined,
): readonly Event[] => {
  const own = isEnvelope(stored) ? keyOf(stored.of ?? "") : undefined
  if (own === undefined) return eventsIn(stored)
  const touch: PersonalFieldMapper = {
    ...unchanged,
    body: (body, field) =>
      body.dropped === undefined ? { ...body, text: decrypt(own, field, body.text) } : body,
    header: ([name, value]): Header => [name, decrypt(own, `header ${name}`, value)],
  }
  return eventsIn(stored).map((event) => mapPersonalFields(event, touch))
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

/** Whether something personal of a presentity stands in clear in a row that is otherwise encrypted: what was not, before. */
export const hasEarlierClear = (origin: string, stored: StoredEvents): boolean => {
  let found = isPersonalOrigin(origin)
  const touch: PersonalFieldMapper = {
    ...unchanged,
    body: (body) => {
      found ||= body.parameters !== undefined && !hasSealedParameters(body)
      return body
    },
    shown: (digest) => {
      found ||= !isSealed(digest)
      return digest
    },
  }
  for (const event of eventsIn(stored)) mapPersonalFields(event, touch)
  return found
}
