/**
 * A decision being made: its events, and the state after each of them. Every decision of several events is built here, so that
 * each step sees what the steps before it have done, and so that no event is applied twice on its way from command to NOTIFY, but where a first
 * attempt is thrown away: an answer that proves a target (`decide.ts`), a subscription that turns out dormant (`subscribe.ts`).
 *
 *     const draft = begin(state, context.now)
 *     add(draft, event)
 *     draft.after // the state with that event
 */
import { invariant } from "../vocabulary.ts"
import type { Millis } from "../vocabulary.ts"
import type { Event } from "./events.ts"
import { evolve } from "./evolve.ts"
import type { State } from "./state.ts"

/** Events in order, and the states between them. */
export interface Transition {
  /** The state before the first event. */
  readonly before: State
  /** What time it is by the clock (`clockOf`), in milliseconds. */
  readonly now: Millis
  readonly events: readonly Event[]
  /** The state after each event: as many as there are events. */
  readonly states: readonly State[]
  /** The state after the last event; `before` while there is none. */
  readonly after: State
}

/** A transition that more events may be added to, each on top of those before it. */
export interface Draft extends Transition {
  readonly events: Event[]
  readonly states: State[]
  after: State
}

/** A draft without events. */
export const begin = (before: State, now: Millis): Draft => ({
  before,
  now,
  events: [],
  states: [],
  after: before,
})

/** Applies one event. O(the event). */
export const add = (draft: Draft, event: Event): void => {
  draft.after = evolve(draft.after, event, draft.now)
  draft.events.push(event)
  draft.states.push(draft.after)
}

export const addAll = (draft: Draft, events: Iterable<Event>): void => {
  for (const event of events) add(draft, event)
}

/** Goes on with a transition that began where this one ends; its events are not applied again. */
export const append = (draft: Draft, next: Transition): void => {
  invariant(next.before === draft.after, "a transition goes on where it ends")
  for (const event of next.events) draft.events.push(event)
  for (const state of next.states) draft.states.push(state)
  draft.after = next.after
}

/** The transition that these events make of a state. */
export const transitionOf = (before: State, events: readonly Event[], now: Millis): Transition => {
  const draft = begin(before, now)
  addAll(draft, events)
  return draft
}

/** Both, one after the other: the second began where the first ended. */
export const joined = (first: Transition, second: Transition): Transition => ({
  before: first.before,
  now: second.now,
  events: [...first.events, ...second.events],
  states: [...first.states, ...second.states],
  after: second.after,
})

/**
 * The transition with some of its events replaced. What comes before the first replacement is kept as it was computed.
 *
 * @param replace the events that stand for the event at this index; the array of the event itself where it stays
 */
export const rewritten = (
  transition: Transition,
  replace: (event: Event, index: number) => readonly Event[],
): Transition => {
  const parts = transition.events.map((event, index) => replace(event, index))
  const first = parts.findIndex((part, index) => part.length !== 1 || part[0] !== transition.events[index])
  if (first < 0) return transition
  const kept = upTo(transition, first)
  const rest = begin(kept.after, transition.now)
  for (const part of parts.slice(first)) addAll(rest, part)
  return joined(kept, rest)
}

const upTo = ({ before, now, events, states }: Transition, index: number): Transition => ({
  before,
  now,
  events: events.slice(0, index),
  states: states.slice(0, index),
  after: states[index - 1] ?? before,
})
