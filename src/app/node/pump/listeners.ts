/** Listeners to the pump. They register before the log is read, are called synchronously, and return at once. */
import type { CommittedDecision } from "../../../domain/engine/engine.ts"
import type { Notify } from "../../../domain/presentity/intents.ts"
import type { State } from "../../../domain/presentity/state.ts"
import type { Millis, Uri } from "../../../domain/vocabulary.ts"

export interface PumpListener {
  /**
   * Stored decisions, in order, each once.
   *
   * @param present the current state, if the log turned out to contain more; absent: the state after the last
   * of these
   */
  readonly stored?: (stored: readonly CommittedDecision[], present?: State) => void
  /** `committed` has advanced: the log can be read up to there. */
  readonly passed?: () => void
  /** An append took that many milliseconds. */
  readonly appended?: (millis: number) => void
  /** NOTIFYs have been handed to the transport; `since`: when their cause arrived or fell due. */
  readonly notified?: (notifications: readonly Notify[], since: Millis) => void
  /** The store went away or came back; called once each time. */
  readonly outage?: (state: "down" | "up", cause: unknown) => void
  /** The log of one presentity cannot be read, or can be again (`cause` null); all others go on. */
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
