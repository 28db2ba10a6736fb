/**
 * From the store to a running engine: what lives, folded from snapshots and the tail of the log, and what a crash may
 * have kept from being sent.
 */
import { Effect } from "effect"
import { EventStore } from "../domain/ports.ts"
import type { EngineOptions, Stored } from "../domain/engine/engine.ts"
import type { Position } from "../domain/ports.ts"
import { clockOf } from "../domain/presentity/clock.ts"
import { evolve } from "../domain/presentity/evolve.ts"
import { rulesFrom } from "../domain/presentity/farewell.ts"
import type { Farewell } from "../domain/presentity/farewell.ts"
import { react } from "../domain/presentity/react.ts"
import { isEmpty } from "../domain/presentity/state.ts"
import type { State, Subscription } from "../domain/presentity/state.ts"
import { get, values } from "../domain/table.ts"
import type { Millis, SubscriptionNo, Uri } from "../domain/vocabulary.ts"
import { foldTail } from "./tail.ts"

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
  /** Last NOTIFYs of subscriptions that ended then: repeated, for nobody else can tell the watcher. */
  readonly farewells: readonly Farewell[]
}

/** @param replayed told of each decision after the snapshots: the tables have not seen it */
export const recover = Effect.fnUntraced(function* (
  options: EngineOptions,
  replayed: (stored: Stored) => void,
) {
  const store = yield* EventStore
  const since = (yield* store.checkpoint("delivery"))?.at ?? 0
  const farewells: Farewell[] = []
  const { states, position, at } = yield* foldTail((stored) => {
    replayed(stored)
    const { decision, before, after } = stored
    const at = clockOf(decision)
    if (at < since || !decision.events.some((event) => event._tag === "SubscriptionTerminated")) return
    const sent = react(before, decision.events, after, at, options)
    const ended = endedIn(stored)
    for (const notify of sent) {
      const one = ended.get(notify.no)
      if (notify.state !== "terminated" || one === undefined) continue
      farewells.push({ notify, one, rulesFrom: rulesFrom(after, notify.packageName) })
    }
  })
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

/** Subscriptions that a decision ended, each as it was then: one may have begun in the same decision. */
const endedIn = ({ decision, before }: Stored): ReadonlyMap<SubscriptionNo, Subscription> => {
  const ended = new Map<SubscriptionNo, Subscription>()
  let state = before
  for (const event of decision.events) {
    const one = event._tag === "SubscriptionTerminated" ? get(state.subscriptions, event.no) : undefined
    if (one !== undefined) ended.set(one.no, one)
    state = evolve(state, event, clockOf(decision))
  }
  return ended
}
