/**
 * Reading the decisions about one presentity, oldest first.
 */
import { Effect } from "effect"
import type { EventStore, RecordedDecision, StoreUnavailable } from "../../ports/event-store.ts"
import type { Uri } from "../../domain/vocabulary.ts"

/** Decisions per read. */
export const decisionsPerRead = 500

/** Calls `each` with every decision about a presentity after a version, oldest first, until it says stop. */
export const eachDecision = (
  store: Pick<EventStore["Service"], "history">,
  presentity: Uri,
  after: number,
  each: (recorded: RecordedDecision) => "go on" | "stop",
): Effect.Effect<void, StoreUnavailable> =>
  Effect.flatMap(store.history(presentity, after, decisionsPerRead), (rows) => {
    for (const recorded of rows) if (each(recorded) === "stop") return Effect.void
    const last = rows.at(-1)
    return last === undefined || rows.length < decisionsPerRead
      ? Effect.void
      : eachDecision(store, presentity, last.decision.version, each)
  })
