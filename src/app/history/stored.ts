/**
 * A decision as it stands in the log, with the states around it.
 */
import { Effect } from "effect"
import type { CommittedDecision } from "../../domain/engine/engine.ts"
import type { EventStore, StoreUnavailable } from "../../ports/event-store.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import { initial } from "../../domain/presentity/state.ts"
import { eachDecision } from "../library/history.ts"

/** Folded from the landmark before it, or from the beginning. */
export const storedOf = (
  store: EventStore["Service"],
  decision: Decision,
): Effect.Effect<CommittedDecision, StoreUnavailable> =>
  Effect.flatMap(store.landmarkBefore(decision.stream, decision.version - 1), (landmark) => {
    let before = landmark ?? initial(decision.stream)
    const each = (one: Decision): "go on" | "stop" => {
      if (one.version >= decision.version) return "stop"
      before = fold(before, one)
      return "go on"
    }
    return Effect.map(eachDecision(store, decision.stream, each, before.version), (): CommittedDecision => ({
      decision,
      before,
      after: fold(before, decision),
    }))
  })
