/**
 * From decision to store and back: what waits, what is out, what is committed, and what is given up.
 */
import { lastClock } from "../presentity/clock.ts"
import type { Decision } from "../presentity/events.ts"
import { invariant } from "../vocabulary.ts"
import type { Uri } from "../vocabulary.ts"
import { noteEnded, noteSent } from "./decide-on.ts"
import type { Batch, CommittedDecision, Doubtful, Engine, Failed, Offer, Release } from "./engine.ts"
import type { Entry, Machine, Undecided } from "./machine.ts"
import { evict, forget } from "./memory.ts"

/** It waits for the store. */
export const hold = <Ticket>({ waiting }: Machine<Ticket>, undecided: Undecided<Ticket>): void => {
  undecided.entry.undecided++
  waiting.push(undecided)
}

export const takeBatch = <Ticket>(machine: Machine<Ticket>, decisionsMax: number): Batch | null => {
  const { waiting } = machine
  if (machine.out !== null || waiting.length === 0) return null
  const isAll = waiting.length <= decisionsMax
  machine.out = isAll ? waiting : waiting.slice(0, decisionsMax)
  machine.waiting = isAll ? [] : waiting.slice(decisionsMax)
  const decisions: Decision[] = []
  const requesters: (Uri | null)[] = []
  for (const { decision, requester } of machine.out) {
    if (decision === null) continue
    decisions.push(decision)
    requesters.push(requester)
  }
  return { decisions, requesters }
}

export const committed = <Ticket>(
  machine: Machine<Ticket>,
  conflicts: ReadonlySet<Uri>,
): ReturnType<Engine<Ticket>["committed"]> => {
  const batch = machine.out
  invariant(batch !== null, "only a batch that was taken is committed")
  machine.out = null
  const release: Release<Ticket>[] = []
  const stored: CommittedDecision[] = []
  const again: Offer<Ticket>[] = []
  const lost = new Set<Entry>()
  for (const undecided of batch) {
    const { entry, decision, before, after } = undecided
    if (conflicts.has(before.presentity)) {
      lost.add(entry)
      giveUp(machine, undecided, again)
      continue
    }
    entry.undecided--
    if (decision !== null) {
      entry.committed = after
      stored.push({ decision, before, after })
    }
    release.push(releaseOf(undecided))
    forget(machine, entry)
  }
  if (lost.size > 0) {
    const kept: Undecided<Ticket>[] = []
    for (const undecided of machine.waiting) {
      if (lost.has(undecided.entry)) giveUp(machine, undecided, again)
      else kept.push(undecided)
    }
    machine.waiting = kept
    for (const entry of lost) evict(machine, entry)
  }
  return { release, stored, again }
}

export const failed = <Ticket>(machine: Machine<Ticket>): Failed<Ticket> => {
  const out = machine.out ?? []
  const all = [...out, ...machine.waiting]
  const doubtful = out.flatMap(({ decision, ...rest }): Doubtful<Ticket>[] =>
    decision === null ? [] : [{ ...rest, decision }],
  )
  machine.out = null
  machine.waiting = []
  const offers: Offer<Ticket>[] = []
  const touched = new Set<Entry>()
  for (const undecided of all) {
    touched.add(undecided.entry)
    giveUp(machine, undecided, offers)
  }
  for (const entry of touched) evict(machine, entry)
  return { offers, streams: [...touched].map(({ committed: { presentity } }) => presentity), doubtful }
}

/** What is doubtful has turned out to be stored: its NOTIFYs leave now. */
export const leaveLate = <Ticket>(
  machine: Machine<Ticket>,
  { decision, offer, notifications, took }: Doubtful<Ticket>,
): void => {
  const entry = machine.entries.get(decision.stream)
  if (entry === undefined) return
  entry.accepted = entry.accepted.filter(
    (answer) => !took.some(({ no, cseq }) => no === answer.no && cseq === answer.cseq),
  )
  if (offer?.command._tag === "ReportDelivery") noteEnded(machine, entry, offer.command)
  for (const notify of notifications) noteSent(machine, entry, notify, decision.at)
}

export const releaseOf = <Ticket>({
  offer,
  after,
  answer,
  notifications,
}: Undecided<Ticket>): Release<Ticket> => ({
  ticket: offer?.ticket ?? null,
  at: lastClock(after),
  answer,
  notifications,
})

/**
 * Takes back what one undecided decision did outside its state.
 *
 * @param again what is to be offered once more is added to these
 */
const giveUp = <Ticket>(
  machine: Machine<Ticket>,
  { entry, offer, notifications, unsureSince, took }: Undecided<Ticket>,
  again: Offer<Ticket>[],
): void => {
  entry.undecided--
  if (offer !== null) again.push(offer)
  for (const notify of notifications) noteEnded(machine, entry, notify)
  if (took.length > 0) entry.accepted = [...took, ...entry.accepted]
  if (offer?.command._tag !== "ReportDelivery") return
  // it is offered again, with what it says
  const { no, cseq } = offer.command
  entry.accepted = entry.accepted.filter((answer) => answer.no !== no || answer.cseq !== cseq)
  if (unsureSince !== null) noteSent(machine, entry, offer.command, unsureSince)
}
