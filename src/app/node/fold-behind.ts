/**
 * Decisions before the checkpoint of the tables that no snapshot contains. A single server never leaves any,
 * but two that wrote to the same log at once did, and what they had acknowledged was never read again.
 */
import { Effect } from "effect"
import type { CommittedDecision } from "../../domain/engine/engine.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import { fold, stateBefore } from "../../domain/presentity/evolve.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import type { EventStore, Position } from "../../ports/event-store.ts"

const streamsPerPage = 500
const rowsPerPage = 500

/**
 * Brings the states of such streams up to date with the log.
 *
 * @param upTo the checkpoint; what follows it is read anyway @param states by presentity, from the snapshots;
 * updated in place @param each called with every decision folded here, in the order of its stream @param
 * broken collects streams whose log is inconsistent @returns the time of the newest of these decisions; 0 if
 * there are none
 */
export const foldBehind = Effect.fnUntraced(function* (
  store: EventStore["Service"],
  upTo: Position,
  states: Map<Uri, State>,
  each: (stored: CommittedDecision) => void,
  broken: Set<Uri>,
) {
  let at: Millis = 0
  if (store.behind === undefined || upTo === 0) return at
  for (let after = ""; ;) {
    const page = yield* store.behind(upTo, after, streamsPerPage)
    for (const { stream, version } of page) {
      let state = states.get(stream) ?? stateBefore(initial(stream), version + 1)
      for (;;) {
        const rows = yield* store.history(stream, state.version, rowsPerPage)
        for (const { position, decision } of rows) {
          if (position > upTo) break
          const before = stateBefore(state, decision.version)
          const after = folded(before, decision)
          if (after instanceof Error) {
            broken.add(stream)
            yield* Effect.logError(after.message)
            break
          }
          state = after
          at = Math.max(at, decision.at)
          each({ decision, before, after })
        }
        if (broken.has(stream) || rows.length < rowsPerPage || rows.at(-1)!.position > upTo) break
      }
      if (broken.has(stream)) states.delete(stream)
      else states.set(stream, state)
    }
    if (page.length < streamsPerPage) return at
    after = page.at(-1)!.stream
  }
})

/** The state after a decision, or an Error if the decision cannot follow that state. */
export const folded = (before: State, decision: Decision): State | Error => {
  try {
    return fold(before, decision)
  } catch (cause) {
    return cause instanceof Error ? cause : new Error(String(cause))
  }
}
