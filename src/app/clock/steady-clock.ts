/**
 * The clock that a server goes by: the machine's, except for jumps that nothing explains.
 *
 * The machine's clock and the monotonic clock run at the same pace. When they part by more than `jumpMillis`, the time told
 * continues with the monotonic clock until the machine's clock comes back, a witness confirms the jump, or it has persisted for
 * `waitMillis` without being denied. So a clock that is wrong for a while expires nothing and drops nothing, and one that was
 * corrected is followed in the end.
 *
 * A machine that slept, or a process that was frozen with it, looks like a jump, because the monotonic clock does not count
 * sleep. The time since the machine's start does, so it confirms such a jump at once.
 */
import type { Millis } from "../../domain/vocabulary.ts"

/** The clocks that are compared. */
export interface TimeSources {
  /** The machine's clock, milliseconds since 1970. */
  readonly wall: () => Millis
  /** Monotonic milliseconds, at the pace of time, not counting sleep of the machine. */
  readonly monotonic: () => number
  /** Milliseconds since the machine's start, sleep included; null: unknown. */
  readonly uptime: () => number | null
}

export interface SteadyOptions {
  /** Difference that counts as a jump. */
  readonly jumpMillis: Millis
  /** How long a jump must persist before it is followed without confirmation; 0: it is followed at once. */
  readonly waitMillis: Millis
}

/** What happened to the clock. `by`: milliseconds, positive when it went ahead. */
export type ClockEvent =
  /** `isDenied`: the database's clock contradicts it already. */
  | { readonly _tag: "Jumped"; readonly by: Millis; readonly isDenied: boolean }
  /** The machine's clock is back where it was expected. */
  | { readonly _tag: "Healed" }
  /** The jump is followed from now on; `vouched`: the witness that confirmed it, null: it only persisted long enough. */
  | { readonly _tag: "Followed"; readonly by: Millis; readonly vouched: "uptime" | "database" | null }

export interface ClockState {
  /** How far the machine's clock is from the time that is told, in milliseconds; 0: it is followed. */
  readonly ahead: Millis
  /** When the jump will be followed if nothing happens, by the time that is told; null: there is none, or it is denied. */
  readonly followsAt: Millis | null
  readonly isDenied: boolean
  readonly jumps: number
  readonly followed: number
}

export interface SteadyClock {
  readonly now: () => Millis
  /** Reports that it is now about `instant`, by a clock that did not jump along with this one. */
  readonly witness: (instant: Millis) => void
  /** What time it should be at a start: told until the machine's clock agrees. */
  readonly expect: (instant: Millis, isDenied: boolean) => void
  readonly state: () => ClockState
}

/** How long the clocks are compared from one anchor before a newer one is taken, so that a clock that runs fast is noticed too. */
const anchorMillis = 60_000

interface Anchor {
  readonly wall: Millis
  readonly monotonic: number
  readonly uptime: number | null
}

export const makeSteadyClock = (
  { wall, monotonic, uptime }: TimeSources,
  { jumpMillis, waitMillis }: SteadyOptions,
  told: (event: ClockEvent) => void,
): SteadyClock => {
  const anchorAt = (instant: Millis, now: number): Anchor => ({
    wall: instant,
    monotonic: now,
    uptime: uptime(),
  })
  let anchor = anchorAt(wall(), monotonic())
  /** A jump that is not followed: how far it went, and since when by the monotonic clock. */
  let held: { by: Millis; since: number; isDenied: boolean } | null = null
  const counts = { jumps: 0, followed: 0 }
  /** Whether the next jump counts as denied from its beginning. */
  let willBeDenied = false

  const follow = (
    instant: Millis,
    now: number,
    ahead: Millis,
    vouched: "uptime" | "database" | null,
  ): Millis => {
    held = null
    anchor = anchorAt(instant, now)
    counts.followed++
    told({ _tag: "Followed", by: ahead, vouched })
    return instant
  }

  /** Whether the machine slept for as long as its clock went ahead. */
  const hasSlept = (instant: Millis): boolean => {
    const since = uptime()
    if (since === null || anchor.uptime === null) return false
    return Math.abs(instant - anchor.wall - (since - anchor.uptime)) <= jumpMillis
  }

  const parted = (instant: Millis, now: number, expected: Millis, ahead: Millis): Millis => {
    if (held === null || Math.abs(ahead - held.by) > jumpMillis) {
      const isDenied = willBeDenied && waitMillis > 0
      held = { by: ahead, since: now, isDenied }
      counts.jumps++
      // the machine's uptime tells its sleep as reliably as its clock does
      if (ahead > 0 && hasSlept(instant)) return follow(instant, now, ahead, "uptime")
      if (waitMillis > 0) told({ _tag: "Jumped", by: ahead, isDenied })
    }
    if (!held.isDenied && now - held.since >= waitMillis) return follow(instant, now, ahead, null)
    return expected
  }

  const now = (): Millis => {
    const instant = wall()
    const ticks = monotonic()
    const expected = Math.floor(anchor.wall + (ticks - anchor.monotonic))
    const ahead = instant - expected
    if (ahead > jumpMillis || ahead < -jumpMillis) return parted(instant, ticks, expected, ahead)
    if (held !== null) {
      held = null
      told({ _tag: "Healed" })
    }
    if (ticks - anchor.monotonic > anchorMillis) anchor = anchorAt(instant, ticks)
    return instant
  }

  return {
    now,
    witness: (instant) => {
      const expected = now()
      if (held === null) return
      const isConfirmed = Math.abs(expected + held.by - instant) <= jumpMillis
      const isDenied = Math.abs(expected - instant) <= jumpMillis
      if (isConfirmed) follow(expected + held.by, monotonic(), held.by, "database")
      else if (isDenied !== held.isDenied) held = { ...held, isDenied, since: monotonic() }
    },
    expect: (instant, isDenied) => {
      anchor = anchorAt(instant, monotonic())
      willBeDenied = isDenied
      now()
      willBeDenied = false
      if (held !== null && isDenied) held = { ...held, isDenied }
    },
    state: () => {
      const instant = now()
      if (held === null) return { ahead: 0, followsAt: null, isDenied: false, ...counts }
      const left = waitMillis - (monotonic() - held.since)
      return {
        ahead: Math.round(held.by),
        followsAt: held.isDenied ? null : Math.round(instant + left),
        isDenied: held.isDenied,
        ...counts,
      }
    },
  }
}
