/**
 * The server of a simulation towards its network: requests are offered to the engine, answers and NOTIFYs leave.
 */
import type { Offer, Release } from "../../domain/engine/engine.ts"
import type { Command, DeliveryOutcome } from "../../domain/presentity/commands.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { simulatedAbout } from "./simulated-about.ts"
import { clockOfServer, delayOf, isLost, nobody, post } from "./simulated-run.ts"
import type { Run, Ticket } from "./simulated-run.ts"
import { CheckFailed } from "./simulator-checks.ts"

export const offer = (run: Run, presentity: Uri | null, command: Command, ticket: Ticket): void => {
  const { origin } = ticket
  offerAgain(
    run,
    origin === null
      ? { presentity, command, origin: "", ticket }
      : { presentity, command, origin, about: simulatedAbout(origin), ticket },
  )
}

export const offerAgain = (run: Run, given: Offer<Ticket>): void => {
  const { engine, log, random } = run
  const offered = engine.offer(given, clockOfServer(run), random.token)
  if (offered._tag === "Released") send(run, offered.release)
  else if (offered._tag === "Missing") {
    engine.load(log.load(offered.presentity))
    offerAgain(run, given)
  }
}

export const send = (run: Run, release: Release<Ticket>): void => {
  const { checks, counts } = run
  const { ticket, answer, notifications } = release
  checks.released(release, ticket?.origin ?? null)
  if (ticket !== null && ticket.origin !== null) {
    counts.answers++
    if (!isLost(run, 0.05)) post(run, delayOf(run), () => ticket.answered(answer))
  }
  for (const notify of notifications) transmit(run, notify)
}

/** NOTIFYs that follow from a decision that nobody waits for. */
export const sendNotifies = (run: Run, at: number, notifications: readonly Notify[]): void =>
  send(run, { ticket: null, at, answer: { _tag: "Accepted", reply: { _tag: "Done" } }, notifications })

/** One NOTIFY transaction: one outcome for the process that began it. */
const transmit = (run: Run, notify: Notify): void => {
  const { counts, note, peers, checks, calm } = run
  counts.notifications++
  note(
    `${run.now} NOTIFY ${notify.presentity} ${notify.no} CSeq ${notify.cseq} ${notify.state} ${JSON.stringify(notify.body?.text)}`,
  )
  const report = reporting(run, notify)
  if (peers.doubts(notify, calm)) {
    counts.doubted++
    checks.unsent(notify)
    return post(run, 0, () => report({ _tag: "Unproven" }))
  }
  const why = peers.sending(notify)
  if (why !== null) throw new CheckFailed(why)
  if (notify.proof?._tag === "Unproven") counts.unproven++
  if (!calm && peers.isUnrepeated(notify)) {
    counts.unrepeated++
    return post(run, 8_000, () => report({ _tag: "Unproven", room: 0 }))
  }
  if (isLost(run, 0.01)) return post(run, 0, () => report({ _tag: "Unreachable" }))
  if (notify.dialog.flow.startsWith("tcp:") && isLost(run, 0.02))
    return post(run, 0, () => report({ _tag: "FlowLost" }))
  if (isLost(run, 0.002)) return post(run, 0, () => report({ _tag: "TooLarge" }))
  if (isLost(run, 0.04)) return post(run, 32_000, () => report({ _tag: "TimedOut" }))
  post(run, delayOf(run), () => {
    const outcome = peers.take(notify)
    if (isLost(run, 0.02)) post(run, 32_000, () => report({ _tag: "TimedOut" }))
    else post(run, delayOf(run), () => report(isLost(run, 0.01) ? { ...outcome, tried: elsewhere } : outcome))
  })
}

/** A place of the next hop that was tried before another one took the NOTIFY. */
const elsewhere = [{ address: "udp:192.0.2.250:5060", outcome: "timed-out" }] as const

/** Tells the process that sent a NOTIFY how it ended, if that still runs. */
const reporting = (run: Run, notify: Notify): ((outcome: DeliveryOutcome) => void) => {
  const began = run.life
  return (outcome) => {
    const { presentity, no: id, cseq } = notify
    run.foreign.delete(notify)
    const isForgotten = run.life !== began
    run.deliveries.push({ presentity, no: id, cseq, outcome: isForgotten ? "Forgotten" : outcome._tag })
    if (isForgotten) return
    run.note(`${run.now} outcome ${id} CSeq ${cseq} ${JSON.stringify(outcome)}`)
    offer(run, presentity, { _tag: "ReportDelivery", no: id, cseq, outcome }, nobody)
  }
}
