/**
 * Who sent a request, where its decision only refers to an earlier one that says so.
 */
import { Effect } from "effect"
import type { Requester } from "../../domain/presentity/about.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { StoreUnavailable } from "../../ports/event-store.ts"
import type { HistoryStore } from "./decisions.ts"

/** Each is looked for once. */
export const makeRequesters = (store: Pick<HistoryStore, "history">, presentity: Uri) => {
  const known = new Map<number, Requester | null>()
  return (version: number): Effect.Effect<Requester | null, StoreUnavailable> =>
    Effect.suspend(() => {
      const requester = known.get(version)
      return requester !== undefined
        ? Effect.succeed(requester)
        : Effect.tap(requesterIn(store, presentity, version), (found) =>
            Effect.sync(() => known.set(version, found)),
          )
    })
}

/**
 * @param by what a decision of that presentity says
 * @returns null: it is not known, or no longer
 */
export const requesterIn = (
  store: Pick<HistoryStore, "history">,
  presentity: Uri,
  by: Requester | number | null,
): Effect.Effect<Requester | null, StoreUnavailable> => {
  if (typeof by !== "number") return Effect.succeed(by)
  return Effect.map(store.history(presentity, by - 1, 1), ([referred]) => {
    const decision = referred?.decision
    return decision?.version === by && typeof decision.about?.by === "object" ? decision.about.by : null
  })
}
