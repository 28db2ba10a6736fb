/**
 * Repairs tables and snapshots that differ from the log, in the running server: no other program may while it
 * holds the log.
 */
import { Effect, Semaphore } from "effect"
import type { LogAdmin } from "../../ports/log-admin.ts"
import { Refused } from "../../ports/operation-refused.ts"
import { errorMessage } from "../error-message.ts"
import { differenceText } from "../integrity/report.ts"
import { verifyTables } from "../integrity/verify.ts"
import type { Projector } from "./projector.ts"

const shownMax = 100

/** @param log null: there is no database, or one with a single session that a repair would block */
export const makeRepairer = (
  store: string,
  log: LogAdmin["Service"] | null,
  projector: Pick<Projector, "flush">,
) => {
  const turns = Semaphore.makeUnsafe(1)
  return (fromStart: boolean) =>
    Effect.gen(function* () {
      if (log === null) {
        const why =
          "there are no tables, or they are kept within the server's process, where they are not rewritten while it runs: stop it, and use presently verify --repair"
        return yield* new Refused({ status: 409, why })
      }
      const report = yield* projector.flush.pipe(
        Effect.andThen(verifyTables(log, { fromStart, repair: true })),
        Effect.flatMap((found) =>
          Effect.map(verifyTables(log, { fromStart, repair: false }), (after) => ({
            found,
            after,
          })),
        ),
        Effect.mapError(
          (cause) =>
            new Refused({
              status: 503,
              why: `the store does not answer (${errorMessage(cause)}): try again`,
            }),
        ),
      )
      const { position, decisions, differences, repaired, seconds } = report.found
      return {
        store,
        position,
        decisions,
        found: differences.slice(0, shownMax).map(differenceText),
        repaired: repaired ?? 0,
        left: report.after.differences.length,
        seconds,
      }
    }).pipe(turns.withPermits(1))
}
