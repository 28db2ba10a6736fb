/**
 * Getting the log for one process (`take-log.ts`), keeping it, and noticing that somebody else has it (`keep-log.ts`).
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
import { hostname } from "node:os"
import type { PgClient } from "@effect/sql-pg"
import { Deferred, Effect } from "effect"
import type { StoreUnfit, Writer } from "../../../ports/claim.ts"
import { claimOn, holderIn } from "./claim.ts"
import type { HolderRow } from "./claim.ts"
import { unfitFor } from "./fitness.ts"
import { fenceWith, keepLog, makeHold, releaseLog } from "./keep-log.ts"
import { takeLog } from "./take-log.ts"
import type { Seat } from "./take-log.ts"
import { sessionOf } from "./writer-row.ts"
import type { WriterOptions } from "./writer-row.ts"

/** Nothing that is closed waits longer for a database, milliseconds. */
const releaseMillis = 1000

/**
 * Gets the log for a client, and keeps it as long as the scope lives.
 *
 * Fails with LogIsTaken, unless it is to wait; StoreUnfit; and SqlError when the database does not answer.
 */
export const claimLog = Effect.fnUntraced(function* (sql: PgClient.PgClient, options: WriterOptions) {
  const orUnfit = <A, E>(work: Effect.Effect<A, E>): Effect.Effect<A, E | StoreUnfit> =>
    Effect.mapError(work, (cause) => unfitFor(options.setting, cause) ?? cause)
  const seat: Seat = { session: yield* orUnfit(sessionOf(options)) }
  const { holder, asked, isMigrated } = yield* orUnfit(takeLog(seat, options)).pipe(
    Effect.onError(() => seat.session.close),
  )
  const hold = makeHold(seat, options, holder, asked)
  fenceWith(sql, hold)

  let release: ReturnType<typeof setTimeout> | undefined
  // after the last write, and when nobody asks any more
  yield* Effect.addFinalizer(() =>
    Effect.andThen(
      releaseLog(hold),
      Effect.sync(() => clearTimeout(release)),
    ),
  )
  yield* Effect.forkScoped(keepLog(hold))
  // a question that is under way is waited for: not for ever
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      release = setTimeout(() => seat.session.cut(), releaseMillis)
    }),
  )
  if (!isMigrated) yield* options.migrate
  const writer: Writer = { holder, lost: Deferred.await(hold.lost), counters: hold.counters }
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
