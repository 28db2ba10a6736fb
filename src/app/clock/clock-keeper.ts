/**
 * Keeps a server's clock: compares the machine's clock with everything that knows the time, reports jumps, and has the store
 * remember from time to time what the clock said.
 *
 * While the server runs, the witnesses are the monotonic clock, the time since the machine's start, and the database's clock,
 * which counts when it did not jump along. At a start the witness is what was remembered: if the machine has not been restarted,
 * its uptime must agree with its clock, or the clock is doubted; after a restart, the clock must not be before what is known.
 */
import { readFileSync } from "node:fs"
import { uptime } from "node:os"
import { Effect } from "effect"
import type { Clock } from "effect"
import type { Millis } from "../../domain/vocabulary.ts"
import { spanInWords } from "../../explain/time-spans.ts"
import type { ClockWitness } from "../../ports/log-admin.ts"
import { attentiveClock } from "./clocks.ts"
import { databaseSlackMillis, doubtMillis, gapOf } from "./known-time.ts"
import { makeSteadyClock } from "./steady-clock.ts"
import type { ClockEvent, ClockState, SteadyOptions, TimeSources } from "./steady-clock.ts"

export interface ClockKeeper {
  /** The clock that everything in the server goes by. */
  readonly clock: Clock.Clock
  readonly state: () => ClockState
  /** Asks the store what time it should be, before anything is decided. */
  readonly begin: (witness: ClockWitness) => Effect.Effect<void>
  /** Asks the store and tells it the time, once. */
  readonly look: Effect.Effect<void>
  /** Does so from time to time, until the scope ends. */
  readonly run: Effect.Effect<void>
  /** Completes when everything about jumps that has to be remembered is stored. */
  readonly remembered: Effect.Effect<void>
}

const beatEvery = "1 minute"
const lookEvery = "10 seconds"

/** Identifies one run of the machine between two starts; `unknown` where that cannot be told. */
export const bootId = (): string => {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
  } catch {
    return "unknown"
  }
}

/** Milliseconds since the machine's start, sleep included; null where that cannot be told. */
export const uptimeMillis = (): number | null => {
  try {
    return uptime() * 1000
  } catch {
    return null
  }
}

export const makeClockKeeper = (
  system: Clock.Clock,
  options: SteadyOptions,
  log: (line: Effect.Effect<void>) => void,
  sources: TimeSources & { readonly boot?: string } = {
    wall: () => system.currentTimeMillisUnsafe(),
    monotonic: () => performance.now(),
    uptime: uptimeMillis,
  },
): ClockKeeper => {
  const boot = sources.boot ?? bootId()
  let witness: ClockWitness | null = null
  /** A jump that was followed, until that is stored. */
  let followed: (ClockEvent & { readonly _tag: "Followed" }) | null = null
  /** The difference of the database's clock from ours when both were right. */
  let baseline: { readonly database: Millis; readonly monotonic: number; readonly offset: Millis } | null =
    null

  const steady = makeSteadyClock(sources, options, (event) => {
    log(lineOf(event, options, sources.wall()))
    if (event._tag === "Followed") followed = event
  })

  const remembered = Effect.suspend(() => {
    const event = followed
    if (event === null || witness === null) return Effect.void
    followed = null
    return remember(witness, event, steady.now()).pipe(
      Effect.catch(() =>
        Effect.sync(() => {
          followed = event
        }),
      ),
    )
  })

  const look = Effect.fnUntraced(function* (from: ClockWitness) {
    const { at, isLocal } = yield* from.look
    const told = steady.now()
    const monotonic = sources.monotonic()
    if (steady.state().ahead === 0) {
      // a database clock that is far away from ours cannot vouch for ours
      const isNear = Math.abs(at - told) <= databaseSlackMillis
      baseline = { database: at, monotonic, offset: isNear ? at - told : 0 }
      return
    }
    if (baseline === null) {
      // both may have been set before anybody looked: then it does not confirm the jump
      const denies = Math.abs(at - told) <= databaseSlackMillis
      if (denies || !isLocal) steady.witness(denies ? told : at)
      return
    }
    const passed = monotonic - baseline.monotonic
    const hasJumped = Math.abs(at - baseline.database - passed) > options.jumpMillis
    if (!hasJumped) steady.witness(at - baseline.offset)
  })

  const turn = Effect.gen(function* () {
    const from = witness
    if (from === null) return
    yield* look(from)
    yield* remembered
    const since = sources.uptime()
    if (steady.state().ahead === 0 && since !== null)
      yield* from.beat({ boot, uptime: since, at: steady.now() })
  }).pipe(Effect.ignore)

  return {
    clock: attentiveClock(steady.now, system),
    state: steady.state,
    begin: (from) =>
      Effect.gen(function* () {
        const database = yield* from.look
        const known = yield* expectation(from, database, sources, boot, options.jumpMillis)
        witness = from
        if (known._tag === "Doubted") yield* from.saveDoubt({ at: sources.wall(), by: known.by })
        if (known._tag === "Expected") steady.expect(known.at, known.isDenied)
        yield* turn
      }).pipe(
        Effect.catch(() =>
          Effect.logWarning("the store does not say what time it ought to be: the machine's clock is taken"),
        ),
      ),
    look: turn,
    run: Effect.forever(
      Effect.andThen(
        Effect.suspend(() => Effect.sleep(steady.state().ahead === 0 ? beatEvery : lookEvery)),
        turn,
      ),
    ),
    remembered,
  }
}

type Expectation =
  | { readonly _tag: "Plausible" }
  | { readonly _tag: "Expected"; readonly at: Millis; readonly isDenied: boolean }
  /** No witness confirms a gap of that length. */
  | { readonly _tag: "Doubted"; readonly by: Millis }

/** What is known of the time at a start. */
const expectation = Effect.fnUntraced(function* (
  witness: ClockWitness,
  database: { readonly at: Millis; readonly isLocal: boolean },
  sources: TimeSources,
  boot: string,
  jumpMillis: Millis,
) {
  const wall = sources.wall()
  const gap = yield* gapOf(witness, wall, boot, sources.uptime())
  const plausible: Expectation = { _tag: "Plausible" }
  const near = (left: Millis, right: Millis, slack = jumpMillis): boolean => Math.abs(left - right) <= slack
  const vouches = !database.isLocal && near(database.at, wall, databaseSlackMillis)
  const denies = (expected: Millis): boolean =>
    near(database.at, expected, databaseSlackMillis) && !near(database.at, wall, databaseSlackMillis)
  const expected = (at: Millis): Expectation => ({ _tag: "Expected", at, isDenied: denies(at) })
  if (gap === null) return plausible
  const { known, toldAt } = gap
  if (gap.by === "uptime") return near(wall, known) || vouches ? plausible : expected(known)
  if (toldAt !== null && wall < toldAt - jumpMillis) return vouches ? plausible : expected(toldAt)
  if (gap.millis <= doubtMillis || vouches) return plausible
  // a third opinion: the database's clock is between what is known and what the machine's clock says
  const isElsewhere = !near(database.at, wall, databaseSlackMillis) && database.at >= known - jumpMillis
  if (isElsewhere && database.at < wall) return expected(database.at)
  const doubted: Expectation = { _tag: "Doubted", by: gap.millis }
  return doubted
})

const remember = Effect.fnUntraced(function* (
  witness: ClockWitness,
  { by, vouched }: ClockEvent & { readonly _tag: "Followed" },
  now: Millis,
) {
  const doubt = yield* witness.doubt
  if (by > doubtMillis && vouched === null) {
    yield* witness.saveDoubt({ at: now, by: by + (doubt?.by ?? 0) })
  } else if (doubt !== null && (vouched === "database" || -by >= doubt.by / 2)) yield* witness.clearDoubt
})

/** Logs what happened to the clock, once for each event. */
const lineOf = (event: ClockEvent, { waitMillis }: SteadyOptions, wall: Millis): Effect.Effect<void> => {
  switch (event._tag) {
    case "Healed":
      return Effect.logInfo("the clock of this machine is where it ought to be again")
    case "Jumped":
      return Effect.logWarning(
        `the clock of this machine ${wayOf(event.by)}, to ${new Date(wall).toISOString()}, and ${event.isDenied ? "the database's clock denies that" : "nothing confirms that"}: ` +
          `${wayOut(event.isDenied, waitMillis)}; nothing ends or is dropped because of it before`,
      )
    case "Followed": {
      const why =
        event.vouched === null
          ? `it has stood for ${waitMillis / 1000} s`
          : event.vouched === "uptime"
            ? "the machine slept for so long"
            : "the database's clock says the same"
      return Effect.logWarning(
        `the clock of this machine ${wayOf(event.by)}, to ${new Date(wall).toISOString()}, and is followed: ${why}`,
      )
    }
  }
}

const wayOut = (isDenied: boolean, waitMillis: Millis): string =>
  isDenied
    ? "it is not followed for as long as that says so"
    : `it is followed when it has stood for ${waitMillis / 1000} s (clock_jump_wait), unless the database's clock denies it`

const wayOf = (difference: Millis): string =>
  `went ${difference > 0 ? "ahead" : "back"} by ${spanInWords(Math.abs(difference))}`

/** The machine's clock for a program that embeds presently: there is no store to ask and no setting to follow. */
export const steadied = (system: Clock.Clock): Clock.Clock => {
  const { clock } = makeClockKeeper(system, steadyDefaults, () => {})
  return clock
}

const steadyDefaults: SteadyOptions = { jumpMillis: 10_000, waitMillis: 86_400_000 }
