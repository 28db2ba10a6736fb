/**
 * Which presentities are in memory: loading, forgetting, and taking out what the store knows otherwise.
 */
import { isSetBack, lastClock } from "../presentity/clock.ts"
import { nextDeadline } from "../presentity/deadlines.ts"
import { isEmpty } from "../presentity/state.ts"
import type { State } from "../presentity/state.ts"
import { invariant } from "../vocabulary.ts"
import { noneAccepted, recordAt } from "./machine.ts"
import type { Entry, Machine } from "./machine.ts"
import { isNothingOutstanding, noOutstandingNotifies } from "./outstanding-notifies.ts"

export const load = <Ticket>(machine: Machine<Ticket>, state: State): void => {
  const { entries, stranded, evicted, dialogs, deadlines, withOutstanding } = machine
  const { presentity } = state
  invariant(!entries.has(presentity), "a presentity is loaded once")
  // what the store does not know any more nobody asks about
  const left = state.version === 0 ? undefined : stranded.get(presentity)
  stranded.delete(presentity)
  const entry: Entry = {
    committed: state,
    provisional: state,
    undecided: 0,
    inFlight: left?.inFlight ?? noOutstandingNotifies(),
    accepted: left?.accepted ?? noneAccepted,
    broken: false,
    requesters: null,
  }
  entries.set(presentity, entry)
  if (!isNothingOutstanding(entry.inFlight)) withOutstanding.add(entry)
  const record = recordAt(machine, entry)
  if (record !== null) deadlines.arm(presentity, record)
  const known = evicted.get(presentity)
  if (known !== undefined) {
    dialogs.forget(known)
    evicted.delete(presentity)
  }
  dialogs.remember(state)
  const deadline = nextDeadline(state)
  if (deadline !== null) deadlines.arm(presentity, deadline)
  // decided on by a clock that stood ahead: the next look sees to it
  if (isSetBack(state, machine.advancedTo)) machine.advancedTo = lastClock(state)
}

/** An empty presentity needs no memory: all there is to know of it is its version, and the store has that. */
export const forget = <Ticket>({ deadlines, entries }: Machine<Ticket>, entry: Entry): void => {
  const { committed, undecided, inFlight, accepted } = entry
  if (undecided > 0 || !isNothingOutstanding(inFlight) || !isEmpty(committed) || accepted.length > 0) return
  deadlines.disarm(committed.presentity)
  if (entries.get(committed.presentity) === entry) entries.delete(committed.presentity)
}

/** Takes a presentity out of memory: the store knows it otherwise. */
export const evict = <Ticket>(machine: Machine<Ticket>, entry: Entry): void => {
  const { dialogs, evicted, deadlines, withOutstanding, entries, stranded } = machine
  const { committed, provisional, inFlight, accepted } = entry
  const { presentity } = committed
  dialogs.forget(provisional)
  if (!isEmpty(committed)) {
    // a committed dialog stays known, so that a request in it has the presentity loaded and is not refused
    dialogs.remember(committed)
    evicted.set(presentity, committed)
  }
  deadlines.disarm(presentity)
  withOutstanding.delete(entry)
  entries.delete(presentity)
  if (!isNothingOutstanding(inFlight) || accepted.length > 0) stranded.set(presentity, { inFlight, accepted })
}
