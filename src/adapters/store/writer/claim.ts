/**
 * The claim on a log as the statements of one client know it: which epoch they write under, and what they do when it has passed.
 *
 * `writer.ts` gets and keeps the claim; here is the fence. Every append locks the row of `writers` (so appends take turns, and
 * nobody without rights on that table can hold them up) and stores nothing unless its epoch is in force. Every other write holds
 * that row with `FOR KEY SHARE`: no append waits for it, and whoever takes the log over, with `FOR UPDATE`, does.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import type { Claim } from "../../../ports/claim.ts"
import { LogIsTaken } from "../../../ports/claim.ts"

export interface ClientClaim extends Claim {
  /** What statements are fenced with. Null: writes are allowed while nobody holds the log. */
  epoch: number | null
  /**
   * The holder's `application_name`, which the row has to have beside the epoch: it is drawn for each program, so whoever had the log
   * under the same number, in rows that somebody removed since, is kept out. Null: nobody has the log.
   */
  application: string | null
  /** Where the log is, for messages. */
  store: string
  /** `one`: the database has a single session, and nobody else can open it. */
  sessions: "one" | "many"
  /** Whether the lease surely holds. */
  isSure: () => boolean
  taken: () => LogIsTaken | null
  /** Told of a write that the fence kept out. */
  fenced: () => void
}

/** What to do about somebody who has the log. */
export const stopIt = "stop that one first"

const all = new WeakMap<PgClient.PgClient, ClientClaim>()

/** One for each client: whoever got the log for a client got it for all that write through it. */
export const claimOn = (sql: PgClient.PgClient): ClientClaim => {
  const known = all.get(sql)
  if (known !== undefined) return known
  const made: ClientClaim = {
    epoch: null,
    application: null,
    store: "the log",
    sessions: "many",
    isSure: () => true,
    taken: () => null,
    fenced: () => {},
  }
  all.set(sql, made)
  return made
}

/** Why a write was kept out: somebody has the log, and it is not this client. */
export const fencedOff = (sql: PgClient.PgClient): Effect.Effect<never, LogIsTaken | SqlError.SqlError> =>
  Effect.suspend(() => {
    const claim = claimOn(sql)
    claim.fenced()
    const known = claim.taken()
    if (known !== null) return Effect.fail(known)
    return Effect.flatMap(holderOf(sql), (holder) =>
      Effect.fail(new LogIsTaken({ store: claim.store, holder, fix: stopIt })),
    )
  })

export interface HolderRow {
  readonly program: string
  readonly host: string
  readonly pid: number
  readonly version: string
  readonly since: Date
  readonly epoch: bigint
}

export const holderIn = ({ program, host, pid, version, since, epoch }: HolderRow) => ({
  program,
  host,
  pid,
  version,
  since: since.getTime(),
  epoch: Number(epoch),
})

/** Who has the log now, whether or not it lives; null: nobody, it was handed back. */
export const holderNow = (sql: PgClient.PgClient) =>
  sql<HolderRow>`
    SELECT program, host, pid, version, since, epoch FROM writers WHERE shard = 0 AND application <> ''`.pipe(
    Effect.map(([row]) => (row === undefined ? null : holderIn(row))),
  )

const holderOf = (sql: PgClient.PgClient) =>
  sql<HolderRow>`SELECT program, host, pid, version, since, epoch FROM writers WHERE shard = 0`.pipe(
    Effect.map(([row]) =>
      holderIn(row ?? { program: "", host: "", pid: 0, version: "", since: new Date(0), epoch: 0n }),
    ),
  )

/** One row when the claim holds, and holds it until the end of the transaction; else none. */
export const fenceOf = (sql: PgClient.PgClient) => sql`
  SELECT w.shard FROM writers w
  WHERE w.shard = 0 AND w.epoch = coalesce(${claimOn(sql).epoch}::bigint, w.epoch)
    AND w.application = coalesce(${claimOn(sql).application}::text, '')
  FOR KEY SHARE`

/** A write with the fence in its own statement. @param statement gives one row, with how many rows the fence had as `held` */
export const heldBy = <E>(
  sql: PgClient.PgClient,
  statement: Effect.Effect<readonly { readonly held: bigint | number }[], E>,
): Effect.Effect<void, E | LogIsTaken | SqlError.SqlError> =>
  Effect.flatMap(statement, ([row]) => (Number(row?.held ?? 0) > 0 ? Effect.void : fencedOff(sql)))

/**
 * Does work in one transaction that is fenced: all of it, or nothing. In a database with a single session it is the work as it
 * is: a transaction would hold up everybody else, and nobody else can be there.
 */
export const fenced = <A, E, R>(
  sql: PgClient.PgClient,
  work: Effect.Effect<A, E, R>,
): Effect.Effect<A, E | LogIsTaken | SqlError.SqlError, R> =>
  Effect.suspend((): Effect.Effect<A, E | LogIsTaken | SqlError.SqlError, R> => {
    if (claimOn(sql).sessions === "one") return work
    const guarded = Effect.flatMap(
      fenceOf(sql),
      (rows): Effect.Effect<A, E | LogIsTaken | SqlError.SqlError, R> =>
        rows.length > 0 ? work : fencedOff(sql),
    )
    return sql.withTransaction(guarded)
  })
