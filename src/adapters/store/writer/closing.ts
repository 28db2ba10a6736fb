/**
 * Closing in time what the database has a say in.
 */
import { Effect } from "effect"

/**
 * Does what closes connections, and cuts them off when that takes too long: whatever waits then fails, and the closing ends.
 *
 * @param millis how long it may take
 */
export const closingWithin = <A, E, R>(
  millis: number,
  cut: () => void,
  close: Effect.Effect<A, E, R>,
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const timer = setTimeout(cut, millis)
    return Effect.ensuring(
      close,
      Effect.sync(() => clearTimeout(timer)),
    )
  })
