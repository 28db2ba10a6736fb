/**
 * Whether the clock can be believed when it says that something is old: what has been dropped does not come back.
 */
import { Effect } from "effect"
import type { Millis } from "../../domain/vocabulary.ts"
import { spanInWords } from "../../explain/time-spans.ts"
import type { ClockWitness } from "../../ports/log-admin.ts"
import { bootId, uptimeMillis } from "./clock-keeper.ts"
import { doubtMillis } from "./known-time.ts"
import { databaseSlackMillis, gapOf } from "./known-time.ts"

export interface Suspicion {
  /** How far the machine's clock is from the time that is told; 0: it is not, or nobody knows. */
  readonly ahead: Millis
  /** Days for which an unconfirmed jump keeps anything from being dropped. */
  readonly doubtDays: number
  /** True: a server has watched the clock for as long as it runs. */
  readonly isWatched: boolean
}

/** @returns why nothing may be dropped as old without an operator's word; null: no objection */
export const suspicionOf = Effect.fnUntraced(function* (
  witness: ClockWitness,
  now: Millis,
  { ahead, doubtDays, isWatched }: Suspicion,
) {
  if (ahead !== 0)
    return `the clock of this machine is ${spanInWords(Math.abs(ahead))} ${ahead > 0 ? "ahead of" : "behind"} the right time, and nothing confirms it`
  const { at: database, isLocal } = yield* witness.look
  if (now - database > databaseSlackMillis)
    return `the database's clock says ${iso(database)}, and this machine's ${iso(now)}`
  const doubt = yield* witness.doubt
  if (doubt !== null && now - doubt.at < doubtDays * day)
    return `the clock went ahead by ${spanInWords(doubt.by)} at ${iso(doubt.at)}, and nothing has confirmed that: it is taken for right ${iso(doubt.at + doubtDays * day)} (retention_doubt)`
  if (isWatched) return null
  const gap = yield* gapOf(witness, now, bootId(), uptimeMillis())
  if (gap === null || gap.millis <= doubtMillis) return null
  if (gap.by === "uptime")
    return `the clock of this machine went ahead by ${spanInWords(gap.millis)} since ${iso(gap.toldAt)}`
  // a database on another machine has a clock of its own, and it agrees
  if (!isLocal) return null
  return `the newest that the log knows of is from ${iso(gap.known)}, ${spanInWords(gap.millis)} ago by the clock of this machine`
})

const day: Millis = 86_400_000

const iso = (at: Millis): string => new Date(at).toISOString()
