/** Work on the store while nothing is decided: requests wait, and what has been decided is stored first. */
import { Effect } from "effect"
import type { Uri } from "../../../domain/vocabulary.ts"
import { readAgain } from "./inbox.ts"
import { isAppended } from "./parts.ts"
import type { Parts } from "./parts.ts"

const isQuiet = (pump: Parts): boolean => !pump.loading.isUnderWay && isAppended(pump)

export const whilePaused = <A, E, R>(pump: Parts, work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  pump.pauses.withPermits(1)(
    Effect.gen(function* () {
      pump.isPaused = true
      // what has been decided still has to be stored
      pump.schedule()
      while (!isQuiet(pump)) yield* pump.waiting.until(() => isQuiet(pump))
      return yield* work
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          pump.isPaused = false
          pump.schedule()
        }),
      ),
    ),
  )

/** The same; the presentities that the work names are reloaded before anything more is decided on them. */
export const pausedFor = <E, R>(
  pump: Parts,
  work: Effect.Effect<Iterable<Uri>, E, R>,
): Effect.Effect<void, E, R> =>
  whilePaused(
    pump,
    Effect.gen(function* () {
      // so that followers are not told of earlier decisions afterwards; do not wait for ever for a log that
      // cannot be read
      yield* pump.front.catchUp.pipe(Effect.timeoutOption("5 seconds"), Effect.ignore)
      for (const stream of yield* work) {
        pump.engine.unload(stream)
        readAgain(pump, stream)
      }
    }),
  )
