/**
 * The tables of the OpenSIPS presence modules (`presentity`, `active_watchers`, `watchers`), which other programs read.
 */
import { Context } from "effect"
import type { Effect } from "effect"
import type { State } from "../domain/presentity/state.ts"
import type { RowKey } from "../domain/projections/rows.ts"
import type { StoreUnavailable } from "./event-store.ts"

/** Writes the three tables; a server without a database has none. */
export class PresenceTables extends Context.Service<
  PresenceTables,
  {
    /**
     * What `work` writes, here and in the event store, appears at once or not at all, and nobody else writes the tables
     * meanwhile. Where nobody else can, as in the embedded database, it is the work as it is.
     */
    readonly together: <A, E>(work: Effect.Effect<A, E>) => Effect.Effect<A, E | StoreUnavailable>
    /** Brings the rows named by `keys` in line with the given states. Safe to repeat. */
    readonly write: (changes: readonly TableChange[]) => Effect.Effect<void, StoreUnavailable>
  }
>()("presently/PresenceTables") {}

export interface TableChange {
  readonly state: State
  readonly keys: readonly RowKey[]
}

/** What the three tables are called (the module's `presentity_table` and its like). */
export interface TableNames {
  readonly presentity: string
  readonly activeWatchers: string
  readonly watchers: string
}

export const moduleTableNames: TableNames = {
  presentity: "presentity",
  activeWatchers: "active_watchers",
  watchers: "watchers",
}
