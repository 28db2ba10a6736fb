/**
 * One compaction of a store, from opening it to its report.
 */
import { Effect } from "effect"
import type { Millis } from "../../domain/vocabulary.ts"
import { suspicionOf } from "../clock/witnesses.ts"
import type { Config } from "../config/config.ts"
import type { Terms } from "../config/retention-terms.ts"
import { onLog } from "../open-store.ts"
import { CompactRefused, compact } from "./compact.ts"
import type { Principal } from "./compact.ts"

export type { Compacted } from "./compact.ts"

const isRefusal = (cause: unknown): cause is CompactRefused => cause instanceof CompactRefused

/** @param isSure drops everything that is due, despite objections */
export const compactStore = (
  config: Config,
  terms: Terms,
  now: Millis,
  principal: Principal,
  isSure: boolean,
) =>
  onLog(config, "compact", isRefusal, ({ log }) =>
    Effect.gen(function* () {
      if (isSure) {
        yield* log.witness.clearDoubt
        return yield* compact(log, terms, now, principal)
      }
      const doubtDays = config.retention_doubt
      const why = yield* suspicionOf(log.witness, now, { ahead: 0, doubtDays, isWatched: false })
      if (why !== null) return yield* new CompactRefused({ why: `${why}; if that is right, say --yes` })
      return yield* compact(log, terms, now, { ...principal, share: config.retention_share })
    }),
  )
