/**
 * What a server does for its log once a day: partitions of the months to come, and dropping what is due.
 */
import type { KeyObject } from "node:crypto"
import type { PgClient } from "@effect/sql-pg"
import { Clock, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { makePartitions } from "../../adapters/store/migrations.ts"
import { reasonOf } from "../tables/reason.ts"
import { compact } from "./compact.ts"
import type { Principal } from "./compact.ts"
import type { Terms } from "./terms.ts"

/** A start has enough to do. */
const firstAfter = "1 minute"

/**
 * @param key what the log is sealed with; null: it is not
 * @param flush brings tables and snapshots up to the log: what they do not show is not dropped
 * @param whilePaused does something while the server writes nothing to the log
 */
export const makeDaily = (
  sql: PgClient.PgClient,
  terms: Terms,
  key: KeyObject | null,
  flush: Effect.Effect<void>,
  whilePaused: NonNullable<Principal["whilePaused"]>,
) => {
  const once = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    yield* makePartitions(new Date(now)).pipe(Effect.provideService(SqlClient.SqlClient, sql))
    if (terms.days === 0 && terms.documents.size === 0) return
    yield* flush
    const { decisions, months, documents } = yield* compact(sql, terms, now, {
      by: "server",
      key,
      whilePaused,
    })
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
        `what is old could not be dropped from the log (${reasonOf(cause)}): tried again tomorrow`,
      ),
    ),
  )
  return {
    once,
    run: Effect.sleep(firstAfter).pipe(
      Effect.andThen(Effect.forever(Effect.andThen(once, Effect.sleep("24 hours")))),
    ),
  }
}
