/**
 * What handlers of resources have in common: refusals as problems, the caller's name, and the body as text.
 */
import { Effect } from "effect"
import { HttpServerRequest } from "effect/http"
import type { Refused } from "../../ports/operation-refused.ts"
import { Principal } from "./api.ts"
import { Invalid, problemOf } from "./problems.ts"

/** A refusal becomes the problem (RFC 9457) that says the same. */
export const refusable = <A, R>(effect: Effect.Effect<A, Refused, R>) => Effect.mapError(effect, problemOf)

/** Asks with the name of the caller, which the log keeps as the one who asked. */
export const byCaller = <A>(ask: (by: string) => Effect.Effect<A, Refused>) =>
  Effect.flatMap(Principal, ({ name }) => refusable(ask(name)))

export const bodyText = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
  Effect.mapError(request.text, () => new Invalid({ detail: "the body cannot be read, or is too long" })),
)
