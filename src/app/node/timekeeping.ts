/** The state of the clock and stops of the process, for the management port, metrics and the log. */
import { Effect } from "effect"
import type { Millis } from "../../domain/vocabulary.ts"
import { spanInWords } from "../../explain/time-spans.ts"
import type { ClockWitness } from "../../ports/log-admin.ts"
import { attention } from "../clock/attention.ts"
import type { ClockKeeper } from "../clock/clock-keeper.ts"
import type { ClockState, SteadyOptions } from "../clock/steady-clock.ts"
import { suspicionOf } from "../clock/witnesses.ts"
import type { Config } from "../config/config.ts"
import type { Family } from "../telemetry/open-metrics.ts"

export interface Timekeeping {
  /** Why the clock is not trusted, one line each; empty if it is. */
  readonly troubles: () => readonly string[]
  /** For the status of the server. */
  readonly view: () => object
  readonly families: () => readonly Family[]
}

export const clockOptionsOf = ({ clock_jump, clock_jump_wait }: Config): SteadyOptions => ({
  jumpMillis: clock_jump * 1000,
  waitMillis: clock_jump_wait * 1000,
})

const followed: ClockState = { ahead: 0, followsAt: null, isDenied: false, jumps: 0, followed: 0 }

export const timekeepingOf = (keeper: ClockKeeper | null, retention: () => RetentionRuns): Timekeeping => {
  const state = (): ClockState => keeper?.state() ?? followed
  return {
    troubles: () => {
      const { ahead } = state()
      if (ahead === 0) return []
      return [
        `the machine's clock is ${spanInWords(Math.abs(ahead))} ${ahead > 0 ? "ahead of" : "behind"} the right time`,
      ]
    },
    view: () => {
      const { ahead, followsAt, isDenied, jumps } = state()
      const stops = attention.stops()
      return {
        ahead_ms: ahead,
        follows_at: followsAt === null ? null : new Date(followsAt).toISOString(),
        denied: isDenied,
        jumps,
        stops: stops.count,
        stopped_ms: Math.round(stops.millis),
      }
    },
    families: () => familiesOf(state(), retention()),
  }
}

type RetentionRuns = { readonly runs: number; readonly postponed: number; readonly limited: number } | null

const familiesOf = (clock: ClockState, runs: RetentionRuns): readonly Family[] => {
  const { ahead, jumps, followed: count } = clock
  const stops = attention.stops()
  return [
    {
      type: "gauge",
      name: "presently_clock_ahead_seconds",
      unit: "seconds",
      help: "By how much the machine's clock differs from the time the server goes by; 0: it is followed.",
      samples: [{ value: ahead / 1000 }],
    },
    {
      type: "counter",
      name: "presently_clock_jumps",
      help: "Times the machine's clock parted from the monotonic one.",
      samples: [{ value: jumps }],
    },
    {
      type: "counter",
      name: "presently_clock_followed",
      help: "Jumps of the clock that were followed, having been confirmed or having stood for clock_jump_wait.",
      samples: [{ value: count }],
    },
    {
      type: "counter",
      name: "presently_process_stops",
      help: "Times the process did not run for half a second or longer.",
      samples: [{ value: stops.count }],
    },
    {
      type: "counter",
      name: "presently_process_stopped_seconds",
      unit: "seconds",
      help: "How long it did not run in all.",
      samples: [{ value: stops.millis / 1000 }],
    },
    ...(runs === null
      ? []
      : [
          {
            type: "counter" as const,
            name: "presently_retention_runs",
            help: "Times the server was to drop what is old, by what came of it.",
            samples: [
              { labels: { outcome: "postponed" }, value: runs.postponed },
              { labels: { outcome: "limited" }, value: runs.limited },
              { labels: { outcome: "whole" }, value: runs.runs - runs.postponed - runs.limited },
            ],
          },
        ]),
  ]
}

export const retentionSuspicion =
  (witness: ClockWitness, { retention_doubt: doubtDays }: Config, keeper: ClockKeeper | null) =>
  (now: Millis) =>
    Effect.andThen(
      keeper?.remembered ?? Effect.void,
      Effect.suspend(() =>
        suspicionOf(witness, now, {
          ahead: keeper?.state().ahead ?? 0,
          doubtDays,
          isWatched: keeper !== null,
        }),
      ),
    )

/** Shorter stops are only counted. */
const tellMillis = 2000

export const stopTold = (millis: Millis, log: (line: Effect.Effect<void>) => void): void => {
  if (millis < tellMillis) return
  log(
    Effect.logWarning(
      `this process did not run for ${(millis / 1000).toFixed(1)} s: what waited in its sockets is read before anything times out`,
    ),
  )
}
