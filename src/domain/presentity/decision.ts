/**
 * The outcome of a decision, and the short ways to make one.
 *
 * A handler whose events are independent of each other returns an `Outcome`. One whose later events depend on the earlier
 * adds them to a `Draft` (`transition.ts`) and returns the answer alone.
 */
import type { Answer, Rejection, Reply } from "./commands.ts"
import type { Event } from "./events.ts"
import type { Transition } from "./transition.ts"

/**
 * Events to store, and the answer that becomes true with them.
 *
 * A rejection has no events, with one exception: a refresh that meets changed rules ends its subscription.
 */
export interface Outcome {
  readonly events: readonly Event[]
  readonly answer: Answer
}

/** An outcome with the states between its events: each is computed once, for all who need it. */
export interface Decided extends Transition {
  readonly answer: Answer
}

/** A decision that is complete: nothing can be added to it any more. */
export const decided = ({ before, now, events, states, after }: Transition, answer: Answer): Decided => ({
  before,
  now,
  events,
  states,
  after,
  answer,
})

export const accepted = (reply: Reply): Answer => ({ _tag: "Accepted", reply })

export const rejected = (rejection: Rejection): Answer => ({ _tag: "Rejected", rejection })

/** What was asked for is so now. */
export const isDone: Answer = accepted({ _tag: "Done" })

export const reject = (rejection: Rejection): Outcome => ({ events: none, answer: rejected(rejection) })

const none: readonly Event[] = []

/** Nothing happened and nobody asked. */
export const nothingHappened: Outcome = { events: none, answer: isDone }

export const done = (events: readonly Event[]): Outcome =>
  events.length === 0 ? nothingHappened : { events, answer: isDone }
