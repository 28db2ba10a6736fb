/**
 * What a database says when it does not do what is asked of it, as the port says it.
 */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import { StoreUnavailable } from "../../../ports/event-store.ts"
import type { LogIsTaken } from "../../../ports/claim.ts"

export const unavailable = <A, R>(
  effect: Effect.Effect<A, SqlError.SqlError | StoreUnavailable | LogIsTaken, R>,
): Effect.Effect<A, StoreUnavailable, R> =>
  Effect.mapError(effect, (cause) =>
    cause instanceof StoreUnavailable ? cause : new StoreUnavailable({ cause }),
  )
