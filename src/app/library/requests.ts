/**
 * The arguments and results that both faces of the library share.
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
  /** The presentity: `sip:alice@example.com`, `alice@example.com` or `tel:+4930123`. */
  readonly presentity: string
  /** The event package; `presence` when left out. */
  readonly event?: Name
  /** The document; its media type is the package's first unless given. Left out: a refresh of `entityTag`. */
  readonly body?: string | { readonly contentType: string; readonly text: string }
  /** Headers that the package carries (`Call-Info`), each by name and value. */
  readonly headers?: readonly Header[]
  /** The entity-tag from the response to an earlier publication (RFC 3903 §4.1); left out: a new publication. */
  readonly entityTag?: string
  /** Lifetime in seconds, 0 removes; left out: the package's default. */
  readonly expires?: Seconds
  /** The device that made the change, as its watcher named it: it is not notified of the change. */
  readonly device?: string
  /** The person who asked the program for it, where that is not the presentity: `sip:carol@example.com`. The log says so. */
  readonly askedBy?: string
}

/** A subscription of one watcher to one presentity (RFC 3265 §3.1). */
export interface WatchRequest<Name extends string = string> {
  /** The presentity to watch: `sip:alice@example.com`. */
  readonly presentity: string
  /** The watcher: `sip:bob@example.com`. The program is responsible for its identity. */
  readonly watcher: string
  /** The event package; `presence` when left out, `presence.winfo` for the list of watchers (RFC 3857). */
  readonly event?: EventName<Name>
  /** Lifetime in seconds, 0 fetches once; left out: until it is closed. */
  readonly expires?: Seconds
  /** Media types that the watcher accepts, as in an Accept header; left out: every type of the package. */
  readonly accept?: readonly string[]
  /** Names the watcher's device (see `PublishRequest`). */
  readonly device?: string
  /** The argument of the SUBSCRIBE for its package (`line-seize`: which appearance). */
  readonly argument?: string
}

/** The subscriptions to end (RFC 3265 §3.2.4). */
export interface TerminateRequest<Name extends string = string> {
  /** The presentity: `sip:alice@example.com`. */
  readonly presentity: string
  /** The event package; `presence` when left out. */
  readonly event?: EventName<Name>
  /** The watcher whose subscriptions end; left out: those of every watcher. */
  readonly watcher?: string
  /** `deactivated`: subscribe again at once; `probation`: later; `noresource`: never. Left out: `deactivated`. */
  readonly reason?: "deactivated" | "probation" | "noresource"
  /** The person who asked the program for it: `sip:carol@example.com`. The log says so. */
  readonly askedBy?: string
}

/** The content of a NOTIFY (RFC 3265 §3.2). */
export interface Notification {
  readonly presentity: string
  readonly watcher: string
  /** The event package. */
  readonly event: string
  /** `pending`: whether the watcher may see anything is not decided yet. */
  readonly state: "active" | "pending" | "terminated"
  /** Remaining lifetime in seconds; null when it has ended. */
  readonly expires: Seconds | null
  /** The reason of the end; null while it is alive. */
  readonly reason: Notify["reason"]
  /** The document; null: there is nothing to show. */
  readonly body: Body | null
  /** Headers that the package carries; empty for most packages. */
  readonly headers: readonly Header[]
  /** Counts the notifications of one watcher from 1. */
  readonly sequence: number
  /**
   * Changes, and notifications, that this watcher did not get since the one before because it had not taken that yet: this one
   * shows the newest state. 0: none.
   */
  readonly skipped: number
}

/** Where a feed begins, and what it contains. */
export interface FeedOptions {
  /** `position` of the last event handled; 0: from the beginning. Left out: from now on. */
  readonly after?: number
  /** Left out: both types. */
  readonly types?: readonly PresenceEvent["type"][]
  /** A shell wildcard over whole URIs, such as `sip:*@example.com`; left out: all. */
  readonly presentity?: string
}

/** A Date, milliseconds since 1970, or any text that `Date` can parse. */
export type Instant = Date | number | string

/** The change to explain. */
export interface WhyOptions {
  /** The event package; left out: the one that the watcher subscribed to last. */
  readonly event?: string
  /** The last change up to this instant; left out: up to now. */
  readonly at?: Instant
  /** The change at this position of the log, instead of the last one. */
  readonly position?: number
}

/** Which of a watcher's NOTIFYs are shown. */
export interface SeenOptions {
  /** The event package; left out: all of them. */
  readonly event?: string
  readonly since?: Instant
  readonly until?: Instant
  /** How many at most, the newest; left out: 50. */
  readonly limit?: number
  /** Only before this version: the `next` of the preceding page. */
  readonly before?: number
}
