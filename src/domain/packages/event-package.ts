/**
 * The plug-in interface: all that the general engine asks of an event package (RFC 3265 §4.4).
 *
 * Members are pure. The engine never looks inside a body; only a package does.
 */
import type {
  Body,
  Header,
  Millis,
  PackageName,
  Seconds,
  SubHandling,
  Uri,
  WatchPolicy,
} from "../vocabulary.ts"

export interface EventPackage<Doc = unknown, Name extends PackageName = PackageName> {
  readonly name: Name
  /** Media types a PUBLISH may carry, in lower case; a package without any cannot be published, unless in headers. */
  readonly accepts: readonly string[]
  /** Media types a NOTIFY may carry, default first; empty: NOTIFYs never have a body, and nothing is rendered. */
  readonly produces: readonly string[]
  /**
   * Headers of a PUBLISH that belong to what it publishes, stored with it and shown in NOTIFYs (OpenSIPS `extra_hdrs`), as
   * they are to be written: `Call-Info`. Absent: none.
   */
  readonly carriedHeaders?: readonly string[]
  /** False: one of those headers can stand for a body (OpenSIPS `mandatory_body`); absent: a publication needs a body. */
  readonly bodyRequired?: boolean
  /** Lifetime when a request has no Expires header. */
  readonly defaultExpires: Seconds
  /** `kept`: OpenSIPS `etag_not_new`; RFC 3903 §6 step 6 wants `new-each-time`. */
  readonly entityTags: "new-each-time" | "kept"
  /** Shortest time between two change-driven NOTIFYs of one subscription, in milliseconds (RFC 3265 §4.4.10). */
  readonly notifyIntervalMillis: number

  /** Reads a published body; total. */
  parse(body: Body): Parsed<Doc>
  /**
   * Reads a publication that has no body, total; absent: such a publication is no document, and what is shown are the
   * headers of the newest publication, as they are.
   */
  parseHeaders?(headers: readonly Header[]): Parsed<Doc>
  /** What a composed document says in headers; absent: nothing. */
  renderHeaders?(document: Doc): readonly Header[]
  /** All live publications into one document; null when there is nothing to show. */
  compose(input: Composition<Doc>): Doc | null
  render(document: Doc): Body
  /** What an absent presentity looks like, when a document must be shown. */
  offline(presentity: Uri): Doc | null
  /**
   * The document of a publication after a modification, where a body may carry only what changed (RFC 4235 §4.1
   * `state="partial"`); absent: the new document replaces the old one.
   */
  amend?(before: Doc, modification: Doc): Doc
  /** What a watcher that was shown `before` must be told to know `after`; null, or absent: the whole (RFC 4235 §3.7). */
  difference?(before: Doc, after: Doc): Doc | null
  /** The body for one subscription, where documents differ between them (OpenSIPS `aux_body_processing`). */
  personalize?(body: Body, view: PersonalView): Body

  /** Another package of the same presentity whose state shows in this one; absent: none. */
  readonly mixes?: Mixing<Doc>

  /** Who may watch where watchers are judged at all and no setting says otherwise; absent: `owner`. */
  readonly watchers?: WatchPolicy
  /** How authorization documents are read and applied; absent: as `Packages.commonRules` has it. */
  readonly rules?: PackageRules<Doc>

  /**
   * The header of a SUBSCRIBE that says what exactly is asked for, as it is to be written; its value is kept with the
   * subscription. Absent: there is none.
   */
  readonly argumentHeader?: string
  /**
   * Which presentity a SUBSCRIBE outside a dialog is for, or why it is for none (400); absent: that of its Request-URI. A
   * phone that shares a line subscribes as itself, for example, and its Contact names the line.
   */
  presentityOf?(request: SubscribeAddresses): PresentityFound
  /** Headers that `presentityOf` looks at besides these addresses, as they are to be written; absent: none. */
  readonly presentityHeaders?: readonly string[]
  /** A package, this one or another, whose live subscriptions are part of what this one shows; absent: none. */
  readonly composesFrom?: PackageName
  /** Whether a SUBSCRIBE that is otherwise good is refused (OpenSIPS `evs_subs_handl`). */
  checkSubscription?(question: SubscriptionQuestion): Refusal | null
  /** Whether a PUBLISH that is otherwise good is refused (OpenSIPS `evs_publ_handl`). */
  checkPublication?(question: PublicationQuestion<Doc>): Refusal | null
  /** False: a subscription that is not refreshed ends without a NOTIFY (OpenSIPS `mandatory_timeout_notification`). */
  readonly notifiesTimeout?: boolean

  /** The package whose watchers this one is about (RFC 3857); absent for all but templates. */
  readonly watcherInfoOf?: PackageName
  /** The document of a template: made for one subscription, since it counts versions (RFC 3858 §3). */
  renderWatchers?(list: WatcherList): Body
}

/** Whom a SUBSCRIBE outside a dialog names: addresses of record, without port and parameters. */
export interface SubscribeAddresses {
  readonly requestUri: Uri
  /** Null: To holds a URI that cannot be read. */
  readonly to: Uri | null
  readonly from: Uri
  /** Whom the Contact names at its host, which is mostly a device. */
  readonly contact: Uri
  /** The lines of one of `presentityHeaders`, each as written; empty: it has none. Names are compared without case. */
  readonly header: (name: string) => readonly string[]
}

/** @source RFC 3261 §21.4.1: `why` is the reason phrase of the 400 */
export type PresentityFound =
  | { readonly _tag: "Found"; readonly presentity: Uri }
  | { readonly _tag: "BadRequest"; readonly why: string }

/** What a live subscription says: only active ones that may see what there is count. */
export interface SubscriptionArgument {
  /** In what is composed for others, a watcher that asked not to be named is `sip:anonymous@anonymous.invalid`. */
  readonly watcher: Uri
  /** Value of the package's `argumentHeader`; null: it had none. */
  readonly argument: string | null
  /** The watcher asked not to be named to others; absent: it did not. */
  readonly private?: true
}

export interface SubscriptionQuestion extends Omit<SubscriptionArgument, "private"> {
  readonly presentity: Uri
  /** As granted; 0: it ends, or only asks once. */
  readonly expires: Seconds
  /** The others to this package, oldest first; none for a watcher that may not see what there is. */
  readonly others: readonly SubscriptionArgument[]
}

export interface PublicationQuestion<Doc = unknown> {
  readonly presentity: Uri
  readonly operation: "initial" | "modify" | "refresh" | "remove"
  /** As granted; 0: it ends. */
  readonly expires: Seconds
  /** What the request says in body or headers; null: nothing, or nothing that the package reads. */
  readonly document: Doc | null
  readonly headers: readonly Header[]
  /** Live subscriptions to the package that this one composes from, oldest first. */
  readonly subscriptions: readonly SubscriptionArgument[]
}

/** @source RFC 3261 §21.4.1, §21.4.4, §21.4.18 */
export type Refusal =
  | { readonly _tag: "BadRequest"; readonly status: 400; readonly why: string }
  | { readonly _tag: "Forbidden"; readonly status: 403; readonly why: string }
  | { readonly _tag: "TemporarilyUnavailable"; readonly status: 480; readonly why: string }

/** Whether there is anything that a PUBLISH to this package may hold. */
export const isPublishable = (eventPackage: EventPackage): boolean =>
  eventPackage.accepts.length > 0 ||
  (eventPackage.bodyRequired === false && (eventPackage.carriedHeaders ?? []).length > 0)

/** How authorization documents of a package are read; undefined: it can have none. */
export const rulesFor = (eventPackage: EventPackage, packages: Packages): PackageRules | undefined =>
  // presence without rules of its own has nothing that could apply their transformations
  eventPackage.rules ?? (eventPackage.name === "presence" ? undefined : packages.commonRules)

/** The package whose publications say the sphere that rules of `pack` look at; null: nothing says it. */
export const sphereSource = (eventPackage: EventPackage, packages: Packages): EventPackage | null =>
  eventPackage.rules === undefined ? (packages.sphereFrom ?? null) : eventPackage

/** OpenSIPS's `mix_dialog_presence`: one package's state told in the documents of another. */
export interface Mixing<Doc = unknown> {
  readonly from: EventPackage
  /**
   * @param own what this package composes of its own publications; null when there are none
   * @param others documents of the other package's live publications, oldest content first
   * @returns null when there is nothing to show
   */
  blend(own: Doc | null, others: readonly unknown[], presentity: Uri): Doc | null
}

/** What a document may say differently to each watcher. */
export interface PersonalView {
  readonly watcher: Uri
  /** Documents this subscription was sent before: 0, 1, 2 … (RFC 4235 §4.1, RFC 3858 §3). */
  readonly version: number
}

/** Authorization documents of a package: pure functions of document, watcher, sphere and time (RFC 4745, RFC 5025). */
export interface PackageRules<Doc = unknown> {
  /** Reads a document; total. */
  read(
    body: Body,
  ):
    | { readonly _tag: "Parsed"; readonly rules: unknown }
    | { readonly _tag: "Unreadable"; readonly why: string }
  /** What the rules say of one watcher; `handling` null: no rule matches, or none says how to treat it. */
  judge(rules: unknown, circumstances: RuleCircumstances): RuleVerdict
  /** Names of the rules in document order, for people. */
  names(rules: unknown): readonly string[]
  /** The next instant at which time alone changes what they say, of the rules or of the published spheres. */
  nextBoundary(rules: unknown, documents: readonly Doc[], now: Millis): Millis | null
  /** Whether any rule looks at the sphere. */
  asksForSphere(rules: unknown): boolean
  /** The presentity's sphere as published (RFC 5025 §3.1.2). */
  sphere(documents: readonly Doc[], now: Millis): string | null
  /**
   * What of a document those may see for whom exactly these rules match; null when nothing is left of it. Absent: whoever
   * may watch sees all of it.
   */
  filter?(document: Doc, rules: unknown, matched: readonly number[]): Doc | null
}

export interface RuleCircumstances {
  /** The watcher's identities; empty: not authenticated. */
  readonly uris: readonly Uri[]
  readonly sphere: string | null
  readonly now: Millis
}

export interface RuleVerdict {
  readonly handling: SubHandling | null
  /** Ordinals of the rules that match, in document order. */
  readonly matched: readonly number[]
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
  /** Hard state, if there is any, then live publications, oldest content first (log order of creation or last modification). */
  readonly documents: readonly Source<Doc>[]
  /** Publications that ended in this very decision, oldest first: shown once in their ended form. */
  readonly ended: readonly Source<Doc>[]
  /** Live subscriptions to the package that this one composes from, oldest first; absent: none. */
  readonly subscriptions?: readonly SubscriptionArgument[]
  /**
   * Whether its reader takes a body of that media type, one that the package produces: what is then rendered as another is not
   * sent. Absent: it takes all.
   */
  readonly isAccepted?: (type: string) => boolean
}

/**
 * One publication's document; `key` is the same through all refreshes and modifications of that publication. `0` is that
 * of hard state, which gives way to every other.
 */
export interface Source<Doc> {
  readonly key: string
  readonly document: Doc
}

/** The packages a server knows; `registry.ts` makes one. */
export interface Packages {
  readonly find: (name: PackageName) => EventPackage | null
  readonly names: () => readonly PackageName[]
  /** Packages in which the state of this one shows. */
  readonly mixing: (name: PackageName) => readonly EventPackage[]
  /** Packages in which live subscriptions to this one show. */
  readonly composing: (name: PackageName) => readonly EventPackage[]
  /** Authorization documents of packages that have no way of their own to read them; absent: those have none. */
  readonly commonRules?: PackageRules
  /** The package whose documents say the sphere that common rules look at; absent: none does. */
  readonly sphereFrom?: EventPackage
  /** Value of the Allow-Events header: bare event types (RFC 6665 §8.4). */
  readonly allowEvents: string
  /** By package: the headers that belong to its publications; packages without any are left out. */
  readonly carriedHeaders: ReadonlyMap<PackageName, readonly string[]>
  /** By package: the header of a SUBSCRIBE that is its argument; packages without one are left out. */
  readonly argumentHeaders: ReadonlyMap<PackageName, string>
  /** Media types of the packages' publications, each once, for Accept in an answer to OPTIONS. */
  readonly accept: readonly string[]
}
