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
import { judge } from "../domain/presentity/authorize.ts"
import { standingAt } from "../domain/presentity/context.ts"
import { initial, isEmpty } from "../domain/presentity/state.ts"
import type { State, Subscription } from "../domain/presentity/state.ts"
import { get, values } from "../domain/table.ts"
import type { Millis, Uri } from "../domain/vocabulary.ts"
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
  /** Last NOTIFYs of subscriptions that ended then: repeated as they were, for nobody else can tell the watcher. */
  readonly farewells: readonly Notify[]
}

/** The last NOTIFY of a subscription, and how that was before it ended. */
interface Farewell {
  readonly notify: Notify
  readonly one: Subscription
}

/** Without its document for whoever would not be shown it today: settings or rules may be others than they were. */
const asMaySee = (
  { notify, one }: Farewell,
  state: State | undefined,
  options: EngineOptions,
  now: Millis,
): Notify => {
  const pack = options.packages.find(one.packageName)
  const isEmpty = notify.body === null && notify.headers === undefined
  if (isEmpty || one.forced || pack === null) return notify
  const known = state ?? initial(notify.presentity)
  const { handling, matched } = judge(known, pack, one.watcher, standingAt(options, now))
  const isAsBefore = handling === (one.polite ? "polite-block" : "allow") && matched === one.matched
  if (isAsBefore) return notify
  const { headers: _, ...said } = notify
  return { ...said, body: null, entityTag: null }
}

/** @param replayed told of each decision after the snapshots: the tables have not seen it */
export const recover = Effect.fnUntraced(function* (
  options: EngineOptions,
  replayed: (stored: Stored) => void,
  now: () => Millis,
) {
  const store = yield* EventStore
  const since = (yield* store.checkpoint("delivery"))?.at ?? 0
  const last: Farewell[] = []
  const { states, position, at } = yield* foldTail((stored) => {
    replayed(stored)
    const { decision, before, after } = stored
    if (decision.at < since || !decision.events.some((event) => event._tag === "SubscriptionTerminated"))
      return
    const sent = react(before, decision.events, after, decision.at, options)
    for (const notify of sent) {
      const one = get(before.subscriptions, notify.no)
      if (notify.state === "terminated" && one !== undefined) last.push({ notify, one })
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
    farewells: last.map((farewell) =>
      asMaySee(farewell, states.get(farewell.notify.presentity), options, now()),
    ),
  }
  return recovered
})
