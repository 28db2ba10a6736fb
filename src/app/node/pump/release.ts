/**
 * Answers and NOTIFYs on their way out. What was not stored may be said only while it is sure that nobody else has the log.
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

/** Answers 503, when somebody waits for an answer. */
export const refuse = (
  { counters, options }: Parts,
  ticket: Pick<NonNullable<Ticket>, "answer"> | null,
  why: string,
): void => {
  if (ticket === null) return
  counters.refusedUnavailable++
  ticket.answer({ _tag: "Rejected", rejection: unavailable(why, options.retryAfter) })
}

/** @param isStored what it says was in the log at a moment after it was asked; else it is from memory, which must be sure */
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
  // in the order of their numbers
  if (pump.held.length > 0) sendHeld(pump)
  ticket?.trace?.notifies(notifications)
  const since = ticket?.arrivedAt ?? at
  pump.outbox.notify(notifications, since)
  pump.listeners.notified(notifications, since)
}

/** What waited leaves now. */
export const sendHeld = (pump: Parts): void => {
  const notifications = pump.held
  pump.held = []
  const since = pump.now()
  pump.outbox.notify(notifications, since)
  pump.listeners.notified(notifications, since)
}
