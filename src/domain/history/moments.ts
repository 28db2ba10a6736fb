/**
 * Walks through a log: each decision with the states around it and the NOTIFYs it caused, derived from the events
 * exactly as the server derived them.
 */
import { clockOf } from "../presentity/clock.ts"
import type { Decision } from "../presentity/events.ts"
import { fold } from "../presentity/evolve.ts"
import type { Notify } from "../presentity/intents.ts"
import { react } from "../presentity/react.ts"
import type { Reaction } from "../presentity/react.ts"
import type { State } from "../presentity/state.ts"
import type { Position } from "../vocabulary.ts"

/** A decision and its position in the log. */
export interface RecordedDecision {
  readonly position: Position
  readonly decision: Decision
}

/** A recorded decision with the states around it. */
export interface DecisionStep extends RecordedDecision {
  readonly before: State
  readonly after: State
  /** The NOTIFYs that it caused, in order. */
  readonly notifications: readonly Notify[]
}

/**
 * The step of a decision on a state. O(its events), or O(subscriptions) if it notifies all active ones; documents are
 * composed once per change.
 */
export const momentOf = (
  before: State,
  { position, decision }: RecordedDecision,
  reaction: Reaction,
): DecisionStep => {
  const after = fold(before, decision)
  const notifications = react(before, decision.events, after, clockOf(decision), reaction)
  return { position, decision, before, after, notifications }
}
