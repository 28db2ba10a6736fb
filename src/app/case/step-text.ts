/**
 * Steps, NOTIFYs and differences in one line each, for people.
 */
import type { DecisionStep } from "../../domain/history/moments.ts"
import { sameValue } from "../../domain/history/recall.ts"
import { answersIn } from "../../domain/presentity/delivery-acks.ts"
import type { Difference, SentNotify } from "../../domain/history/what-if.ts"
import type { Event } from "../../domain/presentity/events.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import { freeze } from "../../domain/presentity/snapshot.ts"
import type { State } from "../../domain/presentity/state.ts"
import { get } from "../../domain/table.ts"
import type { Body, Millis, SubscriptionNo } from "../../domain/vocabulary.ts"
import { summaryOf } from "../client/document.ts"

/** `2026-11-23 14:05:12.331`, in local time or in UTC; nothing of the locale. */
export const clockText = (at: Millis, utc: boolean): string => {
  const shift = utc ? 0 : new Date(at).getTimezoneOffset() * 60_000
  return new Date(at - shift)
    .toISOString()
    .replace("T", " ")
    .replace("Z", utc ? "Z" : "")
}

export interface StepText {
  readonly utc: boolean
}

/** Time, position, command, what happened, what left. */
export const stepText = (
  { position, decision, before, after, notifications }: DecisionStep,
  { utc }: StepText,
): string => {
  const happened = decision.events
    .map((event) => eventText(event, before, after))
    .filter((text) => text !== "")
  const left = notifications.map((one) => notifyText(one, watcherOf(before, after, decision.events, one.no)))
  return (
    `${clockText(decision.at, utc)}  ${String(position).padStart(6)}  ${decision.cause.padEnd(14)} ${happened.join(", ")}` +
    (left.length === 0 ? "" : `  -> ${left.join("; ")}`)
  )
}

export const watcherOf = (
  before: State,
  after: State,
  events: readonly Event[],
  no: SubscriptionNo,
): string => {
  const one = get(after.subscriptions, no) ?? get(before.subscriptions, no)
  if (one !== undefined) return one.watcher
  const created = events.find((event) => event._tag === "SubscriptionCreated" && event.no === no)
  return created?._tag === "SubscriptionCreated" ? created.watcher : `subscription ${no}`
}

/** Empty for what is told by the NOTIFYs themselves. */
const eventText = (event: Event, before: State, after: State): string => {
  const watcher = (no: SubscriptionNo): string => watcherOf(before, after, [], no)
  switch (event._tag) {
    case "PublicationCreated":
    case "PublicationModified":
      return `${event._tag} ${event.packageName} ${shownText(event.body)}`
    case "PublicationRefreshed":
      return `${event._tag} ${event.packageName}`
    case "PublicationRemoved":
      return `${event._tag} ${event.packageName} (${event.cause})`
    case "HardStateReplaced":
      return `${event._tag} ${event.packageName} ${shownText(event.body)}`
    case "SubscriptionCreated":
      return `${event._tag} ${event.no} ${event.watcher} ${event.packageName} ${event.status}${event.polite ? " (polite-block)" : ""}${event.unread === true ? " (rules not read yet)" : ""}${event.private === true ? " (private)" : ""}`
    case "SubscriptionRefreshed":
      return `${event._tag} ${event.no} ${watcher(event.no)}${event.private === undefined ? "" : event.private ? " (private)" : " (private no more)"}`
    case "SubscriptionStatusChanged":
      return `${event._tag} ${event.no} ${watcher(event.no)} ${event.status}${event.polite ? " (polite-block)" : ""}${event.unread === true ? " (rules not read yet)" : ""}`
    case "SubscriptionTerminated":
      return `${event._tag} ${event.no} ${watcher(event.no)} ${event.reason}${event.silent ? " (not told)" : ""}`
    case "WatcherRemembered":
      return `${event._tag} ${event.no} ${event.watcher} ${event.packageName}`
    case "WaitingEnded":
      return `${event._tag} ${event.no} ${event.event}`
    case "RulesReplaced":
      return `${event._tag} ${event.packageName}${event.rules === null ? " (none)" : ""}`
    case "RulesReviewed":
      return `${event._tag} ${event.packageName}`
    case "WatcherDecided":
      return `${event._tag} ${event.watcher} ${event.packageName} ${event.handling ?? "(taken back)"}`
    case "SharingTagSet":
    case "SharingTagSwitched":
      return `${event._tag} ${event.tag} ${event.role}`
    case "RemoteTargetChanged":
      return `${event._tag} ${event.remoteTarget}`
    case "TargetDoubted":
      return `${event._tag} room ${event.room}`
    case "TargetProven":
      return `${event._tag} ${event.address}`
    case "NotificationsIssued":
      return event.suppressed.length === 0
        ? event.withheld === true
          ? "without the document: where it goes has not answered yet"
          : ""
        : `not told, their own device did it: ${event.suppressed.join(" ")}`
    case "NotificationsDeferred":
      return `${event._tag} ${event.to.map(watcher).join(" ")}${event.until === null ? "" : ` for ${event.until}`}`
    case "NotificationFailed":
      return `${event._tag} ${event.no} ${watcher(event.no)} cseq ${event.cseq} ${event.outcome}${event.status === undefined ? "" : ` ${event.status}`}`
    case "NotificationsAccepted":
      return `${event._tag} ${answersIn(event, 0)
        .map(({ no, cseq }) => `${watcher(no)} cseq ${cseq}`)
        .join(", ")}`
    case "ClockSetBack":
      return `${event._tag}${event.moved === undefined ? "" : ` by ${event.moved / 1000} s`}`
    case "FarewellRepeated":
      return `${event._tag} ${event.no} ${event.watcher} cseq ${event.cseq}`
    case "LogDropped":
      return `${event._tag} ${event.decisions} decisions`
    case "DocumentsDropped":
      return `${event._tag} ${event.packageName} ${event.documents} documents`
    case "PersonErased":
      return `${event._tag} ${event.standIn}`
    default:
      return event satisfies never
  }
}

/** `sip:bob@example.com cseq 3 active: open "lunch"` */
export const notifyText = (notify: Notify, watcher: string): string =>
  `${watcher} cseq ${notify.cseq} ${contentText(notify)}`

/** What a watcher is told: state and document. */
export const contentText = ({ state, reason, body, headers }: Notify): string => {
  const shown =
    headers === undefined
      ? shownText(body)
      : [shownText(body), ...headers.map((one) => one.join(": "))].join(", ")
  return `${state}${reason === null ? "" : `;${reason}`}: ${shown}`
}

/** A document in a few words. */
export const shownText = (body: Body | null): string => {
  if (body === null) return "no document"
  const summary = summaryOf(body)
  if (summary !== null) {
    const notes = summary.notes.map((note) => JSON.stringify(note))
    const tuples = summary.tuples.map(({ basic, notes: own }) =>
      [basic ?? "no status", ...own.map((note) => JSON.stringify(note))].join(" "),
    )
    return [...tuples, ...notes].join(", ") || "an empty document"
  }
  const states = [...body.text.matchAll(/<(?:\w+:)?state>([\w-]+)<|\bstatus="([\w-]+)"/g)].map(
    ([, one, other]) => one ?? other,
  )
  return `${body.contentType} of ${body.text.length}${states.length === 0 ? "" : ` (${states.slice(0, 8).join(" ")})`}`
}

/** What would have been otherwise, in one line. */
export const differenceText = (difference: Difference, { utc }: StepText): string => {
  const place = String(difference.position).padStart(6)
  if (difference._tag === "Refused") {
    const { cause, rejection, at } = difference
    const why = "why" in rejection ? ` (${rejection.why})` : ""
    return `${place}  ${cause} at ${clockText(at, utc)} would have been refused: ${rejection.status} ${rejection._tag}${why}`
  }
  const { watcher, was, would } = difference
  const of = (one: SentNotify): string => `${one.notify.packageName} ${contentText(one.notify)}`
  const at = (one: SentNotify): string => clockText(one.at, utc)
  if (was === null && would !== null)
    return `${place}  ${watcher} would have been told at ${at(would)}: ${of(would)}`
  if (was !== null && would === null)
    return `${place}  ${watcher} would not have been told at ${at(was)}: ${of(was)}`
  if (was === null || would === null) return ""
  const when = was.at === would.at ? at(was) : `${at(would)}, not at ${at(was)}`
  return `${place}  ${watcher} would have been told at ${when}: ${of(would)}, not ${of(was)}`
}

/** A state in full, as JSON for people. */
export const stateText = (state: State): string => JSON.stringify(freeze(state), null, 2)

/** A step, and what of its events would be gone (-) or would come (+) if it were decided today. */
export const driftText = (
  moment: DecisionStep,
  decided: readonly Event[],
  why: string | null,
  text: StepText,
): readonly string[] => {
  const { events } = moment.decision
  const lines = (mark: string, some: readonly Event[]) =>
    some.map((event) => `  ${mark} ${JSON.stringify(event)}`)
  return [
    stepText(moment, text),
    ...(why === null ? [] : [`  ! ${why}`]),
    ...lines("-", onlyIn(events, decided)),
    ...lines("+", onlyIn(decided, events)),
  ]
}

/** Events that only one of two lists has. */
const onlyIn = (some: readonly Event[], others: readonly Event[]): readonly Event[] => {
  const rest = [...others]
  return some.filter((one) => {
    const index = rest.findIndex((other) => sameValue(one, other))
    if (index >= 0) rest.splice(index, 1)
    return index < 0
  })
}
