/**
 * What a server does for its log once a day: partitions of the months to come, and dropping what is due.
 */
import type { KeyObject } from "node:crypto"
import type { PgClient } from "@effect/sql-pg"
import { Clock, Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { SqlError } from "effect/sql"
import { fenced } from "../../adapters/store/writer/claim.ts"
import { makePartitions } from "../../adapters/store/postgres/migrations.ts"
import { errorMessage } from "../error-message.ts"
import { compact } from "./compact.ts"
import type { Principal } from "./compact.ts"
import type { Terms } from "../config/retention-terms.ts"

/** A start has enough to do. */
const firstAfter = "1 minute"

/**
 * @param key what the log is sealed with; null: it is not
 * @param flush brings tables and snapshots up to the log: what they do not show is not dropped
 * @param whilePaused does something while the server writes nothing to the log
 * @param share of the log that goes at once, in percent
 * @param suspicion why the clock is not to be believed when it says that something is old; null: it is
 */
export const makeDaily = (
  sql: PgClient.PgClient,
  terms: Terms,
  key: KeyObject | null,
  flush: Effect.Effect<void>,
  whilePaused: NonNullable<Principal["whilePaused"]>,
  share = 100,
  suspicion: (now: number) => Effect.Effect<string | null, SqlError.SqlError> = () => Effect.succeed(null),
) => {
  const counts = { runs: 0, postponed: 0, limited: 0 }
  const once = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    yield* fenced(sql, makePartitions(new Date(now))).pipe(Effect.provideService(SqlClient.SqlClient, sql))
    if (terms.days === 0 && terms.documents.size === 0) return
    counts.runs++
    const why = yield* suspicion(now)
    if (why !== null) {
      counts.postponed++
      return yield* Effect.logWarning(
        `nothing that is old is dropped today: ${why}; presently compact --yes drops it all the same`,
      )
    }
    yield* flush
    const { decisions, months, documents, left } = yield* compact(sql, terms, now, {
      by: "server",
      key,
      whilePaused,
      share,
    })
    if (left !== null || documents.some((one) => one.left !== undefined)) {
      counts.limited++
      yield* Effect.logWarning(
        `more is old than the ${share} % of the log that are dropped at once (retention_share): the rest goes on another day, or by presently compact --yes`,
      )
    }
    if (decisions > 0) {
      yield* Effect.logInfo(`${decisions} old decisions dropped from the log, with ${months.length} months`)
    }
    for (const one of documents) {
      if (one.documents > 0)
        yield* Effect.logInfo(`${one.documents} old documents of ${one.packageName} dropped`)
    }
  }).pipe(
    Effect.catch((cause) =>
      Effect.logError(
        `what is old could not be dropped from the log (${errorMessage(cause)}): tried again tomorrow`,
      ),
    ),
  )
  return {
    once,
    counts: (): Readonly<typeof counts> => counts,
    run: Effect.sleep(firstAfter).pipe(
      Effect.andThen(Effect.forever(Effect.andThen(once, Effect.sleep("24 hours")))),
    ),
  }
}
