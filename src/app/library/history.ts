/**
 * What was: every decision about a presentity, and the presentity as of any instant.
 */
import { Effect } from "effect"
import { presentityIn } from "../../domain/history/at.ts"
import type { PresentityAt } from "../../domain/history/at.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { EventStore, StoreUnavailable } from "../../ports/event-store.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import { isAfter, untilOf } from "../history/until.ts"

export type { PresentityAt } from "../../domain/history/at.ts"

/** Decisions per read. */
const pageRows = 500

/** Calls `each` with every decision about a presentity after a version, oldest first, until it says stop. */
export const eachDecision = (
  store: EventStore["Service"],
  presentity: Uri,
  each: (decision: Decision) => "go on" | "stop",
  after = 0,
): Effect.Effect<void, StoreUnavailable> => {
  const page = (from: number): Effect.Effect<void, StoreUnavailable> =>
    Effect.flatMap(store.history(presentity, from, pageRows), (rows) => {
      for (const { decision } of rows) if (each(decision) === "stop") return Effect.void
      return rows.length < pageRows ? Effect.void : page(rows.at(-1)!.decision.version)
    })
  return page(after)
}

export const presentityAt = (
  store: EventStore["Service"],
  packages: Packages,
  presentity: Uri,
  at: Millis,
): Effect.Effect<PresentityAt, StoreUnavailable> => {
  const begin = Effect.all([store.landmarkAt(presentity, at), untilOf(store, presentity, at)])
  return Effect.flatMap(begin, ([landmark, until]) => {
    let state = landmark ?? initial(presentity)
    const fold1 = (decision: Decision): "go on" | "stop" => {
      if (isAfter(decision, until)) return "stop"
      state = fold(state, decision)
      return "go on"
    }
    return Effect.map(eachDecision(store, presentity, fold1, state.version), () =>
      presentityIn(state, packages, at),
    )
  })
}
