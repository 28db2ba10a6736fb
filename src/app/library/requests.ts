/**
 * What a program passes to presence, and what it is told: the shapes that both faces of the library share.
 */
import type { Notify } from "../../domain/presentity/intents.ts"
import type { Body, Header, Seconds } from "../../domain/vocabulary.ts"
import type { FeedItem as PresenceEvent } from "../../ports/operations.ts"
import type { EventName } from "./options.ts"

/**
 * A publication (RFC 3903 §4). With `body` alone it is a new one; with `entityTag` and `body` it modifies, with `entityTag`
 * alone it refreshes, and with `entityTag` and `expires: 0` it removes.
 */
export interface PublishRequest<Name extends string = string> {
  /** Whose state it is: `sip:alice@example.com`, `alice@example.com` or `tel:+4930123`. */
  readonly presentity: string
  /** The event package; `presence` when left out. */
  readonly event?: Name
  /** The document; its media type is the package's first unless given. Left out: a refresh of `entityTag`. */
  readonly body?: string | { readonly contentType: string; readonly text: string }
  /** Headers that the package carries (`Call-Info`), each by name and value. */
  readonly headers?: readonly Header[]
  /** The entity-tag that an earlier publication was answered with (RFC 3903 §4.1); left out: a new publication. */
  readonly entityTag?: string
  /** Lifetime in seconds, 0 removes; left out: as long as the package says. */
  readonly expires?: Seconds
  /** The device that made the change, as its watcher named it: it is not told of it. */
  readonly device?: string
}

/** A subscription of one watcher to one presentity (RFC 3265 §3.1). */
export interface WatchRequest<Name extends string = string> {
  /** Whom to watch: `sip:alice@example.com`. */
  readonly presentity: string
  /** Who watches: `sip:bob@example.com`. The program has to know that this is true. */
  readonly watcher: string
  /** The event package; `presence` when left out, `presence.winfo` for the list of watchers (RFC 3857). */
  readonly event?: EventName<Name>
  /** Lifetime in seconds, 0 asks once; left out: until it is closed. */
  readonly expires?: Seconds
  /** Media types that the watcher can read, as in an Accept header; left out: every type of the package. */
  readonly accept?: readonly string[]
  /** Names the watcher's device (see `PublishRequest`). */
  readonly device?: string
  /** What the SUBSCRIBE says to its package (`line-seize`: which appearance). */
  readonly argument?: string
}

/** Which subscriptions are ended (RFC 3265 §3.2.4). */
export interface TerminateRequest<Name extends string = string> {
  /** Who is watched: `sip:alice@example.com`. */
  readonly presentity: string
  /** The event package; `presence` when left out. */
  readonly event?: EventName<Name>
  /** Whose subscriptions; left out: those of every watcher. */
  readonly watcher?: string
  /** `deactivated`: subscribe again at once; `probation`: later; `noresource`: never. `deactivated` when left out. */
  readonly reason?: "deactivated" | "probation" | "noresource"
}

/** What a NOTIFY would have said (RFC 3265 §3.2). */
export interface Notification {
  readonly presentity: string
  readonly watcher: string
  /** The event package. */
  readonly event: string
  /** `pending`: nobody has decided yet whether the watcher may see anything. */
  readonly state: "active" | "pending" | "terminated"
  /** Seconds left; null when it has ended. */
  readonly expires: Seconds | null
  /** Why it has ended; null while it lives. */
  readonly reason: Notify["reason"]
  /** The document; null: there is nothing to show. */
  readonly body: Body | null
  /** Headers of packages that have some; empty for most. */
  readonly headers: readonly Header[]
  /** Counts the notifications of one watcher from 1. */
  readonly sequence: number
  /**
   * Changes, and notifications, that this watcher was not told since the one before, because it had not done with that: this
   * one shows the newest state. 0: none.
   */
  readonly skipped: number
}

/** Where a feed begins, and what is in it. */
export interface FeedOptions {
  /** `position` of the last event that was handled; 0: everything there is. Left out: from now on. */
  readonly after?: number
  /** Left out: both types. */
  readonly types?: readonly PresenceEvent["type"][]
  /** A shell wildcard over whole URIs, such as `sip:*@example.com`; left out: everybody. */
  readonly presentity?: string
}

/** A Date, milliseconds since 1970, or any text that `Date` can read. */
export type Instant = Date | number | string

/** Which change is explained. */
export interface WhyOptions {
  /** The event package; left out: the one that the watcher subscribed to last. */
  readonly event?: string
  /** The last change until then; left out: until now. */
  readonly at?: Instant
  /** The change at this position of the log, instead of the last one. */
  readonly position?: number
}

/** Which part of what a watcher was sent is shown. */
export interface SeenOptions {
  /** The event package; left out: all of them. */
  readonly event?: string
  readonly since?: Instant
  readonly until?: Instant
  /** The newest so many; 50 when left out. */
  readonly limit?: number
  /** Only before this version: `next` of the page that comes after. */
  readonly before?: number
}
