/**
 * What the management port asks about history, and the shapes of its answers. `text` is what the command line prints.
 */
import { Schema } from "effect"
import type { Effect } from "effect"
import type { Refused } from "./operation-refused.ts"

const Version = Schema.Literal(1)
const Text = Schema.String
const Nullable = Schema.NullOr(Schema.String)

/** One decision. */
export const HistoryRow = Schema.Struct({
  /** Its place in the log, and among those of its presentity. */
  position: Schema.Int,
  version: Schema.Int,
  /** ISO 8601. */
  time: Text,
  /** The command that was decided. */
  cause: Text,
  /** Who asked: transport, source, Call-ID and CSeq; empty for what the server decided by itself. */
  origin: Text,
  /** The Call-ID. */
  correlation: Nullable,
  /** Versions of the decisions that it follows from. */
  caused_by: Schema.Array(Schema.Int),
  /** As they are stored. */
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
  /** The version that put the rules in force which were asked, by package. */
  rules: Schema.Record(Text, Schema.Int),
  text: Text,
})

export const HistoryPage = Schema.Struct({
  v: Version,
  items: Schema.Array(HistoryRow),
  /** `before` of the page that comes before this one. */
  next: Schema.NullOr(Schema.Int),
  text: Text,
})

/** One NOTIFY with exactly what was in it. */
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
  /** Of the response that was none of 2xx. */
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
  /** Why the watcher is shown nothing since the change, or where there was none, at all; null: nothing keeps it from that. */
  treatment: Schema.Unknown,
  sentence: Text,
  facts: Schema.Array(Text),
  policy: Schema.Array(Text),
  advice: Schema.Array(Text),
  text: Text,
})

export type SentPage = typeof SentPage.Type
export type Differences = typeof Differences.Type
export type Why = typeof Why.Type
export type HistoryRow = typeof HistoryRow.Type
export type SentRow = typeof SentRow.Type

/** Names of time zones as IANA has them; UTC when left out. */
interface Zoned {
  readonly tz?: string | undefined
}

interface Window extends Zoned {
  readonly event?: string | undefined
  /** Instants as people write them. */
  readonly since?: string | undefined
  readonly until?: string | undefined
  readonly before?: number | undefined
  readonly limit?: number | undefined
}

export interface HistoryQueries {
  readonly history: (
    uri: string,
    wish: Window & {
      /** Only decisions after this version, oldest first. */
      readonly after?: number | undefined
      /** Kinds of events, with commas between. */
      readonly type?: string | undefined
      readonly causes?: boolean | undefined
    },
  ) => Effect.Effect<typeof HistoryPage.Type, Refused>
  readonly at: (
    uri: string,
    wish: Zoned & { readonly time: string },
  ) => Effect.Effect<typeof StateAt.Type, Refused>
  readonly diff: (
    uri: string,
    wish: Zoned & { readonly from: string; readonly to: string },
  ) => Effect.Effect<typeof Differences.Type, Refused>
  readonly seen: (
    uri: string,
    wish: Window & { readonly watcher: string; readonly body?: boolean | undefined },
  ) => Effect.Effect<typeof SentPage.Type, Refused>
  readonly why: (
    uri: string,
    wish: Zoned & {
      readonly watcher: string
      readonly event?: string | undefined
      readonly at?: string | undefined
      readonly position?: number | undefined
    },
  ) => Effect.Effect<typeof Why.Type, Refused>
}
