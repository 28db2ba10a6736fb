/**
 * Getting the log for one process, keeping it, and noticing that somebody else has it.
 *
 * The claim is a row: whoever raises its epoch has the log, and what the predecessor writes from then on is kept out by the fence
 * (`claim.ts`). Whether the holder lives is told by a session of its own, which holds an advisory lock under a number that is drawn
 * for it, so nobody else can have it. While the holder's last question was answered less than a lease ago, it knows that nobody else
 * has written, and it may not know that its session has ended; so whoever wants the log waits for a lease in which nothing was
 * asked (`sighting.ts`), unless the holder's process has certainly ended (`processes.ts`).
 *
 * A holder whose session ended takes it again under the same epoch, when nobody has raised that: then its memory is still what the
 * log says. After a restart of the database the holder has a lease's time for that before others may take the log.
 */
import { randomInt } from "node:crypto"
import { hostname } from "node:os"
import type { PgClient } from "@effect/sql-pg"
import { Deferred, Effect } from "effect"
import type { Migrator, SqlError } from "effect/sql"
import type { StoreUnfit } from "../../../ports/claim.ts"
import { claimOn, holderIn } from "./claim.ts"
import type { HolderRow } from "./claim.ts"
import { codeOf, fitnessOf, unfitFor } from "./fitness.ts"
import { hasEnded, processIdentity } from "./processes.ts"
import { driftMillis, seen, standingOf } from "./sighting.ts"
import type { SeenRow, Sighting } from "./sighting.ts"
import { openSession, secondSession } from "./session.ts"
import type { Session } from "./session.ts"
import type { TableNames } from "../../../ports/presence-tables.ts"
import { LogIsTaken } from "../../../ports/claim.ts"
import type { Holder, Writer, WriterCounters, WriterEvents } from "../../../ports/claim.ts"

/** Who wants the log, and how. */
export interface WriterOptions {
  readonly url: string
  /** `application_name` of all its sessions; of a server that of no other. */
  readonly application: string
  /** `presently serve` */
  readonly program: string
  readonly version: string
  /** Where the log is, in words. */
  readonly store: string
  /** The same as a setting with its value and source, for what is to be corrected. */
  readonly setting: string
  /** Seconds that the claim outlives a silence. */
  readonly lease: number
  /** Waits for whoever has the log; else that is a failure. */
  readonly standby: boolean
  /** What to do about somebody else who has the log. */
  readonly fix: string
  /** Tables of others that may be there before ours. */
  readonly theirs: readonly string[]
  /** What the presence tables are called; absent: as the module calls them. */
  readonly tables?: TableNames
  /** Brings the database to the present layout. */
  readonly migrate: Effect.Effect<void, SqlError.SqlError | Migrator.MigrationError>
  readonly on: WriterEvents
  /** Counted on from there; absent: from nothing. */
  readonly counters?: WriterCounters
}

/** The first half of the number of the advisory locks; the second is drawn. */
const lockClass = 7_265_005

const channel = "presently_writer"

/** How often somebody who waits looks, when nobody tells it. */
const lookEvery = 250

/** How long somebody else may be making the layout before we do. */
const layoutPatience = 60_000

/** Seconds after a lease at which PostgreSQL ends a silent session itself, when nobody waits who would. */
const silentSeconds = 1

/** Of a lease: how often the holder asks. */
const questions = 4

/** How long a holder without session waits before it tries again. */
const retryMillis = 200

/** Nothing that is closed waits longer for a database, milliseconds. */
const releaseMillis = 1000

interface WriterRow extends HolderRow, SeenRow {
  readonly process: string
}

const look = (session: Session): Effect.Effect<WriterRow, SqlError.SqlError> =>
  Effect.map(
    session.ask<WriterRow>(`
      SELECT w.program, w.host, w.pid, w.version, w.since, w.epoch, w.application, w.session, w.lock, w.lease, w.process,
        EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.pid = w.session
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND l.classid = ${lockClass}::oid AND l.objid = w.lock::oid AND l.objsubid = 2) AS lives,
        (SELECT a.backend_start || ' ' || a.query_start FROM pg_stat_activity a
          WHERE a.pid = w.session AND a.application_name = w.application) AS turn
      FROM writers w WHERE w.shard = 0`),
    ([row]) => row!,
  )

/** Of all epochs that are written down somewhere: somebody may have removed the others. */
const newestEpoch =
  "greatest((SELECT coalesce(max(epoch), 0) FROM claims WHERE shard = 0), (SELECT last_value FROM writers_epoch))"

/** Somebody may have removed the row. */
const restoreRow = (session: Session) =>
  session.ask(`INSERT INTO writers (shard, epoch) SELECT 0, ${newestEpoch} ON CONFLICT DO NOTHING`)

/** The session, set up to end when it is silent for a lease. */
const sessionOf = Effect.fnUntraced(function* ({ url, application, lease }: WriterOptions) {
  const session = yield* openSession(url, application, channel)
  const millis = `${lease * 1000}`
  const silent = `${(lease + silentSeconds) * 1000}`
  yield* session.ask(
    `SELECT set_config('lock_timeout', '1s', false), set_config('statement_timeout', $1, false),
       set_config('idle_in_transaction_session_timeout', $1, false),
       set_config('tcp_keepalives_idle', '2', false), set_config('tcp_keepalives_interval', '1', false),
       set_config('tcp_keepalives_count', $2, false),
       CASE WHEN current_setting('server_version_num')::int >= 140000 THEN set_config('idle_session_timeout', $3, false) END`,
    [millis, `${lease}`, silent],
  )
  return session
})

/** Takes a lock of our own, and says under which number. */
const lockOn = (session: Session) =>
  Effect.suspend(() => {
    const lock = randomInt(1, 0x7fff_ffff)
    return Effect.as(session.ask(`SELECT pg_advisory_lock(${lockClass}, ${lock})`), lock)
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
    const [taken] = yield* session.ask<HolderRow>(
      `UPDATE writers SET epoch = greatest(epoch, ${newestEpoch}) + 1, application = $1, program = $2, host = $3, pid = $4::int,
         version = $5, since = clock_timestamp(), session = pg_backend_pid(), lock = $6::int, lease = $7::int, process = $8
       WHERE shard = 0 RETURNING program, host, pid, version, since, epoch`,
      [
        options.application,
        options.program,
        hostname(),
        process.pid,
        options.version,
        lock,
        options.lease,
        processIdentity(),
      ],
    )
    yield* session.ask("SELECT setval('writers_epoch', $1::bigint)", [String(taken!.epoch)])
    // a statement of its own: it sees what was under way when we waited
    yield* session.ask(`INSERT INTO claims (shard, epoch, program, host, pid, version, since, position)
      SELECT shard, epoch, program, host, pid, version, since, coalesce((SELECT max(pos) FROM events), 0)
      FROM writers WHERE shard = 0`)
    return taken ?? null
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

interface Moment {
  readonly running: number
  readonly wall: number
}
/** By both clocks: one stops with a machine that is suspended, the other can be set. */
const moment = (): Moment => ({ running: performance.now(), wall: Date.now() })

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
 * Gets the log for a client, and keeps it as long as the scope lives. Nothing is written before it is known that the database is
 * fit, and nobody else's.
 *
 * Fails with LogIsTaken, unless it is to wait; StoreUnfit; and SqlError when the database does not answer.
 */
export const claimLog = Effect.fnUntraced(function* (sql: PgClient.PgClient, options: WriterOptions) {
  const { store, setting, fix, on } = options
  const orUnfit = <A, E>(work: Effect.Effect<A, E>): Effect.Effect<A, E | StoreUnfit> =>
    Effect.mapError(work, (cause) => unfitFor(setting, cause) ?? cause)
  let session = yield* orUnfit(sessionOf(options))
  /** Ends when no server of an earlier version is connected; a failure for whoever does not wait. @returns whether it waited */
  const waitedForEarlier = Effect.gen(function* () {
    for (let hasWaited = false; ; hasWaited = true) {
      const holder = yield* earlierServer(session)
      if (holder === null) return hasWaited
      if (!options.standby) return yield* new LogIsTaken({ store, holder, fix })
      yield* on.waiting(holder)
      yield* Effect.sleep(lookEvery)
    }
  })
  /** Makes the table that says who writes, where there is none; of several that want that one does. */
  const prepared = Effect.gen(function* () {
    const second = secondSession(options.url, options.application)
    for (let tries = 0; ; tries++) {
      const layout = yield* fitnessOf(session, second, setting, options.theirs, options.tables)
      if (layout.hasWriters) return layout
      // nobody else is to wait for the layout meanwhile
      if (yield* waitedForEarlier) continue
      const [mine] = yield* session.ask<{ got: boolean }>(
        `SELECT pg_try_advisory_lock(${lockClass}, 0) AS got`,
      )
      // whoever holds it for so long is none of us
      if (mine?.got === true || tries * lookEvery >= layoutPatience) {
        yield* options.migrate
        // it may have taken longer than a session may be silent
        yield* session.close
        session = yield* sessionOf(options)
        return layout
      }
      yield* Effect.sleep(lookEvery)
    }
  })
  const first = Effect.gen(function* () {
    const layout = yield* prepared
    yield* restoreRow(session)
    let sighting: Sighting<WriterRow> | null = null
    for (;;) {
      const row = yield* look(session)
      const now = performance.now()
      sighting = seen(sighting, row, now)
      const standing = standingOf(sighting, now, hasEnded(row.process))
      if (standing === "free") {
        if (yield* waitedForEarlier) continue
        const taken = yield* take(session, row, options).pipe(
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
      if (standing === "held" && !options.standby) return yield* new LogIsTaken({ store, holder, fix })
      if (options.standby) yield* on.waiting(holder)
      yield* Effect.raceFirst(Effect.sleep(lookEvery), session.news)
    }
  })
  const { holder, asked, isMigrated } = yield* orUnfit(first).pipe(Effect.onError(() => session.close))

  const claim = claimOn(sql)
  const counters: WriterCounters = options.counters ?? { lapses: 0, fenced: 0 }
  const lost = Deferred.makeUnsafe<never, LogIsTaken>()
  const leaseMillis = options.lease * 1000
  let sureUntil: Moment = { running: 0, wall: 0 }
  let taken: LogIsTaken | null = null
  let wake = (): void => {}
  const sure = (from: Moment): void => {
    sureUntil = { running: from.running + leaseMillis, wall: from.wall + leaseMillis }
  }
  const isSure = (): boolean => performance.now() < sureUntil.running && Date.now() < sureUntil.wall
  /** Why it is not sure, though the session is there. */
  const silence = (): string => {
    if (performance.now() >= sureUntil.running) return `no answer for ${options.lease} s (writer_lease)`
    const seconds = Math.round((Date.now() - sureUntil.wall) / 1000) + options.lease
    return `the clock of this machine went ahead by about ${seconds} s: it was suspended, or its clock was set`
  }
  let hasLapsed = false
  let untold: { readonly cause: unknown } | null = null
  const lapse = (cause: unknown): void => {
    sureUntil = { running: 0, wall: 0 }
    if (hasLapsed) return
    hasLapsed = true
    counters.lapses++
    untold = { cause }
  }
  const tell = Effect.suspend(() => {
    const one = untold
    untold = null
    return one === null ? Effect.void : on.lapsed(one.cause)
  })
  const lose = (row: HolderRow) =>
    Effect.suspend(() => {
      lapse("taken")
      taken = new LogIsTaken({ store, holder: holderIn(row), fix })
      return Effect.andThen(Deferred.fail(lost, taken), session.close)
    })

  sure(asked)
  Object.assign(claim, {
    epoch: holder.epoch,
    application: options.application,
    store,
    isSure,
    taken: () => taken,
    fenced: () => {
      counters.fenced++
      lapse("a write was kept out")
      wake()
    },
  })

  const woken = Effect.callback<void>((resume) => {
    wake = () => resume(Effect.void)
  })

  /** Asks whether the log is still ours, again and again; ends when it is not, fails when the session has ended. */
  const beat = Effect.gen(function* () {
    for (;;) {
      const from = moment()
      const [row] = yield* session
        .ask<HolderRow & { readonly application: string; readonly locked: boolean }>(
          `SELECT w.program, w.host, w.pid, w.version, w.since, w.epoch, w.application, w.session = pg_backend_pid() AND EXISTS (
             SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.pid = pg_backend_pid()
               AND l.classid = ${lockClass}::oid AND l.objid = w.lock::oid) AS locked
           FROM writers w WHERE w.shard = 0`,
        )
        .pipe(Effect.timeout(leaseMillis / 2))
      if (row === undefined) return yield* Effect.fail(new Error("the row that says who writes is gone"))
      if (Number(row.epoch) !== holder.epoch) return row
      if (row.application !== options.application && row.application !== "") return row
      if (!row.locked || row.application === "")
        return yield* Effect.fail(new Error("the session does not hold its lock any more"))
      if (!isSure()) lapse(silence())
      yield* tell
      sure(from)
      if (hasLapsed) {
        hasLapsed = false
        yield* on.returned
      }
      yield* Effect.raceFirst(Effect.sleep(leaseMillis / questions), Effect.raceFirst(woken, session.news))
    }
  })

  /** A new session for the one that ended. @returns the row that is ours no more; null: it is ours again */
  const again = Effect.gen(function* () {
    session = yield* sessionOf(options)
    yield* restoreRow(session)
    const number = yield* lockOn(session)
    const [mine] = yield* session.ask<HolderRow>(
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
    return mine === undefined ? yield* look(session) : null
  })

  const keep = Effect.gen(function* () {
    for (;;) {
      const ended = yield* Effect.exit(beat)
      if (ended._tag === "Success") {
        yield* lose(ended.value)
        return
      }
      lapse(ended.cause)
      yield* tell
      for (;;) {
        yield* session.close
        const back = yield* Effect.exit(again)
        if (back._tag === "Success") {
          if (back.value === null) break
          yield* lose(back.value)
          return
        }
        yield* Effect.sleep(retryMillis)
      }
    }
  })

  let release: ReturnType<typeof setTimeout> | undefined
  // after the last write, and when nobody asks any more
  yield* Effect.addFinalizer(() =>
    session
      .ask(
        `WITH mine AS (UPDATE writers SET application = '', session = 0, lock = 0 WHERE shard = 0 AND epoch = $1::bigint
             AND application = $2 RETURNING epoch),
           told AS (UPDATE claims c SET ended = clock_timestamp() FROM mine WHERE c.shard = 0 AND c.epoch = mine.epoch)
         SELECT pg_notify('${channel}', '') FROM mine`,
        [holder.epoch, options.application],
      )
      .pipe(
        Effect.ignore,
        Effect.andThen(session.close),
        Effect.andThen(Effect.sync(() => clearTimeout(release))),
      ),
  )
  yield* Effect.forkScoped(keep)
  // a question that is under way is waited for: not for ever
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      release = setTimeout(() => session.cut(), releaseMillis)
    }),
  )
  if (!isMigrated) yield* options.migrate
  const writer: Writer = { holder, lost: Deferred.await(lost), counters }
  return writer
})

/** The claim on a database that nobody else can open: told all the same, so that it is known who wrote which part. */
export const claimSole = Effect.fnUntraced(function* (
  sql: PgClient.PgClient,
  { application, program, version }: Pick<WriterOptions, "application" | "program" | "version">,
) {
  const [row] = yield* sql<HolderRow>`
    UPDATE writers SET epoch = greatest(epoch, (SELECT coalesce(max(epoch), 0) FROM claims WHERE shard = 0)) + 1,
      application = ${application}, program = ${program}, host = ${hostname()}, pid = ${process.pid}::int, version = ${version},
      since = now(), session = 0, lock = 0, lease = 0, process = ''
    WHERE shard = 0 RETURNING program, host, pid, version, since, epoch`
  yield* sql`
    INSERT INTO claims (shard, epoch, program, host, pid, version, since, position)
    SELECT shard, epoch, program, host, pid, version, since, coalesce((SELECT max(pos) FROM events), 0)
    FROM writers WHERE shard = 0`
  const holder = holderIn(row!)
  Object.assign(claimOn(sql), { epoch: holder.epoch, application, sessions: "one" })
  yield* Effect.addFinalizer(() =>
    sql`
      WITH mine AS (UPDATE writers SET application = '' WHERE shard = 0 AND epoch = ${holder.epoch}::bigint
        AND application = ${application} RETURNING epoch)
      UPDATE claims c SET ended = now() FROM mine WHERE c.shard = 0 AND c.epoch = mine.epoch`.pipe(
      Effect.ignore,
    ),
  )
  const writer: Writer = { holder, lost: Effect.never, counters: { lapses: 0, fenced: 0 } }
  return writer
})
