/**
 * Decisions as text, for stores that keep them in a form of their own.
 */
import { Schema } from "effect"
import type { Decision } from "../domain/presentity/events.ts"
import type { Uri } from "../domain/vocabulary.ts"
import { decodeAbout } from "./about-codec.ts"
import { decodeEvents } from "./event-codec.ts"

const StoredDecision = Schema.Struct({
  stream: Schema.String,
  version: Schema.Int,
  at: Schema.Finite,
  cause: Schema.String,
  origin: Schema.String,
  nonce: Schema.String,
  events: Schema.Array(Schema.Unknown),
  about: Schema.optionalKey(Schema.Unknown),
})

const decode = Schema.decodeUnknownSync(StoredDecision)

/**
 * A decision as JSON, for a store of one's own. `decodeDecision` of this version and of every later one reads it.
 *
 * @example
 * const text = encodeDecision(decision)
 * // kept, and read by a later version
 * const decision = decodeDecision(text)
 */
export const encodeDecision = (decision: Decision): string => JSON.stringify(decision)

/**
 * A decision that `encodeDecision` wrote. Events of older shapes are brought up to date (upcast).
 *
 * @throws Error that says what does not fit
 */
export const decodeDecision = (text: string): Decision => {
  const { stream, events, about, ...decision } = decode(JSON.parse(text))
  return {
    // a brand is compile-time only
    stream: stream as Uri,
    ...decision,
    events: decodeEvents(events),
    ...(about === undefined ? {} : { about: decodeAbout(about) }),
  }
}
