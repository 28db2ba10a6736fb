/**
 * Every fact that can be stored about one presentity.
 *
 * This is the storage contract: plain JSON, in the past tense, with only what was decided and nothing that can be
 * computed from it. Renaming or removing anything is a migration (`encoding/event-codec.ts`); adding is not.
 * The facts about publications, retention, sharing tags and the targets of NOTIFYs stand in files of their own
 * (`publication-events.ts`, `retention-events.ts`, `sharing-tag-events.ts`, `target-events.ts`).
 */
import type {
  Body,
  DialogNo,
  DialogStart,
  Millis,
  PackageName,
  Rates,
  SubHandling,
  SubscriptionNo,
  Uri,
  WatchWord,
} from "../vocabulary.ts"
import type { About } from "./about.ts"
import type { TerminationReason } from "./intents.ts"
import type {
  PublicationCreated,
  PublicationModified,
  PublicationRefreshed,
  PublicationRemoved,
} from "./publication-events.ts"
import type { DocumentsDropped, LogDropped, PersonErased } from "./retention-events.ts"
import type { SharingTagSet, SharingTagSwitched } from "./sharing-tag-events.ts"
import type {
  ArrivalChange,
  FailedAs,
  RemoteTargetChanged,
  TargetDoubted,
  TargetProven,
  TargetsFailed,
} from "./target-events.ts"

/** A fact about a presentity, kept in the log for ever. */
export type Event =
  | PublicationCreated
  | PublicationModified
  | PublicationRefreshed
  | PublicationRemoved
  | HardStateReplaced
  | SubscriptionCreated
  | SubscriptionRefreshed
  | SubscriptionStatusChanged
  | SubscriptionTerminated
  | WatcherRemembered
  | WaitingEnded
  | RulesReplaced
  | RulesReviewed
  | WatcherDecided
  | SharingTagSet
  | SharingTagSwitched
  | LogDropped
  | DocumentsDropped
  | PersonErased
  | RemoteTargetChanged
  | TargetDoubted
  | TargetProven
  | TargetsFailed
  | NotificationsIssued
  | NotificationsDeferred
  | NotificationFailed
  | NotificationsAccepted
  | ClockSetBack
  | FarewellRepeated

/** What the presentity shows while nothing more recent is published (RFC 4827); null: no hard state. */
export interface HardStateReplaced {
  readonly _tag: "HardStateReplaced"
  readonly packageName: PackageName
  readonly body: Body | null
}

export interface SubscriptionCreated {
  readonly _tag: "SubscriptionCreated"
  readonly no: SubscriptionNo
  readonly packageName: PackageName
  readonly eventId: string | null
  readonly watcher: Uri
  readonly status: Status
  /** Polite blocking: the subscription is active on the wire, but the presentity appears absent (RFC 5025 §3.2.1). */
  readonly polite: boolean
  /** Ordinals in the document of the rules that match this watcher (`0,3`); null: the rules were not consulted. */
  readonly matched: string | null
  /** The operator admits it whatever the rules say (`force_active`). Absent: no. */
  readonly forced?: true
  /**
   * The policy that admitted it or leaves it pending. Absent: no policy was asked, or the log is older than policies.
   */
  readonly policy?: WatchWord
  /** Pending because no rules were in force and their source had not been read. Absent: not for this reason. */
  readonly unread?: true
  /** The rates granted to the watcher (RFC 6446). Absent: the package's. */
  readonly rates?: Rates
  /**
   * The watcher wants no documents until it subscribes again (`Suppress-If-Match: *`, RFC 5839 §5.2). Absent: it does.
   */
  readonly dormant?: true
  /**
   * The value in the SUBSCRIBE of the header that is the package's argument (`line-seize`: Call-Info). Absent: none.
   */
  readonly argument?: string
  /**
   * What the phone needs, by names that its package knows, separated by spaces: chosen by its User-Agent when it
   * subscribed (`idle_dialog`, `phone_profiles`), or by its Accept. Absent: the usual form.
   */
  readonly needs?: string
  /** The name of the phone profile that was chosen by its User-Agent. Absent: none was. */
  readonly phone?: string
  /** The registrar made it for a phone that has not subscribed. Absent: the watcher did. */
  readonly unsolicited?: true
  /** The watcher accepts only the media types in these ranges (RFC 3856 §6.7). Absent: all that the package sends. */
  readonly accept?: readonly string[]
  /** The sharing tag that determines which server is responsible for it. Absent: this server is. */
  readonly sharingTag?: string
  /** Its sharing tag is not active on this server. Absent: it is. */
  readonly parked?: true
  /** The identity of the watcher is withheld from others (RFC 3325 §7). Absent: it may be shown. */
  readonly private?: true
  /**
   * When a pending subscription is given up if nobody decides on it; null: it is not pending, or waits without limit.
   */
  readonly giveUpAt: Millis | null
  /** When it expires unless refreshed, including the operator's grace period (`expires_offset`). */
  readonly expiresAt: Millis
  readonly dialog: DialogNo
  /** The dialog, if this subscription creates it; null: the subscription joins the existing `dialog`. */
  readonly start: DialogStart | null
  /** CSeq of the SUBSCRIBE. */
  readonly remoteCseq: number
  /** What the server from which it was taken over had already done for it. Absent: it was created on this server. */
  readonly takenOver?: TakenOver
}

/** How far another server had progressed with a subscription: numbering must continue and not start again. */
export interface TakenOver {
  /** CSeq of the last NOTIFY in the dialog; 0: none was sent. */
  readonly localCseq: number
  /** The number of documents already sent to the watcher, which is the version of the next one. */
  readonly notified: number
  /** When the watcher subscribed. */
  readonly createdAt: Millis
}

export interface SubscriptionRefreshed {
  readonly _tag: "SubscriptionRefreshed"
  readonly no: SubscriptionNo
  readonly expiresAt: Millis
  readonly remoteCseq: number
  /** The new remote target; null: unchanged. */
  readonly remoteTarget: string | null
  /**
   * From now on NOTIFYs go to an unproven target (`DialogStart.room`), to which this many octets may be sent; null: to
   * a proven one. Absent: unchanged.
   */
  readonly room?: number | null
  /** The new rates (RFC 6446), null: the package's. Absent: unchanged. */
  readonly rates?: Rates | null
  /** Becomes suspended, or is resumed (RFC 5839). Absent: unchanged. */
  readonly dormant?: boolean
  /** The new argument. Absent: unchanged. */
  readonly argument?: string
  /** What its phone needs from now on, because its Accept is another one; null: nothing. Absent: unchanged. */
  readonly needs?: string | null
  /** The new media types, null: all. Absent: unchanged. */
  readonly accept?: readonly string[] | null
  /** Whether the identity of the watcher is withheld from others from now on. Absent: unchanged. */
  readonly private?: boolean
  /** It arrived by another way than the one before. Absent: by the same. */
  readonly arrival?: ArrivalChange
}

/** A watcher is treated differently from now on (RFC 3857 §4.7.1, RFC 5025 §3.2.1). */
export interface SubscriptionStatusChanged {
  readonly _tag: "SubscriptionStatusChanged"
  readonly no: SubscriptionNo
  readonly status: Status
  readonly polite: boolean
  readonly matched: string | null
  readonly forced?: true
  /** The policy that decided. Absent: no policy was asked, or the log is older than policies. */
  readonly policy?: WatchWord
  /** As in `SubscriptionCreated`. */
  readonly unread?: true
  readonly giveUpAt: Millis | null
}

export interface SubscriptionTerminated {
  readonly _tag: "SubscriptionTerminated"
  readonly no: SubscriptionNo
  readonly reason: TerminationReason
  /**
   * The final NOTIFY goes without its document, which exceeds what may be sent to its target (`DialogStart.room`).
   * Absent: no.
   */
  readonly withheld?: true
  /** No NOTIFY is sent: the watcher has indicated that the dialog is gone, or does not respond. */
  readonly silent: boolean
  /** Until when the watcher is remembered as waiting (RFC 3857 §4.7.1); null: it is not. */
  readonly waitsUntil: Millis | null
  /**
   * For `rejected`: the policy that ended it, or the list of members of the line. Absent: no policy was asked, or the
   * log is older than policies.
   */
  readonly policy?: WatchWord
}

/** An undecided watcher that was waiting at another server waits here from now on (RFC 3857 §4.7.1). */
export interface WatcherRemembered {
  readonly _tag: "WatcherRemembered"
  readonly no: SubscriptionNo
  readonly packageName: PackageName
  readonly watcher: Uri
  readonly createdAt: Millis
  readonly giveUpAt: Millis
}

/** A waiting watcher is no longer remembered: somebody decided on it, or nobody did in time. */
export interface WaitingEnded {
  readonly _tag: "WaitingEnded"
  readonly no: SubscriptionNo
  readonly event: "approved" | "rejected" | "giveup" | "noresource"
}

/** A new authorization document for a package is in force; null: none is any more. */
export interface RulesReplaced {
  readonly _tag: "RulesReplaced"
  readonly packageName: PackageName
  readonly rules: Body | null
  /** When the rules will next give a different answer because of time alone (RFC 4745 §7.4); null: never. */
  readonly boundaryAt: Millis | null
}

/** Time has changed the answer of the rules, or may have; the consequences for watchers are in the same decision. */
export interface RulesReviewed {
  readonly _tag: "RulesReviewed"
  readonly packageName: PackageName
  readonly boundaryAt: Millis | null
}

/** The operator's decision on a watcher, which overrides hook and rules until it is withdrawn; null: withdrawn. */
export interface WatcherDecided {
  readonly _tag: "WatcherDecided"
  readonly packageName: PackageName
  readonly watcher: Uri
  readonly handling: SubHandling | null
}

/** NOTIFYs were issued; each of these subscriptions takes the next CSeq of its dialog. */
export interface NotificationsIssued {
  readonly _tag: "NotificationsIssued"
  readonly packageName: PackageName
  /** `active`: every active subscription to the package except those in `except`. */
  readonly to: "active" | readonly SubscriptionNo[]
  readonly except: readonly SubscriptionNo[]
  /** Subscriptions that are not notified because their own device made the change; they count as having seen it. */
  readonly suppressed: readonly SubscriptionNo[]
  /** Digest of the view shown (`view.ts`), the same for all of them. */
  readonly shown: string
  /**
   * `subscribe`: in response to a SUBSCRIBE; `rules`: the watcher is treated differently; neither counts for pacing.
   * `proof`: the target was unproven and has now answered; does not count for pacing either. `refresh`: the operator
   * wants all watchers notified again; `rate`: the watcher's minimum rate (RFC 6446 §6); `recovery`: repeats what a
   * crash may have lost.
   */
  readonly cause: "subscribe" | "change" | "rules" | "refresh" | "rate" | "recovery" | "proof" | "credentials"
  /** The watcher already has this document, and the NOTIFY only confirms it (RFC 5839 §6.2). Absent: no. */
  readonly bodiless?: true
  /**
   * The document exceeds what may be sent to the target (`DialogStart.room`). The NOTIFY carries what the package shows
   * when nothing is published, and the document follows after its 2xx. Absent: no.
   */
  readonly withheld?: true
}

/** Change-driven NOTIFYs are deferred until `until`; null: they are no longer deferred (RFC 3856 §6.10). */
export interface NotificationsDeferred {
  readonly _tag: "NotificationsDeferred"
  readonly to: readonly SubscriptionNo[]
  readonly until: Millis | null
  /** The last NOTIFY did not arrive: the next one is due whatever the view is. */
  readonly undelivered: boolean
}

/**
 * A NOTIFY was not answered 2xx; the consequences follow in the same decision.
 *
 * @source RFC 3265 §3.2.2
 */
export interface NotificationFailed {
  readonly _tag: "NotificationFailed"
  readonly no: SubscriptionNo
  readonly cseq: number
  /**
   * `unproven`: it was not sent, because its target is unproven. `unrepeated`: it was sent to an unproven target with
   * its document, had no response for 16·T1, and was too large to be sent again. `flow-lost`: the connection by which
   * the watcher last spoke is gone, which does not count against its subscription. `too-large`: it does not fit into a
   * datagram and its target takes no connection, which does not count against it either.
   */
  readonly outcome: FailedAs
  /** The status of the final response. Absent: there was none. */
  readonly status?: number
}

/**
 * NOTIFYs were answered 2xx. Nothing follows from that, so the fact is stored with the next decision on the presentity,
 * or after a while without one; a crash before that loses it.
 */
export interface NotificationsAccepted {
  readonly _tag: "NotificationsAccepted"
  /** Three numbers for each: subscription, CSeq, and the milliseconds from the response to this decision. */
  readonly of: readonly number[]
}

/**
 * The clock reads an earlier instant than `at`, the decision's place in the chronology of its stream, because it stood
 * ahead and was set back. Always the first event of its decision; the other events count by the clock.
 */
export interface ClockSetBack {
  readonly _tag: "ClockSetBack"
  /** How long before `at` the clock reads, in milliseconds. */
  readonly by: Millis
  /**
   * By how much the clock was set back since the newest decision of the stream; instants that it gave while it stood
   * ahead are moved back by as much. Absent: it was not set back.
   */
  readonly moved?: Millis
  /** With `moved`: the longest lifetime that can be granted, and the longest wait of an undecided watcher. */
  readonly grantedFor?: Millis
  readonly waitsFor?: Millis
}

/**
 * The final NOTIFY of an ended subscription is repeated as a new request, because the server that sent it, or was about
 * to, went down before it was known to have arrived. The subscription is as it was when it ended; the document shows
 * the present state.
 *
 * @source RFC 3261 §12.2.1.1: a new request in a dialog takes the next CSeq
 */
export interface FarewellRepeated {
  readonly _tag: "FarewellRepeated"
  readonly no: SubscriptionNo
  readonly cseq: number
  readonly packageName: PackageName
  readonly eventId: string | null
  readonly watcher: Uri
  readonly status: Status
  readonly polite: boolean
  readonly matched: string | null
  readonly accept?: readonly string[]
  /** The number of documents it had been sent. */
  readonly notified: number
  readonly reason: TerminationReason
  /** Its dialog, with the remote target of that time. */
  readonly start: DialogStart
  /** The target is unproven. Absent: it is proven. */
  readonly unproven?: true
  /**
   * The present rules might not show the document, or it exceeds what may be sent there. Absent: the document is
   * included.
   */
  readonly bodiless?: true
}

/** The stored states of a subscription, in the spelling of RFC 3857. */
export type Status = "active" | "pending"

/** One row of the log: one decision with all its events, atomic on disk as in memory. */
export interface Decision {
  readonly stream: Uri
  /** The number of decisions in this stream, including this one. */
  readonly version: number
  /**
   * Its place in the chronology of the stream, never before the previous decision; `clockOf` gives the clock's reading.
   */
  readonly at: Millis
  /** The tag of the command. */
  readonly cause: string
  /** Who sent the command: transport, source, Call-ID and CSeq. Empty for decisions of the server itself. */
  readonly origin: string
  /** Random for each decision: distinguishes our row from another writer's when the outcome of an append is unknown. */
  readonly nonce: string
  readonly events: readonly Event[]
  /** What else is known of the request; absent: nothing. */
  readonly about?: About
}
