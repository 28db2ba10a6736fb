/**
 * The facts about where the NOTIFYs of a dialog are sent, and what is known of that target (`targets.ts`). They are part
 * of the storage contract in `events.ts`.
 */
import type { DialogNo, Reach, SubscriptionNo } from "../vocabulary.ts"

/** What differs in where the newest SUBSCRIBE of a dialog arrived (`Arrival`); a field is absent if it is as before. */
export interface ArrivalChange {
  readonly localContact?: string
  readonly flow?: string
  readonly source?: string
  /** Null: NOTIFYs follow RFC 3261 §12.2.1.1 again. */
  readonly reach?: Reach | null
}

/** A Contact in a 2xx to NOTIFY replaced the remote target (RFC 3261 §12.2.1.2). */
export interface RemoteTargetChanged {
  readonly _tag: "RemoteTargetChanged"
  readonly dialog: DialogNo
  readonly remoteTarget: string
  /** As in `SubscriptionRefreshed`. Absent: unchanged. */
  readonly room?: number | null
  /** As in `SubscriptionRefreshed`. Absent: unchanged. */
  readonly arrival?: ArrivalChange
}

/**
 * The target of NOTIFYs is no longer proven: the proven connection is gone, a name resolves to a different address, or
 * NOTIFYs go elsewhere.
 * `room` is the number of octets of a document that may be sent there.
 */
export interface TargetDoubted {
  readonly _tag: "TargetDoubted"
  readonly dialog: DialogNo
  readonly room: number
  /** NOTIFYs go to the source of the newest SUBSCRIBE from now on, since the Contact never answered. Absent: they do not. */
  readonly reach?: "silence"
}

/** The next hop is a name, and a NOTIFY was answered 2xx from this address: `udp:192.0.2.20:5060`. */
export interface TargetProven {
  readonly _tag: "TargetProven"
  readonly dialog: DialogNo
  readonly address: string
}

/** How a NOTIFY failed (`NotificationFailed`). */
export type FailedAs =
  | "refused"
  | "timed-out"
  | "unreachable"
  | "unproven"
  | "unrepeated"
  | "flow-lost"
  | "too-large"

/** A place to which a NOTIFY was sent, or was to be sent, and which did not take it. */
export interface TriedTarget {
  /** `tcp:192.0.2.20:5060` */
  readonly address: string
  readonly outcome: "refused" | "timed-out" | "unreachable"
  /** The status of the final response. Absent: there was none. */
  readonly status?: number
}

/**
 * The next hop of a NOTIFY leads to several places, and these failed before another one was tried, in this order. How
 * the NOTIFY ended is said as for any other: by `NotificationFailed` in the same decision, or as answered.
 *
 * @source RFC 3263 §4.3
 */
export interface TargetsFailed {
  readonly _tag: "TargetsFailed"
  readonly no: SubscriptionNo
  readonly cseq: number
  readonly tried: readonly TriedTarget[]
}
