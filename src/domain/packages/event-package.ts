/**
 * The plug-in interface: everything the engine requires of an event package (RFC 3265 §4.4).
 *
 * Members are pure functions and values. The engine never interprets a body; only a package does.
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
  /**
   * Media types that a PUBLISH may carry, in lower case; a package without any cannot be published, unless in headers.
   */
  readonly accepts: readonly string[]
  /** Media types that a NOTIFY may carry, default first; empty: NOTIFYs never have a body, and nothing is rendered. */
  readonly produces: readonly string[]
  /**
   * Headers of a PUBLISH that belong to the publication, stored with it and sent in NOTIFYs (OpenSIPS `extra_hdrs`),
   * spelt as they are to be written: `Call-Info`. Absent: none.
   */
  readonly carriedHeaders?: readonly string[]
  /**
   * False: one of those headers may replace the body (OpenSIPS `mandatory_body`). Absent: a publication needs a body.
   */
  readonly bodyRequired?: boolean
  /** Lifetime if a request has no Expires header. */
  readonly defaultExpires: Seconds
  /** `kept`: OpenSIPS `etag_not_new`; RFC 3903 §6 step 6 requires `new-each-time`. */
  readonly entityTags: "new-each-time" | "kept"
  /** Minimum interval between two change-driven NOTIFYs of one subscription, in milliseconds (RFC 3265 §4.4.10). */
  readonly notifyIntervalMillis: number

  /** Parses a published body; total. */
  parse(body: Body): Parsed<Doc>
  /**
   * Parses a publication without a body; total. Absent: such a publication is no document, and the headers of the
   * newest publication are shown unchanged.
   */
  parseHeaders?(headers: readonly Header[]): Parsed<Doc>
  /** The headers that express a composed document. Absent: none. */
  renderHeaders?(document: Doc): readonly Header[]
  /** Composes all live publications into one document; null: there is nothing to show. */
  compose(input: Composition<Doc>): Doc | null
  /**
   * True: composition depends on which of two contents is the newer one, so that events record it (`Order`). Absent: the
   * place in `Composition.documents` is all that it needs.
   */
  readonly ordered?: true
  /** True: sources have an `order` for their devices alone; nothing is recorded for it. Absent: only with `ordered`. */
  readonly readsDevices?: true
  /**
   * Whether a new publication may take the place of an earlier one of the same device, which has lost its entity-tag.
   * Absent: it always may.
   */
  mayReplace?(earlier: Source<Doc>, later: Source<Doc>): boolean
  render(document: Doc): Body
  /** The document of an absent presentity, if one must be shown. */
  offline(presentity: Uri): Doc | null
  /**
   * The document of a publication after a modification, if a body may carry only what changed (RFC 4235 §4.1
   * `state="partial"`). Absent: the new document replaces the old one.
   */
  amend?(before: Doc, modification: Doc): Doc
  /**
   * What a watcher that was shown `before` must receive to know `after`; null, or absent: the full document (RFC 4235
   * §3.7).
   */
  difference?(before: Doc, after: Doc): Doc | null
  /**
   * The document for subscriptions that ask for a part of it, or whose phone needs another form; the same object if
   * nothing is different for them. Absent: there are no such subscriptions.
   */
  tailor?(document: Doc, form: DocumentForm): Doc
  /**
   * Media types that only a watcher is sent which accepts none of `produces`, each with the need that stands for it in
   * `tailor`. Absent: there are none.
   */
  readonly otherForms?: ReadonlyMap<string, string>
  /** The body for one subscription, if documents differ between subscriptions (OpenSIPS `aux_body_processing`). */
  personalize?(body: Body, view: PersonalView): Body

  /** Another package of the same presentity whose state is shown in this one. Absent: none. */
  readonly mixes?: Mixing<Doc>

  /** Who may watch if no setting says otherwise; only where policies are in use. Absent: `owner`. */
  readonly watchers?: WatchPolicy
  /** How authorization documents are parsed and applied. Absent: by `Packages.commonRules`. */
  readonly rules?: PackageRules<Doc>

  /**
   * The header of a SUBSCRIBE that specifies what exactly is requested, spelt as it is to be written; its value is kept
   * with the subscription. Absent: there is none.
   */
  readonly argumentHeader?: string
  /**
   * What the parameters of the Event header other than `id` ask for; the argument is kept with the subscription, and
   * comes back in `tailor`. Asked only if there are any. Absent: none has a meaning.
   */
  readParameters?(parameters: ReadonlyMap<string, string | null>): ParametersRead
  /**
   * Which presentity a SUBSCRIBE outside a dialog is for, or why it is for none (400). Absent: the one in its
   * Request-URI. For example, a phone that shares a line subscribes under its own address, and its Contact names the
   * line.
   */
  presentityOf?(request: SubscribeAddresses): PresentityFound
  /** Headers that `presentityOf` examines besides these addresses, spelt as they are to be written. Absent: none. */
  readonly presentityHeaders?: readonly string[]
  /** A package, this one or another, whose live subscriptions are part of the documents of this one. Absent: none. */
  readonly composesFrom?: PackageName
  /**
   * Media types of a SUBSCRIBE body that asks for a change of the presentity's hard state; `applyRequest` reads it.
   * Absent: a body is refused.
   */
  readonly requests?: readonly string[]
  /** What a SUBSCRIBE body makes of the hard state; total. A body that states the state itself gives that state. */
  applyRequest?(present: Body | null, request: Body): RequestedChange
  /** Whether to refuse a SUBSCRIBE that is otherwise valid (OpenSIPS `evs_subs_handl`). */
  checkSubscription?(question: SubscriptionQuestion): Refusal | null
  /** Whether to refuse a PUBLISH that is otherwise valid (OpenSIPS `evs_publ_handl`). */
  checkPublication?(question: PublicationQuestion<Doc>): Refusal | null
  /** False: a subscription that is not refreshed ends without a NOTIFY (OpenSIPS `mandatory_timeout_notification`). */
  readonly notifiesTimeout?: boolean

  /** The package whose watchers this one reports (RFC 3857). Absent for all except templates. */
  readonly watcherInfoOf?: PackageName
  /** The document of a template, made for one subscription because it counts versions (RFC 3858 §3). */
  renderWatchers?(list: WatcherList): Body
}

/** The addresses in a SUBSCRIBE outside a dialog: addresses of record, without port and parameters. */
export interface SubscribeAddresses {
  readonly requestUri: Uri
  /** Null: the URI in To cannot be parsed. */
  readonly to: Uri | null
  readonly from: Uri
  /** The URI in the Contact, whose host is usually that of a device. */
  readonly contact: Uri
  /**
   * The lines of one of `presentityHeaders`, each as written; empty: there are none. Names are compared without case.
   */
  readonly header: (name: string) => readonly string[]
}

/** @source RFC 3261 §21.4.1: `why` is the reason phrase of the 400 */
export type PresentityFound =
  | { readonly _tag: "Found"; readonly presentity: Uri }
  | { readonly _tag: "BadRequest"; readonly why: string }

/**
 * What Event parameters ask for; a null argument: nothing in particular.
 *
 * @source RFC 3261 §21.4.1: `why` is the reason phrase of the 400
 */
export type ParametersRead =
  | { readonly _tag: "Read"; readonly argument: string | null }
  | { readonly _tag: "BadRequest"; readonly why: string }

/**
 * What a SUBSCRIBE body does to the hard state of a package.
 *
 * @source RFC 3261 §21.4.1: `why` is the reason phrase of the 400
 */
export type RequestedChange =
  | { readonly _tag: "Changed"; readonly body: Body }
  | { readonly _tag: "Unchanged" }
  | { readonly _tag: "Refused"; readonly why: string }

/** How documents differ between subscriptions that may see the same. */
export interface DocumentForm {
  /** What its SUBSCRIBE asked for (`argumentHeader`, `readParameters`); null: nothing in particular. */
  readonly argument: string | null
  /** What its phone needs, by names that the package knows, separated by spaces; null: nothing. */
  readonly needs: string | null
}

/** The argument of a live subscription; only active ones count whose watcher may see the presentity's state. */
export interface SubscriptionArgument {
  /** In documents for others, a watcher that asked for privacy is `sip:anonymous@anonymous.invalid`. */
  readonly watcher: Uri
  /** The value of the package's `argumentHeader`; null: there was none. */
  readonly argument: string | null
  /** The watcher asked for privacy. Absent: it did not. */
  readonly private?: true
}

export interface SubscriptionQuestion extends Omit<SubscriptionArgument, "private"> {
  readonly presentity: Uri
  /** As granted; 0: the subscription ends, or the request is a fetch. */
  readonly expires: Seconds
  /**
   * The other subscriptions to this package, oldest first; none for a watcher that may not see the presentity's state.
   */
  readonly others: readonly SubscriptionArgument[]
}

export interface PublicationQuestion<Doc = unknown> {
  readonly presentity: Uri
  readonly operation: "initial" | "modify" | "refresh" | "remove"
  /** As granted; 0: the publication ends. */
  readonly expires: Seconds
  /** The content of body or headers; null: none, or none that the package parses. */
  readonly document: Doc | null
  readonly headers: readonly Header[]
  /** Live subscriptions to the package from which this one is composed, oldest first. */
  readonly subscriptions: readonly SubscriptionArgument[]
}

/** @source RFC 3261 §21.4.1, §21.4.4, §21.4.18 */
export type Refusal =
  | { readonly _tag: "BadRequest"; readonly status: 400; readonly why: string }
  | { readonly _tag: "Forbidden"; readonly status: 403; readonly why: string }
  | { readonly _tag: "TemporarilyUnavailable"; readonly status: 480; readonly why: string }

/** Whether a PUBLISH to this package can have any content. */
export const isPublishable = (eventPackage: EventPackage): boolean =>
  eventPackage.accepts.length > 0 ||
  (eventPackage.bodyRequired === false && (eventPackage.carriedHeaders ?? []).length > 0)

/** How authorization documents of a package are parsed; undefined: it cannot have any. */
export const rulesFor = (eventPackage: EventPackage, packages: Packages): PackageRules | undefined =>
  // presence without rules of its own could not apply their transformations
  eventPackage.rules ?? (eventPackage.name === "presence" ? undefined : packages.commonRules)

/** The package whose publications state the sphere for the rules of `eventPackage`; null: none does. */
export const sphereSource = (eventPackage: EventPackage, packages: Packages): EventPackage | null =>
  eventPackage.rules === undefined ? (packages.sphereFrom ?? null) : eventPackage

/** The state of one package shown in the documents of another (OpenSIPS `mix_dialog_presence`). */
export interface Mixing<Doc = unknown> {
  readonly from: EventPackage
  /**
   * @param own what this package composes from its own publications; null: there are none
   * @param others documents of the other package's live publications, oldest content first
   * @param sources the same with their keys and order
   * @returns null: there is nothing to show
   */
  blend(
    own: Doc | null,
    others: readonly unknown[],
    presentity: Uri,
    sources?: readonly Source<unknown>[],
  ): Doc | null
}

/** The parts of a document that may differ between watchers. */
export interface PersonalView {
  readonly watcher: Uri
  /** The number of documents already sent to this subscription: 0, 1, 2 … (RFC 4235 §4.1, RFC 3858 §3). */
  readonly version: number
}

/** Authorization documents of a package: pure functions of document, watcher, sphere and time (RFC 4745, RFC 5025). */
export interface PackageRules<Doc = unknown> {
  /** Parses a document; total. */
  read(
    body: Body,
  ):
    | { readonly _tag: "Parsed"; readonly rules: unknown }
    | { readonly _tag: "Unreadable"; readonly why: string }
  /** What the rules say about one watcher; `handling` null: no rule matches, or none states how to treat it. */
  judge(rules: unknown, circumstances: RuleCircumstances): RuleVerdict
  /** The names of the rules in document order, for display. */
  names(rules: unknown): readonly string[]
  /** The next instant at which time alone changes the answer, of the rules or of the published spheres. */
  nextBoundary(rules: unknown, documents: readonly Doc[], now: Millis): Millis | null
  /** Whether any rule depends on the sphere. */
  asksForSphere(rules: unknown): boolean
  /** The presentity's sphere as published (RFC 5025 §3.1.2). */
  sphere(documents: readonly Doc[], now: Millis): string | null
  /**
   * The part of a document visible to a watcher that exactly these rules match; null: nothing. Absent: whoever may
   * watch sees all of it.
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
  /** Ordinals of the matching rules, in document order. */
  readonly matched: readonly number[]
}

/** The content of one NOTIFY of watcher information. */
export interface WatcherList {
  readonly resource: Uri
  /** The watched package. */
  readonly packageName: PackageName
  readonly version: number
  /** False: only what changed since the last NOTIFY. */
  readonly isFull: boolean
  readonly watchers: readonly WatcherEntry[]
}

/** @source RFC 3858 §3; states and events are those of RFC 3857 §4.7.1 */
export interface WatcherEntry {
  /** Unique within the presentity, and constant for the life of the watcher's subscription. */
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
  /**
   * Hard state, if any, then live publications, oldest content first (in log order of creation or last modification).
   */
  readonly documents: readonly Source<Doc>[]
  /** Publications that ended in this very decision, oldest first: shown once in their terminated form. */
  readonly ended: readonly Source<Doc>[]
  /** Live subscriptions to the package from which this one is composed, oldest first. Absent: none. */
  readonly subscriptions?: readonly SubscriptionArgument[]
  /**
   * Whether the watcher accepts a body of that media type, one that the package produces; a document rendered as any
   * other type is not sent. Absent: all are accepted.
   */
  readonly isAccepted?: (type: string) => boolean
}

/**
 * The document of one publication; `key` stays the same through all its refreshes and modifications. `0` is that of
 * hard state, which any publication takes precedence over.
 */
export interface Source<Doc> {
  readonly key: string
  readonly document: Doc
  /** Absent: hard state, which is older than any publication. */
  readonly order?: Order
}

/** What is known of when the content of a publication was true, and at which device. */
export interface Order {
  /** The decision that stored it. */
  readonly at: number
  /**
   * The decision that issued the entity-tag on which its PUBLISH was conditioned: what the log held by then is older
   * (RFC 3903 §6). 0: it was not conditioned. Absent: stored before this was recorded.
   */
  readonly after?: number
  readonly receivedAt: Millis
  /** What identifies its device, as the adapter found it in the request. Absent: nothing does. */
  readonly device?: string
}

/** The packages known to a server; `registry.ts` creates this value. */
export interface Packages {
  readonly find: (name: PackageName) => EventPackage | null
  readonly names: () => readonly PackageName[]
  /** Packages that show the state of this one. */
  readonly mixing: (name: PackageName) => readonly EventPackage[]
  /** Packages that show live subscriptions to this one. */
  readonly composing: (name: PackageName) => readonly EventPackage[]
  /** Authorization documents of packages that cannot parse them on their own. Absent: those packages have none. */
  readonly commonRules?: PackageRules
  /** The package whose documents state the sphere for common rules. Absent: none does. */
  readonly sphereFrom?: EventPackage
  /** Value of the Allow-Events header: bare event types (RFC 6665 §8.4). */
  readonly allowEvents: string
  /** By package: the headers that belong to its publications; packages without any are omitted. */
  readonly carriedHeaders: ReadonlyMap<PackageName, readonly string[]>
  /** By package: the header of a SUBSCRIBE that is its argument; packages without one are omitted. */
  readonly argumentHeaders: ReadonlyMap<PackageName, string>
  /** Media types of the packages' publications, each once, for the Accept header of a response to OPTIONS. */
  readonly accept: readonly string[]
}
