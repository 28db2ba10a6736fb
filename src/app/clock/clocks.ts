/**
 * Time as a program tells it: what is due is judged by it, while waiting goes on in real time.
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

/** The one that nobody has provided. */
const machineClock = Effect.runSync(Clock.Clock)

/** Whether it is the machine's; one that a program provides is right, however it goes. */
export const isMachineClock = (clock: Clock.Clock): boolean => clock === machineClock

/** The same, but waiting counts only the time in which the process ran, and ends after what waited in sockets was read. */
export const attentiveClock = (now: () => number, system: Clock.Clock): Clock.Clock =>
  clockTelling(now, system, (duration) =>
    Effect.callback<void>((resume) => {
      const callOff = attention.after(Duration.toMillis(duration), () => resume(Effect.void))
      return Effect.sync(callOff)
    }),
  )
