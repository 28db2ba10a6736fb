/**
 * Which presentities `pres_expose` is about: a regular expression, as the OpenSIPS command takes it.
 */
import { Effect } from "effect"
import { Refused } from "../../ports/operation-refused.ts"
import type { ExposedRow, Operations } from "../../ports/operations.ts"

/**
 * Live publications of the presentities that a filter matches, each also raised as E_PRESENCE_EXPOSED.
 *
 * @param filter a regular expression in the syntax of RE2; null: every presentity
 */
export const exposeMatching = (
  operations: Operations,
  event: string,
  filter: string | null,
): Effect.Effect<readonly ExposedRow[], Refused> =>
  filter === null
    ? operations.expose(event, () => true)
    : Effect.flatMap(compiled(filter), (matches) => operations.expose(event, matches))

/** RE2 runs in linear time, so that no filter can stop the server. It is loaded for the first filter. */
const compiled = (filter: string): Effect.Effect<(uri: string) => boolean, Refused> =>
  Effect.flatMap(
    Effect.promise(() => import("re2js")),
    ({ RE2JS }) =>
      Effect.try({
        try: () => {
          const expression = RE2JS.compile(filter)
          return (uri: string) => expression.matcher(uri).find()
        },
        catch: (fault) =>
          new Refused({
            status: 400,
            why: `filter = ${filter}: no regular expression of RE2: ${fault instanceof Error ? fault.message : String(fault)}`,
          }),
      }),
  )
