/**
 * The engine put together: what `engine.ts` promises, done by the functions of the files around it on one `Machine`.
 */
import { nowFor } from "../presentity/clock.ts"
import type { Accepted, Answer, Command } from "../presentity/commands.ts"
import { nothingHappened } from "../presentity/decision.ts"
import type { DialogKey, Millis, Uri } from "../vocabulary.ts"
import { invariant } from "../vocabulary.ts"
import { committed, failed, hold, leaveLate, releaseOf, takeBatch } from "./batches.ts"
import { decideOn, noteEnded } from "./decide-on.ts"
import type { Engine, EngineOptions, Offer, Offered } from "./engine.ts"
import { makeMachine } from "./machine.ts"
import type { Entry, Machine, Undecided } from "./machine.ts"
import { evict, forget, load } from "./memory.ts"
import { holdsOutstanding, isNothingOutstanding, oldestOutstanding } from "./outstanding-notifies.ts"
import { advance, catchUp, follow, guarded, record } from "./time.ts"

/** @see Engine for the loop that drives it */
export const makeEngine = <Ticket>(options: EngineOptions): Engine<Ticket> => {
  const machine = makeMachine<Ticket>(options)
  const { entries } = machine
  return {
    offer: (offered, now, nonce) => offer(machine, offered, now, nonce),
    load: (state) => load(machine, state),
    isLoaded: (presentity) => entries.has(presentity),
    unload: (presentity) => {
      const entry = entries.get(presentity)
      if (entry === undefined) return
      invariant(entry.undecided === 0, "only what is decided is taken out of memory")
      evict(machine, entry)
    },
    advance: (now, nonce) => advance(machine, now, nonce),
    record: (now, nonce) => record(machine, now, nonce),
    takeBatch: (decisionsMax) => takeBatch(machine, decisionsMax),
    committed: (conflicts) => committed(machine, conflicts),
    failed: () => failed(machine),
    leaveLate: (decision) => leaveLate(machine, decision),
    delivery: (presentity, no, cseq) => {
      const entry = entries.get(presentity)
      if (entry === undefined) return null
      if (holdsOutstanding(entry.inFlight, no, cseq)) return "under way"
      return entry.accepted.some((answer) => answer.no === no && answer.cseq === cseq) ? "answered" : null
    },
    state: (presentity) => entries.get(presentity)?.committed,
    presentities: () => entries.keys(),
    oldestInFlight: () => oldestInFlight(machine),
    hasInFlight: () => hasInFlight(machine),
    counts: () => ({
      presentities: entries.size,
      dialogs: machine.dialogs.size(),
      undecided: machine.waiting.length + (machine.out?.length ?? 0),
    }),
  }
}

const offer = <Ticket>(
  machine: Machine<Ticket>,
  offered: Offer<Ticket>,
  now: Millis,
  nonce: () => string,
): Offered<Ticket> => {
  const presentity = presentityOf(offered, machine.dialogs.find)
  if (presentity === null) return answered(offered, now, noSuchDialog)
  const { command } = offered
  const entry = machine.entries.get(presentity)
  // of a NOTIFY of which nobody knows any more, or whose presentity was erased, nothing is written
  const isOfNobody = entry === undefined ? !machine.stranded.has(presentity) : entry.provisional.version === 0
  if (isOfNobody && command._tag === "ReportDelivery") return answered(offered, now, nothingHappened.answer)
  if (entry === undefined) return { _tag: "Missing", presentity }
  const undecided = guarded(machine, entry, command._tag, (): Undecided<Ticket> => {
    follow(machine, entry, now, nonce)
    if (offered.amends !== true && machine.deadlines.isDue(presentity, now))
      catchUp(machine, entry, now, nonce)
    // only now: what fell due before this outcome came was decided without it
    const unsureSince = unsureBefore(machine, entry, command)
    if (command._tag === "ReportDelivery" && command.outcome._tag === "Accepted")
      noteAccepted(machine, entry, { no: command.no, cseq: command.cseq, at: now })
    const at = nowFor(entry.provisional, now)
    return decideOn(machine, entry, { command, offer: offered, unsureSince }, at, nonce)
  })
  if (undecided === null) return answered(offered, now, ourFault)
  if (undecided.decision === null && entry.undecided === 0) {
    forget(machine, entry)
    return { _tag: "Released", release: releaseOf(undecided) }
  }
  hold(machine, undecided)
  return { _tag: "Held" }
}

const answered = <Ticket>({ ticket }: Offer<Ticket>, at: Millis, answer: Answer): Offered<Ticket> => ({
  _tag: "Released",
  release: { ticket, at, answer, notifications: [] },
})

/** Since when NOTIFYs may have been lost that this command tells of; null: none. */
const unsureBefore = <Ticket>(machine: Machine<Ticket>, entry: Entry, command: Command): Millis | null => {
  switch (command._tag) {
    case "ReportDelivery":
      return noteEnded(machine, entry, command)
    case "Redeliver":
      return command.since
    case "RepeatFarewells":
      return 0
    default:
      return null
  }
}

const noteAccepted = <Ticket>(
  { options: { recordAfterMillis }, deadlines }: Machine<Ticket>,
  entry: Entry,
  accepted: Accepted,
): void => {
  // what proves where NOTIFYs go is needed, whether or not answers are written down
  if (recordAfterMillis === undefined && entry.provisional.unproven === 0) return
  if (entry.accepted.length === 0) entry.accepted = [accepted]
  else entry.accepted.push(accepted)
  if (recordAfterMillis !== undefined && entry.accepted.length === 1)
    deadlines.arm(entry.committed.presentity, accepted.at + recordAfterMillis)
}

const oldestInFlight = <Ticket>(machine: Machine<Ticket>): Millis | null => {
  let oldest: Millis | null = null
  const consider = (at: Millis | null): void => {
    if (at !== null && (oldest === null || at < oldest)) oldest = at
  }
  for (const { inFlight } of machine.withOutstanding) consider(oldestOutstanding(inFlight))
  for (const { inFlight } of machine.stranded.values()) consider(oldestOutstanding(inFlight))
  for (const { unsureSince } of machine.out ?? []) consider(unsureSince)
  for (const { unsureSince } of machine.waiting) consider(unsureSince)
  return oldest
}

/** Whether `oldestInFlight` finds any; most often at the first look. */
const hasInFlight = <Ticket>({ withOutstanding, stranded, out, waiting }: Machine<Ticket>): boolean => {
  if (withOutstanding.size > 0) return true
  for (const { inFlight } of stranded.values()) if (!isNothingOutstanding(inFlight)) return true
  const isUnsure = ({ unsureSince }: Undecided<Ticket>): boolean => unsureSince !== null
  return out?.some(isUnsure) === true || waiting.some(isUnsure)
}

const presentityOf = <Ticket>(
  { presentity, command }: Offer<Ticket>,
  find: (key: DialogKey) => { readonly presentity: Uri } | null,
): Uri | null => {
  if (presentity !== null) return presentity
  return command._tag === "Resubscribe" ? (find(command.dialog)?.presentity ?? null) : null
}

const noSuchDialog: Answer = {
  _tag: "Rejected",
  rejection: { _tag: "CallDoesNotExist", status: 481 },
}

const ourFault: Answer = {
  _tag: "Rejected",
  rejection: { _tag: "ServerInternalError", status: 500 },
}
