/**
 * From the store to a running engine: what lives, folded from snapshots and the tail of the log, and what a crash may
 * have kept from being sent.
 *
 * Of each NOTIFY the log says how it ended, a little later; a crash comes before that for the last ones. Those are told again:
 * whoever still watches is told what is true now, and whose subscription had ended is told that once more.
 */
import { Effect } from "effect"
import { EventStore } from "../../ports/event-store.ts"
import type { CommittedDecision } from "../../domain/engine/engine.ts"
import type { Position, DialogStart, Millis, SubscriptionNo, Uri } from "../../domain/vocabulary.ts"
import { isWatchedWithinProgram, isWithinProgram } from "../../domain/presentity/abandon.ts"
import { answersIn } from "../../domain/presentity/delivery-acks.ts"
import { clockOf } from "../../domain/presentity/clock.ts"
import type { Command } from "../../domain/presentity/commands.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import { endingsIn, farewellOf } from "../../domain/presentity/farewell.ts"
import type { Farewell } from "../../domain/presentity/farewell.ts"
import { audience, isEmpty } from "../../domain/presentity/state.ts"
import type { State, Subscription } from "../../domain/presentity/state.ts"
import { get, values } from "../../domain/table.ts"
import { dialogKey } from "../../domain/vocabulary.ts"
import { placeOf } from "./log-front.ts"
import { storedOf } from "../history/stored.ts"
import { foldTail } from "./fold-tail.ts"

export interface Recovered {
  /** Every presentity with something alive. */
  readonly states: readonly State[]
  readonly position: Position
  /** Time of the newest decision. */
  readonly at: Millis
  /** Subscriptions whose last NOTIFY may not have arrived. */
  readonly unconfirmed: ReadonlyMap<Uri, readonly SubscriptionNo[]>
  /** Last NOTIFYs of subscriptions that had ended, that may not have arrived. */
  readonly farewells: ReadonlyMap<Uri, readonly Farewell[]>
  /** Presentities with such, and nothing alive. */
  readonly ended: ReadonlyMap<Uri, Pick<State, "version" | "decidedAt">>
  /** Presentities that somebody watched within the program: nobody there does any more. */
  readonly abandoned: readonly Uri[]
}

/** What a log says of NOTIFYs, read forward from a place before which nothing is in doubt. */
export interface Deliveries {
  /** Every decision after that place, in order. */
  readonly read: (decision: Decision) => void
  /** Each of them that was folded, after it was read. */
  readonly folded: (stored: CommittedDecision) => void
  /** Ends that were not, and that it takes the states around them to tell of: to be `folded` at last. */
  readonly unfolded: () => readonly Decision[]
  /** Subscriptions whose last NOTIFY is in doubt, of those that may be. O(subscriptions of the presentity). */
  readonly unsureIn: (state: State, mayBe: (one: Subscription) => boolean) => readonly SubscriptionNo[]
  /** Whether a decision was read that told a subscription of something last. */
  readonly isReadFrom: (stream: Uri, version: number) => boolean
  /** Last NOTIFYs in doubt, each with the last CSeq of its dialog that is known. */
  readonly farewells: () => ReadonlyMap<Uri, readonly Farewell[]>
}

export const makeDeliveries = (): Deliveries => {
  /** By presentity: the first decision that was read. */
  const firsts = new Map<Uri, number>()
  /** By presentity and subscription: the last CSeq whose end is on record. */
  const recorded = new Map<string, number>()
  const farewells = new Map<string, { readonly stream: Uri; readonly farewell: Farewell }>()
  /** The last CSeq of dialogs in which subscriptions ended. */
  const numbers = new Map<string, number>()
  const ends = new Map<string, Decision>()

  const nameOf = (stream: Uri, no: SubscriptionNo): string => `${no} ${stream}`
  const note = (stream: Uri, no: SubscriptionNo, cseq: number): void => {
    const name = nameOf(stream, no)
    recorded.set(name, Math.max(recorded.get(name) ?? 0, cseq))
  }
  const take = (start: DialogStart, cseq: number): void => {
    const name = dialogOf(start)
    numbers.set(name, Math.max(numbers.get(name) ?? 0, cseq))
  }
  const isOnRecord = (stream: Uri, no: SubscriptionNo, cseq: number): boolean =>
    (recorded.get(nameOf(stream, no)) ?? 0) >= cseq

  /** A fetch was told once, by number one. */
  const isAnsweredFetch = ({ stream, events }: Decision, no: SubscriptionNo): boolean =>
    isOnRecord(stream, no, 1) &&
    events.some(
      (event) =>
        event._tag === "SubscriptionCreated" &&
        event.no === no &&
        event.start !== null &&
        event.takenOver === undefined,
    )

  return {
    read: (decision) => {
      const { stream, version, at, events } = decision
      if (!firsts.has(stream)) firsts.set(stream, version)
      for (const event of events) {
        if (event._tag === "NotificationFailed") note(stream, event.no, event.cseq)
        else if (event._tag === "NotificationsAccepted")
          for (const { no, cseq } of answersIn(event, at)) note(stream, no, cseq)
        else if (event._tag === "SubscriptionTerminated" && !event.silent)
          ends.set(placeOf(decision), decision)
        else if (event._tag === "FarewellRepeated") {
          take(event.start, event.cseq)
          farewells.set(nameOf(stream, event.no), { stream, farewell: farewellOf(event) })
        }
      }
    },
    folded: ({ decision, before, after }) => {
      ends.delete(placeOf(decision))
      const { stream } = decision
      for (const { no, start, cseq, farewell } of endingsIn(before, decision, after)) {
        take(start, cseq)
        const known = farewells.get(nameOf(stream, no))?.farewell.cseq ?? 0
        if (farewell !== null && cseq > known) farewells.set(nameOf(stream, no), { stream, farewell })
      }
    },
    unfolded: () =>
      [...ends.values()].filter((decision) =>
        decision.events.some(
          (event) =>
            event._tag === "SubscriptionTerminated" && !event.silent && !isAnsweredFetch(decision, event.no),
        ),
      ),
    isReadFrom: (stream, version) => (firsts.get(stream) ?? Number.POSITIVE_INFINITY) <= version,
    unsureIn: (state, mayBe) =>
      [...values(state.subscriptions)]
        .filter((one) => {
          const dialog = get(state.dialogs, one.dialog)
          if (one.toldIn === 0 || dialog === undefined || !mayBe(one)) return false
          // in a dialog that several share the last number may be another's
          return dialog.usages > 1 || !isOnRecord(state.presentity, one.no, dialog.localCseq)
        })
        .map(({ no }) => no)
        .sort((one, other) => one - other),
    farewells: () => {
      const found = new Map<Uri, Farewell[]>()
      for (const { stream, farewell } of farewells.values()) {
        const { no, cseq, start, watcher } = farewell
        if (isOnRecord(stream, no, cseq) || isWithinProgram(start)) continue
        if (isErased(watcher) || isErased(stream)) continue
        const one = { ...farewell, cseq: Math.max(cseq, numbers.get(dialogOf(start)) ?? 0) }
        const others = found.get(stream)
        if (others === undefined) found.set(stream, [one])
        else others.push(one)
      }
      return found
    },
  }
}

const dialogOf = ({ callId, localTag, remoteTag }: DialogStart): string =>
  dialogKey(callId, localTag, remoteTag)

/** Nobody knows any more where to send anything. */
const isErased = (person: Uri): boolean => person.endsWith("@erased.invalid")

/** Ends whose states are folded at the same time. */
const concurrency = 16

/**
 * @param replayed told of each decision after the snapshots: the tables have not seen it
 * @param tells whether watchers can be told anything from here: not from within a program that only embeds the core
 */
export const recover = Effect.fnUntraced(function* (
  replayed: (stored: CommittedDecision) => void,
  tells: boolean,
) {
  const store = yield* EventStore
  const since = (yield* store.checkpoint("delivery"))?.at ?? 0
  const answered = yield* store.checkpoint("answered")
  // of a log that was kept without it nothing is known but times
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
    const mayBe = (one: Subscription): boolean => {
      const start = get(state.dialogs, one.dialog)?.start
      if (start === undefined || isWithinProgram(start)) return false
      // what another server has sent is not for us to repeat
      if (one.issuedAt === 0) return false
      return isExact ? deliveries.isReadFrom(state.presentity, one.toldIn) : one.issuedAt >= since
    }
    const nos = deliveries.unsureIn(state, mayBe)
    if (nos.length > 0) unconfirmed.set(state.presentity, nos)
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

/** What tells, as after a restart, whom a decision was to tell: nobody knows whether that was done. */
export const untoldIn = ({ decision, before, after }: CommittedDecision): readonly Command[] => {
  const only = decision.events.flatMap((event) =>
    event._tag === "NotificationsIssued" ? audience(after, event).map(({ no }) => no) : [],
  )
  const farewells = endingsIn(before, decision, after).flatMap(({ farewell }) => farewell ?? [])
  return [
    ...(farewells.length === 0 ? [] : [{ _tag: "RepeatFarewells", farewells } as const]),
    ...(only.length === 0 ? [] : [{ _tag: "Redeliver", since: 0, only } as const]),
  ]
}
