/**
 * The outcome of a decision, and short ways to construct one.
 *
 * A handler whose events are independent of each other returns an `Outcome`. One whose later events depend on earlier
 * ones adds them to a `Draft` (`transition.ts`) and returns only the answer.
 */
import type { Answer, Rejection, Reply } from "./commands.ts"
import type { Event } from "./events.ts"
import type { Transition } from "./transition.ts"

/**
 * The events to store, and the answer that becomes valid with them.
 *
 * A rejection has no events, with one exception: a refresh that meets changed rules ends its subscription.
 */
export interface Outcome {
  readonly events: readonly Event[]
  readonly answer: Answer
}

/** An outcome with the states between its events, each computed once for all who need it. */
export interface Decided extends Transition {
  readonly answer: Answer
}

/** A complete decision, to which nothing can be added. */
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

/** The request has been carried out, or nothing had to change. */
export const isDone: Answer = accepted({ _tag: "Done" })

export const reject = (rejection: Rejection): Outcome => ({ events: none, answer: rejected(rejection) })

const none: readonly Event[] = []

/** Nothing happened, and no request is to be answered. */
export const nothingHappened: Outcome = { events: none, answer: isDone }

export const done = (events: readonly Event[]): Outcome =>
  events.length === 0 ? nothingHappened : { events, answer: isDone }
