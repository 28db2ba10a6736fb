/**
 * A check, or repair, of the tables of a store, from opening it to its report.
 */
import { Effect } from "effect"
import type { Config } from "../config/config.ts"
import { errorMessage } from "../error-message.ts"
import { StoreUnusable, holdStore, openStore, requireLog } from "../open-store.ts"
import { verifyTables } from "./verify.ts"
import type { VerifyOptions, VerifyReport } from "./verify.ts"

export interface CheckedStore {
  readonly store: string
  readonly report: VerifyReport
  /** Differences that are left at the end. */
  readonly after: number
}

export const checkStore = Effect.fn("Tables.checkStore")(function* (
  config: Config,
  command: string,
  options: VerifyOptions,
) {
  const store = yield* openStore(config, command, options.repair)
  yield* requireLog(store)
  // a repair writes beside the log's writer: they must be the same program
  if (options.repair) yield* holdStore(store, config, command)
  const unusable = Effect.mapError(
    (cause: unknown) => new StoreUnusable({ store: store.name, why: errorMessage(cause) }),
  )
  const report = yield* verifyTables(store.log, options).pipe(unusable)
  const { differences } = options.repair
    ? yield* verifyTables(store.log, { ...options, repair: false }).pipe(unusable)
    : report
  const checked: CheckedStore = { store: store.name, report, after: differences.length }
  return checked
}, Effect.scoped)
