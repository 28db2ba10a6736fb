/**
 * A check, or repair, of the tables of a store, from opening it to the report.
 */
import { Effect } from "effect"
import type { Config } from "../config.ts"
import { StoreUnusable, openStore, requireLog } from "./open.ts"
import { reasonOf } from "./reason.ts"
import type { OpenStore } from "./open.ts"
import { verifyTables } from "./verify.ts"
import type { VerifyOptions, VerifyReport } from "./verify.ts"

export interface CheckedStore {
  readonly store: string
  readonly report: VerifyReport
  /** Differences that are left when it is over. */
  readonly after: number
}

export const checkStore = Effect.fn("Tables.checkStore")(function* (
  config: Config,
  command: string,
  options: VerifyOptions,
) {
  const store = yield* openStore(config, command)
  yield* requireLog(store)
  if (options.repair) yield* unlessImporting(store)
  const unusable = Effect.mapError(
    (cause: unknown) => new StoreUnusable({ store: store.name, why: reasonOf(cause) }),
  )
  const report = yield* verifyTables(store.sql, store.tables, options).pipe(unusable)
  const { differences } = options.repair
    ? yield* verifyTables(store.sql, store.tables, { ...options, repair: false }).pipe(unusable)
    : report
  const checked: CheckedStore = { store: store.name, report, after: differences.length }
  return checked
}, Effect.scoped)

/** An import writes rows before it says how far it has come. */
const unlessImporting = ({ name, sql }: OpenStore) =>
  sql<{ count: number }>`
    SELECT count(*)::int AS count FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'presently import'`.pipe(
    Effect.mapError((cause) => new StoreUnusable({ store: name, why: reasonOf(cause) })),
    Effect.flatMap(([row]) =>
      (row?.count ?? 0) === 0
        ? Effect.void
        : Effect.fail(new StoreUnusable({ store: name, why: "an import is under way: wait for its end" })),
    ),
  )
