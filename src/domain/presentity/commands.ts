/**
 * Everything that can be asked of one presentity, and every answer.
 *
 * A command is a request that has been read but not judged: the faults whose place in the RFC's order of checks lies
 * after ours (an unreadable body, several entity-tags) travel inside it. Each rejection names its status and clause.
 */
import type {
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
import type { SharingTagRole, Status, TakenOver } from "./events.ts"
import type { Farewell } from "./farewell.ts"

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

/** PUBLISH (RFC 3903 §4). The operation follows from `ifMatch`, `expires` and `body` together. */
export interface Publish {
  readonly _tag: "Publish"
  /** Null when the request has no Event header. */
  readonly packageName: PackageName | null
  /** Every SIP-If-Match value; more than one is a fault that is judged in its turn. */
  readonly ifMatch: readonly string[]
  /** Null when the request has no Expires header. */
  readonly expires: Seconds | null
  readonly body: Body | null
  /** Why the body cannot be read (encoding, not text), to be answered when the body's turn comes. */
  readonly bodyFault: Rejection | null
  /** Those headers that the package carries, one for each line; absent: none. */
  readonly headers?: readonly Header[]
  /** The Contact URI of the device that caused the change: it is not notified of it. */
  readonly sender: string | null
}

/** SUBSCRIBE outside a dialog (RFC 3265 §3.1). */
export interface Subscribe {
  readonly _tag: "Subscribe"
  readonly packageName: PackageName | null
  /** The Event header's `id`. */
  readonly eventId: string | null
  readonly watcher: Uri
  /** Other addresses of the same watcher, as vouched for; what one of them owns is its own. Absent: none is known. */
  readonly also?: readonly Uri[]
  readonly expires: Seconds | null
  /** Media ranges of the Accept header in lower case without parameters; null when there is none. */
  readonly accept: readonly string[] | null
  readonly dialog: DialogStart
  /** Suppress-If-Match: the document the watcher has, or `*` (RFC 5839 §5); absent: unconditional. */
  readonly suppressIfMatch?: string
  /** RFC 6446; absent: no wish. */
  readonly rates?: Rates
  /** What it says in the header that is its package's argument; absent: nothing. */
  readonly argument?: string
  /** `handle_subscribe(, tag)`: which server looks after it; absent: this one. */
  readonly sharingTag?: string
  /** It asks not to be named to others (RFC 3323 §4.2, RFC 3325 §7); absent: it may be. */
  readonly private?: true
  /** `handle_subscribe(1)`: active without asking the rules. */
  readonly forceActive: boolean
  /** Why a body in the SUBSCRIBE is refused, in its turn (415). */
  readonly bodyFault: Rejection | null
}

/** SUBSCRIBE inside a dialog: refresh, unsubscribe, or a further subscription in it (RFC 3265 §3.1.4.2). */
export interface Resubscribe {
  readonly _tag: "Resubscribe"
  readonly dialog: DialogKey
  readonly packageName: PackageName | null
  readonly eventId: string | null
  readonly watcher: Uri
  /** Other addresses of the same watcher, as vouched for; what one of them owns is its own. Absent: none is known. */
  readonly also?: readonly Uri[]
  readonly expires: Seconds | null
  readonly accept: readonly string[] | null
  readonly cseq: number
  /** The URI in the Contact, which replaces the remote target; null when there is no Contact. */
  readonly remoteTarget: string | null
  /** As in `DialogStart`, of the URI in the Contact; without a Contact what the request may add. Absent: it is proven. */
  readonly room?: number
  readonly suppressIfMatch?: string
  readonly rates?: Rates
  readonly argument?: string
  /** It asks not to be named to others, or to be named again; absent: it says nothing of that, and all stays as it is. */
  readonly private?: boolean
  /**
   * The host of the trusted peer that passed it on without saying whose it is. A dialog that came from there, or was taken
   * over from another server, is then its watcher's; in any other, `watcher` asks. Absent: `watcher` asks.
   */
  readonly through?: string
  readonly forceActive: boolean
  readonly bodyFault: Rejection | null
}

/** A new authorization document for one package of the presentity, or none (RFC 5025; OpenSIPS `refreshWatchers` 0). */
export interface ReplaceRules {
  readonly _tag: "ReplaceRules"
  readonly packageName: PackageName
  readonly rules: Body | null
}

/**
 * The operator wants watchers looked at again (OpenSIPS `refreshWatchers`): what the rules say of them now, or, with
 * `state`, every active one told the present state once more.
 */
export interface RefreshWatchers {
  readonly _tag: "RefreshWatchers"
  readonly packageName: PackageName
  readonly kind: "rules" | "state"
}

/** Settings may be others than those that this state was decided with: who may watch is looked at again. */
export interface ApplyPolicies {
  readonly _tag: "ApplyPolicies"
}

/** The operator decides on one watcher of a package, before hook and rules; null: it takes that back. */
export interface DecideWatcher {
  readonly _tag: "DecideWatcher"
  readonly packageName: PackageName
  readonly watcher: Uri
  readonly handling: SubHandling | null
}

/** To the stream of tags: what a tag is on this server from now on. */
export interface SetSharingTag {
  readonly _tag: "SetSharingTag"
  readonly tag: string
  readonly role: SharingTagRole
}

/** To each presentity that has subscriptions with that tag. */
export interface SwitchSharingTag {
  readonly _tag: "SwitchSharingTag"
  readonly tag: string
  readonly role: SharingTagRole
  readonly epoch: number
}

/**
 * What the presentity shows of one package when nobody publishes: a publication without expiry, older than all others; or
 * none (RFC 4827).
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

/** All that lives of a person ends, and no verdict on it is left. */
export interface Erase {
  readonly _tag: "Erase"
  readonly person: Uri
  /** No server is there to tell anybody. */
  readonly silent: boolean
}

/** A live publication of another server goes on here, under the entity-tag its publisher knows. */
export interface AdoptPublication {
  readonly _tag: "AdoptPublication"
  readonly packageName: PackageName
  readonly entityTag: EntityTag
  readonly expiresAt: Millis
  readonly receivedAt: Millis
  readonly body: Body | null
  /** Those that the package does not carry do not count; absent: none. */
  readonly headers?: readonly Header[]
  readonly sender: string | null
}

/** A live subscription of another server goes on here, in the dialog its watcher knows. */
export interface AdoptSubscription {
  readonly _tag: "AdoptSubscription"
  readonly packageName: PackageName
  readonly eventId: string | null
  readonly watcher: Uri
  /** As the other server decided; rules that are in force here overrule it. */
  readonly status: Status
  readonly polite: boolean
  /** With the operator's grace of this server included. */
  readonly expiresAt: Millis
  readonly dialog: DialogStart
  readonly takenOver: TakenOver
}

/** A watcher that waits for a decision at another server, without a subscription, waits here. */
export interface AdoptWatcher {
  readonly _tag: "AdoptWatcher"
  readonly packageName: PackageName
  readonly watcher: Uri
  readonly createdAt: Millis
}

/** Time as a command: whatever is overdue at `now` is to be decided. */
export interface FallDue {
  readonly _tag: "FallDue"
}

/** How one NOTIFY ended. */
export interface ReportDelivery {
  readonly _tag: "ReportDelivery"
  readonly no: SubscriptionNo
  readonly cseq: number
  readonly outcome: DeliveryOutcome
}

/** NOTIFYs that were answered 2xx, with the instant of the answer: to be written down, nothing else having been. */
export interface RecordDeliveries {
  readonly _tag: "RecordDeliveries"
  readonly accepted: readonly Accepted[]
}

export interface Accepted {
  readonly no: SubscriptionNo
  readonly cseq: number
  readonly at: Millis
}

/** After a restart: repeat, as new full-state NOTIFYs, what was issued at or after `since` and may not have arrived. */
export interface Redeliver {
  readonly _tag: "Redeliver"
  readonly since: number
  /** Of these only, whenever it was issued; absent: of all. */
  readonly only?: readonly SubscriptionNo[]
}

/** After a restart: the last NOTIFYs of subscriptions that had ended may not have arrived. */
export interface RepeatFarewells {
  readonly _tag: "RepeatFarewells"
  readonly farewells: readonly Farewell[]
}

/**
 * Watchers within the program that the core is part of are gone: the program has ended. Nobody is there to be told.
 */
export interface Abandon {
  readonly _tag: "Abandon"
  /** These only; absent: all of them. */
  readonly only?: readonly SubscriptionNo[]
}

/** The clock was set back since the newest decision: times that it gave while it stood ahead are to follow it. */
export interface FollowClock {
  readonly _tag: "FollowClock"
  /** What it said last before that, as far as anybody knows. */
  readonly from: Millis
}

export type DeliveryOutcome =
  /** 2xx; `remoteTarget` is the URI of its Contact, when it has one (RFC 3261 §12.2.1.2). */
  | {
      readonly _tag: "Accepted"
      readonly remoteTarget: string | null
      /** Where the next hop is a name: where it led, `udp:192.0.2.20:5060`; absent: it is none, or that is known already. */
      readonly address?: string
    }
  /**
   * It was not sent: it would have gone where nothing is proven. With `room`: it was sent there with its document, was not
   * answered for 16·T1, and cannot be sent again; one that shows nothing can.
   */
  | { readonly _tag: "Unproven"; readonly room?: 0 }
  /** A final response that is not 2xx; `retryAfter` in seconds. */
  | { readonly _tag: "Refused"; readonly status: number; readonly retryAfter: Seconds | null }
  /** No final response in 64·T1. */
  | { readonly _tag: "TimedOut" }
  /** It could not be sent at all. */
  | { readonly _tag: "Unreachable" }

export type Reply =
  /** 200 to PUBLISH: SIP-ETag and Expires (RFC 3903 §6 step 6). */
  | { readonly _tag: "Published"; readonly entityTag: EntityTag; readonly expires: Seconds }
  /** 200 or 202 to SUBSCRIBE: Expires (RFC 3265 §3.1.1); 204: and no NOTIFY follows (RFC 5839 §6.3). */
  | { readonly _tag: "Subscribed"; readonly status: 200 | 202 | 204; readonly expires: Seconds }
  /** Nobody waits for an answer. */
  | { readonly _tag: "Done" }

export type Rejection =
  | { readonly _tag: "BadRequest"; readonly status: 400; readonly why: string }
  | { readonly _tag: "Forbidden"; readonly status: 403; readonly why: string }
  /** What it asks for is more than may be sent to where it wants it sent. */
  | { readonly _tag: "TargetUnproven"; readonly status: 403 }
  /** The Request-URI names nobody we serve (RFC 3903 §6 step 1). */
  | { readonly _tag: "NotFound"; readonly status: 404 }
  /** Accept header: the types that can be produced (RFC 3265 §3.1.6.1 with RFC 3261 §21.4.7). */
  | { readonly _tag: "NotAcceptable"; readonly status: 406; readonly accept: readonly string[] }
  /** RFC 3903 §6 step 3. */
  | { readonly _tag: "ConditionalRequestFailed"; readonly status: 412 }
  | { readonly _tag: "RequestEntityTooLarge"; readonly status: 413 }
  /** Accept header: the types a publication may have (RFC 3903 §6 step 5). */
  | { readonly _tag: "UnsupportedMediaType"; readonly status: 415; readonly accept: readonly string[] }
  /** Accept-Encoding header (RFC 3261 §8.2.3). */
  | { readonly _tag: "UnsupportedEncoding"; readonly status: 415; readonly acceptEncoding: readonly string[] }
  /** Min-Expires header (RFC 3265 §3.1.6.1, RFC 3903 §6 step 4). */
  | { readonly _tag: "IntervalTooBrief"; readonly status: 423; readonly minExpires: Seconds }
  /** RFC 3261 §21.4.18: what is asked for is taken. */
  | { readonly _tag: "TemporarilyUnavailable"; readonly status: 480; readonly why: string }
  /** RFC 3261 §12.2.2. */
  | { readonly _tag: "CallDoesNotExist"; readonly status: 481 }
  /** Allow-Events header (RFC 3265 §7.2, RFC 3903 §6 step 2). */
  | { readonly _tag: "BadEvent"; readonly status: 489; readonly allowEvents: string }
  /** A CSeq that is not above the dialog's last (RFC 3261 §12.2.2). */
  | { readonly _tag: "OutOfOrder"; readonly status: 500 }
  /** A defect of ours: this presentity decides nothing until the server is started again. */
  | { readonly _tag: "ServerInternalError"; readonly status: 500 }
  /** Retry-After header: a limit is reached or the store is away. */
  | {
      readonly _tag: "ServiceUnavailable"
      readonly status: 503
      readonly why: string
      readonly retryAfter: Seconds
    }

/** What goes back to whoever sent the command. */
export type Answer =
  | { readonly _tag: "Accepted"; readonly reply: Reply }
  | { readonly _tag: "Rejected"; readonly rejection: Rejection }
