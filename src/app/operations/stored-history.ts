/**
 * Queries about history on a store itself, whether or not a server runs on it.
 */
import { Clock, Effect } from "effect"
import { allowEveryone, askTheRules } from "../../domain/presentity/context.ts"
import type { HistoryQueries } from "../../ports/history-queries.ts"
import type { Config } from "../config/config.ts"
import { isDescribed } from "../config/described.ts"
import { withExtensions } from "../config/extensions.ts"
import { asksRules, limitsOf } from "../config/limits.ts"
import { packagesOf } from "../config/packages.ts"
import { makeHistoryReader } from "../history/reader.ts"
import { openStore, requireLog } from "../open-store.ts"
import { makeHistoryQueries } from "./history-queries.ts"

/** @param command the command that asks, for messages and for the database's list of connections */
export const openHistory = Effect.fnUntraced(function* (config: Config, command: string) {
  const store = yield* openStore(config, command)
  yield* requireLog(store)
  const clock = yield* Clock.Clock
  const now = (): number => clock.currentTimeMillisUnsafe()
  const circumstances = {
    packages: packagesOf(yield* withExtensions(config)),
    limits: limitsOf(config),
    authorize: asksRules(config) ? askTheRules : allowEveryone,
    ...(isDescribed(config) ? {} : { isUndescribed: true as const }),
  }
  const desk: HistoryQueries = makeHistoryQueries(
    makeHistoryReader(store.log.store, circumstances, now),
    circumstances,
    now,
    () => null,
  )
  return desk
})
