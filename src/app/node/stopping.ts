/**
 * A stop that ends in time whatever the database does: what still waits for it then fails, because its connections are ended.
 */
import { Duration, Effect, Scope } from "effect"
import { closingWithin } from "../../adapters/store/writer/closing.ts"
import type { Storage } from "./storage.ts"

/** How long a server whose log is somebody else's may take: it has nothing more to write. Milliseconds. */
const lostWithin = 1000

/**
 * A scope inside the present one, which is closed with it.
 *
 * @param patience how long it may take to close
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
    /** Whose connections are ended. */
    opened: (one: Pick<Storage, "claim" | "cutOff">): void => {
      storage = one
    },
  }
})
