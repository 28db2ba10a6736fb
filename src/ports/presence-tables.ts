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
     * Everything that `work` writes, here and in the event store, becomes visible at once or not at all, and no other
     * program writes the tables meanwhile. Where no other program can, as in a database within the process, `work` runs
     * unchanged.
     */
    readonly together: <A, E>(work: Effect.Effect<A, E>) => Effect.Effect<A, E | StoreUnavailable>
    /** Updates the rows identified by `keys` to match the given states. Safe to repeat. */
    readonly write: (changes: readonly TableChange[]) => Effect.Effect<void, StoreUnavailable>
  }
>()("presently/PresenceTables") {}

export interface TableChange {
  readonly state: State
  readonly keys: readonly RowKey[]
}

/** The names of the three tables (`presentity_table` and the like in the OpenSIPS module). */
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
