/**
 * One compaction of a store, from opening it to what it says.
 */
import { Effect } from "effect"
import type { Millis } from "../../domain/vocabulary.ts"
import type { Config } from "../config.ts"
import { StoreUnusable, openStore, requireLog } from "../tables/open.ts"
import { reasonOf } from "../tables/reason.ts"
import { CompactRefused, compact } from "./compact.ts"
import type { Principal } from "./compact.ts"
import type { Terms } from "./terms.ts"

export type { Compacted } from "./compact.ts"

export const compactStore = Effect.fn("Retention.compactStore")(function* (
  config: Config,
  terms: Terms,
  now: Millis,
  principal: Principal,
) {
  const store = yield* openStore(config, "compact")
  yield* requireLog(store)
  return yield* compact(store.sql, terms, now, principal).pipe(
    Effect.mapError((cause) =>
      cause instanceof CompactRefused
        ? cause
        : new StoreUnusable({ store: store.name, why: reasonOf(cause) }),
    ),
  )
})
