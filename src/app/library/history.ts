/**
 * What was: every decision about a presentity, and the presentity as of any instant.
 */
import { Effect } from "effect"
import { presentityIn } from "../../domain/history/at.ts"
import type { PresentityAt } from "../../domain/history/at.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { EventStore, StoreUnavailable } from "../../domain/ports.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"

export type { PresentityAt } from "../../domain/history/at.ts"

/** Decisions per read. */
const pageRows = 500

/** Calls `each` with every decision about a presentity, oldest first, until it says stop. */
export const eachDecision = (
  store: EventStore["Service"],
  presentity: Uri,
  each: (decision: Decision) => "go on" | "stop",
): Effect.Effect<void, StoreUnavailable> => {
  const page = (after: number): Effect.Effect<void, StoreUnavailable> =>
    Effect.flatMap(store.history(presentity, after, pageRows), (rows) => {
      for (const { decision } of rows) if (each(decision) === "stop") return Effect.void
      return rows.length < pageRows ? Effect.void : page(after + rows.length)
    })
  return page(0)
}

export const presentityAt = (
  store: EventStore["Service"],
  packages: Packages,
  presentity: Uri,
  at: Millis,
): Effect.Effect<PresentityAt, StoreUnavailable> => {
  let state = initial(presentity)
  const fold1 = (decision: Decision): "go on" | "stop" => {
    if (decision.at > at) return "stop"
    state = fold(state, decision)
    return "go on"
  }
  return Effect.map(eachDecision(store, presentity, fold1), () => presentityIn(state, packages, at))
}
