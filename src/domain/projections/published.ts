/**
 * Converts decisions to the events that the OpenSIPS presence module raises for PUBLISH, under its names: a follower of
 * the log sees every publication once, in the order of acceptance, and its end as well.
 */
import type { Decision, Event } from "../presentity/events.ts"
import type { Seconds } from "../vocabulary.ts"
import { splitUri } from "./rows.ts"

/** E_PRESENCE_PUBLISH, with the fields of the module first. */
export interface PresencePublish {
  readonly user: string
  readonly domain: string
  /** The event package. */
  readonly event: string
  /** The remaining lifetime, in seconds; 0: it has ended. */
  readonly expires: Seconds
  /** Empty when it has ended. */
  readonly etag: string
  /** The previous entity-tag; empty for a new publication. */
  readonly old_etag: string
  /** Empty for a refresh, which leaves the body unchanged, for an end, and if the whole state is in headers. */
  readonly body: string
  readonly content_type: string
  /** `expired`: it ended without a request. */
  readonly cause: "published" | "modified" | "refreshed" | "removed" | "expired"
  /** Milliseconds since 1970. */
  readonly at: number
}

/** The events of one decision, in order. */
export const publishesIn = ({ stream, at, events }: Decision): readonly PresencePublish[] => {
  let items: PresencePublish[] | null = null
  for (const event of events) {
    const content = whatOf(event, at)
    if (content === null) continue
    const { user, host } = splitUri(stream)
    items ??= []
    items.push({ user, domain: host, ...content, at })
  }
  return items ?? none
}

const none: readonly PresencePublish[] = []

const whatOf = (event: Event, at: number): Omit<PresencePublish, "user" | "domain" | "at"> | null => {
  switch (event._tag) {
    case "PublicationCreated":
      return {
        event: event.packageName,
        expires: secondsTo(event.expiresAt, at),
        etag: event.entityTag,
        old_etag: "",
        body: event.body?.text ?? "",
        content_type: event.body?.contentType ?? "",
        cause: "published",
      }
    case "PublicationModified":
      return {
        event: event.packageName,
        expires: secondsTo(event.expiresAt, at),
        etag: event.entityTag,
        old_etag: event.supersedes,
        body: event.body?.text ?? "",
        content_type: event.body?.contentType ?? "",
        cause: "modified",
      }
    case "PublicationRefreshed":
      return {
        event: event.packageName,
        expires: secondsTo(event.expiresAt, at),
        etag: event.entityTag,
        old_etag: event.supersedes,
        body: "",
        content_type: "",
        cause: "refreshed",
      }
    case "PublicationRemoved":
      return {
        event: event.packageName,
        expires: 0,
        etag: "",
        old_etag: event.entityTag,
        body: "",
        content_type: "",
        cause: event.cause === "expired" ? "expired" : "removed",
      }
    default:
      return null
  }
}

const secondsTo = (until: number, at: number): Seconds => Math.max(0, Math.round((until - at) / 1000))
