/**
 * The command behind a recorded decision, and what it was decided with: rebuilt from the events and the state before, so
 * that it can be decided again, on the same state or on another.
 *
 * Where the log does not say something (a device that removed its own publication, a NOTIFY that was on its way), what
 * would have led to the recorded events is looked for: each guess is decided, and the first that gives them is taken.
 * What no longer gives them however it is guessed has drifted: today's code decides otherwise.
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
  /** Subscriptions whose last NOTIFY must have been on its way. */
  readonly inFlight: ReadonlySet<SubscriptionNo>
  /** What comes of it when it is decided again. */
  readonly outcome: Outcome
  /** Whether that is what was recorded. */
  readonly isExact: boolean
}

/** @returns null for a cause that is no command: the row is not one of ours */
export const reconstructCommand = (
  before: State,
  recorded: Decision,
  world: ReconstructionContext,
): Reconstructed | null => {
  // what was known of NOTIFYs, and that the clock was behind, went along, and follows from nothing that was asked
  const isAlong = (event: Event): boolean =>
    (isAnswers(event) && recorded.cause !== "RecordDeliveries") || isClockOnly(event)
  const along = recorded.events.filter(isAlong)
  const at = clockOf(recorded)
  if (along.length === 0) return reconstructAlone(before, { ...recorded, at }, world)
  const events = recorded.events.filter((event) => !isAlong(event))
  // but what they prove was known
  const known = along.reduce((so, event) => evolve(so, event, at), before)
  const alone = reconstructAlone(known, { ...recorded, at, events }, world)
  if (alone === null) return null
  const [first, ...rest] = alone.outcome.events
  const all =
    first?._tag === "ClockSetBack" ? [first, ...along, ...rest] : [...along, ...alone.outcome.events]
  return { ...alone, outcome: { ...alone.outcome, events: all } }
}

/** Which policy decided is a remark that older logs do not have; what was decided counts. */
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
  const one = reconstructWith(before, decision, world, isUnread)
  if (one === null || one.isExact) return one
  // nobody says it of those who were judged and for whom nothing changed
  const other = reconstructWith(before, decision, world, (...of) => !isUnread(...of))
  return other?.isExact === true ? other : one
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
      const context = contextFor(before, decision, world, authorize, inFlight, isUnread)
      const outcome = decide(before, command, context)
      const isExact = sameValue(withoutPolicies(outcome.events), withoutPolicies(decision.events))
      return { command, context, inFlight, outcome, isExact }
    }
    // a refresh says itself that a NOTIFY was on its way
    const said = command._tag === "Resubscribe" ? undelivered(decision.events) : none
    const one = attempt(said)
    if (one.isExact) return one
    first ??= one
    const again = toldIn(before, one.outcome.events, decision.at)
    const held = [...again.told, ...again.held].filter(
      (no) => !recorded.told.has(no) && !recorded.held.has(no),
    )
    const untold = [...again.told].filter((no) => !recorded.told.has(no))
    for (const more of [held, untold]) {
      const other = attempt(new Set([...said, ...more]))
      if (other.isExact) return other
    }
    // every NOTIFY but of those who were told something
    const all = [...entries(before.subscriptions)].map(([no]) => no)
    const most = attempt(new Set([...said, ...all.filter((no) => !recorded.told.has(no))]))
    if (most.isExact) return most
  }
  return first
}

/**
 * Whether all is there that a decision was made of: not when retention has dropped a document it looked at, or is itself
 * what the decision tells of.
 */
export const isDecidable = (before: State, decision: Pick<Decision, "stream" | "events">): boolean =>
  decision.stream !== retentionStream &&
  !decision.events.some((event) => ("body" in event && isDropped(event.body)) || "droppedHeaders" in event) &&
  ![...values(before.publications)].some((some) =>
    [...values(some)].some((one) => isDropped(one.body) || one.droppedHeaders !== undefined),
  ) &&
  ![...values(before.hardState)].some(isDropped) &&
  ![...values(before.rules)].some(({ body }) => isDropped(body))

const isDropped = (body: Body | null): boolean => body?.dropped !== undefined

/** What a decision on a state of the same presentity looks at besides the command. */
export const contextFor = (
  state: State,
  decision: Pick<Decision, "at" | "nonce" | "events">,
  { packages, limits }: ReconstructionContext,
  authorize: Authorize,
  inFlight: ReadonlySet<SubscriptionNo>,
  isUnread: IsUnread = unreadBehind(state, decision),
): Context => ({
  now: decision.at,
  nonce: decision.nonce,
  limits,
  packages,
  authorize,
  // what was parked when it began had a tag that was not active here
  isTagActive: (tag) =>
    !decision.events.some(
      (event) => event._tag === "SubscriptionCreated" && event.sharingTag === tag && event.parked === true,
    ),
  isUnread,
  inFlight: (no) => inFlight.has(no),
  findDialog: (key) => dialogIn(state, key),
})

/** O(dialogs of the presentity). */
const dialogIn = (state: State, key: DialogKey): DialogNo | null => {
  for (const [no, { start }] of entries(state.dialogs)) {
    if (dialogKey(start.callId, start.localTag, start.remoteTag) === key) return no
  }
  return null
}

interface Told {
  /** By a NOTIFY that would have waited for the one before. */
  readonly told: ReadonlySet<SubscriptionNo>
  /** Held back for a time that the log names. */
  readonly held: ReadonlySet<SubscriptionNo>
}

const toldIn = (before: State, events: readonly Event[], at: number): Told => {
  const [told, held] = [new Set<SubscriptionNo>(), new Set<SubscriptionNo>()]
  let state = before
  for (const event of events) {
    if (event._tag === "NotificationsIssued" && waits.has(event.cause))
      for (const { no } of audience(state, event)) told.add(no)
    if (event._tag === "NotificationsDeferred" && !event.undelivered && event.until !== null)
      for (const no of event.to) held.add(no)
    state = evolve(state, event, at)
  }
  return { told, held }
}

/** Causes of NOTIFYs that wait for the one before. */
const waits: ReadonlySet<string> = new Set(["change", "rate", "proof"])

const undelivered = (events: readonly Event[]): ReadonlySet<SubscriptionNo> =>
  new Set(
    events.flatMap((event) => (event._tag === "NotificationsDeferred" && event.undelivered ? event.to : [])),
  )

const none: ReadonlySet<SubscriptionNo> = new Set()

/** Equal as plain data: the order of keys and members that are undefined do not count. */
export const sameValue = (one: unknown, other: unknown): boolean => {
  if (one === other) return true
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false
  if (Array.isArray(one) || Array.isArray(other)) {
    return (
      Array.isArray(one) &&
      Array.isArray(other) &&
      one.length === other.length &&
      one.every((value, index) => sameValue(value, other[index]))
    )
  }
  const [some, others] = [
    one as Readonly<Record<string, unknown>>,
    other as Readonly<Record<string, unknown>>,
  ]
  return [...new Set([...Object.keys(some), ...Object.keys(others)])].every((key) =>
    sameValue(some[key], others[key]),
  )
}
