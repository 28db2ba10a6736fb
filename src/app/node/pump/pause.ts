/**
 * Work on the store while nothing is decided: requests wait meanwhile, and what is decided already is stored before it begins.
 */
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
      // what is decided goes to the store all the same
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

/** The same; the presentities that the work names are read again before anything more is decided on them. */
export const pausedFor = <E, R>(
  pump: Parts,
  work: Effect.Effect<Iterable<Uri>, E, R>,
): Effect.Effect<void, E, R> =>
  whilePaused(
    pump,
    Effect.gen(function* () {
      // whoever follows the log is not told afterwards of what was before; a log that cannot be read keeps nobody waiting
      yield* pump.front.catchUp.pipe(Effect.timeoutOption("5 seconds"), Effect.ignore)
      for (const stream of yield* work) {
        pump.engine.unload(stream)
        readAgain(pump, stream)
      }
    }),
  )
