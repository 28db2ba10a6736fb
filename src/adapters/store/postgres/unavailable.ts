/**
 * What a database says when it does not do what is asked of it, as the port says it.
 */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import type { LogIsTaken } from "../../../ports/claim.ts"
import { StoreUnavailable } from "../../../ports/event-store.ts"

export const unavailable = <A, R>(
  effect: Effect.Effect<A, Failure, R>,
): Effect.Effect<A, StoreUnavailable, R> =>
  Effect.mapError(effect, (cause) =>
    cause instanceof StoreUnavailable ? cause : new StoreUnavailable({ cause }),
  )

/** The same queries, each of which fails as the port says. */
type Answering<Queries> = {
  readonly [Name in keyof Queries]: Queries[Name] extends Effect.Effect<infer A, unknown>
    ? Effect.Effect<A, StoreUnavailable>
    : Queries[Name] extends (...args: infer Args) => Effect.Effect<infer A, unknown>
      ? (...args: Args) => Effect.Effect<A, StoreUnavailable>
      : never
}

type Query = Effect.Effect<unknown, Failure>
type Failure = SqlError.SqlError | StoreUnavailable | LogIsTaken

/** Has each of the queries fail with `StoreUnavailable` alone. */
export const answering = <Queries extends Readonly<Record<string, Query | ((...args: never[]) => Query)>>>(
  queries: Queries,
): Answering<Queries> =>
  Object.fromEntries(
    Object.entries(queries).map(([name, query]) => [
      name,
      typeof query === "function"
        ? (...args: readonly unknown[]) =>
            unavailable((query as (...args: readonly unknown[]) => Query)(...args))
        : unavailable(query),
    ]),
  ) as Answering<Queries>
