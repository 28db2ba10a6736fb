/**
 * One publication from the client's side: created, refreshed, modified and removed by its entity-tag.
 *
 * @source RFC 3903 §4
 */
import { Effect } from "effect"
import type { NoAnswer, Refused } from "./failures.ts"
import { startConversation } from "./user-agent.ts"
import type { UserAgent } from "./user-agent.ts"
import type { Body, HeaderLine, Message } from "./wire.ts"

export interface Publish {
  /** Null: the published document stays. */
  readonly body: Body | null
  /** Seconds; 0 removes the publication, null leaves the lifetime to the server. */
  readonly expires: number | null
}

export interface Published {
  readonly response: Message
  readonly entityTag: string
  readonly expires: number
}

export interface Publication {
  /** Sends one PUBLISH; each after the first names the entity-tag that the one before it was given. */
  readonly publish: (publish: Publish) => Effect.Effect<Published, NoAnswer | Refused>
}

export const makePublication = (
  agent: UserAgent,
  target: {
    /** The Request-URI as given, and the presentity's canonical URI. */
    readonly uri: string
    readonly presentity: string
    readonly event: string
    /** The entity-tag of an earlier publication to continue; null starts a new one. */
    readonly entityTag: string | null
  },
): Publication => {
  const conversation = startConversation()
  let { entityTag } = target
  return {
    publish: Effect.fnUntraced(function* ({ body, expires }: Publish) {
      const headers: HeaderLine[] = [["Event", target.event]]
      if (entityTag !== null) headers.push(["SIP-If-Match", entityTag])
      if (expires !== null) headers.push(["Expires", `${expires}`])
      const address = `<${target.presentity}>`
      const response = yield* agent.request(conversation, {
        method: "PUBLISH",
        uri: target.uri,
        from: address,
        to: address,
        headers,
        body,
      })
      const published: Published = {
        response,
        entityTag: response.header("sip-etag") ?? "",
        expires: Number(response.header("expires") ?? expires ?? 0),
      }
      entityTag = published.entityTag
      return published
    }),
  }
}

/** When to refresh a publication with this lifetime: early enough for a few retransmissions, but never in a tight loop. */
export const refreshAfterSeconds = (expires: number): number => Math.max(expires * 0.8, expires - 60, 0.5)
