/**
 * Laws of moving over: our own tables are in the layout of OpenSIPS, so whatever we show in them can be taken over again.
 */
import { deepStrictEqual } from "node:assert/strict"
import { DatabaseSync } from "node:sqlite"
import { Context, Effect } from "effect"
import { describe, it } from "vitest"
import { findLayout, usualTables } from "../../src/adapters/import/layouts.ts"
import type { Source } from "../../src/adapters/import/source.ts"
import { makeMemoryLog, makeMemoryStore } from "../../src/adapters/store/memory.ts"
import { takeOver } from "../../src/app/import/take-over.ts"
import type { TakenOver } from "../../src/app/import/take-over.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import { publication } from "../../src/domain/presentity/state.ts"
import { activeWatcherRow, allRows, presentityRow, watcherRow } from "../../src/domain/projections/rows.ts"
import type { ActiveWatcherRow, PresentityRow, WatcherRow } from "../../src/domain/projections/rows.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { EventStore } from "../../src/ports/event-store.ts"
import { PresenceTables } from "../../src/ports/presence-tables.ts"
import { statementsOf } from "../support/foreign-tables.ts"
import type { ForeignRow } from "../support/foreign-tables.ts"
import { forEveryHistory } from "../support/history.ts"
import { packagesOf } from "../support/machine.ts"
import type { Run } from "../support/machine.ts"

interface Rows {
  readonly presentity: readonly PresentityRow[]
  readonly active_watchers: readonly ActiveWatcherRow[]
  readonly watchers: readonly WatcherRow[]
}

/** All rows, in an order of their own; publications of one presentity and package as they compose. */
const rowsOf = (states: Iterable<State>): Rows => {
  const presentity: [number, PresentityRow][] = []
  const active: ActiveWatcherRow[] = []
  const watchers: WatcherRow[] = []
  for (const state of states) {
    for (const key of allRows(state)) {
      if (key.table === "presentity") {
        const one = publication(state, key.packageName, key.etag)!
        presentity.push([one.bodyFrom, presentityRow(state, key.packageName, key.etag)!])
      } else if (key.table === "active_watchers") active.push(activeWatcherRow(state, key.no)!)
      else watchers.push(watcherRow(state, key.packageName, key.watcher)!)
    }
  }
  const inOrder = <Row extends object>(rows: readonly Row[]): readonly Row[] =>
    [...rows].sort((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1))
  return {
    presentity: presentity
      .sort(([one, a], [other, b]) => groupOf(a).localeCompare(groupOf(b)) || one - other)
      .map(([, row]) => row),
    active_watchers: inOrder(active),
    watchers: inOrder(watchers),
  }
}

const groupOf = ({ username, domain, event }: PresentityRow): string => `${username}@${domain} ${event}`

const sourceOf = (rows: Rows): Source => {
  const database = new DatabaseSync(":memory:")
  const foreign = (some: readonly object[]): readonly ForeignRow[] => some as readonly ForeignRow[]
  const { presentity, active_watchers, watchers } = rows
  const tables = {
    presentity: foreign(presentity),
    active_watchers: foreign(active_watchers),
    watchers: foreign(watchers),
  }
  for (const statement of statementsOf(tables, "sqlite")) database.exec(statement)
  return {
    name: "memory",
    identity: null,
    hasTable: () => Effect.succeed(true),
    rows: (statement, values = []) =>
      Effect.sync(() => database.prepare(statement).all(...values) as readonly Record<string, unknown>[]),
  }
}

/** Into an empty store, three rows at a time; and once more. */
const moved = (run: Run, rows: Rows) => {
  const log = makeMemoryLog()
  const services = Context.make(EventStore, makeMemoryStore(log)).pipe(
    Context.add(PresenceTables, { together: (work) => work, write: () => Effect.void }),
  )
  const source = sourceOf(rows)
  const once = Effect.gen(function* () {
    const layout = yield* findLayout(source, "opensips", usualTables)
    return yield* takeOver(source, layout, "memory", {
      packages: packagesOf(run.world),
      limits: run.world.limits,
      authorize: () => "allow",
      now: run.now,
      domains: [],
      graceMillis: 0,
      oma: false,
      dryRun: false,
      rowsMax: 3,
    })
  }).pipe(Effect.provideContext(services))
  const results: readonly TakenOver[] = [Effect.runSync(once), Effect.runSync(once)]
  const streams = new Set(log.read(0, 1_000_000).map(({ decision }) => decision.stream))
  return { results, states: [...streams].map((stream: Uri) => log.load(stream)) }
}

/** Seconds cut off may make a row look over that is not quite; `Event: stub;id=` has no column of its own. */
const isTold = (rows: Rows, now: number): boolean => {
  const keys = rows.active_watchers.map((one) => `${one.callid} ${one.to_tag} ${one.event} ${one.event_id}`)
  return (
    new Set(keys).size === keys.length &&
    [...rows.presentity, ...rows.active_watchers].every(({ expires }) => expires * 1000 > now)
  )
}

describe("moving over", () => {
  it("what our tables show, taken over from them, shows the same", { tags: ["TBL-1", "OPS-import"] }, () => {
    let compared = 0
    forEveryHistory((run) => {
      const rows = rowsOf(run.states.values())
      if (!isTold(rows, run.now)) return
      const { results, states } = moved(run, rows)
      deepStrictEqual(rowsOf(states), rows)
      deepStrictEqual(results[1]!.decisions, 0)
      compared += rows.presentity.length + rows.active_watchers.length + rows.watchers.length
    }, 0.25)
    deepStrictEqual(compared > 0, true)
  })
})
