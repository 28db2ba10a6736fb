/**
 * The row that says who may write, as a session of its own sees and changes it, and the advisory lock that shows that its holder
 * is alive.
 */
import { randomInt } from "node:crypto"
import { hostname } from "node:os"
import { Effect } from "effect"
import type { Migrator, SqlError } from "effect/sql"
import type { WriterCounters, WriterEvents } from "../../../ports/claim.ts"
import type { TableNames } from "../../../ports/presence-tables.ts"
import type { HolderRow } from "./claim.ts"
import { openSession } from "./session.ts"
import type { Session } from "./session.ts"
import type { SeenRow } from "./sighting.ts"

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
export const lockClass = 7_265_005

const channel = "presently_writer"

/** Seconds after a lease at which PostgreSQL ends a silent session itself, when nobody waits who would. */
const silentSeconds = 1

export interface WriterRow extends HolderRow, SeenRow {
  readonly process: string
}

export const look = (session: Session): Effect.Effect<WriterRow, SqlError.SqlError> =>
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
export const restoreRow = (session: Session) =>
  session.ask(`INSERT INTO writers (shard, epoch) SELECT 0, ${newestEpoch} ON CONFLICT DO NOTHING`)

/** The session, set up to end when it is silent for a lease. */
export const sessionOf = Effect.fnUntraced(function* ({ url, application, lease }: WriterOptions) {
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
export const lockOn = (session: Session) =>
  Effect.suspend(() => {
    const lock = randomInt(1, 0x7fff_ffff)
    return Effect.as(session.ask(`SELECT pg_advisory_lock(${lockClass}, ${lock})`), lock)
  })

export interface Moment {
  readonly running: number
  readonly wall: number
}

/** By both clocks: one stops with a machine that is suspended, the other can be set. */
export const moment = (): Moment => ({ running: performance.now(), wall: Date.now() })

export type Ask = Session["ask"]

/**
 * Raises the epoch, and tells who has the log from here on.
 *
 * @param shown how the holder shows that it lives
 */
export const raiseEpoch = Effect.fnUntraced(function* (
  ask: Ask,
  { application, program, version }: Pick<WriterOptions, "application" | "program" | "version">,
  shown: { readonly lock: number; readonly lease: number; readonly process: string },
) {
  const [taken] = yield* ask<HolderRow>(
    `UPDATE writers SET epoch = greatest(epoch, ${newestEpoch}) + 1, application = $1, program = $2, host = $3, pid = $4::int,
       version = $5, since = clock_timestamp(), session = CASE WHEN $6::int = 0 THEN 0 ELSE pg_backend_pid() END,
       lock = $6::int, lease = $7::int, process = $8
     WHERE shard = 0 RETURNING program, host, pid, version, since, epoch`,
    [application, program, hostname(), process.pid, version, shown.lock, shown.lease, shown.process],
  )
  yield* ask("SELECT setval('writers_epoch', $1::bigint)", [String(taken!.epoch)])
  // a statement of its own: it sees what was under way when we waited
  yield* ask(`INSERT INTO claims (shard, epoch, program, host, pid, version, since, position)
    SELECT shard, epoch, program, host, pid, version, since, coalesce((SELECT max(pos) FROM events), 0)
    FROM writers WHERE shard = 0`)
  return taken!
})

/** Hands the log back, unless it is somebody else's by now. */
export const handBack = (ask: Ask, epoch: number, application: string) =>
  ask(
    `WITH mine AS (UPDATE writers SET application = '', session = 0, lock = 0 WHERE shard = 0 AND epoch = $1::bigint
         AND application = $2 RETURNING epoch),
       told AS (UPDATE claims c SET ended = clock_timestamp() FROM mine WHERE c.shard = 0 AND c.epoch = mine.epoch)
     SELECT pg_notify('${channel}', '') FROM mine`,
    [epoch, application],
  ).pipe(Effect.ignore)
