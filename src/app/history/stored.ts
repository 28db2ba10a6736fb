/**
 * A decision as it stands in the log, with the states around it.
 */
import { Effect } from "effect"
import type { CommittedDecision } from "../../domain/engine/engine.ts"
import type { EventStore, RecordedDecision, StoreUnavailable } from "../../ports/event-store.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import { initial } from "../../domain/presentity/state.ts"
import { eachDecision } from "./each-decision.ts"

/** Folded from the landmark before it, or from the beginning. */
export const storedOf = (
  store: EventStore["Service"],
  decision: Decision,
): Effect.Effect<CommittedDecision, StoreUnavailable> =>
  Effect.flatMap(store.landmarkBefore(decision.stream, decision.version - 1), (landmark) => {
    let before = landmark ?? initial(decision.stream)
    const each = (earlier: RecordedDecision): "go on" | "stop" => {
      if (earlier.decision.version >= decision.version) return "stop"
      before = fold(before, earlier.decision)
      return "go on"
    }
    return Effect.map(eachDecision(store, decision.stream, before.version, each), (): CommittedDecision => ({
      decision,
      before,
      after: fold(before, decision),
    }))
  })
