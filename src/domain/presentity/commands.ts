/**
 * Every command to one presentity, and every answer.
 *
 * A command is a request that has been parsed but not yet checked. Faults whose place in the RFC's order of checks
 * comes later (an unreadable body, several entity-tags) are carried inside it. Each rejection names its status and
 * section.
 */
import type {
  Arrival,
  Body,
  DialogKey,
  DialogStart,
  EntityTag,
  Header,
  Millis,
  PackageName,
  Rates,
  Seconds,
  SubHandling,
  SubscriptionNo,
  Uri,
} from "../vocabulary.ts"
import type { AdoptPublication, AdoptSubscription, AdoptWatcher } from "./adopt-commands.ts"
import type { DeliveryOutcome } from "./delivery-outcome.ts"
import type { Farewell } from "./farewell.ts"
import type { SharingTagRole } from "./sharing-tag-events.ts"

export type Command =
  | Publish
  | Subscribe
  | Resubscribe
  | ReplaceRules
  | RefreshWatchers
  | ApplyPolicies
  | DecideWatcher
  | SetSharingTag
  | SwitchSharingTag
  | SetHardState
  | Terminate
  | Erase
  | AdoptPublication
  | AdoptSubscription
  | AdoptWatcher
  | FallDue
  | ReportDelivery
  | RecordDeliveries
  | Redeliver
  | FollowClock
  | RepeatFarewells
  | Abandon

/** PUBLISH (RFC 3903 §4). `ifMatch`, `expires` and `body` together determine the operation. */
export interface Publish {
  readonly _tag: "Publish"
  /** Null when the request has no Event header. */
  readonly packageName: PackageName | null
  /** All values of SIP-If-Match; more than one is a fault that is checked in its turn. */
  readonly ifMatch: readonly string[]
  /** Null when the request has no Expires header. */
  readonly expires: Seconds | null
  readonly body: Body | null
  /** Why the body cannot be read (an encoding, no text); answered when the body is checked. */
  readonly bodyFault: Rejection | null
  /** The headers that the package carries, one for each line. Absent: none. */
  readonly headers?: readonly Header[]
  /** The Contact URI of the device that made the change and is therefore not notified of it. */
  readonly sender: string | null
  /** What identifies the device that publishes; a publication of it that is still there is replaced. Absent: nothing does. */
  readonly device?: string
}

/** A change of the presentity's hard state that a SUBSCRIBE asks for in its body. */
export interface ChangeRequest {
  readonly body: Body
  /** The presentity for which its sender may change it; null: for none but the watcher itself. */
  readonly mayChange: Uri | null
}

/** SUBSCRIBE outside a dialog (RFC 3265 §3.1). */
export interface Subscribe {
  readonly _tag: "Subscribe"
  readonly packageName: PackageName | null
  /** The `id` parameter of the Event header. */
  readonly eventId: string | null
  readonly watcher: Uri
  /**
   * Other asserted addresses of the same watcher; what belongs to one of them belongs to the watcher. Absent: none is
   * known.
   */
  readonly also?: readonly Uri[]
  readonly expires: Seconds | null
  /** Media ranges of the Accept header in lower case without parameters; null when there is none. */
  readonly accept: readonly string[] | null
  readonly dialog: DialogStart
  /** Suppress-If-Match: the document that the watcher has, or `*` (RFC 5839 §5). Absent: unconditional. */
  readonly suppressIfMatch?: string
  /** The requested rates (RFC 6446). Absent: none. */
  readonly rates?: Rates
  /** The value of the header, or the Event parameters, that are the package's argument. Absent: none. */
  readonly argument?: string
  /** The form of documents that the phone needs, as the operator set it. Absent: the usual one. */
  readonly needs?: string
  /** The name of the phone profile that was chosen by its User-Agent. Absent: none was. */
  readonly phone?: string
  /** The registrar makes it for a phone that has not subscribed. Absent: the watcher subscribes. */
  readonly unsolicited?: true
  /** `handle_subscribe(, tag)`: the sharing tag that determines the responsible server. Absent: this server is. */
  readonly sharingTag?: string
  /**
   * The watcher asks that its identity be withheld from others (RFC 3323 §4.2, RFC 3325 §7). Absent: it may be shown.
   */
  readonly private?: true
  /** `handle_subscribe(1)`: active without consulting the rules. */
  readonly forceActive: boolean
  /** What the body asks for. Absent: there is none, or it means nothing to the package. */
  readonly request?: ChangeRequest
  /** Why a body in the SUBSCRIBE is refused (415), in its turn. */
  readonly bodyFault: Rejection | null
}

/** SUBSCRIBE inside a dialog: refresh, end, or a further subscription in it (RFC 3265 §3.1.4.2). */
export interface Resubscribe {
  readonly _tag: "Resubscribe"
  readonly dialog: DialogKey
  readonly packageName: PackageName | null
  readonly eventId: string | null
  readonly watcher: Uri
  /**
   * Other asserted addresses of the same watcher; what belongs to one of them belongs to the watcher. Absent: none is
   * known.
   */
  readonly also?: readonly Uri[]
  readonly expires: Seconds | null
  readonly accept: readonly string[] | null
  readonly cseq: number
  /** The URI in the Contact, which replaces the remote target; null when there is no Contact. */
  readonly remoteTarget: string | null
  /**
   * As in `DialogStart`, for the URI in the Contact; without a Contact, the octets by which the request extends what
   * may be sent. Absent: the target is proven.
   */
  readonly room?: number
  /**
   * Where it arrived, and where NOTIFYs go because of that; without a Contact, `reach` says nothing. Absent: as the
   * SUBSCRIBE before.
   */
  readonly arrival?: Arrival
  readonly suppressIfMatch?: string
  readonly rates?: Rates
  readonly argument?: string
  /**
   * Whether the watcher asks that its identity be withheld from others. Absent: the request does not say, and nothing
   * changes.
   */
  readonly private?: boolean
  /**
   * The host of a trusted peer that passed the request on without an identity. A dialog that came from that peer, or
   * was taken over from another server, then belongs to its watcher; in any other, `watcher` is the requester. Absent:
   * `watcher` is the requester.
   */
  readonly through?: string
  readonly forceActive: boolean
  readonly request?: ChangeRequest
  readonly bodyFault: Rejection | null
}

/**
 * A new authorization document for one package of the presentity, or its removal (RFC 5025; OpenSIPS `refreshWatchers`
 * 0).
 */
export interface ReplaceRules {
  readonly _tag: "ReplaceRules"
  readonly packageName: PackageName
  readonly rules: Body | null
}

/**
 * The operator asks to review the watchers (OpenSIPS `refreshWatchers`): evaluate the rules for them again, or, with
 * `state`, notify every active one of the present state again.
 */
export interface RefreshWatchers {
  readonly _tag: "RefreshWatchers"
  readonly packageName: PackageName
  readonly kind: "rules" | "state"
}

/** The settings may have changed since this state was decided: who may watch is evaluated again. */
export interface ApplyPolicies {
  readonly _tag: "ApplyPolicies"
}

/**
 * The operator's decision on one watcher of a package, which takes precedence over hook and rules; null: withdraw it.
 */
export interface DecideWatcher {
  readonly _tag: "DecideWatcher"
  readonly packageName: PackageName
  readonly watcher: Uri
  readonly handling: SubHandling | null
}

/** Sets the state of a sharing tag on this server. Only in the stream of tags. */
export interface SetSharingTag {
  readonly _tag: "SetSharingTag"
  readonly tag: string
  readonly role: SharingTagRole
}

/** A tag was switched; sent to each presentity that has subscriptions with it. */
export interface SwitchSharingTag {
  readonly _tag: "SwitchSharingTag"
  readonly tag: string
  readonly role: SharingTagRole
  readonly epoch: number
}

/**
 * What the presentity shows of a package when no device publishes: a publication without expiry, older than all others;
 * or null to remove it (RFC 4827).
 */
export interface SetHardState {
  readonly _tag: "SetHardState"
  readonly packageName: PackageName
  readonly body: Body | null
}

/** The operator ends subscriptions (OpenSIPS `terminate_watchers`). */
export interface Terminate {
  readonly _tag: "Terminate"
  readonly packageName: PackageName
  /** Null: every watcher. */
  readonly watcher: Uri | null
  readonly reason: "deactivated" | "probation" | "noresource"
}

/** Ends everything live of a person, and withdraws every decision on that person as a watcher. */
export interface Erase {
  readonly _tag: "Erase"
  readonly person: Uri
  /** No server is running that could send NOTIFYs. */
  readonly silent: boolean
}

/** Time as a command: decides everything that is overdue at `now`. */
export interface FallDue {
  readonly _tag: "FallDue"
}

/** The outcome of one NOTIFY. */
export interface ReportDelivery {
  readonly _tag: "ReportDelivery"
  readonly no: SubscriptionNo
  readonly cseq: number
  readonly outcome: DeliveryOutcome
}

export type { DeliveryOutcome } from "./delivery-outcome.ts"

/**
 * NOTIFYs that were answered 2xx, with the instants of the responses, to be recorded because no other decision has done
 * so.
 */
export interface RecordDeliveries {
  readonly _tag: "RecordDeliveries"
  readonly accepted: readonly Accepted[]
}

export interface Accepted {
  readonly no: SubscriptionNo
  readonly cseq: number
  readonly at: Millis
}

/**
 * After a restart: repeats, as new NOTIFYs with full state, those that were issued at or after `since` and may not have
 * arrived.
 */
export interface Redeliver {
  readonly _tag: "Redeliver"
  readonly since: number
  /** Only these subscriptions, whenever they were notified. Absent: all of them. */
  readonly only?: readonly SubscriptionNo[]
}

/** After a restart: the final NOTIFYs of ended subscriptions may not have arrived. */
export interface RepeatFarewells {
  readonly _tag: "RepeatFarewells"
  readonly farewells: readonly Farewell[]
}

/**
 * The watchers inside the program in which the core runs are gone, because that program has ended. They are not
 * notified.
 */
export interface Abandon {
  readonly _tag: "Abandon"
  /** Only these. Absent: all of them. */
  readonly only?: readonly SubscriptionNo[]
}

/** The clock was set back since the newest decision: instants that it gave while it stood ahead are corrected. */
export interface FollowClock {
  readonly _tag: "FollowClock"
  /** The last reading of the clock before it was set back, as far as known. */
  readonly from: Millis
}

export type Reply =
  /** 200 to PUBLISH: SIP-ETag and Expires (RFC 3903 §6 step 6). */
  | { readonly _tag: "Published"; readonly entityTag: EntityTag; readonly expires: Seconds }
  /** 200 or 202 to SUBSCRIBE: Expires (RFC 3265 §3.1.1); 204: no NOTIFY follows (RFC 5839 §6.3). */
  | { readonly _tag: "Subscribed"; readonly status: 200 | 202 | 204; readonly expires: Seconds }
  /** No response is expected. */
  | { readonly _tag: "Done" }

export type Rejection =
  | { readonly _tag: "BadRequest"; readonly status: 400; readonly why: string }
  | { readonly _tag: "Forbidden"; readonly status: 403; readonly why: string }
  /** The document exceeds what may be sent to the target of its NOTIFY. */
  | { readonly _tag: "TargetUnproven"; readonly status: 403 }
  /** The Request-URI is none that this server serves (RFC 3903 §6 step 1). */
  | { readonly _tag: "NotFound"; readonly status: 404 }
  /** With an Accept header: the types that can be sent (RFC 3265 §3.1.6.1 with RFC 3261 §21.4.7). */
  | { readonly _tag: "NotAcceptable"; readonly status: 406; readonly accept: readonly string[] }
  /** RFC 3903 §6 step 3. */
  | { readonly _tag: "ConditionalRequestFailed"; readonly status: 412 }
  | { readonly _tag: "RequestEntityTooLarge"; readonly status: 413 }
  /** With an Accept header: the types that a publication may have (RFC 3903 §6 step 5). */
  | { readonly _tag: "UnsupportedMediaType"; readonly status: 415; readonly accept: readonly string[] }
  /** With an Accept-Encoding header (RFC 3261 §8.2.3). */
  | { readonly _tag: "UnsupportedEncoding"; readonly status: 415; readonly acceptEncoding: readonly string[] }
  /** With a Min-Expires header (RFC 3265 §3.1.6.1, RFC 3903 §6 step 4). */
  | { readonly _tag: "IntervalTooBrief"; readonly status: 423; readonly minExpires: Seconds }
  /** RFC 3261 §21.4.18: the requested resource is in use. */
  | { readonly _tag: "TemporarilyUnavailable"; readonly status: 480; readonly why: string }
  /** RFC 3261 §12.2.2. */
  | { readonly _tag: "CallDoesNotExist"; readonly status: 481 }
  /** With an Allow-Events header (RFC 3265 §7.2, RFC 3903 §6 step 2). */
  | { readonly _tag: "BadEvent"; readonly status: 489; readonly allowEvents: string }
  /** The CSeq is not higher than the last one of the dialog (RFC 3261 §12.2.2). */
  | { readonly _tag: "OutOfOrder"; readonly status: 500 }
  /** A defect of this server: the presentity makes no more decisions until the server is restarted. */
  | { readonly _tag: "ServerInternalError"; readonly status: 500 }
  /** With a Retry-After header: a limit has been reached, or the store is unavailable. */
  | {
      readonly _tag: "ServiceUnavailable"
      readonly status: 503
      readonly why: string
      readonly retryAfter: Seconds
    }

/** What the sender of a command receives. */
export type Answer =
  | { readonly _tag: "Accepted"; readonly reply: Reply }
  | { readonly _tag: "Rejected"; readonly rejection: Rejection }
