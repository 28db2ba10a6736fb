/**
 * Turns whatever arguments, packages and functions of the program throw into refusals.
 */
import { Effect } from "effect"
import { PackageFault } from "../extensions/package-fault.ts"
import { CallbackFault, PresenceRefused } from "./refused.ts"

/** Runs what reads arguments; a refusal that it throws becomes a failure. */
export const checked = <A>(read: () => A): Effect.Effect<A, PresenceRefused> =>
  reading(() => Effect.succeed(read()))

/** Runs what reads arguments and continues with them; a refusal thrown on the way becomes a failure. */
export const reading = <A>(ask: () => Effect.Effect<A, PresenceRefused>): Effect.Effect<A, PresenceRefused> =>
  Effect.suspend(() => {
    try {
      return ask()
    } catch (thrown) {
      if (thrown instanceof PresenceRefused) return Effect.fail(thrown)
      throw thrown
    }
  })

/** The same for what calls packages or functions of the program on its way: their faults are refused with 500. */
export const asRefusal = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
): Effect.Effect<A, E | PresenceRefused, R> =>
  Effect.catchDefect(effect, (defect) => {
    if (defect instanceof PresenceRefused) return Effect.fail(defect)
    if (!(defect instanceof PackageFault || defect instanceof CallbackFault)) return Effect.die(defect)
    const rejection = { _tag: "ServerInternalError", status: 500 } as const
    return Effect.fail(new PresenceRefused({ status: 500, rejection, cause: defect }))
  })

/** A query whose arguments are read, and may be refused, when it runs. */
export const asked = <A, E>(ask: () => Effect.Effect<A, E>): Effect.Effect<A, E | PresenceRefused> =>
  asRefusal(Effect.suspend(ask))
