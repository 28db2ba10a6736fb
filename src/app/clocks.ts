/**
 * Time as a program tells it: what is due is judged by it, while waiting goes on in real time.
 */
import { Effect } from "effect"
import type { Clock } from "effect"

/** @param now milliseconds since 1970 */
export const clockTelling = (now: () => number, system: Clock.Clock): Clock.Clock => ({
  currentTimeMillisUnsafe: now,
  currentTimeMillis: Effect.sync(now),
  monotonicTimeNanosUnsafe: () => system.monotonicTimeNanosUnsafe(),
  monotonicTimeNanos: system.monotonicTimeNanos,
  currentTimeNanosUnsafe: () => BigInt(Math.round(now() * 1e6)),
  currentTimeNanos: Effect.sync(() => BigInt(Math.round(now() * 1e6))),
  sleep: (duration) => system.sleep(duration),
})
