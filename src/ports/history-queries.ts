/**
 * Questions about the past, which the application answers for the management port, the command line and programs, and
 * the shapes of the answers. `text` is what the command line prints.
 */
import { Schema } from "effect"
import type { Effect } from "effect"
import type { Refused } from "./operation-refused.ts"

const Version = Schema.Literal(1)
const Text = Schema.String
const Nullable = Schema.NullOr(Schema.String)

/** One decision. */
export const HistoryRow = Schema.Struct({
  /** Its place in the log, and among the decisions of its presentity. */
  position: Schema.Int,
  version: Schema.Int,
  /** ISO 8601. */
  time: Text,
  /** The command that was decided. */
  cause: Text,
  /** Who sent the command: transport, source, Call-ID and CSeq. Empty for decisions of the server itself. */
  origin: Text,
  /**
   * Who sent it, beyond `origin`: account, asserted identity (RFC 3325), From where it is somebody else, User-Agent. Null: not known,
   * or not for whoever asks.
   */
  requester: Schema.NullOr(
    Schema.Struct({
      account: Schema.optionalKey(Text),
      identity: Schema.optionalKey(Text),
      from: Schema.optionalKey(Text),
      userAgent: Schema.optionalKey(Text),
      source: Schema.optionalKey(Text),
    }),
  ),
  /** A digest of Call-ID, From tag and CSeq, by which the same request is recognized. */
  request: Nullable,
  /** The Call-ID. */
  correlation: Nullable,
  /** Versions of the decisions from which it follows. */
  caused_by: Schema.Array(Schema.Int),
  /** As stored. */
  events: Schema.Array(Schema.Unknown),
  told: Schema.Array(
    Schema.Struct({
      subscription: Schema.Int,
      watcher: Text,
      event: Text,
      cseq: Schema.Int,
      state: Text,
      /** Ordinals of the rules that match the watcher. */
      rules: Nullable,
    }),
  ),
  untold: Schema.Array(
    Schema.Struct({ subscription: Schema.Int, watcher: Text, event: Text, finding: Schema.Unknown }),
  ),
  /** By package: the version that put the consulted rules in force. */
  rules: Schema.Record(Text, Schema.Int),
  text: Text,
})

export const HistoryPage = Schema.Struct({
  v: Version,
  items: Schema.Array(HistoryRow),
  /** `before` of the previous page. */
  next: Schema.NullOr(Schema.Int),
  text: Text,
})

/** One NOTIFY with its exact content. */
export const SentRow = Schema.Struct({
  position: Schema.Int,
  version: Schema.Int,
  time: Text,
  watcher: Text,
  event: Text,
  subscription: Schema.Int,
  cseq: Schema.Int,
  cause: Text,
  state: Text,
  reason: Nullable,
  content_type: Nullable,
  body: Nullable,
  headers: Schema.Array(Schema.Tuple([Text, Text])),
  delivery: Schema.Literals(["answered", "failed", "unknown", "under way"]),
  /** The status of a response other than 2xx. */
  status: Schema.NullOr(Schema.Int),
  text: Text,
})

export const SentPage = Schema.Struct({
  v: Version,
  items: Schema.Array(SentRow),
  next: Schema.NullOr(Schema.Int),
  text: Text,
})

export const StateAt = Schema.Struct({
  v: Version,
  presentity: Text,
  time: Text,
  version: Schema.Int,
  publications: Schema.Array(Schema.Unknown),
  documents: Schema.Record(Text, Schema.Unknown),
  hard_state: Schema.Record(Text, Schema.Unknown),
  rules: Schema.Record(Text, Text),
  watchers: Schema.Array(Schema.Unknown),
  text: Text,
})

export const Differences = Schema.Struct({
  v: Version,
  differences: Schema.Array(Schema.Unknown),
  text: Text,
})

export const Why = Schema.Struct({
  v: Version,
  presentity: Text,
  watcher: Text,
  event: Text,
  as_of: Text,
  change: Schema.Unknown,
  cases: Schema.Array(Schema.Unknown),
  absence: Schema.Unknown,
  /**
   * Why the watcher has been shown nothing since the change, or, without a change, at all; null: nothing prevents it.
   */
  treatment: Schema.Unknown,
  sentence: Text,
  facts: Schema.Array(Text),
  policy: Schema.Array(Text),
  advice: Schema.Array(Text),
  text: Text,
})

/** The NOTIFYs sent to a watcher, oldest first; `next` is `before` of the previous page, null: this is the first. */
export type SentPage = typeof SentPage.Type
/** The differences between two instants, as facts and as `text`, one line each. */
export type Differences = typeof Differences.Type
/** Why a watcher was notified of a change, or was not: a `sentence`, the `facts` on which it rests, and `advice`. */
export type Why = typeof Why.Type
/** One decision. */
export type HistoryRow = typeof HistoryRow.Type
/** One NOTIFY with its exact content. */
export type SentRow = typeof SentRow.Type

/** A time zone by its IANA name; default: UTC. */
interface Zoned {
  readonly tz?: string | undefined
}

/** Who sent requests may be told to fewer people than what was decided. */
interface Discreet {
  /** False: who sent a request is left out, beyond where it came from. Absent: it is told. */
  readonly requesters?: boolean | undefined
}

interface Window extends Zoned {
  readonly event?: string | undefined
  /** Instants as people write them. */
  readonly since?: string | undefined
  readonly until?: string | undefined
  readonly before?: number | undefined
  readonly limit?: number | undefined
}

/**
 * Questions about the past of presentities. They fail with Refused: 400 for arguments, 404 for names, 503 without a
 * log.
 */
export interface HistoryQueries {
  /** The newest decisions about a presentity, oldest first. */
  readonly history: (
    uri: string,
    wish: Window &
      Discreet & {
        /** Only decisions after this version, oldest first. */
        readonly after?: number | undefined
        /** Kinds of events, separated by commas. */
        readonly type?: string | undefined
        readonly causes?: boolean | undefined
      },
  ) => Effect.Effect<typeof HistoryPage.Type, Refused>
  /** A presentity as of an instant. */
  readonly at: (
    uri: string,
    wish: Zoned & { readonly time: string },
  ) => Effect.Effect<typeof StateAt.Type, Refused>
  /** The differences between two instants. */
  readonly diff: (
    uri: string,
    wish: Zoned & { readonly from: string; readonly to: string },
  ) => Effect.Effect<typeof Differences.Type, Refused>
  /** Every NOTIFY sent to a watcher, and its outcome. */
  readonly seen: (
    uri: string,
    wish: Window & { readonly watcher: string; readonly body?: boolean | undefined },
  ) => Effect.Effect<typeof SentPage.Type, Refused>
  /** Why a watcher was notified of a change, or was not. */
  readonly why: (
    uri: string,
    wish: Zoned &
      Discreet & {
        readonly watcher: string
        readonly event?: string | undefined
        readonly at?: string | undefined
        readonly position?: number | undefined
      },
  ) => Effect.Effect<typeof Why.Type, Refused>
}
