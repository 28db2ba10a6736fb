/**
 * Every fact that can be stored about one presentity.
 *
 * This is the storage contract: plain JSON, past tense, only what was decided and nothing that can be computed from
 * it. Renaming or removing anything here is a migration (`encoding/event-codec.ts`); adding is not.
 */
import type {
  Body,
  DialogNo,
  DialogStart,
  EntityTag,
  Header,
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

/** A fact about a presentity, as the log keeps it for ever. */
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
  | NotificationsIssued
  | NotificationsDeferred
  | NotificationFailed
  | NotificationsAccepted
  | ClockSetBack
  | FarewellRepeated

export interface PublicationCreated {
  readonly _tag: "PublicationCreated"
  readonly packageName: PackageName
  readonly entityTag: EntityTag
  readonly expiresAt: Millis
  /** Null for packages whose state is in headers. */
  readonly body: Body | null
  /** Headers of the PUBLISH that belong to the publication; absent: none. */
  readonly headers?: readonly Header[]
  /** The SHA-256 of headers that retention has dropped; absent: it has not. */
  readonly droppedHeaders?: string
  readonly sender: string | null
  /** When another server received it, from which it was taken over; absent: at the decision. */
  readonly receivedAt?: Millis
}

export interface PublicationModified {
  readonly _tag: "PublicationModified"
  readonly packageName: PackageName
  readonly entityTag: EntityTag
  readonly supersedes: EntityTag
  readonly expiresAt: Millis
  /** Null for packages whose state is in headers. */
  readonly body: Body | null
  /** Headers of the PUBLISH that belong to the publication; absent: none. */
  readonly headers?: readonly Header[]
  /** The SHA-256 of headers that retention has dropped; absent: it has not. */
  readonly droppedHeaders?: string
  readonly sender: string | null
}

export interface PublicationRefreshed {
  readonly _tag: "PublicationRefreshed"
  readonly packageName: PackageName
  readonly entityTag: EntityTag
  readonly supersedes: EntityTag
  readonly expiresAt: Millis
}

export interface PublicationRemoved {
  readonly _tag: "PublicationRemoved"
  readonly packageName: PackageName
  readonly entityTag: EntityTag
  readonly cause: "requested" | "expired"
  /** The device that removed it, by its Contact URI; absent: it did not say, or nobody did. */
  readonly sender?: string
}

/** What the presentity shows when nothing more recent is published (RFC 4827); null: nothing of its own. */
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
  /** Polite block: active on the wire, shown as absent (RFC 5025 §3.2.1). */
  readonly polite: boolean
  /** The rules that match this watcher, as ordinals in their document (`0,3`); null when rules were not asked. */
  readonly matched: string | null
  /** The operator admits it whatever the rules say (`force_active`); absent: no. */
  readonly forced?: true
  /** The policy that let it in, or leaves it pending; absent: none was asked, or the log is older than policies. */
  readonly policy?: WatchWord
  /** Pending because the source of rules had not been read, and none were in force; absent: it is not. */
  readonly unread?: true
  /** The pace the watcher was granted (RFC 6446); absent: the package's. */
  readonly rates?: Rates
  /** The watcher wants no documents until it subscribes again (`Suppress-If-Match: *`, RFC 5839 §5.2); absent: it does. */
  readonly dormant?: true
  /** What the SUBSCRIBE said in the header that is its package's argument (`line-seize`: Call-Info); absent: nothing. */
  readonly argument?: string
  /** Of the media types that its package sends it takes those of these ranges only (RFC 3856 §6.7); absent: all. */
  readonly accept?: readonly string[]
  /** The tag that says which server looks after it; absent: none, this one does. */
  readonly sharingTag?: string
  /** Its tag is not active here; absent: it is. */
  readonly parked?: true
  /** The watcher is not to be named to others (RFC 3325 §7); absent: it may be. */
  readonly private?: true
  /** When nobody will have decided on a pending one; null when it is not pending, or waits without end. */
  readonly giveUpAt: Millis | null
  /** When it ends unless refreshed, with the operator's grace (`expires_offset`) included. */
  readonly expiresAt: Millis
  readonly dialog: DialogNo
  /** The dialog, when this subscription creates it; null when it joins `dialog`. */
  readonly start: DialogStart | null
  /** CSeq of the SUBSCRIBE. */
  readonly remoteCseq: number
  /** What another server has done for it, from which it was taken over; absent: it begins here. */
  readonly takenOver?: TakenOver
}

/** How far another server has come with a subscription: whoever goes on must not count from the beginning. */
export interface TakenOver {
  /** CSeq of the last NOTIFY in the dialog; 0: none was sent. */
  readonly localCseq: number
  /** Documents the watcher was sent: the version of the next one. */
  readonly notified: number
  /** When the watcher subscribed. */
  readonly createdAt: Millis
}

export interface SubscriptionRefreshed {
  readonly _tag: "SubscriptionRefreshed"
  readonly no: SubscriptionNo
  readonly expiresAt: Millis
  readonly remoteCseq: number
  /** The new remote target; null when it stays. */
  readonly remoteTarget: string | null
  /** From now on the room of where NOTIFYs go (`DialogStart.room`); null: all is proven there; absent: as before. */
  readonly room?: number | null
  /** Another pace from now on (RFC 6446), null: the package's; absent: as before. */
  readonly rates?: Rates | null
  /** Falls asleep or wakes up; absent: as before. */
  readonly dormant?: boolean
  /** Another argument from now on; absent: as before. */
  readonly argument?: string
  /** Other media types from now on, null: all; absent: as before. */
  readonly accept?: readonly string[] | null
  /** Not to be named to others from now on, or to be named again; absent: as before. */
  readonly private?: boolean
}

/** @source RFC 3857 §4.7.1; RFC 5025 §3.2.1 */
export interface SubscriptionStatusChanged {
  readonly _tag: "SubscriptionStatusChanged"
  readonly no: SubscriptionNo
  readonly status: Status
  readonly polite: boolean
  readonly matched: string | null
  readonly forced?: true
  /** The policy that decided; absent: none was asked, or the log is older than policies. */
  readonly policy?: WatchWord
  /** As in `SubscriptionCreated`. */
  readonly unread?: true
  readonly giveUpAt: Millis | null
}

export interface SubscriptionTerminated {
  readonly _tag: "SubscriptionTerminated"
  readonly no: SubscriptionNo
  readonly reason: TerminationReason
  /** The last NOTIFY goes without a document that is more than may be sent to where it goes (`DialogStart.room`); absent: no. */
  readonly withheld?: true
  /** No NOTIFY tells the watcher: it has said itself that the dialog is gone, or does not answer. */
  readonly silent: boolean
  /** The watcher is remembered as waiting until then (RFC 3857 §4.7.1); null: it is not. */
  readonly waitsUntil: Millis | null
  /** The policy that ended it, or the list of the line, of those that were `rejected`; absent: none was asked, or the log is older than policies. */
  readonly policy?: WatchWord
}

/** A watcher that nobody has decided on waits at another server, and from now on here (RFC 3857 §4.7.1). */
export interface WatcherRemembered {
  readonly _tag: "WatcherRemembered"
  readonly no: SubscriptionNo
  readonly packageName: PackageName
  readonly watcher: Uri
  readonly createdAt: Millis
  readonly giveUpAt: Millis
}

/** A watcher nobody decided on in time, or somebody did: it is remembered no more. */
export interface WaitingEnded {
  readonly _tag: "WaitingEnded"
  readonly no: SubscriptionNo
  readonly event: "approved" | "rejected" | "giveup" | "noresource"
}

/** The authorization document for a package is another one from now on; null: there is none. */
export interface RulesReplaced {
  readonly _tag: "RulesReplaced"
  readonly packageName: PackageName
  readonly rules: Body | null
  /** When time alone will next change what the rules say (RFC 4745 §7.4); null: never. */
  readonly boundaryAt: Millis | null
}

/** Time has changed what the rules say, or may have; whoever was concerned is in the same decision. */
export interface RulesReviewed {
  readonly _tag: "RulesReviewed"
  readonly packageName: PackageName
  readonly boundaryAt: Millis | null
}

/** The operator has decided on a watcher, whatever hook and rules say, until it takes that back; null: it has. */
export interface WatcherDecided {
  readonly _tag: "WatcherDecided"
  readonly packageName: PackageName
  readonly watcher: Uri
  readonly handling: SubHandling | null
}

/** Old decisions were dropped from the log; only in the stream of retention. */
export interface LogDropped {
  readonly _tag: "LogDropped"
  /** All decisions older than this. */
  readonly before: Millis
  /** The newest position among them. */
  readonly position: number
  readonly decisions: number
  /** Presentities of which nothing was left, and that are forgotten. */
  readonly forgotten: number
  /** In hex, over `droppedText` (`retention.ts`), where the log is sealed; absent: it is not. */
  readonly signature?: string
}

/** Documents of one package were dropped from older decisions, which stay; only in the stream of retention. */
export interface DocumentsDropped {
  readonly _tag: "DocumentsDropped"
  readonly packageName: PackageName
  /** Those published before this. */
  readonly before: Millis
  readonly documents: number
  /** In hex, over `droppedDocumentsText`, where the log is sealed; absent: it is not. */
  readonly signature?: string
}

/** Somebody was erased from the log: nobody can tell who any more; only in the stream of retention. */
export interface PersonErased {
  readonly _tag: "PersonErased"
  /** What the person is called in the log since then. */
  readonly standIn: Uri
}

/** In the stream of tags: what a tag is on this server from now on. */
export interface SharingTagSet {
  readonly _tag: "SharingTagSet"
  readonly tag: string
  readonly role: SharingTagRole
  /** Rises whenever the tag changes hands. */
  readonly epoch: number
}

/** The subscriptions with this tag are parked, or looked after again. */
export interface SharingTagSwitched {
  readonly _tag: "SharingTagSwitched"
  readonly tag: string
  readonly role: SharingTagRole
  readonly epoch: number
}

export type SharingTagRole = "active" | "backup"

/** A Contact in a 2xx to NOTIFY replaced the remote target (RFC 3261 §12.2.1.2). */
export interface RemoteTargetChanged {
  readonly _tag: "RemoteTargetChanged"
  readonly dialog: DialogNo
  readonly remoteTarget: string
  /** As in `SubscriptionRefreshed`; absent: as before. */
  readonly room?: number | null
}

/**
 * NOTIFYs would go where nothing is proven any more: the connection is gone that was, or a name leads somewhere else.
 * So many octets of a document may be sent there.
 */
export interface TargetDoubted {
  readonly _tag: "TargetDoubted"
  readonly dialog: DialogNo
  readonly room: number
}

/** The next hop is a name, and a NOTIFY was answered 2xx when it led to this address: `udp:192.0.2.20:5060`. */
export interface TargetProven {
  readonly _tag: "TargetProven"
  readonly dialog: DialogNo
  readonly address: string
}

/** Each subscription meant takes the next CSeq of its dialog. */
export interface NotificationsIssued {
  readonly _tag: "NotificationsIssued"
  readonly packageName: PackageName
  /** `active`: every active subscription to the package but those in `except`. */
  readonly to: "active" | readonly SubscriptionNo[]
  readonly except: readonly SubscriptionNo[]
  /** Subscriptions that are not told because their own device made the change; they count as having seen it. */
  readonly suppressed: readonly SubscriptionNo[]
  /** Digest of the view shown (`view.ts`); the same for all of them. */
  readonly shown: string
  /**
   * `subscribe`: answers a SUBSCRIBE; `rules`: the watcher is treated otherwise than before; neither counts for pacing.
   * `proof`: what waited for the answer from an address that had not answered before; does not count for pacing either.
   * `refresh`: the operator wants them told once more; `rate`: the watcher wants to hear something now and then (RFC 6446 §6); `recovery`: repeats what a crash may have lost.
   */
  readonly cause: "subscribe" | "change" | "rules" | "refresh" | "rate" | "recovery" | "proof"
  /** The watcher has this document already and is only told that it holds (RFC 5839 §6.2); absent: no. */
  readonly bodiless?: true
  /**
   * The document is more than may be sent to where it goes (`DialogStart.room`): instead of it goes what the package shows when
   * nothing is published, and the document follows when that is answered 2xx. Absent: no.
   */
  readonly withheld?: true
}

/** Change-driven NOTIFYs wait until `until`, or, when that is null, wait no longer (RFC 3856 §6.10). */
export interface NotificationsDeferred {
  readonly _tag: "NotificationsDeferred"
  readonly to: readonly SubscriptionNo[]
  readonly until: Millis | null
  /** The last NOTIFY did not arrive: whatever the view is then, it is news. */
  readonly undelivered: boolean
}

/**
 * A NOTIFY was not answered 2xx; what follows from that stands behind it in the same decision.
 *
 * @source RFC 3265 §3.2.2
 */
export interface NotificationFailed {
  readonly _tag: "NotificationFailed"
  readonly no: SubscriptionNo
  readonly cseq: number
  /**
   * `unproven`: it was not sent, since nothing is proven of where it would have gone. `unrepeated`: it was sent there with its
   * document, had no answer for 16·T1, and was too large to be sent again.
   */
  readonly outcome: "refused" | "timed-out" | "unreachable" | "unproven" | "unrepeated"
  /** Of the final response; absent: there was none. */
  readonly status?: number
}

/**
 * NOTIFYs were answered 2xx. Nothing follows from that, so it is written down with the next decision on the presentity, or
 * after a while in which there is none; what a crash comes before is not.
 */
export interface NotificationsAccepted {
  readonly _tag: "NotificationsAccepted"
  /** For each three numbers: subscription, CSeq, and how long before this decision the answer came, in milliseconds. */
  readonly of: readonly number[]
}

/**
 * By the clock it is earlier than the decision's place in the order of time, `at`: the clock stood ahead, and was set back. Always
 * the first event of its decision, whose other events count by the clock.
 */
export interface ClockSetBack {
  readonly _tag: "ClockSetBack"
  /** How long before `at` it is, in milliseconds. */
  readonly by: Millis
  /**
   * By how much the clock was set back since the stream's newest decision: times that it gave while it stood ahead are earlier by
   * as much from here on. Absent: it was not.
   */
  readonly moved?: Millis
  /** With `moved`: the longest that anything lives, the longest that an undecided watcher waits. */
  readonly grantedFor?: Millis
  readonly waitsFor?: Millis
}

/**
 * The last NOTIFY of a subscription that had ended goes once more, as a request of its own: the server that sent it, or was to,
 * went down before it was known to have arrived. The subscription is as it was when it ended; what is shown is what is true now.
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
  /** Documents it had been sent. */
  readonly notified: number
  readonly reason: TerminationReason
  /** Its dialog, with the remote target of then. */
  readonly start: DialogStart
  /** Nothing is proven of where it goes; absent: all is. */
  readonly unproven?: true
  /** The document might not be shown by the rules of now, or is more than may be sent there; absent: it goes along. */
  readonly bodiless?: true
}

/** Stored states of a subscription in RFC 3857 spelling. */
export type Status = "active" | "pending"

/** One row of the log: one decision with all its events, atomic on disk as in memory. */
export interface Decision {
  readonly stream: Uri
  /** Decisions of this stream so far, this one included. */
  readonly version: number
  /** Its place in the order of time, never before that of the stream's decision before it; what the clock said is `clockOf`. */
  readonly at: Millis
  /** The command's tag. */
  readonly cause: string
  /** Who asked: transport, source, Call-ID and CSeq; empty for what the server decided by itself. */
  readonly origin: string
  /** Random per decision: tells our own row from another writer's when an append's outcome is unknown. */
  readonly nonce: string
  readonly events: readonly Event[]
  /** What else is known of the request; absent: nothing. */
  readonly about?: About
}
