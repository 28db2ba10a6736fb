/**
 * Brings the three tables and the snapshots up to the end of a log that no server is writing: after a kill
 * -9, or for a program that keeps no tables.
 */
import { Context, Effect } from "effect"
import type { Millis } from "../../domain/vocabulary.ts"
import { EventStore } from "../../ports/event-store.ts"
import type { LogAdmin } from "../../ports/log-admin.ts"
import { PresenceTables } from "../../ports/presence-tables.ts"
import { foldTail } from "./fold-tail.ts"
import { makeProjector } from "./projector.ts"

/**
 * A separate projector and its progress. @param oldestInFlight issue time of the server's oldest NOTIFY
 * without an outcome
 */
export const makeOwnProjector = (log: LogAdmin["Service"], oldestInFlight: () => Millis | null) => {
  const committed = { position: 0, at: 0 }
  const services = Context.make(EventStore, log.store).pipe(Context.add(PresenceTables, log.tables))
  return Effect.map(
    makeProjector(
      { periodSeconds: 0, decisionsMax: Number.POSITIVE_INFINITY },
      { committed: () => committed, oldestInFlight },
    ).pipe(Effect.provideContext(services)),
    (projector) => ({ projector, committed }),
  )
}

/** @returns whether everything could be written */
export const catchUp = Effect.fn("Tables.catchUp")(function* (log: LogAdmin["Service"]) {
  // a killed server may have left NOTIFYs without an outcome, so none is assumed to have one
  const { projector, committed } = yield* makeOwnProjector(log, () => 0)
  const { position, at } = yield* foldTail((stored) => projector.note([stored])).pipe(
    Effect.provideService(EventStore, log.store),
  )
  Object.assign(committed, { position, at })
  yield* projector.flush
  return projector.lag().decisions === 0
})
