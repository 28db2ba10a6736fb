/**
 * The operations that the application offers, whoever asks: the management port over HTTP and JSON-RPC, or a program. Rows
 * have the fields of the OpenSIPS presence module first, under its names; times in rows are seconds since 1970.
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

/** Somebody who watches, or waits to be decided on (RFC 3857 §4.7.1). */
export const WatcherRow = Schema.Struct({
  watcher: Schema.String,
  event: Schema.String,
  status: Schema.Literals(["active", "pending", "waiting"]),
  /** `polite-block`, `force_active`, `decided`: what its status comes from besides rules. */
  reason: Schema.String,
  /** It asked not to be named to other watchers (RFC 3325 §7): they see `sip:anonymous@anonymous.invalid`. */
  private: Schema.optionalKey(Schema.Literal(true)),
  since: Schema.Int,
  /** When its subscription ends, or nobody will have decided on it. */
  expires: Schema.Int,
  callid: Schema.optionalKey(Schema.String),
  local_cseq: Schema.optionalKey(Schema.Int),
  contact: Schema.optionalKey(Schema.String),
  /** Whether the last document it was sent is what it would be sent now. */
  is_current: Schema.optionalKey(Schema.Boolean),
  /** When it was last sent a NOTIFY. */
  told: Schema.optionalKey(Schema.Int),
  /** Until when the next one is held back. */
  held_until: Schema.optionalKey(Schema.Int),
})

/** The same with whom it watches. */
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

/** All there is of one presentity. */
export const PresentityView = Schema.Struct({
  presentity: Schema.String,
  /** Decisions on it so far. */
  version: Schema.Int,
  packages: Schema.Array(
    Schema.Struct({
      event: Schema.String,
      publications: Schema.Array(PublicationRow),
      /** What is shown of it, before any rule; null: nothing. */
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
  /** Rises whenever the tag changes hands. */
  epoch: Schema.Int,
})

/** A place that documents come from (rules, hard state), and what in it cannot be used. */
export const Source = Schema.Struct({
  kind: Schema.String,
  source: Schema.String,
  /** `reading`: for the first time; `unreachable`: it could not be read, or has not answered yet. */
  state: Schema.Literals(["reading", "read", "unreachable"]),
  /** Why it cannot be read; null: it can. */
  why: Schema.NullOr(Schema.String),
  since: Schema.NullOr(Schema.String),
  /** How many there are, usable or not. */
  documents: Schema.Int,
  troubles: Schema.Array(
    Schema.Struct({
      /** Null: nobody can say whose it is. */
      presentity: Schema.NullOr(Schema.String),
      event: Schema.NullOr(Schema.String),
      place: Schema.String,
      why: Schema.String,
      since: Schema.String,
    }),
  ),
})

/** The answer to a publication; lifetime in seconds, an empty entity-tag where it was removed. */
export const Published = Schema.Struct({ entityTag: Schema.String, expires: Schema.Int })

export const Repaired = Schema.Struct({
  /** Where the log is, in words. */
  store: Schema.String,
  /** What the tables show. */
  position: Schema.Int,
  /** Read from the log. */
  decisions: Schema.Int,
  /** What was found, a line each; the first hundred. */
  found: Schema.Array(Schema.String),
  /** Rows and snapshots rewritten. */
  repaired: Schema.Int,
  /** Differences that are left: of what the log itself cannot say any more. */
  left: Schema.Int,
  seconds: Schema.Number,
})

export const Erased = Schema.Struct({
  /** What the person is called in the log from now on. */
  standIn: Schema.String,
  /** Presentities in which something of the person was alive, and was ended. */
  ended: Schema.Int,
  /** Documents of others that name the person, and stay; the first thousand. */
  mentions: Schema.Array(Schema.Struct({ stream: Schema.String, version: Schema.Int })),
  mentionsLeft: Schema.Int,
  /** Decisions from before digests were encrypted, which hold digests of what watchers were shown, and stay; null: none. */
  remains: Schema.NullOr(
    Schema.Struct({
      decisions: Schema.Int,
      /** Milliseconds since 1970: of the oldest and the newest of them. */
      from: Schema.Int,
      to: Schema.Int,
      /** In the log, of the newest of them. */
      position: Schema.Int,
    }),
  ),
  /** What could not be made to go from the database's files, one line each. */
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
  /** Log position up to which it was told. */
  position: Schema.Int,
  behind: Schema.Int,
  /** Messages taken since the start. */
  taken: Schema.Int,
  /** Attempts in vain at the message that is its turn. */
  failures: Schema.Int,
  dead_letters: Schema.Int,
  created: Schema.Int,
  created_by: Schema.String,
})

export const DeadLetter = Schema.Struct({
  id: Schema.String,
  presentity: Schema.String,
  type: Schema.String,
  /** As it was sent. */
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
  /** Null: a new one. */
  readonly secret: string | null
  /** Log position after which it is told; null: from now on. */
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

/** Which part of a list is asked for. Rows are in the order of their presentities' URIs. */
export interface Page {
  /** The URI with which the page before ended (its `next`); empty: the first page. */
  readonly after: string
  /** About how many rows; those of one presentity stay together. */
  readonly limit: number
}

export interface Paged<Row> {
  readonly items: readonly Row[]
  /** `after` of the next page; null: this is the last. */
  readonly next: string | null
}

/** Everything in one page. */
export const wholeList: Page = { after: "", limit: Number.POSITIVE_INFINITY }

export type PublicationRow = typeof PublicationRow.Type
export type SubscriptionRow = typeof SubscriptionRow.Type
export type WatcherRow = typeof WatcherRow.Type
export type WatchingRow = typeof WatchingRow.Type
export type WatchingState = (typeof watchingStates)[number]
/** A live publication as the event E_PRESENCE_EXPOSED has it; `expires` is an instant in seconds since 1970. */
export type ExposedRow = typeof ExposedRow.Type
export type PresentityView = typeof PresentityView.Type
export type WebhookView = typeof WebhookView.Type
export type SharingTag = typeof SharingTag.Type
export type Source = typeof Source.Type
export type SubHandling = typeof SubHandling.Type

/** Rules or hard state of one package: a document with its type. */
export type DocumentKind = "rules" | "hard-state"

/**
 * Something that happened. `position` is null for all but the last of its decision, and for what is not in the log; `id`
 * names it once and for all, null: it is not in the log.
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
 * Everything that may be asked of a running server. `by` is what the log says of who asked. Refusals have the status that SIP
 * or HTTP has for them: 400 for arguments, 404 for what does not exist, 409 for what cannot be done as things are, 503 while
 * the store does not answer.
 */
export interface Operations {
  /** Live publications of a package; null: of every package. */
  readonly publications: (event: string | null, page: Page) => Paged<PublicationRow>
  /** Live subscriptions. `from` (the watcher) and `to` are shell wildcards over whole URIs; null: any. */
  readonly subscriptions: (from: string | null, to: string | null, page: Page) => Paged<SubscriptionRow>
  /** All there is of one presentity, before any rule. */
  readonly presentity: (uri: string) => Effect.Effect<PresentityView, Refused>
  /** Who watches a presentity, and who waits to be decided on. */
  readonly watchers: (uri: string, event: string | null) => Effect.Effect<readonly WatcherRow[], Refused>
  /** Watchers of everybody; `stale`: active ones that have not been sent what is shown now. Null: all. */
  readonly watching: (state: WatchingState | null, page: Page) => Paged<WatchingRow>
  readonly history: HistoryQueries
  /** `rules`: everybody is judged again; `state`: everybody is told the present state. */
  readonly refresh: (
    caller: string,
    uri: string,
    event: string,
    kind: "rules" | "state",
  ) => Effect.Effect<void, Refused>
  /** Decides everything that has fallen due; nothing is ever left for it to do. */
  readonly cleanup: Effect.Effect<{ readonly decided: number }>
  /** Live publications of presentities that match; each one is also raised as E_PRESENCE_EXPOSED. */
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
  /** Puts rules or hard state in force, at once; null removes them. Refused with 409 where a source is the truth of them. */
  readonly replaceDocument: (
    caller: string,
    kind: DocumentKind,
    uri: string,
    event: string,
    document: { readonly contentType: string | null; readonly text: string } | null,
  ) => Effect.Effect<void, Refused>
  /** How a watcher would be treated, by `text` or, when that is null, by the rules in force. */
  readonly testRules: (
    uri: string,
    event: string,
    watcher: string,
    text: string | null,
  ) => Effect.Effect<{ readonly handling: string; readonly matched: readonly number[] }, Refused>
  /** As PUBLISH: creates, modifies, refreshes or removes, by what is given (RFC 3903 §4). */
  readonly publish: (caller: string, wish: PublishWish) => Effect.Effect<typeof Published.Type, Refused>
  /** Ends subscriptions, of one watcher or of all (null); each is told the reason (RFC 3265 §3.2.4). */
  readonly terminate: (
    caller: string,
    uri: string,
    event: string,
    watcher: string | null,
    reason: "deactivated" | "probation" | "noresource",
  ) => Effect.Effect<void, Refused>
  /** Approves or denies one watcher, whatever the rules say; null takes the decision back. */
  readonly decide: (
    caller: string,
    uri: string,
    event: string,
    watcher: string,
    handling: SubHandling | null,
  ) => Effect.Effect<void, Refused>
  /** Forgets a person for good; done to its end even when nobody waits for it any more. */
  readonly erase: (caller: string, uri: string) => Effect.Effect<typeof Erased.Type, Refused>
  /** Rewrites rows and snapshots that are not what the log says, which goes on meanwhile; done to its end. */
  readonly repairTables: (fromStart: boolean) => Effect.Effect<typeof Repaired.Type, Refused>
  /** Where rules and hard state come from, besides this port. */
  readonly sources: () => readonly Source[]
  /** Sharing tags and what they are here. */
  readonly sharingTags: () => readonly SharingTag[]
  /** Makes a tag active or backup here. */
  readonly setSharingTag: (
    caller: string,
    tag: string,
    state: "active" | "backup",
  ) => Effect.Effect<SharingTag, Refused>
  /** What happens from the log position `after` on, null: from now on; without end. */
  readonly feed: (after: number | null, filter: FeedFilter) => Stream.Stream<FeedItem>
  readonly webhooks: {
    readonly list: () => readonly WebhookView[]
    /** The one answer that holds the secret. */
    readonly add: (
      caller: string,
      wish: WebhookWish,
    ) => Effect.Effect<WebhookView & { secret: string }, Refused>
    readonly remove: (id: string) => Effect.Effect<void, Refused>
    readonly deadLetters: (id: string) => Effect.Effect<readonly (typeof DeadLetter.Type)[], Refused>
    /** Once more, now; it stays among the dead letters when it is not taken. */
    readonly redeliver: (id: string, letter: string) => Effect.Effect<void, Refused>
    readonly discard: (id: string, letter: string) => Effect.Effect<void, Refused>
  }
  /** Counters of the running server, as JSON. */
  readonly status: () => unknown
  readonly logLevel: () => string
  readonly setLogLevel: (level: LogLevel) => void
  /** Reads files again; nothing is changed when anything is wrong with them. */
  readonly reload: Effect.Effect<
    { readonly changes: readonly string[]; readonly restart: readonly string[] },
    Refused
  >
}

export const logLevels = ["error", "warn", "info", "debug"] as const
export type LogLevel = (typeof logLevels)[number]
