/**
 * One entry of the history: a decision, who sent its command, what led to it, and what it meant for each watcher.
 */
import type { Requester } from "../presentity/about.ts"
import type { Event } from "../presentity/events.ts"
import type { State } from "../presentity/state.ts"
import { entries, get, values } from "../table.ts"
import type { PackageName, SubscriptionNo, Uri } from "../vocabulary.ts"
import { changeIn } from "./changes.ts"
import { findingsIn } from "./findings.ts"
import type { DecisionContext, Finding } from "./findings.ts"
import { placeOf } from "./ledger.ts"
import type { Place } from "./ledger.ts"
import type { DecisionStep } from "./moments.ts"

export interface Entry extends Place {
  /** The command that was decided. */
  readonly cause: string
  /** Who sent the command: transport, source, Call-ID and CSeq. Empty for decisions of the server itself. */
  readonly origin: string
  /** Who sent it, as far as the server has found out, beyond `origin`; null: not known. A number: as in the decision of that version. */
  readonly requester: Requester | number | null
  /** A digest of Call-ID, From tag and CSeq; null: not known. */
  readonly request: string | null
  /** Identifies related decisions of several presentities: the Call-ID; null: there is none. */
  readonly correlation: string | null
  /** Versions of the decisions from which this one follows, besides its command. */
  readonly causedBy: readonly number[]
  readonly events: readonly Event[]
  readonly told: readonly {
    readonly no: SubscriptionNo
    readonly watcher: Uri
    readonly event: PackageName
    readonly cseq: number
    readonly state: "active" | "pending" | "terminated"
    /** Ordinals of the rules that match the watcher; null: the rules were not consulted. */
    readonly matched: string | null
  }[]
  /** The watchers that were not notified of a change. */
  readonly untold: readonly {
    readonly no: SubscriptionNo
    readonly watcher: Uri
    readonly event: PackageName
    readonly finding: Finding
  }[]
  /** By package: the decision that put the consulted rules in force. */
  readonly rules: Readonly<Record<PackageName, number>>
}

/** O(events + subscriptions of the presentity). */
export const entryOf = (moment: DecisionStep, circumstances: DecisionContext): Entry => {
  const { decision, before, after, notifications } = moment
  const find = (id: SubscriptionNo) => get(after.subscriptions, id) ?? get(before.subscriptions, id)
  const told = notifications.map(({ no: id, cseq, packageName: event, state }) => {
    const named = decision.events.find(
      (candidate) =>
        (candidate._tag === "SubscriptionCreated" || candidate._tag === "FarewellRepeated") &&
        candidate.no === id,
    )
    const subscription =
      find(id) ??
      (named?._tag === "SubscriptionCreated" || named?._tag === "FarewellRepeated" ? named : undefined)
    const watcher = subscription?.watcher ?? ("" as Uri)
    return { no: id, watcher, event, cseq, state, matched: subscription?.matched ?? null }
  })
  const untold: Entry["untold"][number][] = []
  for (const event of packagesIn(after, before)) {
    const change = changeIn(moment, event, null, circumstances.packages)
    if (change === null) continue
    for (const [id, finding] of findingsIn(moment, change, event, circumstances)) {
      const watcher = find(id)?.watcher
      if (watcher !== undefined && finding._tag !== "Told" && finding._tag !== "Ended")
        untold.push({ no: id, watcher, event, finding })
    }
  }
  return {
    ...placeOf(moment),
    cause: decision.cause,
    origin: decision.origin,
    requester: decision.about?.by ?? null,
    request: decision.about?.request ?? null,
    correlation: correlationOf(decision.origin),
    causedBy: [...new Set(decision.events.flatMap((event) => causesOf(event, before)))].sort((a, b) => a - b),
    events: decision.events,
    told,
    untold,
    rules: Object.fromEntries(
      [...entries(after.rules)].map(([event, { replacedIn }]) => [event, replacedIn]),
    ),
  }
}

/** `udp:192.0.2.20:5060 <Call-ID> <CSeq>` */
const correlationOf = (origin: string): string | null => origin.split(" ")[1] ?? null

/** Packages with subscriptions. */
const packagesIn = (...states: readonly State[]): ReadonlySet<PackageName> =>
  new Set(states.flatMap((state) => [...values(state.subscriptions)].map(({ packageName }) => packageName)))

/** Earlier decisions from which an event follows, as far as the state before it refers to them. */
const causesOf = (event: Event, before: State): readonly number[] => {
  switch (event._tag) {
    case "PublicationModified":
    case "PublicationRefreshed":
      return createdIn(before, event.packageName, event.supersedes)
    case "PublicationRemoved":
      return createdIn(before, event.packageName, event.entityTag)
    case "TargetsFailed":
    case "NotificationFailed": {
      const subscription = get(before.subscriptions, event.no)
      return subscription === undefined || subscription.toldIn === 0 ? [] : [subscription.toldIn]
    }
    case "SubscriptionRefreshed":
    case "SubscriptionStatusChanged":
    case "SubscriptionTerminated":
      return get(before.subscriptions, event.no) === undefined ? [] : [event.no]
    case "WaitingEnded":
      return get(before.waiting, event.no) === undefined ? [] : [event.no]
    case "NotificationsIssued":
      // a deferred change: the newest publication of which they have not been notified
      return event.cause === "change" && event.to !== "active"
        ? event.to.flatMap((id) => heldBack(before, id))
        : []
    default:
      return []
  }
}

const createdIn = (state: State, packageName: PackageName, entityTag: string): readonly number[] => {
  const publications = get(state.publications, packageName)
  if (publications === undefined) return []
  return [...values(publications)].flatMap((publication) =>
    publication.entityTag === entityTag ? [publication.bodyFrom] : [],
  )
}

const heldBack = (state: State, id: SubscriptionNo): readonly number[] => {
  const subscription = get(state.subscriptions, id)
  const publications =
    subscription === undefined ? undefined : get(state.publications, subscription.packageName)
  if (subscription === undefined || publications === undefined) return []
  const newest = Math.max(0, ...[...values(publications)].map(({ bodyFrom }) => bodyFrom))
  return newest > subscription.toldIn ? [newest] : []
}
