/**
 * Sends answers and NOTIFYs. What does not come from the log may be sent only while the claim on the log is
 * certain.
 */
import type { Release } from "../../../domain/engine/engine.ts"
import type { Rejection } from "../../../domain/presentity/commands.ts"
import { unsure } from "../../../ports/claim.ts"
import type { Parts, Ticket } from "./parts.ts"

export const unavailable = (why: string, retryAfter: number): Rejection => ({
  _tag: "ServiceUnavailable",
  status: 503,
  why,
  retryAfter,
})

/** Answers 503, if somebody waits for an answer. */
export const refuse = (
  { counters, options }: Parts,
  ticket: Pick<NonNullable<Ticket>, "answer"> | null,
  why: string,
): void => {
  if (ticket === null) return
  counters.refusedUnavailable++
  ticket.answer({ _tag: "Rejected", rejection: unavailable(why, options.retryAfter) })
}

/**
 * @param isStored the answer was in the log at some time after the request; otherwise it is from memory,
 * which needs a certain claim
 */
export const send = (
  pump: Parts,
  { ticket, at, answer, notifications }: Release<Ticket>,
  isStored: boolean,
): void => {
  const isSure = pump.claim.isSure()
  if (isStored || isSure) ticket?.answer(answer)
  else refuse(pump, ticket, unsure)
  if (notifications.length === 0) return
  if (!pump.machine.isOpen || !isSure) {
    pump.held.push(...notifications)
    return
  }
  // in order of CSeq
  if (pump.held.length > 0) sendHeld(pump)
  ticket?.trace?.notifies(notifications)
  const since = ticket?.arrivedAt ?? at
  pump.outbox.notify(notifications, since)
  pump.listeners.notified(notifications, since)
}

/** Sends the NOTIFYs that were held back. */
export const sendHeld = (pump: Parts): void => {
  const notifications = pump.held
  pump.held = []
  const since = pump.now()
  pump.outbox.notify(notifications, since)
  pump.listeners.notified(notifications, since)
}
