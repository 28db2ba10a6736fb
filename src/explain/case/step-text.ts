/**
 * Steps, NOTIFYs and differences in one line each, for people.
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
    .map((event) => briefEvent(event, (no) => watcherOf(before, after, [], no)))
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
