/**
 * The outcome of a decision and the short ways to make one.
 */
import type { Answer, Rejection, Reply } from "./commands.ts"
import type { Event } from "./events.ts"
import type { State } from "./state.ts"

/**
 * Events to store, and the answer that becomes true with them.
 *
 * A rejection has no events, with one exception: a refresh that meets changed rules ends its subscription.
 */
export interface Outcome {
  readonly events: readonly Event[]
  readonly answer: Answer
}

/** An outcome, with the state after each of its events: each is computed once, for all who need it. */
export interface Consequences {
  readonly outcome: Outcome
  /** As many as there are events. */
  readonly states: readonly State[]
}

export const accept = (events: readonly Event[], reply: Reply): Outcome => ({
  events,
  answer: { _tag: "Accepted", reply },
})

export const reject = (rejection: Rejection): Outcome => ({
  events: none,
  answer: { _tag: "Rejected", rejection },
})

/** Nothing happened and nobody asked. */
export const nothingHappened: Outcome = {
  events: [],
  answer: { _tag: "Accepted", reply: { _tag: "Done" } },
}

export const done = (events: readonly Event[]): Outcome =>
  events.length === 0 ? nothingHappened : { events, answer: nothingHappened.answer }

const none: readonly Event[] = []
