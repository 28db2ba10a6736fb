/**
 * Reconstructs the command behind a recorded decision and its context from the events and the state before, so that it
 * can be decided again, on the same state or on another.
 *
 * Where the log does not record something (a device that removed its own publication, a NOTIFY that was under way),
 * candidates are tried: each is decided, and the first that leads to the recorded events is taken. A decision that no
 * candidate reproduces has drifted: today's code decides differently.
 */
import { clockOf } from "../presentity/clock.ts"
import type { Command } from "../presentity/commands.ts"
import type { Authorize, Context, IsUnread } from "../presentity/context.ts"
import { decide } from "../presentity/decide.ts"
import type { Outcome } from "../presentity/decision.ts"
import type { Decision, Event } from "../presentity/events.ts"
import { evolve } from "../presentity/evolve.ts"
import { retentionStream } from "../presentity/retention.ts"
import { audience } from "../presentity/state.ts"
import type { State } from "../presentity/state.ts"
import { entries, values } from "../table.ts"
import { dialogKey } from "../vocabulary.ts"
import type { Body, DialogKey, DialogNo, SubscriptionNo } from "../vocabulary.ts"
import { commandsBehind } from "./reconstructed-commands.ts"
import { hookBehind } from "./reconstructed-hook.ts"
import { unreadBehind } from "./reconstructed-unread.ts"
import type { ReconstructionContext } from "./reconstruction-context.ts"

export interface Reconstructed {
  readonly command: Command
  readonly context: Context
  /** Subscriptions whose last NOTIFY must have been under way. */
  readonly inFlight: ReadonlySet<SubscriptionNo>
  /** The outcome of deciding the command again. */
  readonly outcome: Outcome
  /** Whether that outcome is what was recorded. */
  readonly isExact: boolean
}

/** @returns null for a cause that is no command: this program did not write the row */
export const reconstructCommand = (
  before: State,
  recorded: Decision,
  world: ReconstructionContext,
): Reconstructed | null => {
  // responses to NOTIFYs, and that the clock was behind, were recorded along with the decision and do not follow from
  // its command
  const isAlong = (event: Event): boolean =>
    (isAnswers(event) && recorded.cause !== "RecordDeliveries") || isClockOnly(event)
  const along = recorded.events.filter(isAlong)
  const at = clockOf(recorded)
  if (along.length === 0) return reconstructAlone(before, { ...recorded, at }, world)
  const events = recorded.events.filter((event) => !isAlong(event))
  // what the responses prove was known when the command was decided
  const known = along.reduce((state, event) => evolve(state, event, at), before)
  const alone = reconstructAlone(known, { ...recorded, at, events }, world)
  if (alone === null) return null
  const [first, ...rest] = alone.outcome.events
  const all =
    first?._tag === "ClockSetBack" ? [first, ...along, ...rest] : [...along, ...alone.outcome.events]
  return { ...alone, outcome: { ...alone.outcome, events: all } }
}

/** Older logs do not record which policy decided; only what was decided counts. */
const withoutPolicies = (events: readonly Event[]): readonly Event[] =>
  events.map((event) => {
    if (!("policy" in event)) return event
    const { policy: _, ...rest } = event
    return rest
  })

const isAnswers = (event: Event): boolean => event._tag === "NotificationsAccepted"

const isClockOnly = (event: Event): boolean => event._tag === "ClockSetBack" && event.moved === undefined

const reconstructAlone = (
  before: State,
  decision: Decision,
  world: ReconstructionContext,
): Reconstructed | null => {
  const isUnread = unreadBehind(before, decision)
  const likely = reconstructWith(before, decision, world, isUnread)
  if (likely === null || likely.isExact) return likely
  // events do not record it for watchers that were evaluated without any change
  const contrary = reconstructWith(before, decision, world, (...question) => !isUnread(...question))
  return contrary?.isExact === true ? contrary : likely
}

const reconstructWith = (
  before: State,
  decision: Decision,
  world: ReconstructionContext,
  isUnread: IsUnread,
): Reconstructed | null => {
  let first: Reconstructed | null = null
  const authorize = world.authorize ?? hookBehind(before, decision, world.limits)
  const recorded = toldIn(before, decision.events, decision.at)
  for (const command of commandsBehind(before, decision, world)) {
    const attempt = (inFlight: ReadonlySet<SubscriptionNo>): Reconstructed => {
      const context = contextFor(before, decision, world, { authorize, inFlight, isUnread })
      const outcome = decide(before, command, context)
      const isExact = sameValue(withoutPolicies(outcome.events), withoutPolicies(decision.events))
      return { command, context, inFlight, outcome, isExact }
    }
    // a refresh itself records that a NOTIFY was under way
    const stated = command._tag === "Resubscribe" ? undelivered(decision.events) : none
    const plain = attempt(stated)
    if (plain.isExact) return plain
    first ??= plain
    const again = toldIn(before, plain.outcome.events, decision.at)
    const held = [...again.told, ...again.held].filter(
      (id) => !recorded.told.has(id) && !recorded.held.has(id),
    )
    const untold = [...again.told].filter((id) => !recorded.told.has(id))
    for (const more of [held, untold]) {
      const guess = attempt(new Set([...stated, ...more]))
      if (guess.isExact) return guess
    }
    // all NOTIFYs except those to subscriptions that were notified
    const all = [...entries(before.subscriptions)].map(([id]) => id)
    const most = attempt(new Set([...stated, ...all.filter((id) => !recorded.told.has(id))]))
    if (most.isExact) return most
  }
  return first
}

/**
 * Whether everything is available on which a decision was based. It is not if retention has dropped a document that the
 * decision used, or if the decision itself records the work of retention.
 */
export const isDecidable = (before: State, decision: Pick<Decision, "stream" | "events">): boolean =>
  decision.stream !== retentionStream &&
  !decision.events.some((event) => ("body" in event && isDropped(event.body)) || "droppedHeaders" in event) &&
  ![...values(before.publications)].some((publications) =>
    [...values(publications)].some(
      (publication) => isDropped(publication.body) || publication.droppedHeaders !== undefined,
    ),
  ) &&
  ![...values(before.hardState)].some(isDropped) &&
  ![...values(before.rules)].some(({ body }) => isDropped(body))

const isDropped = (body: Body | null): boolean => body?.dropped !== undefined

/** What was known when a decision was made, besides the state. */
export interface DecisionInputs {
  readonly authorize: Authorize
  /** Subscriptions whose last NOTIFY was under way. */
  readonly inFlight: ReadonlySet<SubscriptionNo>
  /** Absent: as the events of the decision and the state tell. */
  readonly isUnread?: IsUnread | undefined
}

/** The context of a decision on a state of the same presentity. */
export const contextFor = (
  state: State,
  decision: Pick<Decision, "at" | "nonce" | "events">,
  { packages, limits }: ReconstructionContext,
  { authorize, inFlight, isUnread = unreadBehind(state, decision) }: DecisionInputs,
): Context => ({
  now: decision.at,
  nonce: decision.nonce,
  limits,
  packages,
  authorize,
  // a subscription that was on standby when it began had a tag that was not active here
  isTagActive: (tag) =>
    !decision.events.some(
      (event) => event._tag === "SubscriptionCreated" && event.sharingTag === tag && event.parked === true,
    ),
  isUnread,
  ...(isOrdered(decision.events) ? {} : { isUnordered: true as const }),
  inFlight: (id) => inFlight.has(id),
  findDialog: (key) => dialogIn(state, key),
})

/** Whether a decision is of a time when the order of publications was recorded; of one without any it does not matter. */
const isOrdered = (events: readonly Event[]): boolean =>
  !events.some(
    (event) =>
      (event._tag === "PublicationCreated" || event._tag === "PublicationModified") &&
      event.after === undefined,
  )

/** O(dialogs of the presentity). */
const dialogIn = (state: State, key: DialogKey): DialogNo | null => {
  for (const [id, { start }] of entries(state.dialogs)) {
    if (dialogKey(start.callId, start.localTag, start.remoteTag) === key) return id
  }
  return null
}

interface Told {
  /** Notified by a NOTIFY that would have waited for the previous one. */
  readonly told: ReadonlySet<SubscriptionNo>
  /** Deferred until an instant that the log names. */
  readonly held: ReadonlySet<SubscriptionNo>
}

const toldIn = (before: State, events: readonly Event[], at: number): Told => {
  const [told, held] = [new Set<SubscriptionNo>(), new Set<SubscriptionNo>()]
  let state = before
  for (const event of events) {
    if (event._tag === "NotificationsIssued" && waits.has(event.cause))
      for (const { no: id } of audience(state, event)) told.add(id)
    if (event._tag === "NotificationsDeferred" && !event.undelivered && event.until !== null)
      for (const id of event.to) held.add(id)
    state = evolve(state, event, at)
  }
  return { told, held }
}

/** Causes of NOTIFYs that wait for the response to the previous one. */
const waits: ReadonlySet<string> = new Set(["change", "rate", "proof"])

const undelivered = (events: readonly Event[]): ReadonlySet<SubscriptionNo> =>
  new Set(
    events.flatMap((event) => (event._tag === "NotificationsDeferred" && event.undelivered ? event.to : [])),
  )

const none: ReadonlySet<SubscriptionNo> = new Set()

/** Equality of plain data: the order of keys and members that are undefined do not matter. */
export const sameValue = (left: unknown, right: unknown): boolean => {
  if (left === right) return true
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return false
  if (Array.isArray(left) || Array.isArray(right)) {
    return (
      Array.isArray(left) &&
      Array.isArray(right) &&
      left.length === right.length &&
      left.every((value, index) => sameValue(value, right[index]))
    )
  }
  const [leftFields, rightFields] = [
    left as Readonly<Record<string, unknown>>,
    right as Readonly<Record<string, unknown>>,
  ]
  return [...new Set([...Object.keys(leftFields), ...Object.keys(rightFields)])].every((key) =>
    sameValue(leftFields[key], rightFields[key]),
  )
}
