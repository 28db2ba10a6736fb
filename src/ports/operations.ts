/**
 * The operations that the application offers to every caller: the management port over HTTP and JSON-RPC, or a program.
 * Rows begin with the fields of the OpenSIPS presence module, under its names; times in rows are seconds since 1970.
 */
import { Schema } from "effect"
import type { Effect, Stream } from "effect"
import type { PresencePublish } from "../domain/projections/published.ts"
import type { HistoryQueries } from "./history-queries.ts"
import type { Refused } from "./operation-refused.ts"

export const SubHandling = Schema.Literals(["block", "confirm", "polite-block", "allow"])

/** One live publication. */
export const PublicationRow = Schema.Struct({
  pres_uri: Schema.String,
  event: Schema.String,
  etag_count: Schema.Int,
  sphere: Schema.optionalKey(Schema.String),
  etag: Schema.String,
  expires: Schema.Int,
  received: Schema.Int,
  sender: Schema.String,
})

/** One live subscription. */
export const SubscriptionRow = Schema.Struct({
  pres_uri: Schema.String,
  event: Schema.String,
  expires: Schema.Int,
  db_flag: Schema.Int,
  version: Schema.Int,
  sharing_tag: Schema.optionalKey(Schema.String),
  to_user: Schema.String,
  to_domain: Schema.String,
  to_tag: Schema.String,
  from_user: Schema.String,
  from_domain: Schema.String,
  from_tag: Schema.String,
  contact: Schema.String,
  callid: Schema.String,
  local_cseq: Schema.Int,
  remote_cseq: Schema.Int,
  status: Schema.Literals(["active", "pending"]),
  reason: Schema.String,
  event_id: Schema.String,
})

/** A watcher with a subscription, or one that waits for a decision (RFC 3857 §4.7.1). */
export const WatcherRow = Schema.Struct({
  watcher: Schema.String,
  event: Schema.String,
  status: Schema.Literals(["active", "pending", "waiting"]),
  /** `polite-block`, `force_active`, `decided`: what its status results from, besides rules. */
  reason: Schema.String,
  /** The watcher asked for privacy (RFC 3325 §7): other watchers see `sip:anonymous@anonymous.invalid`. */
  private: Schema.optionalKey(Schema.Literal(true)),
  since: Schema.Int,
  /** When its subscription expires, or when it is given up without a decision. */
  expires: Schema.Int,
  callid: Schema.optionalKey(Schema.String),
  local_cseq: Schema.optionalKey(Schema.Int),
  contact: Schema.optionalKey(Schema.String),
  /** Whether the last document sent to it is the one that it would be sent now. */
  is_current: Schema.optionalKey(Schema.Boolean),
  /** When it was last sent a NOTIFY. */
  told: Schema.optionalKey(Schema.Int),
  /** Until when the next NOTIFY is deferred. */
  held_until: Schema.optionalKey(Schema.Int),
})

/** The same with the presentity that it watches. */
export const WatchingRow = Schema.Struct({ presentity: Schema.String, ...WatcherRow.fields })

export const watchingStates = ["active", "pending", "waiting", "stale"] as const

/** The fields of the event E_PRESENCE_EXPOSED, under its names; `expires` is an instant. */
export const ExposedRow = Schema.Struct({
  user: Schema.String,
  domain: Schema.String,
  event: Schema.String,
  expires: Schema.Int,
  etag: Schema.String,
  body: Schema.String,
})

/** A document with its media type. */
const Document = Schema.Struct({ contentType: Schema.String, body: Schema.String })

/** Everything known about one presentity. */
export const PresentityView = Schema.Struct({
  presentity: Schema.String,
  /** The number of decisions on it. */
  version: Schema.Int,
  packages: Schema.Array(
    Schema.Struct({
      event: Schema.String,
      publications: Schema.Array(PublicationRow),
      /** The composed document, before any rule is applied; null: nothing is shown. */
      document: Schema.NullOr(Document),
      hard_state: Schema.Boolean,
      rules: Schema.Boolean,
    }),
  ),
  watchers: Schema.Array(WatcherRow),
  decisions: Schema.Array(
    Schema.Struct({ event: Schema.String, watcher: Schema.String, handling: SubHandling }),
  ),
})

/** A sharing tag, as OpenSIPS clusters have them. */
export const SharingTag = Schema.Struct({
  tag: Schema.String,
  state: Schema.Literals(["active", "backup"]),
  /** Rises with every switch of the tag. */
  epoch: Schema.Int,
})

/** A source of documents (rules, hard state), and the documents in it that cannot be used. */
export const Source = Schema.Struct({
  kind: Schema.String,
  source: Schema.String,
  /** `reading`: for the first time; `unreachable`: it could not be read, or has not answered yet. */
  state: Schema.Literals(["reading", "read", "unreachable"]),
  /** Why it cannot be read; null: it can. */
  why: Schema.NullOr(Schema.String),
  since: Schema.NullOr(Schema.String),
  /** The number of documents, usable or not. */
  documents: Schema.Int,
  troubles: Schema.Array(
    Schema.Struct({
      /** Null: the presentity to which it belongs is unknown. */
      presentity: Schema.NullOr(Schema.String),
      event: Schema.NullOr(Schema.String),
      place: Schema.String,
      why: Schema.String,
      since: Schema.String,
    }),
  ),
})

/** The result of a publication: its lifetime in seconds, and its entity-tag, empty if it was removed. */
export const Published = Schema.Struct({ entityTag: Schema.String, expires: Schema.Int })

export const Repaired = Schema.Struct({
  /** A description of where the log is. */
  store: Schema.String,
  /** The position up to which the tables show the log. */
  position: Schema.Int,
  /** The number of decisions read from the log. */
  decisions: Schema.Int,
  /** The findings, one line each; the first hundred. */
  found: Schema.Array(Schema.String),
  /** The number of rows and snapshots that were rewritten. */
  repaired: Schema.Int,
  /** The number of remaining differences, which concern what the log itself no longer records. */
  left: Schema.Int,
  seconds: Schema.Number,
})

export const Erased = Schema.Struct({
  /** The pseudonym of the person in the log from now on. */
  standIn: Schema.String,
  /** The number of presentities in which live records of the person were ended. */
  ended: Schema.Int,
  /** Documents of others that name the person and remain; the first thousand. */
  mentions: Schema.Array(Schema.Struct({ stream: Schema.String, version: Schema.Int })),
  mentionsLeft: Schema.Int,
  /**
   * Decisions made before digests were encrypted, with digests of what watchers were shown, which remain; null: none.
   */
  remains: Schema.NullOr(
    Schema.Struct({
      decisions: Schema.Int,
      /** Milliseconds since 1970, of the oldest and the newest of them. */
      from: Schema.Int,
      to: Schema.Int,
      /** The position of the newest of them. */
      position: Schema.Int,
    }),
  ),
  /** Data that could not be removed from the files of the database, one line each. */
  left: Schema.Array(Schema.String),
})

export const feedTypes = ["E_PRESENCE_PUBLISH", "E_PRESENCE_EXPOSED"] as const

export const WebhookView = Schema.Struct({
  id: Schema.String,
  url: Schema.String,
  /** Null: every type of event. */
  types: Schema.NullOr(Schema.Array(Schema.Literals(feedTypes))),
  /** A shell wildcard over whole URIs; null: all. */
  presentity: Schema.NullOr(Schema.String),
  state: Schema.Literals(["sending", "retrying", "stopped"]),
  /** Why it is not `sending`. */
  reason: Schema.NullOr(Schema.String),
  /** The log position up to which messages have been delivered. */
  position: Schema.Int,
  behind: Schema.Int,
  /** Messages delivered since the start. */
  taken: Schema.Int,
  /** Failed attempts to deliver the current message. */
  failures: Schema.Int,
  dead_letters: Schema.Int,
  created: Schema.Int,
  created_by: Schema.String,
})

export const DeadLetter = Schema.Struct({
  id: Schema.String,
  presentity: Schema.String,
  type: Schema.String,
  /** As sent. */
  body: Schema.String,
  /** Milliseconds since 1970. */
  givenUpAt: Schema.Int,
  attempts: Schema.Int,
  error: Schema.String,
})

export interface WebhookWish {
  readonly url: string
  readonly types: WebhookView["types"]
  readonly presentity: string | null
  /** Null: a new one is generated. */
  readonly secret: string | null
  /** The log position after which delivery begins; null: from now on. */
  readonly from: number | null
}

export interface PublishWish {
  readonly presentity: string
  readonly event: string
  readonly body: string | null
  readonly contentType: string | null
  readonly entityTag: string | null
  readonly expires: number | null
}

/** The requested part of a list. Rows are in the order of the URIs of their presentities. */
export interface Page {
  /** The URI with which the previous page ended (its `next`); empty: the first page. */
  readonly after: string
  /** The approximate number of rows; those of one presentity stay together. */
  readonly limit: number
}

export interface Paged<Row> {
  readonly items: readonly Row[]
  /** `after` of the next page; null: this is the last. */
  readonly next: string | null
}

/** The whole list as one page. */
export const wholeList: Page = { after: "", limit: Number.POSITIVE_INFINITY }

export type PublicationRow = typeof PublicationRow.Type
export type SubscriptionRow = typeof SubscriptionRow.Type
export type WatcherRow = typeof WatcherRow.Type
export type WatchingRow = typeof WatchingRow.Type
export type WatchingState = (typeof watchingStates)[number]
/** A live publication as in the event E_PRESENCE_EXPOSED; `expires` is an instant in seconds since 1970. */
export type ExposedRow = typeof ExposedRow.Type
export type PresentityView = typeof PresentityView.Type
export type WebhookView = typeof WebhookView.Type
export type SharingTag = typeof SharingTag.Type
export type Source = typeof Source.Type
export type SubHandling = typeof SubHandling.Type

/** Rules or hard state of one package: a document with its type. */
export type DocumentKind = "rules" | "hard-state"

/**
 * An event of the feed. `position` is null for all but the last event of its decision, and for events that are not in
 * the log. `id` identifies it permanently; null: it is not in the log.
 */
export type FeedItem = { readonly position: number | null; readonly id: string | null } & (
  | { readonly type: "E_PRESENCE_PUBLISH"; readonly data: PresencePublish }
  | { readonly type: "E_PRESENCE_EXPOSED"; readonly data: ExposedRow }
)

export interface FeedFilter {
  readonly types: ReadonlySet<string> | null
  /** A shell wildcard over whole URIs; null: all. */
  readonly presentity: string | null
}

/**
 * The operations of a running server. `caller` is recorded in the log as the origin of the command. Refusals have the
 * corresponding SIP or HTTP status: 400 for arguments, 404 for what does not exist, 409 for what is impossible in the
 * present state, 503 while the store is unavailable.
 */
export interface Operations {
  /** Live publications of a package; null: of every package. */
  readonly publications: (event: string | null, page: Page) => Paged<PublicationRow>
  /** Live subscriptions. `from` (the watcher) and `to` are shell wildcards over whole URIs; null: any. */
  readonly subscriptions: (from: string | null, to: string | null, page: Page) => Paged<SubscriptionRow>
  /** Everything known about one presentity, before any rule is applied. */
  readonly presentity: (uri: string) => Effect.Effect<PresentityView, Refused>
  /** The watchers of a presentity, including those that wait for a decision. */
  readonly watchers: (uri: string, event: string | null) => Effect.Effect<readonly WatcherRow[], Refused>
  /** Watchers of all presentities; `stale`: active ones that have not been sent the present document. Null: all. */
  readonly watching: (state: WatchingState | null, page: Page) => Paged<WatchingRow>
  readonly history: HistoryQueries
  /** `rules`: the rules are evaluated again for all watchers; `state`: all are notified of the present state. */
  readonly refresh: (
    caller: string,
    uri: string,
    event: string,
    kind: "rules" | "state",
  ) => Effect.Effect<void, Refused>
  /** Decides everything that is overdue; normally nothing is, because the server decides it in time. */
  readonly cleanup: Effect.Effect<{ readonly decided: number }>
  /** Live publications of matching presentities; each one is also raised as E_PRESENCE_EXPOSED. */
  readonly expose: (
    event: string,
    matches: (presentity: string) => boolean,
  ) => Effect.Effect<readonly ExposedRow[], Refused>
  /** Rules or hard state in force for a package; null: there are none. */
  readonly document: (
    kind: DocumentKind,
    uri: string,
    event: string,
  ) => Effect.Effect<{ readonly contentType: string; readonly text: string } | null, Refused>
  /** Puts rules or hard state in force at once; null removes them. Refused with 409 if a source determines them. */
  readonly replaceDocument: (
    caller: string,
    kind: DocumentKind,
    uri: string,
    event: string,
    document: { readonly contentType: string | null; readonly text: string } | null,
  ) => Effect.Effect<void, Refused>
  /** How a watcher would be treated by the rules in `text`, or, if that is null, by those in force. */
  readonly testRules: (
    uri: string,
    event: string,
    watcher: string,
    text: string | null,
  ) => Effect.Effect<{ readonly handling: string; readonly matched: readonly number[] }, Refused>
  /** Like PUBLISH: creates, modifies, refreshes or removes, depending on the arguments (RFC 3903 §4). */
  readonly publish: (caller: string, wish: PublishWish) => Effect.Effect<typeof Published.Type, Refused>
  /** Ends subscriptions of one watcher or of all (null); the reason is sent to each (RFC 3265 §3.2.4). */
  readonly terminate: (
    caller: string,
    uri: string,
    event: string,
    watcher: string | null,
    reason: "deactivated" | "probation" | "noresource",
  ) => Effect.Effect<void, Refused>
  /** Approves or denies one watcher, whatever the rules say; null withdraws the decision. */
  readonly decide: (
    caller: string,
    uri: string,
    event: string,
    watcher: string,
    handling: SubHandling | null,
  ) => Effect.Effect<void, Refused>
  /** Erases a person permanently; the erasure completes even if the caller no longer waits for it. */
  readonly erase: (caller: string, uri: string) => Effect.Effect<typeof Erased.Type, Refused>
  /** Rewrites rows and snapshots that differ from the log, while the server continues; completes in any case. */
  readonly repairTables: (fromStart: boolean) => Effect.Effect<typeof Repaired.Type, Refused>
  /** The sources of rules and hard state, besides this port. */
  readonly sources: () => readonly Source[]
  /** Sharing tags and their state on this server. */
  readonly sharingTags: () => readonly SharingTag[]
  /** Makes a tag active or backup on this server. */
  readonly setSharingTag: (
    caller: string,
    tag: string,
    state: "active" | "backup",
  ) => Effect.Effect<SharingTag, Refused>
  /** The events after the log position `after`, null: from now on; the stream does not end. */
  readonly feed: (after: number | null, filter: FeedFilter) => Stream.Stream<FeedItem>
  readonly webhooks: {
    readonly list: () => readonly WebhookView[]
    /** The only result that contains the secret. */
    readonly add: (
      caller: string,
      wish: WebhookWish,
    ) => Effect.Effect<WebhookView & { secret: string }, Refused>
    readonly remove: (id: string) => Effect.Effect<void, Refused>
    readonly deadLetters: (id: string) => Effect.Effect<readonly (typeof DeadLetter.Type)[], Refused>
    /** Tries again now; the message remains among the dead letters if it is not accepted. */
    readonly redeliver: (id: string, letter: string) => Effect.Effect<void, Refused>
    readonly discard: (id: string, letter: string) => Effect.Effect<void, Refused>
  }
  /** Counters of the running server, as JSON. */
  readonly status: () => unknown
  readonly logLevel: () => string
  readonly setLogLevel: (level: LogLevel) => void
  /** Reads the configuration files again; nothing changes if there is any fault in them. */
  readonly reload: Effect.Effect<
    { readonly changes: readonly string[]; readonly restart: readonly string[] },
    Refused
  >
}

export const logLevels = ["error", "warn", "info", "debug"] as const
export type LogLevel = (typeof logLevels)[number]
