/**
 * What is to be done outside the core once a decision is committed. `react.ts` derives it from the events.
 */
import type {
  Body,
  DialogStart,
  Header,
  PackageName,
  Proof,
  Rates,
  Seconds,
  SubscriptionNo,
  Uri,
} from "../vocabulary.ts"

export type Intent = Notify

/** One NOTIFY to be sent in a dialog (RFC 3265 §3.2). */
export interface Notify {
  readonly _tag: "Notify"
  readonly presentity: Uri
  readonly no: SubscriptionNo
  /** CSeq number of this NOTIFY, already reserved in the log. */
  readonly cseq: number
  readonly packageName: PackageName
  readonly eventId: string | null
  /** The dialog when the NOTIFY is sent: current remote target, fixed route set. */
  readonly dialog: DialogStart
  /** Subscription-State. */
  readonly state: "active" | "pending" | "terminated"
  /** `expires` parameter; null when terminated. */
  readonly expires: Seconds | null
  /** `reason` parameter; null unless terminated. */
  readonly reason: TerminationReason | null
  /** `retry-after` parameter; null unless the reason gives it meaning. */
  readonly retryAfter: Seconds | null
  readonly body: Body | null
  /** Headers that belong to the document. Absent: none. */
  readonly headers?: readonly Header[]
  /** `max-rate`, `min-rate` and `adaptive-min-rate` as granted (RFC 6446 §5.2); null: none were requested. */
  readonly rates: Rates | null
  /** SIP-ETag of the document (RFC 5839 §6.1); null: conditional notification is off. */
  readonly entityTag: string | null
  /** What is known of the target. Absent: it is proven. */
  readonly proof?: Proof
}

/** @source RFC 3265 §3.2.4 */
export type TerminationReason = "deactivated" | "probation" | "rejected" | "timeout" | "giveup" | "noresource"
