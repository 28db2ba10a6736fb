/**
 * Rows of the log: events as plain JSON, or as an envelope with encrypted strings and the ids of their keys.
 */
import { Schema } from "effect"
import type { Decision, Event } from "../../../domain/presentity/events.ts"
import { decodeAbout } from "../../../encoding/about-codec.ts"
import { compileCheck } from "../../../encoding/compiled-check.ts"
import { areTodays, decodeEvents } from "../../../encoding/event-codec.ts"
import { unpackAbout, unpackEvent } from "../../../encoding/packed-events.ts"
import { upcast } from "../../../encoding/upcast.ts"
import type { Envelope, PersonKey } from "../../../ports/stored-events.ts"
import { decryptDecision } from "./encrypted-decision.ts"

const Keys = Schema.Struct({
  of: Schema.optionalKey(Schema.String),
  by: Schema.optionalKey(Schema.Array(Schema.String)),
  s: Schema.optionalKey(Schema.Array(Schema.String)),
  a: Schema.optionalKey(Schema.Array(Schema.Unknown)),
  about: Schema.optionalKey(Schema.ObjectKeyword),
  events: Schema.optionalKey(Schema.Array(Schema.ObjectKeyword)),
  e: Schema.optionalKey(Schema.Array(Schema.ObjectKeyword)),
})
const decodeKeys = Schema.decodeUnknownSync(Keys)
const isWhole = compileCheck(Keys.ast)

/**
 * Decodes a row of the log, and decrypts what is encrypted in it.
 *
 * @param row `origin` may be empty for callers that do not need it
 * @param keyOf a person's key by its id; undefined when the person was erased
 * @param only nothing but the events is needed: the origin may be empty, and what else is known of the request absent
 * @throws Error that says what does not fit, or that the row is not what was written there
 */
export const decodeRow = (
  row: { readonly origin: string; readonly nonce: string; readonly events: unknown },
  keyOf: (id: string) => PersonKey | undefined,
  only?: "events",
): Pick<Decision, "origin" | "events" | "about"> => {
  if (Array.isArray(row.events)) return { origin: row.origin, events: decodeEvents(row.events) }
  const { events: named, e: packed, ...keys } = isTodays(row.events) ? row.events : decodeKeys(row.events)
  // a row of today's form has all its texts in `s`, also where there are none
  if (packed !== undefined) keys.s ??= []
  const events = packed === undefined ? named : packed.map((event) => unpackEvent(event, row.nonce))
  if (events === undefined) throw new Error("there are no events in it")
  // decrypting makes strings of strings, so what is as it should be before is so afterwards
  if (areTodays(events))
    return withAbout(decryptDecision(row.origin, row.nonce, envelopeOf(keys, events), keyOf, only))
  // strings are decrypted where they are expected; whether every field is there, and of the right type, is checked afterwards
  const opened = decryptDecision(
    row.origin,
    row.nonce,
    envelopeOf(keys, upcast(events) as readonly Event[]),
    keyOf,
  )
  return withAbout({ ...opened, events: decodeEvents(opened.events) })
}

/** What is known of the request is checked when it is decrypted. */
const envelopeOf = (keys: Omit<typeof Keys.Type, "events" | "e">, events: readonly Event[]): Envelope =>
  (keys.a === undefined ? { ...keys, events } : { ...keys, about: unpackAbout(keys.a), events }) as Envelope

const withAbout = ({
  about,
  ...opened
}: ReturnType<typeof decryptDecision>): Pick<Decision, "origin" | "events" | "about"> =>
  about === undefined ? opened : { ...opened, about: decodeAbout(about) }

/** Whether there is nothing that the schema would refuse, or leave out. */
const isTodays = (json: unknown): json is typeof Keys.Type => isWhole?.(json) === true
