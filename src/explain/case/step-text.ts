/**
 * Steps, NOTIFYs and differences, each on one line.
 */
import type { DecisionStep } from "../../domain/history/moments.ts"
import { sameValue } from "../../domain/history/reconstruct-command.ts"
import type { Difference, SentNotify } from "../../domain/history/what-if.ts"
import type { Event } from "../../domain/presentity/events.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import { freeze } from "../../domain/presentity/snapshot.ts"
import type { State } from "../../domain/presentity/state.ts"
import { get } from "../../domain/table.ts"
import type { Millis, SubscriptionNo } from "../../domain/vocabulary.ts"
import { shownText } from "../document-summary.ts"
import { briefEvent } from "../event-text.ts"

/** `2026-11-23 14:05:12.331`, in local time or in UTC, independent of the locale. */
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

/** Time, position, command, what happened, what was sent. */
export const stepText = (
  { position, decision, before, after, notifications }: DecisionStep,
  { utc }: StepText,
): string => {
  const happened = decision.events
    .map((event) => briefEvent(event, (id) => watcherOf(before, after, [], id)))
    .filter((text) => text !== "")
  const left = notifications.map((notify) =>
    notifyText(notify, watcherOf(before, after, decision.events, notify.no)),
  )
  return (
    `${clockText(decision.at, utc)}  ${String(position).padStart(6)}  ${decision.cause.padEnd(14)} ${happened.join(", ")}` +
    (left.length === 0 ? "" : `  -> ${left.join("; ")}`)
  )
}

export const watcherOf = (
  before: State,
  after: State,
  events: readonly Event[],
  id: SubscriptionNo,
): string => {
  const subscription = get(after.subscriptions, id) ?? get(before.subscriptions, id)
  if (subscription !== undefined) return subscription.watcher
  const created = events.find((event) => event._tag === "SubscriptionCreated" && event.no === id)
  return created?._tag === "SubscriptionCreated" ? created.watcher : `subscription ${id}`
}

/** `sip:bob@example.com cseq 3 active: open "lunch"` */
export const notifyText = (notify: Notify, watcher: string): string =>
  `${watcher} cseq ${notify.cseq} ${contentText(notify)}`

/** The content of a NOTIFY: state and document. */
export const contentText = ({ state, reason, body, headers }: Notify): string => {
  const shown =
    headers === undefined
      ? shownText(body)
      : [shownText(body), ...headers.map((header) => header.join(": "))].join(", ")
  return `${state}${reason === null ? "" : `;${reason}`}: ${shown}`
}

/** What would have happened otherwise, on one line. */
export const differenceText = (difference: Difference, { utc }: StepText): string => {
  const place = String(difference.position).padStart(6)
  if (difference._tag === "Refused") {
    const { cause, rejection, at } = difference
    const why = "why" in rejection ? ` (${rejection.why})` : ""
    return `${place}  ${cause} at ${clockText(at, utc)} would have been refused: ${rejection.status} ${rejection._tag}${why}`
  }
  const { watcher, was: recorded, would: supposed } = difference
  const contentOf = (sent: SentNotify): string => `${sent.notify.packageName} ${contentText(sent.notify)}`
  const at = (sent: SentNotify): string => clockText(sent.at, utc)
  if (recorded === null && supposed !== null)
    return `${place}  ${watcher} would have been told at ${at(supposed)}: ${contentOf(supposed)}`
  if (recorded !== null && supposed === null)
    return `${place}  ${watcher} would not have been told at ${at(recorded)}: ${contentOf(recorded)}`
  if (recorded === null || supposed === null) return ""
  const when = recorded.at === supposed.at ? at(recorded) : `${at(supposed)}, not at ${at(recorded)}`
  return `${place}  ${watcher} would have been told at ${when}: ${contentOf(supposed)}, not ${contentOf(recorded)}`
}

/** A state in full, as indented JSON. */
export const stateText = (state: State): string => JSON.stringify(freeze(state), null, 2)

/** Decisions that cannot be decided again, and why, each with the separator before it. */
export const leftOutText = (separator: string, dropped: number, erased: number): string =>
  (dropped === 0 ? "" : `${separator}${dropped} left out, whose documents were dropped`) +
  (erased === 0 ? "" : `${separator}${erased} left out, which depend on somebody who was erased`)

/** A step, and which of its events would be absent (-) or added (+) if it were decided today. */
export const driftText = (
  moment: DecisionStep,
  decided: readonly Event[],
  why: string | null,
  text: StepText,
): readonly string[] => {
  const { events } = moment.decision
  const lines = (mark: string, changes: readonly Event[]) =>
    changes.map((event) => `  ${mark} ${JSON.stringify(event)}`)
  return [
    stepText(moment, text),
    ...(why === null ? [] : [`  ! ${why}`]),
    ...lines("-", onlyIn(events, decided)),
    ...lines("+", onlyIn(decided, events)),
  ]
}

/** Events that only the left list has. */
const onlyIn = (left: readonly Event[], right: readonly Event[]): readonly Event[] => {
  const rest = [...right]
  return left.filter((event) => {
    const index = rest.findIndex((candidate) => sameValue(event, candidate))
    if (index >= 0) rest.splice(index, 1)
    return index < 0
  })
}
