/** How a NOTIFY ends, or goes on to the next of the places that its next hop leads to. */
import type { DeliveryOutcome } from "../../domain/presentity/commands.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import type { TriedTarget } from "../../domain/presentity/target-events.ts"
import type { SipCounters } from "../../ports/sip-transport.ts"
import type { Place } from "./allowances.ts"
import type { ClientResult } from "./client-transactions.ts"
import type { PreparedDialog } from "./format-notify.ts"
import type { RawMessage } from "./message-reader.ts"
import type { NotifierParts, OutgoingNotify } from "./notify-delivery.ts"

/** The places to which a name leads, while one NOTIFY is sent to one after the other. */
export interface Way {
  readonly place: Place
  /** Those that failed before. */
  readonly tried: readonly TriedTarget[]
  /** Whether one of them may have received it. */
  readonly isSent: boolean
  /** Tries the next one with the same request in a new transaction; null: there is none. */
  readonly next: ((past: Pick<Way, "tried" | "isSent" | "kept">) => void) | null
  /**
   * How it ends if all fail: a place that asked to be tried later counts more than one that is not there. Null: as the
   * last one does.
   */
  readonly kept: DeliveryOutcome | null
  /** Whether there are other places, which have not answered yet, and which nothing keeps from being tried next. */
  readonly hasUnproven: boolean
}

/** Seconds until a NOTIFY that met a limit is tried again. */
export const retryAfterFull = 5

/** The outcome of each transaction that ended without a final response. */
export const outcomes: Readonly<Record<Exclude<ClientResult, RawMessage>, DeliveryOutcome>> = {
  timedOut: { _tag: "TimedOut" },
  failed: { _tag: "Unreachable" },
  // it carried a document and could not be resent: send the next one without
  unrepeated: { _tag: "Unproven", room: 0 },
}

/** The counter of each outcome. */
const countedAs = {
  Accepted: "notifyAccepted",
  Refused: "notifyRefused",
  TimedOut: "notifyTimedOut",
  Unreachable: "notifyUnreachable",
  FlowLost: "notifyFlowLost",
  TooLarge: "notifyTooLarge",
  Unproven: "notifyUnproven",
} as const satisfies Record<DeliveryOutcome["_tag"], keyof SipCounters>

/** Reports the outcome of a NOTIFY; called once for each. */
export const end = (
  { counters, delivered }: NotifierParts,
  notify: Notify,
  outcome: DeliveryOutcome,
): void => {
  if (outcome._tag === "Unproven" && outcome.room !== undefined) counters.notifyUnrepeated++
  else counters[countedAs[outcome._tag]]++
  delivered(notify.presentity, notify.no, notify.cseq, outcome)
}

/**
 * The place that it was sent to, or was to be sent to, has failed: the next one is tried, if its next hop leads to more
 * than one. Called once for each place.
 *
 * @param isSent whether somebody there may have received it
 *
 * @source RFC 3263 §4.3
 */
export const failedThere = (
  notifying: NotifierParts,
  { notify, way }: OutgoingNotify,
  outcome: DeliveryOutcome,
  isSent = true,
): void => {
  if (way === undefined) return end(notifying, notify, outcome)
  const { dead, counters } = notifying
  const tried = [...way.tried, triedAt(way.place, outcome)]
  const retryAfter = outcome._tag === "Refused" ? outcome.retryAfter : null
  if (outcome._tag !== "TooLarge") dead.add(way.place, retryAfter === null ? undefined : retryAfter * 1_000)
  const kept = retryAfter !== null || mild.has(outcome._tag) ? outcome : way.kept
  const past = { tried, kept, isSent: isSent || way.isSent }
  if (way.next !== null) {
    counters.notifyFailedOver++
    return way.next(past)
  }
  // where nobody has answered yet, what may be sent is bounded: another NOTIFY goes there
  const isDoubted = kept === null && way.hasUnproven
  const last = isDoubted ? (past.isSent ? outcomes.unrepeated : notSent) : (kept ?? outcome)
  end(notifying, notify, { ...last, tried })
}

const notSent: DeliveryOutcome = { _tag: "Unproven" }

/** Outcomes that are no failure of the subscription. */
const mild: ReadonlySet<DeliveryOutcome["_tag"]> = new Set(["FlowLost", "TooLarge"])

/** Like `failedThere` for what could not be sent, and never within the call that handed over the NOTIFY. */
export const failedThereSoon = (
  notifying: NotifierParts,
  outgoing: OutgoingNotify,
  outcome: DeliveryOutcome,
): void => queueMicrotask(() => failedThere(notifying, outgoing, outcome, false))

const triedAt = (address: Place, outcome: DeliveryOutcome): TriedTarget =>
  outcome._tag === "Refused"
    ? { address, outcome: "refused", status: outcome.status }
    : { address, outcome: outcome._tag === "TimedOut" ? "timed-out" : "unreachable" }

/**
 * Whether another place may take what this one did not: it is not there, it says nothing, or it says that it cannot
 * take anything now.
 */
export const isOfPlace = (result: ClientResult): boolean =>
  typeof result === "string" ? result !== "unrepeated" : result.status === 503

/** Like `end`, but never within the call that handed over the NOTIFY. */
export const endSoon = (parts: NotifierParts, notify: Notify, outcome: DeliveryOutcome): void =>
  queueMicrotask(() => end(parts, notify, outcome))

/** Ends it as deferred, as if the watcher had answered 503 with Retry-After. */
export const putOff = (parts: NotifierParts, notify: Notify, seconds = retryAfterFull): void =>
  endSoon(parts, notify, { _tag: "Refused", status: 503, retryAfter: seconds })

/**
 * What it means that nothing could be sent: where the watcher last spoke over a connection, that connection is gone,
 * and the watcher comes back by another one.
 */
export const unreachable = ({ hasFlow }: PreparedDialog): DeliveryOutcome =>
  hasFlow ? { _tag: "FlowLost" } : { _tag: "Unreachable" }
