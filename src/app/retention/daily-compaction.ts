/**
 * A server's daily work on its log: partitions for the coming months, and dropping what is due.
 */
import type { KeyObject } from "node:crypto"
import { Clock, Effect } from "effect"
import type { Millis } from "../../domain/vocabulary.ts"
import type { StoreUnavailable } from "../../ports/event-store.ts"
import type { LogAdmin } from "../../ports/log-admin.ts"
import type { Terms } from "../config/retention-terms.ts"
import { errorMessage } from "../error-message.ts"
import { compact } from "./compact.ts"
import type { Principal } from "./compact.ts"

/** A start has enough to do. */
const firstAfter = "1 minute"

export interface DailyOptions {
  readonly terms: Terms
  /** The key that seals the log; null: it is not sealed. */
  readonly key: KeyObject | null
  /** Brings tables and snapshots up to the log: what they do not show yet is not dropped. */
  readonly flush: Effect.Effect<void>
  /** Runs an effect while the server writes nothing to the log. */
  readonly whilePaused: NonNullable<Principal["whilePaused"]>
  /** The largest share of the log that may go at once, in percent; absent: all of it. */
  readonly share?: number
  /** Why the clock cannot be believed when it says that something is old; null: it can. Absent: it always can. */
  readonly suspicion?: (now: Millis) => Effect.Effect<string | null, StoreUnavailable>
}

export const makeDaily = (
  log: LogAdmin["Service"],
  { terms, key, flush, whilePaused, share = 100, suspicion = () => Effect.succeed(null) }: DailyOptions,
) => {
  const counts = { runs: 0, postponed: 0, limited: 0 }
  const once = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    yield* log.retention.makePartitions(new Date(now))
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
    const { decisions, months, documents, left } = yield* compact(log, terms, now, {
      by: "server",
      key,
      whilePaused,
      share,
    })
    if (left !== null || documents.some((dropping) => dropping.left !== undefined)) {
      counts.limited++
      yield* Effect.logWarning(
        `more is old than the ${share} % of the log that are dropped at once (retention_share): the rest goes on another day, or by presently compact --yes`,
      )
    }
    if (decisions > 0) {
      yield* Effect.logInfo(`${decisions} old decisions dropped from the log, with ${months.length} months`)
    }
    for (const dropping of documents) {
      if (dropping.documents > 0)
        yield* Effect.logInfo(`${dropping.documents} old documents of ${dropping.packageName} dropped`)
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
