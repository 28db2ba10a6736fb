/**
 * The plug-in interface: all that the general engine asks of an event package (RFC 3265 §4.4).
 *
 * Members are pure. The engine never looks inside a body; only a package does.
 */
import type { Body, PackageName, Seconds, Uri } from "../vocabulary.ts"

export interface EventPackage<Doc = unknown> {
  readonly name: PackageName
  /** Media types a PUBLISH may carry, in lower case; empty when the package cannot be published (templates). */
  readonly accepts: readonly string[]
  /** Media types a NOTIFY may carry, default first. */
  readonly produces: readonly [string, ...string[]]
  /** Lifetime when a request has no Expires header. */
  readonly defaultExpires: Seconds
  /** Whether an initial PUBLISH without a body is refused with 400. */
  readonly bodyRequired: boolean
  /** `kept`: the seed's `etag_not_new`; RFC 3903 §6 step 6 wants `new-each-time`. */
  readonly entityTags: "new-each-time" | "kept"
  /** Shortest time between two change-driven NOTIFYs of one subscription, in milliseconds (RFC 3265 §4.4.10). */
  readonly notifyIntervalMillis: number

  /** Reads a published body; total. */
  parse(body: Body): Parsed<Doc>
  /** All live publications into one document; null when there is nothing to show. */
  compose(input: Composition<Doc>): Doc | null
  render(document: Doc): Body
  /** What an absent presentity looks like, when a document must be shown. */
  offline(presentity: Uri): Doc | null

  /** The package whose watchers this one is about (RFC 3857); absent for all but templates. */
  readonly watcherInfoOf?: PackageName
  /** The document of a template: made for one subscription, since it counts versions (RFC 3858 §3). */
  renderWatchers?(list: WatcherList): Body
}

/** What one winfo NOTIFY says. */
export interface WatcherList {
  readonly resource: Uri
  /** The watched package. */
  readonly packageName: PackageName
  readonly version: number
  /** False: only what changed since the last one. */
  readonly isFull: boolean
  readonly watchers: readonly WatcherEntry[]
}

/** @source RFC 3858 §3; states and events are those of RFC 3857 §4.7.1 */
export interface WatcherEntry {
  /** Unique in the presentity, the same for the life of the watcher's subscription. */
  readonly id: string
  readonly uri: Uri
  readonly status: "pending" | "active" | "waiting" | "terminated"
  readonly event: WatcherEvent
  readonly expiration: Seconds | null
  readonly durationSubscribed: Seconds
  readonly displayName: string | null
}

export type WatcherEvent =
  | "subscribe"
  | "approved"
  | "deactivated"
  | "probation"
  | "rejected"
  | "timeout"
  | "giveup"
  | "noresource"

export type Parsed<Doc> =
  | { readonly _tag: "Parsed"; readonly document: Doc }
  | { readonly _tag: "Unreadable"; readonly why: string }

export interface Composition<Doc> {
  readonly presentity: Uri
  /** Live publications, oldest content first (log order of creation or last modification). */
  readonly documents: readonly Source<Doc>[]
  /** Publications that ended in this very decision, oldest first: shown once in their ended form. */
  readonly ended: readonly Source<Doc>[]
}

/** One publication's document; `key` is the same through all refreshes and modifications of that publication. */
export interface Source<Doc> {
  readonly key: string
  readonly document: Doc
}

/** The packages a server knows; `registry.ts` makes one. */
export interface Packages {
  readonly find: (name: PackageName) => EventPackage | null
  readonly names: () => readonly PackageName[]
  /** Value of the Allow-Events header: bare event types (RFC 6665 §8.4). */
  readonly allowEvents: string
  /** Media types of the packages' publications, each once, for Accept in an answer to OPTIONS. */
  readonly accept: readonly string[]
}
