/**
 * A stop that completes in time whatever the database does: its connections are closed, and what still waits
 * for it fails.
 */
import { Duration, Effect, Scope } from "effect"
import { closingWithin } from "../../adapters/store/writer/closing.ts"
import type { Storage } from "./storage.ts"

/** Milliseconds for a server whose log has been taken: it has nothing more to write. */
const lostWithin = 1000

/** Milliseconds of a stop that are kept for closing: the statement that is under way, and handing back the log. */
const closingMillis = 1500

/** How long a stop may write what is under way, so that the log is handed back before its connections are cut off. */
export const writingWithin = (patience: Duration.Input): Duration.Duration => {
  const millis = Duration.toMillis(Duration.fromInputUnsafe(patience))
  return Duration.millis(Math.max(millis / 2, millis - closingMillis))
}

/**
 * A child scope, closed with the current one.
 *
 * @param patience how long closing may take
 */
export const stoppingWithin = Effect.fnUntraced(function* (patience: Duration.Input) {
  const scope = yield* Scope.make()
  let storage: Pick<Storage, "claim" | "cutOff"> | null = null
  yield* Effect.addFinalizer((exit) =>
    Effect.suspend(() => {
      const millis = Duration.toMillis(Duration.fromInputUnsafe(patience))
      const isLost = storage !== null && storage.claim.taken() !== null
      const within = isLost ? Math.min(lostWithin, millis) : millis
      return closingWithin(within, () => storage?.cutOff(), Scope.close(scope, exit))
    }),
  )
  return {
    scope,
    /** The storage whose connections are to be closed. */
    opened: (opened: Pick<Storage, "claim" | "cutOff">): void => {
      storage = opened
    },
  }
})
