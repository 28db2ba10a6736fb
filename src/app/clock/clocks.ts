/**
 * A clock that a program provides: deadlines are judged by it, while waiting goes on in real time.
 */
import { Clock, Duration, Effect } from "effect"
import { attention } from "./attention.ts"

/** @param now milliseconds since 1970 */
export const clockTelling = (
  now: () => number,
  system: Clock.Clock,
  sleep: Clock.Clock["sleep"] = (duration) => system.sleep(duration),
): Clock.Clock => ({
  currentTimeMillisUnsafe: now,
  currentTimeMillis: Effect.sync(now),
  monotonicTimeNanosUnsafe: () => system.monotonicTimeNanosUnsafe(),
  monotonicTimeNanos: system.monotonicTimeNanos,
  currentTimeNanosUnsafe: () => BigInt(Math.round(now() * 1e6)),
  currentTimeNanos: Effect.sync(() => BigInt(Math.round(now() * 1e6))),
  sleep,
})

/** The clock that is used when nobody provides one. */
const machineClock = Effect.runSync(Clock.Clock)

/** Whether this is the machine's clock; one that a program provides is right by definition. */
export const isMachineClock = (clock: Clock.Clock): boolean => clock === machineClock

/** The same clock, but waiting counts only the time in which the process ran, and ends after sockets have been read. */
export const attentiveClock = (now: () => number, system: Clock.Clock): Clock.Clock =>
  clockTelling(now, system, (duration) =>
    Effect.callback<void>((resume) => {
      const callOff = attention.after(Duration.toMillis(duration), () => resume(Effect.void))
      return Effect.sync(callOff)
    }),
  )
