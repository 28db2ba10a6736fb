/**
 * From the store to a running engine: what lives, folded from snapshots and the tail of the log, and what a crash may
 * have kept from being sent.
 */
import { Effect } from "effect"
import { EventStore } from "../domain/ports.ts"
import type { EngineOptions, Stored } from "../domain/engine/engine.ts"
import type { Position } from "../domain/ports.ts"
import type { Notify } from "../domain/presentity/intents.ts"
import { react } from "../domain/presentity/react.ts"
import { fold } from "../domain/presentity/evolve.ts"
import { initial, isEmpty } from "../domain/presentity/state.ts"
import type { State } from "../domain/presentity/state.ts"
import { values } from "../domain/table.ts"
import type { Millis, Uri } from "../domain/vocabulary.ts"

/** Rows per read: the embedded database blocks the event loop while it reads. */
const pageRows = 500

export interface Recovered {
  /** Every presentity with something alive. */
  readonly states: readonly State[]
  readonly position: Position
  /** Time of the newest decision. */
  readonly at: Millis
  /** NOTIFYs issued at or after this may not have arrived. */
  readonly since: Millis
  /** Presentities with such NOTIFYs on live subscriptions. */
  readonly unsure: readonly Uri[]
  /** Last NOTIFYs of subscriptions that ended then: repeated as they were, for nobody else can tell the watcher. */
  readonly farewells: readonly Notify[]
}

/** @param replayed told of each decision after the snapshots: the tables have not seen it */
export const recover = Effect.fnUntraced(function* (
  options: EngineOptions,
  replayed: (stored: Stored) => void,
) {
  const store = yield* EventStore
  const tables = yield* store.checkpoint("tables")
  const since = (yield* store.checkpoint("delivery"))?.at ?? 0

  const states = new Map<Uri, State>()
  for (let after = ""; ;) {
    const page = yield* store.snapshots(after, pageRows)
    for (const state of page) states.set(state.presentity, state)
    if (page.length < pageRows) break
    after = page.at(-1)!.presentity
  }

  const farewells: Notify[] = []
  let position = tables?.position ?? 0
  let at = tables?.at ?? 0
  for (;;) {
    const page = yield* store.read(position, pageRows)
    for (const row of page) {
      const { decision } = row
      position = row.position
      at = Math.max(at, decision.at)
      // a stream without snapshot had nothing alive when the tail begins
      const before =
        states.get(decision.stream) ??
        ({ ...initial(decision.stream), version: decision.version - 1 } as State)
      if (decision.version <= before.version) continue
      const after = fold(before, decision)
      states.set(decision.stream, after)
      replayed({ decision, before, after })
      if (decision.at < since || !decision.events.some((event) => event._tag === "SubscriptionTerminated")) {
        continue
      }
      const sent = react(before, decision.events, after, decision.at, options)
      farewells.push(...sent.filter((one) => one.state === "terminated"))
    }
    if (page.length < pageRows) break
  }

  const alive = [...states.values()].filter((state) => !isEmpty(state))
  const unsure = alive.filter((state) => {
    for (const one of values(state.subscriptions)) if (one.issuedAt >= since) return true
    return false
  })
  const recovered: Recovered = {
    states: alive,
    position,
    at,
    since,
    unsure: unsure.map((state) => state.presentity),
    farewells,
  }
  return recovered
})
