/**
 * Keeping the log: asking again and again whether it is ours, and noticing that it is not, or that nobody can be sure.
 *
 * A holder whose session ended takes the log again under the same epoch, when nobody has raised that: then its memory is still what
 * the log says.
 */
import type { PgClient } from "@effect/sql-pg"
import { Deferred, Effect } from "effect"
import { LogIsTaken } from "../../../ports/claim.ts"
import type { Holder, WriterCounters } from "../../../ports/claim.ts"
import { claimOn, holderIn } from "./claim.ts"
import type { HolderRow } from "./claim.ts"
import { processIdentity } from "./processes.ts"
import type { Seat } from "./take-log.ts"
import { handBack, lockClass, lockOn, look, moment, restoreRow, sessionOf } from "./writer-row.ts"
import type { Moment, WriterOptions } from "./writer-row.ts"

/** Of a lease: how often the holder asks. */
const questions = 4

/** How long a holder without session waits before it tries again. */
const retryMillis = 200

/** The log as this process holds it. */
export interface Hold {
  readonly seat: Seat
  readonly options: WriterOptions
  readonly holder: Holder
  readonly counters: WriterCounters
  /** Fails when somebody else took the log. */
  readonly lost: Deferred.Deferred<never, LogIsTaken>
  /** Until then nobody else can have written. */
  sureUntil: Moment
  taken: LogIsTaken | null
  /** It is not sure that nobody else writes, and that was counted. */
  hasLapsed: boolean
  /** Why, when nobody has been told yet. */
  untold: { readonly cause: unknown } | null
  /** Has the next question asked at once. */
  wake: () => void
}

/** @param asked when the question was asked to which the answer was that the log is ours */
export const makeHold = (seat: Seat, options: WriterOptions, holder: Holder, asked: Moment): Hold => {
  const hold: Hold = {
    seat,
    options,
    holder,
    counters: options.counters ?? { lapses: 0, fenced: 0 },
    lost: Deferred.makeUnsafe<never, LogIsTaken>(),
    sureUntil: { running: 0, wall: 0 },
    taken: null,
    hasLapsed: false,
    untold: null,
    wake: () => {},
  }
  beSure(hold, asked)
  return hold
}

/** Has all statements of a client fenced with what this process holds. */
export const fenceWith = (sql: PgClient.PgClient, hold: Hold): void => {
  const { options, holder } = hold
  Object.assign(claimOn(sql), {
    epoch: holder.epoch,
    application: options.application,
    store: options.store,
    isSure: () => isSure(hold),
    taken: () => hold.taken,
    fenced: () => {
      hold.counters.fenced++
      lapse(hold, "a write was kept out")
      hold.wake()
    },
  })
}

const beSure = (hold: Hold, from: Moment): void => {
  const millis = hold.options.lease * 1000
  hold.sureUntil = { running: from.running + millis, wall: from.wall + millis }
}

const isSure = ({ sureUntil }: Hold): boolean =>
  performance.now() < sureUntil.running && Date.now() < sureUntil.wall

/** Why it is not sure, though the session is there. */
const silence = ({ sureUntil, options }: Hold): string => {
  if (performance.now() >= sureUntil.running) return `no answer for ${options.lease} s (writer_lease)`
  const seconds = Math.round((Date.now() - sureUntil.wall) / 1000) + options.lease
  return `the clock of this machine went ahead by about ${seconds} s: it was suspended, or its clock was set`
}

const lapse = (hold: Hold, cause: unknown): void => {
  hold.sureUntil = { running: 0, wall: 0 }
  if (hold.hasLapsed) return
  hold.hasLapsed = true
  hold.counters.lapses++
  hold.untold = { cause }
}

const tell = (hold: Hold) =>
  Effect.suspend(() => {
    const { untold } = hold
    hold.untold = null
    return untold === null ? Effect.void : hold.options.on.lapsed(untold.cause)
  })

const lose = (hold: Hold, row: HolderRow) =>
  Effect.suspend(() => {
    const { store, fix } = hold.options
    lapse(hold, "taken")
    hold.taken = new LogIsTaken({ store, holder: holderIn(row), fix })
    return Effect.andThen(Deferred.fail(hold.lost, hold.taken), hold.seat.session.close)
  })

interface AskedRow extends HolderRow {
  readonly application: string
  readonly locked: boolean
}

/** Asks once whether the log is ours. */
const ask = ({ seat, options }: Hold) =>
  seat.session
    .ask<AskedRow>(
      `SELECT w.program, w.host, w.pid, w.version, w.since, w.epoch, w.application, w.session = pg_backend_pid() AND EXISTS (
         SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.pid = pg_backend_pid()
           AND l.classid = ${lockClass}::oid AND l.objid = w.lock::oid) AS locked
       FROM writers w WHERE w.shard = 0`,
    )
    .pipe(Effect.timeout((options.lease * 1000) / 2))

/** Asks whether the log is still ours, again and again; ends when it is not, fails when the session has ended. */
const beat = Effect.fnUntraced(function* (hold: Hold) {
  const { seat, options, holder } = hold
  const woken = Effect.callback<void>((resume) => {
    hold.wake = () => resume(Effect.void)
  })
  for (;;) {
    const from = moment()
    const [row] = yield* ask(hold)
    if (row === undefined) return yield* Effect.fail(new Error("the row that says who writes is gone"))
    if (Number(row.epoch) !== holder.epoch) return row
    if (row.application !== options.application && row.application !== "") return row
    if (!row.locked || row.application === "")
      return yield* Effect.fail(new Error("the session does not hold its lock any more"))
    if (!isSure(hold)) lapse(hold, silence(hold))
    yield* tell(hold)
    beSure(hold, from)
    if (hold.hasLapsed) {
      hold.hasLapsed = false
      yield* options.on.returned
    }
    const pause = Effect.sleep((options.lease * 1000) / questions)
    yield* Effect.raceFirst(pause, Effect.raceFirst(woken, seat.session.news))
  }
})

/** A new session for the one that ended. @returns the row that is ours no more; null: it is ours again */
const again = Effect.fnUntraced(function* ({ seat, options, holder }: Hold) {
  seat.session = yield* sessionOf(options)
  yield* restoreRow(seat.session)
  const number = yield* lockOn(seat.session)
  const [mine] = yield* seat.session.ask<HolderRow>(
    `UPDATE writers SET session = pg_backend_pid(), lock = $1::int, application = $3, program = $4, host = $5, pid = $6::int,
       version = $7, since = to_timestamp($8::float8 / 1000.0), lease = $9::int, process = $10
     WHERE shard = 0 AND epoch = $2::bigint AND application IN ($3, '') RETURNING epoch`,
    [
      number,
      holder.epoch,
      options.application,
      holder.program,
      holder.host,
      holder.pid,
      holder.version,
      holder.since,
      options.lease,
      processIdentity(),
    ],
  )
  return mine === undefined ? yield* look(seat.session) : null
})

/** Keeps the log until somebody else has it. */
export const keepLog = Effect.fnUntraced(function* (hold: Hold) {
  for (;;) {
    const ended = yield* Effect.exit(beat(hold))
    if (ended._tag === "Success") return yield* lose(hold, ended.value)
    lapse(hold, ended.cause)
    yield* tell(hold)
    for (;;) {
      yield* hold.seat.session.close
      const back = yield* Effect.exit(again(hold))
      if (back._tag === "Success") {
        if (back.value === null) break
        return yield* lose(hold, back.value)
      }
      yield* Effect.sleep(retryMillis)
    }
  }
})

/** Hands the log back, and closes the session, whichever there is by then. */
export const releaseLog = ({ seat, options, holder }: Hold) =>
  Effect.suspend(() => handBack(seat.session.ask, holder.epoch, options.application)).pipe(
    Effect.andThen(Effect.suspend(() => seat.session.close)),
  )
