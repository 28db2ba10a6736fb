/**
 * What an engine decides because time has passed, or because the clock was set back.
 */
import { isSetBack, lastClock, nowFor, slackMillis } from "../presentity/clock.ts"
import type { Command } from "../presentity/commands.ts"
import { nextDeadline } from "../presentity/deadlines.ts"
import { isEmpty } from "../presentity/state.ts"
import type { Millis } from "../vocabulary.ts"
import { invariant } from "../vocabulary.ts"
import { hold } from "./batches.ts"
import { decideOn } from "./decide-on.ts"
import { recordAt } from "./machine.ts"
import type { Entry, Machine } from "./machine.ts"
import { moveBackOutstanding } from "./outstanding-notifies.ts"

/** Decides everything that has fallen due by `now`. */
export const advance = <Ticket>(machine: Machine<Ticket>, now: Millis, nonce: () => string): void => {
  if (now < machine.advancedTo - slackMillis) followAll(machine, now, nonce)
  machine.advancedTo = now
  for (const presentity of machine.deadlines.due(now)) {
    const entry = machine.entries.get(presentity)
    if (entry !== undefined) guarded(machine, entry, "FallDue", () => catchUp(machine, entry, now, nonce))
  }
}

/** Everything overdue, each at its own deadline, so that it does not matter how often anybody looks. */
export const catchUp = <Ticket>(
  machine: Machine<Ticket>,
  entry: Entry,
  now: Millis,
  nonce: () => string,
): void => {
  const { deadlines } = machine
  deadlines.disarm(entry.provisional.presentity)
  for (let passes = 0; ; passes++) {
    const own = nextDeadline(entry.provisional)
    const record = recordAt(machine, entry)
    const isRecord = record !== null && (own === null || record < own)
    const deadline = isRecord ? record : own
    if (deadline === null) return
    if (deadline > now) {
      deadlines.arm(entry.provisional.presentity, deadline)
      return
    }
    invariant(passes < 100_000, "falling due comes to an end")
    const command: Command = isRecord
      ? { _tag: "RecordDeliveries", accepted: entry.accepted }
      : { _tag: "FallDue" }
    const at = Math.max(deadline, lastClock(entry.provisional))
    const undecided = decideOn(machine, entry, { command }, at, nonce)
    invariant(undecided.decision !== null, "what is overdue has consequences")
    hold(machine, undecided)
  }
}

/** Times that a clock gave which stood ahead are moved back with it; of what has ended there are none. */
export const follow = <Ticket>(
  machine: Machine<Ticket>,
  entry: Entry,
  now: Millis,
  nonce: () => string,
): void => {
  const { advancedTo, deadlines } = machine
  if (!isSetBack(entry.provisional, now) || isEmpty(entry.provisional)) return
  const last = lastClock(entry.provisional)
  const from = advancedTo === Number.POSITIVE_INFINITY ? last : Math.max(advancedTo, last)
  moveBackOutstanding(entry.inFlight, now, from - now)
  hold(machine, decideOn(machine, entry, { command: { _tag: "FollowClock", from } }, now, nonce))
  deadlines.arm(entry.provisional.presentity, now)
}

/** Those that were decided on by a clock that stood ahead. */
const followAll = <Ticket>(machine: Machine<Ticket>, now: Millis, nonce: () => string): void => {
  for (const entry of machine.entries.values()) {
    if (isSetBack(entry.provisional, now))
      guarded(machine, entry, "FollowClock", () => follow(machine, entry, now, nonce))
  }
}

/** Has everything written down that is known of NOTIFYs. */
export const record = <Ticket>(machine: Machine<Ticket>, now: Millis, nonce: () => string): void => {
  for (const entry of machine.entries.values()) {
    const { accepted } = entry
    if (accepted.length === 0) continue
    const command: Command = { _tag: "RecordDeliveries", accepted }
    guarded(machine, entry, command._tag, () =>
      hold(machine, decideOn(machine, entry, { command }, nowFor(entry.provisional, now), nonce)),
    )
  }
}

/** A defect stops one presentity, not the process: what was decided before it stands. @returns null: there was one */
export const guarded = <A, Ticket>(
  { options, deadlines }: Machine<Ticket>,
  entry: Entry,
  command: string,
  work: () => A,
): A | null => {
  if (entry.broken) return null
  try {
    return work()
  } catch (defect) {
    if (options.onDefect === undefined) throw defect
    const { presentity } = entry.committed
    entry.broken = true
    deadlines.disarm(presentity)
    options.onDefect(presentity, command, defect)
    return null
  }
}
