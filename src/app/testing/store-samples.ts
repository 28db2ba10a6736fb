/**
 * Decisions to try a store with: new streams, and decisions about them.
 */
import type { Decision, Event } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import type { EntityTag, Uri } from "../../domain/vocabulary.ts"

const run = globalThis.crypto.randomUUID().slice(0, 8)
let streams = 0

/** A stream that nothing else has used. */
export const freshStream = (): Uri => `sip:stream-${run}-${++streams}@example.com` as Uri

/** The decision of a version of a stream: a publication that is created, and then modified again and again. */
export const decisionOf = (stream: Uri, version: number, extra: Partial<Decision> = {}): Decision => {
  const body = {
    contentType: "application/pidf+xml",
    text: `<version n="${version}">naïve ☎ \u{1f4de}</version>`,
  }
  const shared = { packageName: "presence", expiresAt: 1_800_000_000_000 + version, body, sender: null }
  const entityTag = `${stream}-${version}` as EntityTag
  const event: Event =
    version === 1
      ? { _tag: "PublicationCreated", entityTag, ...shared }
      : {
          _tag: "PublicationModified",
          entityTag,
          supersedes: `${stream}-${version - 1}` as EntityTag,
          ...shared,
        }
  return {
    stream,
    version,
    at: 1_770_000_000_123 + version * 1001,
    cause: "Publish",
    origin: "udp:192.0.2.1:5060 call 1",
    nonce: `nonce-${stream}-${version}`,
    events: [event],
    ...extra,
  }
}

/** The decisions of several versions of a stream. */
export const decisionsOf = (stream: Uri, from: number, to: number): readonly Decision[] =>
  Array.from({ length: to - from + 1 }, (_, index) => decisionOf(stream, from + index))

export const stateAfter = (stream: Uri, version: number): State =>
  decisionsOf(stream, 1, version).reduce((state, decision) => fold(state, decision), initial(stream))
