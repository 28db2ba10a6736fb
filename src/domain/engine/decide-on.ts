/**
 * One decision on a presentity in memory: decided on its provisional state, which it then moves.
 */
import type { Accepted, Command } from "../presentity/commands.ts"
import type { Context } from "../presentity/context.ts"
import { deadlineIn } from "../presentity/deadlines.ts"
import { consider } from "../presentity/decide.ts"
import type { Decision } from "../presentity/events.ts"
import { closed } from "../presentity/evolve.ts"
import type { Notify } from "../presentity/intents.ts"
import { reactTo } from "../presentity/react.ts"
import { requesterOf } from "../presentity/requester.ts"
import { size } from "../table.ts"
import type { Millis, Uri } from "../vocabulary.ts"
import { knownBefore, withPreamble } from "./alongside.ts"
import type { Offer } from "./engine.ts"
import { noneAccepted } from "./machine.ts"
import type { Entry, Machine, Undecided } from "./machine.ts"
import {
  addOutstanding,
  hasOutstanding,
  isNothingOutstanding,
  settleOutstanding,
} from "./outstanding-notifies.ts"
import { withReference } from "./requesters.ts"

/** What is to be decided, and since when NOTIFYs may have to be repeated were the decision lost; absent: none. */
export interface Asked<Ticket> {
  readonly command: Command
  /** Absent: nobody asked. */
  readonly offer?: Offer<Ticket> | null
  readonly unsureSince?: Millis | null
}

/** Decides at `at`. What comes of it is neither held nor released yet. */
export const decideOn = <Ticket>(
  machine: Machine<Ticket>,
  entry: Entry,
  { command, offer = null, unsureSince = null }: Asked<Ticket>,
  at: Millis,
  nonce: () => string,
): Undecided<Ticket> => {
  const before = entry.provisional
  const context: Context = {
    ...machine.circumstances,
    now: at,
    nonce: nonce(),
    inFlight: (no) => hasOutstanding(entry.inFlight, no),
    findDialog: (key) => {
      const place = machine.dialogs.find(key)
      return place?.presentity === before.presentity ? place.no : null
    },
  }
  const known = knownBefore(before, command, entry.accepted, at)
  const decided = consider(known?.after ?? before, command, context)
  const { answer } = decided
  if (decided.events.length === 0)
    return {
      entry,
      offer,
      decision: null,
      requester: null,
      before,
      after: before,
      answer,
      notifications: none,
      unsureSince,
      took: noAnswers,
    }
  const took = takeAnswers(entry)
  const transition = withPreamble(known, decided, command, took)
  const requester = offer === null ? null : requesterOf(before, offer.command, transition.events, offer.about)
  const decision: Decision = withAbout(entry, offer, requester, {
    stream: before.presentity,
    version: before.version + 1,
    at: Math.max(at, before.decidedAt),
    cause: command._tag,
    origin: offer?.origin ?? "",
    nonce: context.nonce,
    events: transition.events,
  })
  const after = closed(before, transition.after, decision)
  const notifications = reactTo(transition, after, machine.reaction)
  entry.provisional = after
  for (const notify of notifications) noteSent(machine, entry, notify, at)
  machine.dialogs.follow(before, decision)
  const deadline = deadlineIn(decision.events, after)
  if (deadline !== null) machine.deadlines.arm(before.presentity, deadline)
  return { entry, offer, decision, requester, before, after, answer, notifications, unsureSince, took }
}

const withAbout = <Ticket>(
  entry: Entry,
  offer: Offer<Ticket> | null,
  requester: Uri | null,
  decision: Decision,
): Decision => {
  if (offer?.about === undefined) return decision
  const known = withReference(
    entry.requesters,
    offer.about,
    requester ?? decision.stream,
    decision,
    size(entry.provisional.subscriptions),
  )
  entry.requesters = known.requesters
  return { ...decision, about: known.about }
}

/** What is known of NOTIFYs by now goes along with whatever is decided. */
const takeAnswers = (entry: Entry): readonly Accepted[] => {
  const { accepted } = entry
  if (accepted.length === 0) return noAnswers
  entry.accepted = noneAccepted
  return accepted
}

/** A NOTIFY is under way from now on. */
export const noteSent = <Ticket>(
  { withOutstanding }: Machine<Ticket>,
  entry: Entry,
  { no, cseq }: Pick<Notify, "no" | "cseq">,
  at: Millis,
): void => {
  addOutstanding(entry.inFlight, no, cseq, at)
  withOutstanding.add(entry)
}

/**
 * A NOTIFY is under way no more.
 *
 * @returns when it was issued; null: it was not under way
 */
export const noteEnded = <Ticket>(
  { withOutstanding }: Machine<Ticket>,
  entry: Entry,
  { no, cseq }: Pick<Notify, "no" | "cseq">,
): Millis | null => {
  const at = settleOutstanding(entry.inFlight, no, cseq)
  if (at !== null && isNothingOutstanding(entry.inFlight)) withOutstanding.delete(entry)
  return at
}

const none: readonly Notify[] = []
const noAnswers: readonly Accepted[] = []
