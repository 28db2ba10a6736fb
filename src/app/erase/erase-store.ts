/**
 * One erasure, from opening the store to what it says.
 */
import { Effect } from "effect"
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import type { Config } from "../config.ts"
import { StoreUnusable, openStore, requireLog } from "../tables/open.ts"
import { reasonOf } from "../tables/reason.ts"
import { erase } from "./erase.ts"
import { EraseRefused } from "./erase-refused.ts"

export const eraseFromStore = Effect.fn("Erase.eraseFromStore")(function* (
  config: Config,
  person: Uri,
  now: Millis,
  by: string,
) {
  const store = yield* openStore(config, "erase")
  yield* requireLog(store)
  return yield* erase(store.sql, store.tables, person, now, by).pipe(
    Effect.mapError((cause) =>
      cause instanceof EraseRefused ? cause : new StoreUnusable({ store: store.name, why: reasonOf(cause) }),
    ),
  )
})
