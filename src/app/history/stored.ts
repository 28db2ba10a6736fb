/**
 * A decision in the log, with the states around it.
 */
import { Effect } from "effect"
import type { CommittedDecision } from "../../domain/engine/engine.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { EventStore, RecordedDecision, StoreUnavailable } from "../../ports/event-store.ts"
import { eachDecision } from "./decisions.ts"

/** Folded from the landmark before it, or from the beginning. */
export const storedOf = (
  store: EventStore["Service"],
  decision: Decision,
): Effect.Effect<CommittedDecision, StoreUnavailable> =>
  Effect.flatMap(store.landmarkBefore(decision.stream, decision.version - 1), (landmark) => {
    let before = landmark ?? initial(decision.stream)
    const each = (recorded: RecordedDecision): "go on" | "stop" => {
      if (recorded.decision.version >= decision.version) return "stop"
      before = fold(before, recorded.decision)
      return "go on"
    }
    return Effect.map(eachDecision(store, decision.stream, before.version, each), (): CommittedDecision => ({
      decision,
      before,
      after: fold(before, decision),
    }))
  })
