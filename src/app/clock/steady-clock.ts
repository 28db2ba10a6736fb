/**
 * The clock a server goes by: the machine's, but for jumps that nothing explains.
 *
 * The machine's clock and the monotonic one go at the same pace. When they part by more than `jumpMillis`, the time told goes on as
 * the monotonic clock does, until the machine's clock comes back, until somebody confirms it, or until it has stood for
 * `waitMillis` and nobody denies it. So a clock that is wrong for a while ends nothing and drops nothing, and one that was set right
 * is followed in the end.
 *
 * A machine that slept, or a process on it that was frozen with it, looks like a jump: the monotonic clock does not count sleep.
 * The time since the machine's start does, so it confirms at once.
 */
import type { Millis } from "../../domain/vocabulary.ts"

/** What the clock is compared with. */
export interface TimeSources {
  /** The machine's clock, milliseconds since 1970. */
  readonly wall: () => Millis
  /** Milliseconds that only grow, at the pace of time, but not while the machine sleeps. */
  readonly monotonic: () => number
  /** Milliseconds since the machine's start, sleep included; null: that cannot be told. */
  readonly uptime: () => number | null
}

export interface SteadyOptions {
  /** Difference that counts as a jump. */
  readonly jumpMillis: Millis
  /** How long a jump must have stood before it is followed without being confirmed; 0: at once. */
  readonly waitMillis: Millis
}

/** What happened to the clock. `by`: milliseconds, positive when it went ahead. */
export type ClockEvent =
  /** `isDenied`: the database's clock says already that it is wrong. */
  | { readonly _tag: "Jumped"; readonly by: Millis; readonly isDenied: boolean }
  /** It is where it was expected to be. */
  | { readonly _tag: "Healed" }
  /** It is followed from now on; `vouched`: by whom it was confirmed, null: only by standing for so long. */
  | { readonly _tag: "Followed"; readonly by: Millis; readonly vouched: "uptime" | "database" | null }

export interface ClockState {
  /** By how much the machine's clock differs from the time that is told, in milliseconds; 0: it is followed. */
  readonly ahead: Millis
  /** When it will be followed, if nothing happens, by the time that is told; null: it is, or somebody denies it. */
  readonly followsAt: Millis | null
  readonly isDenied: boolean
  readonly jumps: number
  readonly followed: number
}

export interface SteadyClock {
  readonly now: () => Millis
  /** Told from elsewhere that it is now about `instant`, by a clock that did not jump with this one. */
  readonly witness: (instant: Millis) => void
  /** What time it ought to be, at a start: told until the machine's clock agrees. */
  readonly expect: (instant: Millis, isDenied: boolean) => void
  readonly state: () => ClockState
}

/** How long the two clocks are compared from one point before a newer one is taken: so a clock that runs fast is noticed as well. */
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
  /** A jump that is not followed: how far it went, and since when, by the monotonic clock. */
  let held: { by: Millis; since: number; isDenied: boolean } | null = null
  const counts = { jumps: 0, followed: 0 }
  /** Whether the next jump is denied from the beginning. */
  let willBeDenied = false

  const follow = (
    instant: Millis,
    now: number,
    difference: Millis,
    vouched: "uptime" | "database" | null,
  ): Millis => {
    held = null
    anchor = anchorAt(instant, now)
    counts.followed++
    told({ _tag: "Followed", by: difference, vouched })
    return instant
  }

  /** Whether the machine slept for as long as its clock went ahead. */
  const hasSlept = (instant: Millis): boolean => {
    const since = uptime()
    if (since === null || anchor.uptime === null) return false
    return Math.abs(instant - anchor.wall - (since - anchor.uptime)) <= jumpMillis
  }

  const parted = (instant: Millis, now: number, expected: Millis, difference: Millis): Millis => {
    if (held === null || Math.abs(difference - held.by) > jumpMillis) {
      const isDenied = willBeDenied && waitMillis > 0
      held = { by: difference, since: now, isDenied }
      counts.jumps++
      // the machine's own word on its sleep is as good as its clock's
      if (difference > 0 && hasSlept(instant)) return follow(instant, now, difference, "uptime")
      if (waitMillis > 0) told({ _tag: "Jumped", by: difference, isDenied })
    }
    if (!held.isDenied && now - held.since >= waitMillis) return follow(instant, now, difference, null)
    return expected
  }

  const now = (): Millis => {
    const instant = wall()
    const ticks = monotonic()
    const expected = Math.floor(anchor.wall + (ticks - anchor.monotonic))
    const difference = instant - expected
    if (difference > jumpMillis || difference < -jumpMillis)
      return parted(instant, ticks, expected, difference)
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
