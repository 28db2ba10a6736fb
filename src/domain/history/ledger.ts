/**
 * What the log records about watchers: when each subscription began and how it ended, each NOTIFY and its outcome.
 *
 * Responses are recorded with a short delay; if none has been recorded after that, the outcome is unknown.
 */
import { clockOf } from "../presentity/clock.ts"
import { answersIn } from "../presentity/delivery-acks.ts"
import type {
  Event,
  NotificationFailed,
  NotificationsAccepted,
  NotificationsIssued,
  SubscriptionTerminated,
} from "../presentity/events.ts"
import type { Notify, TerminationReason } from "../presentity/intents.ts"
import type { TargetsFailed, TriedTarget } from "../presentity/target-events.ts"
import { get } from "../table.ts"
import type { Millis, PackageName, Position, SubscriptionNo, Uri, WatchWord } from "../vocabulary.ts"
import type { DecisionStep } from "./moments.ts"

/** The position of a decision in the log, and when it was made by the clock. */
export interface Place {
  readonly position: Position
  readonly version: number
  readonly at: Millis
}

export const placeOf = ({ position, decision }: DecisionStep): Place => ({
  position,
  version: decision.version,
  at: clockOf(decision),
})

/**
 * The time within which the outcome of a NOTIFY is recorded, if ever: 64·T1 (RFC 3261 §17.1.2.2) and the delay of
 * recording.
 */
export const unansweredMillis = 50_000

/** One NOTIFY, with its exact content. */
export interface Sent {
  readonly place: Place
  readonly watcher: Uri
  /** `end`: it reported the end of the subscription. */
  readonly cause: NotificationsIssued["cause"] | "end"
  readonly notify: Notify
  /** When the 2xx arrived; null: none is on record. */
  readonly answeredAt: Millis | null
  readonly failed: { readonly place: Place; readonly how: NotificationFailed } | null
  /** The places of its next hop that failed before another one was tried. Absent: none did. */
  readonly tried?: readonly TriedTarget[]
  /** The decision that repeated it, because it was unknown whether it had arrived. */
  readonly repeated: Place | null
}

/** `unknown`: nothing is on record and nothing will be, because a crash came before it was recorded. */
export type Delivery = "answered" | "failed" | "unknown" | "under way"

/** When the log was read, and what the reader knows besides the log. */
export interface Knowledge {
  readonly asOf: Millis
  /** The state of a NOTIFY whose outcome is not recorded yet; null: unknown. */
  readonly delivery: (presentity: Uri, id: SubscriptionNo, cseq: number) => "under way" | "answered" | null
}

export const deliveryOf = (
  { place, notify, failed, answeredAt }: Sent,
  { asOf, delivery }: Knowledge,
): Delivery => {
  if (failed !== null) return "failed"
  if (answeredAt !== null) return "answered"
  const known = delivery(notify.presentity, notify.no, notify.cseq)
  return known ?? (asOf - place.at < unansweredMillis ? "under way" : "unknown")
}

/** Why a subscription ended. */
export interface Ending {
  readonly place: Place
  readonly reason: TerminationReason
  /**
   * `rules`: the watcher may no longer watch; `undecided`: nobody decided in time; `fetch`: the request was a fetch;
   * `failure`: a NOTIFY was not accepted.
   */
  readonly because:
    | "expired"
    | "unsubscribed"
    | "fetch"
    | "failure"
    | "rules"
    | "operator"
    | "erased"
    | "program"
    | "undecided"
  /** The command that was decided. */
  readonly cause: string
  /** Null unless a failed NOTIFY ended it, and in logs that do not record which one. */
  readonly failure: NotificationFailed | null
  /** The policy of its package that ended it. Absent: none did, or the log is older than policies. */
  readonly by?: { readonly policy: WatchWord; readonly packageName: PackageName }
}

/** One subscription, as far as the log was read. */
export interface Life {
  readonly no: SubscriptionNo
  readonly watcher: Uri
  readonly packageName: PackageName
  readonly createdAt: Millis
  /** Null: before the part that was read. */
  readonly began: Place | null
  /** The sender of the SUBSCRIBE: transport, source, Call-ID and CSeq. */
  readonly origin: string
  readonly ended: Ending | null
  readonly sent: readonly Sent[]
}

type Open = { -readonly [Key in keyof Life]: Key extends "sent" ? Writable<Sent>[] : Life[Key] }
type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

export interface Ledger {
  readonly take: (moment: DecisionStep) => void
  /** Keeps a subscription that is live around this decision, even if nothing happens to it. */
  readonly notice: (id: SubscriptionNo, moment: DecisionStep) => void
  /** Oldest first. */
  readonly lives: () => readonly Life[]
}

/**
 * Keeps what happens to the subscriptions selected by `concerns`. O(events), and O(NOTIFYs) of the decisions that issue
 * any.
 *
 * @param sentMax how many NOTIFYs are kept for each of them, the newest ones
 */
export const makeLedger = (
  concerns: (subject: { readonly watcher: Uri; readonly packageName: PackageName }) => boolean,
  sentMax = Number.POSITIVE_INFINITY,
): Ledger => {
  const lives = new Map<SubscriptionNo, Open>()
  const others = new Set<SubscriptionNo>()

  const lifeOf = (id: SubscriptionNo, moment: DecisionStep): Open | null => {
    const known = lives.get(id)
    if (known !== undefined) return known
    if (others.has(id)) return null
    const life = beginningOf(id, moment)
    if (life === null || !concerns(life)) {
      others.add(id)
      return null
    }
    lives.set(id, life)
    return life
  }

  const answer = (event: NotificationsAccepted, moment: DecisionStep): void => {
    for (const { no: id, cseq, at } of answersIn(event, clockOf(moment.decision))) {
      const sent = lifeOf(id, moment)?.sent.findLast(({ notify }) => notify.cseq === cseq)
      if (sent !== undefined) sent.answeredAt = at
    }
  }

  return {
    notice: (id, moment) => void lifeOf(id, moment),
    take: (moment) => {
      const { decision, notifications } = moment
      for (const event of decision.events) {
        if (event._tag === "SubscriptionCreated") lifeOf(event.no, moment)
        else if (event._tag === "TargetsFailed") passOver(lifeOf(event.no, moment), event)
        else if (event._tag === "NotificationFailed") fail(lifeOf(event.no, moment), event, moment)
        else if (event._tag === "NotificationsAccepted") answer(event, moment)
        else if (event._tag === "SubscriptionTerminated") {
          const life = lifeOf(event.no, moment)
          if (life !== null) life.ended = endingOf(event, moment)
        }
      }
      if (notifications.length === 0) return
      const causes = causesIn(decision.events)
      for (const notify of notifications) {
        const life = lifeOf(notify.no, moment)
        if (life === null) continue
        const cause = notify.state === "terminated" ? "end" : (causes(notify.no) ?? "change")
        const isRepeated = cause === "end" && life.sent.at(-1)?.cause === "end"
        if (cause === "recovery" || isRepeated) repeat(life, moment)
        const { watcher } = life
        life.sent.push({
          place: placeOf(moment),
          watcher,
          cause,
          notify,
          answeredAt: null,
          failed: null,
          repeated: null,
        })
        if (life.sent.length > sentMax) life.sent.shift()
      }
    },
    // wherever reading began: a subscription may have been met before an older one that nothing happened to
    lives: () => [...lives.values()].sort((left, right) => left.no - right.no),
  }
}

/** A subscription as of the first decision that concerns it; null: the decision does not tell which one it is. */
const beginningOf = (id: SubscriptionNo, moment: DecisionStep): Open | null => {
  const existing = get(moment.before.subscriptions, id)
  const created = moment.decision.events.find(
    (event) => (event._tag === "SubscriptionCreated" || event._tag === "FarewellRepeated") && event.no === id,
  )
  const subscription =
    existing ??
    (created?._tag === "SubscriptionCreated" || created?._tag === "FarewellRepeated" ? created : undefined)
  return subscription === undefined
    ? null
    : {
        no: id,
        watcher: subscription.watcher,
        packageName: subscription.packageName,
        createdAt: existing?.createdAt ?? clockOf(moment.decision),
        began: created?._tag === "SubscriptionCreated" ? placeOf(moment) : null,
        origin: created?._tag === "SubscriptionCreated" ? moment.decision.origin : "",
        ended: null,
        sent: [],
      }
}

const passOver = (life: Open | null, { cseq, tried }: TargetsFailed): void => {
  const sent = life?.sent.findLast(({ notify }) => notify.cseq === cseq)
  if (sent !== undefined) sent.tried = tried
}

const fail = (life: Open | null, failure: NotificationFailed, moment: DecisionStep): void => {
  const sent = life?.sent.findLast(({ notify }) => notify.cseq === failure.cseq)
  if (sent !== undefined) sent.failed = { place: placeOf(moment), how: failure }
}

/** Marks the NOTIFYs that may have been under way when the server stopped. */
const repeat = (life: Open, moment: DecisionStep): void => {
  const last = life.sent.at(-1)
  if (last === undefined) return
  for (const sent of life.sent.slice(-8)) {
    if (
      sent.failed === null &&
      sent.answeredAt === null &&
      last.place.at - sent.place.at < unansweredMillis
    ) {
      sent.repeated ??= placeOf(moment)
    }
  }
}

const causesIn = (
  events: readonly Event[],
): ((id: SubscriptionNo) => NotificationsIssued["cause"] | undefined) => {
  const named = new Map<SubscriptionNo, NotificationsIssued["cause"]>()
  let all: NotificationsIssued["cause"] | undefined
  for (const event of events) {
    if (event._tag !== "NotificationsIssued") continue
    if (event.to === "active") all = event.cause
    else for (const id of event.to) named.set(id, event.cause)
  }
  return (id) => named.get(id) ?? all
}

/** @source RFC 3265 §3.2.4; the reason `timeout` may mean any of four things */
export const endingOf = (event: SubscriptionTerminated, moment: DecisionStep): Ending => {
  const { cause, events } = moment.decision
  const failure = events.find((candidate) => candidate._tag === "NotificationFailed") ?? null
  const { reason, policy } = event
  return {
    place: placeOf(moment),
    reason,
    because: becauseOf(event, cause),
    cause,
    failure,
    ...(policy === undefined ? {} : { by: { policy, packageName: packageOf(event.no, moment) } }),
  }
}

/** The package of a subscription that ended in that decision. */
const packageOf = (id: SubscriptionNo, { before, decision }: DecisionStep): PackageName => {
  const known = get(before.subscriptions, id)?.packageName
  if (known !== undefined) return known
  const created = decision.events.find((event) => event._tag === "SubscriptionCreated" && event.no === id)
  return created?._tag === "SubscriptionCreated" ? created.packageName : ""
}

const becauseOf = ({ reason }: SubscriptionTerminated, cause: string): Ending["because"] => {
  switch (reason) {
    case "rejected":
      return "rules"
    case "giveup":
      return "undecided"
    case "deactivated":
    case "probation":
    case "noresource":
      return cause === "Erase" ? "erased" : cause === "Abandon" ? "program" : "operator"
    case "timeout":
      if (cause === "ReportDelivery") return "failure"
      if (cause === "Subscribe") return "fetch"
      return cause === "Resubscribe" ? "unsubscribed" : "expired"
  }
}
