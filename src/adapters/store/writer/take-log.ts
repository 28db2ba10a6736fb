/**
 * Getting the log for one process: waiting for whoever has it, making the table that says who writes, and taking the row.
 */
import { hostname } from "node:os"
import { Effect } from "effect"
import { LogIsTaken } from "../../../ports/claim.ts"
import type { Holder } from "../../../ports/claim.ts"
import { holderIn } from "./claim.ts"
import { codeOf, fitnessOf } from "./fitness.ts"
import { hasEnded, processIdentity } from "./processes.ts"
import { secondSession } from "./session.ts"
import type { Session } from "./session.ts"
import { driftMillis, seen, standingOf } from "./sighting.ts"
import type { Sighting } from "./sighting.ts"
import { lockClass, lockOn, look, moment, raiseEpoch, restoreRow, sessionOf } from "./writer-row.ts"
import type { WriterOptions, WriterRow } from "./writer-row.ts"

/** How often somebody who waits looks, when nobody tells it. */
const lookEvery = 250

/** How long somebody else may be making the layout before we do. */
const layoutPatience = 60_000

/** The session that a program asks through; another takes its place when it ends. */
export interface Seat {
  session: Session
}

/**
 * Gets the log. Nothing is written before it is known that the database is fit, and nobody else's.
 *
 * Fails with LogIsTaken, unless it is to wait; StoreUnfit; and SqlError when the database does not answer.
 */
export const takeLog = Effect.fnUntraced(function* (seat: Seat, options: WriterOptions) {
  const { store, fix, standby, on } = options
  const layout = yield* prepare(seat, options)
  yield* restoreRow(seat.session)
  let sighting: Sighting<WriterRow> | null = null
  for (;;) {
    const row = yield* look(seat.session)
    const now = performance.now()
    sighting = seen(sighting, row, now)
    const standing = standingOf(sighting, now, hasEnded(row.process))
    if (standing === "free") {
      if (yield* waitForEarlier(seat, options)) continue
      const taken = yield* take(seat.session, row, options).pipe(
        // a write of the predecessor is under way
        Effect.catchIf(
          (cause) => codeOf(cause) === "55P03",
          () => Effect.succeed(null),
        ),
      )
      if (taken !== null) return { ...taken, isMigrated: !layout.hasWriters }
      continue
    }
    const holder = holderIn(row)
    if (standing === "held" && !standby) return yield* new LogIsTaken({ store, holder, fix })
    if (standby) yield* on.waiting(holder)
    yield* Effect.raceFirst(Effect.sleep(lookEvery), seat.session.news)
  }
})

/** Makes the table that says who writes, where there is none; of several that want that, one does. */
const prepare = Effect.fnUntraced(function* (seat: Seat, options: WriterOptions) {
  const second = secondSession(options.url, options.application)
  for (let tries = 0; ; tries++) {
    const layout = yield* fitnessOf(seat.session, second, options.setting, options.theirs, options.tables)
    if (layout.hasWriters) return layout
    // nobody else is to wait for the layout meanwhile
    if (yield* waitForEarlier(seat, options)) continue
    const [mine] = yield* seat.session.ask<{ got: boolean }>(
      `SELECT pg_try_advisory_lock(${lockClass}, 0) AS got`,
    )
    // whoever holds it for so long is none of us
    if (mine?.got === true || tries * lookEvery >= layoutPatience) {
      yield* options.migrate
      // it may have taken longer than a session may be silent
      yield* seat.session.close
      seat.session = yield* sessionOf(options)
      return layout
    }
    yield* Effect.sleep(lookEvery)
  }
})

/** Ends when no server of an earlier version is connected; a failure for whoever does not wait. @returns whether it waited */
const waitForEarlier = Effect.fnUntraced(function* (seat: Seat, { store, fix, standby, on }: WriterOptions) {
  for (let hasWaited = false; ; hasWaited = true) {
    const holder = yield* earlierServer(seat.session)
    if (holder === null) return hasWaited
    if (!standby) return yield* new LogIsTaken({ store, holder, fix })
    yield* on.waiting(holder)
    yield* Effect.sleep(lookEvery)
  }
})

/** A server of a version that knew of no claim; null: none is connected. */
const earlierServer = Effect.fnUntraced(function* (session: Session) {
  const [one] = yield* session.ask<{ pid: number; host: string | null; since: Date | null }>(
    `SELECT pid, coalesce(client_hostname, host(client_addr)) AS host, backend_start AS since FROM pg_stat_activity
     WHERE datname = current_database() AND starts_with(application_name, 'presently server ')
     ORDER BY backend_start LIMIT 1`,
  )
  if (one === undefined) return null
  const { pid, host, since } = one
  const holder: Holder = {
    program: "a server of an earlier version",
    host: host ?? hostname(),
    pid,
    isSession: true,
    version: "",
    since: since?.getTime() ?? 0,
    epoch: 0,
  }
  return holder
})

/**
 * Ends what a predecessor has left open: a transaction of its would keep everybody out. What we may not end ends by itself.
 *
 * @param spared a session that goes on
 */
const endSessions = (session: Session, { application }: WriterRow, spared = 0) =>
  application === ""
    ? Effect.void
    : session
        .ask(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> $2::int
             AND application_name = $1 AND application_name <> current_setting('application_name')`,
          [application, spared],
        )
        .pipe(Effect.ignore)

/** @returns null: somebody else was faster, or the holder has come back */
const take = Effect.fnUntraced(function* (session: Session, row: WriterRow, options: WriterOptions) {
  yield* endSessions(session, row, row.session)
  const lock = yield* lockOn(session)
  const within = Effect.gen(function* () {
    const held = yield* session.ask(
      `SELECT FROM writers WHERE shard = 0 AND epoch = $1::bigint AND application = $2 AND session = $3::int AND lock = $4::int
       FOR UPDATE`,
      [String(row.epoch), row.application, row.session, row.lock],
    )
    if (held.length === 0) return null
    return yield* raiseEpoch(session.ask, options, { lock, lease: options.lease, process: processIdentity() })
  })
  let asked = moment()
  yield* session.ask("BEGIN")
  const taken = yield* within.pipe(Effect.tapError(() => Effect.ignore(session.ask("ROLLBACK"))))
  yield* session.ask(taken === null ? "ROLLBACK" : "COMMIT")
  if (taken === null) return null
  const holder = holderIn(taken)
  if (row.lives && !hasEnded(row.process)) {
    // what its holder asks from here on tells it that the log is taken; what it asked a moment before that told it that it is not
    const [last] = yield* session.ask<{ turn: string | null }>(
      `SELECT (SELECT a.backend_start || ' ' || a.query_start FROM pg_stat_activity a
         WHERE a.pid = $1::int AND a.application_name = $2) AS turn`,
      [row.session, row.application],
    )
    yield* endSessions(session, row)
    if (last!.turn !== row.turn) {
      for (const until = performance.now() + row.lease * 1000 + driftMillis; performance.now() < until;) {
        yield* Effect.sleep(lookEvery)
        asked = moment()
        // ours is not to fall silent meanwhile
        const { epoch } = yield* look(session)
        if (Number(epoch) !== holder.epoch) return null
      }
    }
  }
  return { holder, asked }
})
