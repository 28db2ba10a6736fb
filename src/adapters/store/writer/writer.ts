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
import type { PgClient } from "@effect/sql-pg"
import { Deferred, Effect, Exit, Scope } from "effect"
import type { StoreUnfit, Writer } from "../../../ports/claim.ts"
import { claimOn, holderIn } from "./claim.ts"
import { unfitFor } from "./fitness.ts"
import { fenceWith, keepLog, makeHold, releaseLog } from "./keep-log.ts"
import { takeLog } from "./take-log.ts"
import type { Seat } from "./take-log.ts"
import { handBack, raiseEpoch, sessionOf } from "./writer-row.ts"
import type { Ask, WriterOptions } from "./writer-row.ts"

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
  const kept = Effect.gen(function* () {
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
  })
  // whoever tries again after a failure must not find this attempt as the one that has the log
  const scope = yield* Scope.fork(yield* Effect.scope)
  yield* kept.pipe(
    Scope.provide(scope),
    Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
  )
  const writer: Writer = { holder, lost: Deferred.await(hold.lost), counters: hold.counters }
  return writer
})

/** The claim on a database that nobody else can open: told all the same, so that it is known who wrote which part. */
export const claimSole = Effect.fnUntraced(function* (
  sql: PgClient.PgClient,
  who: Pick<WriterOptions, "application" | "program" | "version">,
) {
  const ask: Ask = <Row>(text: string, params: readonly unknown[] = []) =>
    sql.unsafe<Row & object>(text, params)
  const holder = holderIn(yield* raiseEpoch(ask, who, withoutSession))
  Object.assign(claimOn(sql), { epoch: holder.epoch, application: who.application, sessions: "one" })
  yield* Effect.addFinalizer(() => handBack(ask, holder.epoch, who.application))
  const writer: Writer = { holder, lost: Effect.never, counters: { lapses: 0, fenced: 0 } }
  return writer
})

/** Of a database that nobody else can open: no session shows that its holder lives. */
const withoutSession = { lock: 0, lease: 0, process: "" }
