/**
 * Who is told of what the pump does. Listeners register themselves, before the log is read; what they are told is synchronous, and
 * they return at once.
 */
import type { CommittedDecision } from "../../../domain/engine/engine.ts"
import type { Notify } from "../../../domain/presentity/intents.ts"
import type { State } from "../../../domain/presentity/state.ts"
import type { Millis, Uri } from "../../../domain/vocabulary.ts"

export interface PumpListener {
  /**
   * Decisions that are stored, in order, each once.
   *
   * @param present the state now, of what the log turned out to hold besides; absent: that after the last of them
   */
  readonly stored?: (stored: readonly CommittedDecision[], present?: State) => void
  /** `committed` has moved on: the log can be read up to there. */
  readonly passed?: () => void
  /** An append took so many milliseconds. */
  readonly appended?: (millis: number) => void
  /** NOTIFYs were handed to the transport; `since`: when what they tell of came, or fell due. */
  readonly notified?: (notifications: readonly Notify[], since: Millis) => void
  /** The store went away or came back: said once each time. */
  readonly outage?: (state: "down" | "up", cause: unknown) => void
  /** What the log holds of one presentity cannot be read, or can be again (`cause` null): all others go on. */
  readonly unreadable?: (presentity: Uri, cause: unknown) => void
}

export interface Listeners extends Required<PumpListener> {
  readonly add: (listener: PumpListener) => void
}

export const makeListeners = (): Listeners => {
  const all: PumpListener[] = []
  return {
    add: (listener) => void all.push(listener),
    stored: (stored, present) => {
      for (const listener of all) listener.stored?.(stored, present)
    },
    passed: () => {
      for (const listener of all) listener.passed?.()
    },
    appended: (millis) => {
      for (const listener of all) listener.appended?.(millis)
    },
    notified: (notifications, since) => {
      for (const listener of all) listener.notified?.(notifications, since)
    },
    outage: (state, cause) => {
      for (const listener of all) listener.outage?.(state, cause)
    },
    unreadable: (presentity, cause) => {
      for (const listener of all) listener.unreadable?.(presentity, cause)
    },
  }
}
