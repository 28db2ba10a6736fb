/**
 * What goes into a decision though nobody asked for it: that the clock is behind the stream's time, and which NOTIFYs have been
 * answered 2xx since the decision before. Both stand before what was decided.
 */
import type { Accepted, Command } from "../presentity/commands.ts"
import { acceptedEvent } from "../presentity/delivery-acks.ts"
import type { ClockSetBack } from "../presentity/events.ts"
import type { State } from "../presentity/state.ts"
import { add, begin, joined } from "../presentity/transition.ts"
import type { Draft, Transition } from "../presentity/transition.ts"
import type { Millis } from "../vocabulary.ts"

/**
 * What must be known before anything is decided: an answer that is not written down yet has proven where NOTIFYs go all the same.
 *
 * @returns null in the usual case: nothing that bears on the decision
 */
export const knownBefore = (
  state: State,
  command: Command,
  accepted: readonly Accepted[],
  now: Millis,
): Transition | null =>
  state.unproven === 0 || accepted.length === 0 || writesThemItself(command)
    ? null
    : preamble(state, accepted, now)

/** The whole decision, with what goes along with it; folds nothing again that is in `known` or `decided`. */
export const withPreamble = (
  known: Transition | null,
  decided: Transition,
  command: Command,
  accepted: readonly Accepted[],
): Transition => {
  if (known !== null) return joined(known, decided)
  const { before, now } = decided
  if (accepted.length === 0 && now >= before.decidedAt) return decided
  // the clock comes first of all, and by this command it is an event of its own
  if (command._tag === "FollowClock") return joined(decided, answers(begin(decided.after, now), accepted))
  return joined(preamble(before, writesThemItself(command) ? [] : accepted, now), decided)
}

const writesThemItself = ({ _tag }: Command): boolean => _tag === "RecordDeliveries" || _tag === "FollowClock"

const preamble = (state: State, accepted: readonly Accepted[], now: Millis): Draft => {
  const draft = begin(state, now)
  // without `moved` it changes nothing of the state
  if (now < state.decidedAt) add(draft, behind(state, now))
  return answers(draft, accepted)
}

const behind = ({ decidedAt }: State, now: Millis): ClockSetBack => ({
  _tag: "ClockSetBack",
  by: decidedAt - now,
})

const answers = (draft: Draft, accepted: readonly Accepted[]): Draft => {
  if (accepted.length > 0) add(draft, acceptedEvent(accepted, draft.now))
  return draft
}
