/**
 * Recovers from the store: live states, folded from snapshots and the tail of the log, and NOTIFYs that a
 * crash may have prevented.
 *
 * The log records the outcome of each NOTIFY a little later, so a crash leaves the last ones without. Those
 * are repeated: an active subscription gets the current state, a terminated one its final NOTIFY again.
 */
import { Effect } from "effect"
import type { CommittedDecision } from "../../domain/engine/engine.ts"
import { isWatchedWithinProgram, isWithinProgram } from "../../domain/presentity/abandon.ts"
import { clockOf } from "../../domain/presentity/clock.ts"
import type { Command } from "../../domain/presentity/commands.ts"
import { endingsIn } from "../../domain/presentity/farewell.ts"
import type { Farewell } from "../../domain/presentity/farewell.ts"
import { audience, isEmpty } from "../../domain/presentity/state.ts"
import type { State, Subscription } from "../../domain/presentity/state.ts"
import { get } from "../../domain/table.ts"
import type { Millis, SubscriptionNo, Uri } from "../../domain/vocabulary.ts"
import { EventStore } from "../../ports/event-store.ts"
import type { Position } from "../../ports/event-store.ts"
import { storedOf } from "../history/stored.ts"
import { makeDeliveries } from "./deliveries.ts"
import { foldTail } from "./fold-tail.ts"

export interface Recovered {
  /** Every presentity with something alive. */
  readonly states: readonly State[]
  readonly position: Position
  /** Time of the newest decision. */
  readonly at: Millis
  /** Subscriptions whose last NOTIFY may not have arrived. */
  readonly unconfirmed: ReadonlyMap<Uri, readonly SubscriptionNo[]>
  /** Final NOTIFYs of terminated subscriptions that may not have arrived. */
  readonly farewells: ReadonlyMap<Uri, readonly Farewell[]>
  /** Presentities with such NOTIFYs but nothing alive. */
  readonly ended: ReadonlyMap<Uri, Pick<State, "version" | "decidedAt">>
  /** Presentities that were watched from within the program, where nobody is left. */
  readonly abandoned: readonly Uri[]
}

/** Ends of subscriptions whose states are folded concurrently. */
const concurrency = 16

/**
 * @param replayed called with each decision after the snapshots, which is missing from the tables @param
 * tells whether NOTIFYs can be sent from here; not from within a program that only embeds the core
 */
export const recover = Effect.fnUntraced(function* (
  replayed: (stored: CommittedDecision) => void,
  tells: boolean,
) {
  const store = yield* EventStore
  const since = (yield* store.checkpoint("delivery"))?.at ?? 0
  const answered = yield* store.checkpoint("answered")
  // a log kept without this checkpoint only has times
  const isExact = answered !== null || (yield* store.checkpoint("tables")) === null
  const settled = answered?.position ?? 0
  const deliveries = makeDeliveries()
  let place: Position = 0
  const { states, position, at } = yield* foldTail(
    (stored) => {
      replayed(stored)
      if (place > settled && (isExact || clockOf(stored.decision) >= since)) deliveries.folded(stored)
    },
    {
      from: isExact ? settled : Number.MAX_SAFE_INTEGER,
      read: (row) => {
        place = row.position
        if (place > settled) deliveries.read(row.decision)
      },
    },
  )
  if (tells) {
    const ends = yield* Effect.forEach(deliveries.unfolded(), (decision) => storedOf(store, decision), {
      concurrency,
    })
    for (const stored of ends) deliveries.folded(stored)
  }
  const alive = [...states.values()].filter((state) => !isEmpty(state))
  const farewells = tells ? deliveries.farewells() : new Map<Uri, readonly Farewell[]>()
  const unconfirmed = new Map<Uri, readonly SubscriptionNo[]>()
  for (const state of tells ? alive : []) {
    const mayBe = (subscription: Subscription): boolean => {
      const start = get(state.dialogs, subscription.dialog)?.start
      if (start === undefined || isWithinProgram(start)) return false
      // NOTIFYs sent by another server are not ours to repeat
      if (subscription.issuedAt === 0) return false
      return isExact
        ? deliveries.isReadFrom(state.presentity, subscription.toldIn)
        : subscription.issuedAt >= since
    }
    const ids = deliveries.unsureIn(state, mayBe)
    if (ids.length > 0) unconfirmed.set(state.presentity, ids)
  }
  const recovered: Recovered = {
    states: alive,
    position,
    at,
    unconfirmed,
    farewells,
    ended: new Map(
      [...farewells.keys()].flatMap((stream): [Uri, Pick<State, "version" | "decidedAt">][] => {
        const state = states.get(stream)
        if (state === undefined || !isEmpty(state)) return []
        const { version, decidedAt } = state
        return [[stream, { version, decidedAt }]]
      }),
    ),
    abandoned: alive.filter(isWatchedWithinProgram).map(({ presentity }) => presentity),
  }
  return recovered
})

/** Commands that repeat the NOTIFYs of a decision, as after a restart: it is unknown whether they have been sent. */
export const untoldIn = ({ decision, before, after }: CommittedDecision): readonly Command[] => {
  const only = decision.events.flatMap((event) =>
    event._tag === "NotificationsIssued" ? audience(after, event).map(({ no: id }) => id) : [],
  )
  const farewells = endingsIn(before, decision, after).flatMap(({ farewell }) => farewell ?? [])
  return [
    ...(farewells.length === 0 ? [] : [{ _tag: "RepeatFarewells", farewells } as const]),
    ...(only.length === 0 ? [] : [{ _tag: "Redeliver", since: 0, only } as const]),
  ]
}
