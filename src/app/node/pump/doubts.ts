/** Decisions whose append was given up but may still have been stored: the log is read until all of them are known. */
import { Effect } from "effect"
import type { Doubtful } from "../../../domain/engine/engine.ts"
import type { Decision } from "../../../domain/presentity/events.ts"
import { isEmpty } from "../../../domain/presentity/state.ts"
import type { State } from "../../../domain/presentity/state.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import type { RecordedDecision, StoreUnavailable } from "../../../ports/event-store.ts"
import { storedOf } from "../../history/stored.ts"
import { placeOf } from "../log-front.ts"
import { untoldIn } from "../recovery.ts"
import { offerOwn } from "./inbox.ts"
import type { Parts, Ticket } from "./parts.ts"
import { pausedFor, whilePaused } from "./pause.ts"

/** How long an append that was given up may still succeed: as long as its connection may live (RFC 1122 §4.2.3.5). */
const doubtSeconds = 15 * 60

/** It is unknown whether these are stored. */
export const noteDoubtful = ({ doubts }: Parts, doubtful: readonly Doubtful<Ticket>[]): void => {
  if (doubtful.length > 0) doubts.until = Number.POSITIVE_INFINITY
  for (const doubt of doubtful) {
    const place = placeOf(doubt.decision)
    doubts.open.set(place, [...(doubts.open.get(place) ?? []), doubt])
  }
}

/** A decision has been read from the log: no other can be stored in its place any more. */
export const seen = ({ doubts }: Parts, decision: Decision): void => {
  const place = placeOf(decision)
  const left = doubts.open.get(place)?.filter((doubt) => doubt.decision.nonce === decision.nonce)
  if (left?.length === 0) doubts.open.delete(place)
  else if (left !== undefined) doubts.open.set(place, left)
}

/** A decision in the log that was not known to be stored, ours or not: reports it to the listeners. */
export const found = (pump: Parts, { decision }: RecordedDecision): Effect.Effect<void, StoreUnavailable> =>
  Effect.gen(function* () {
    const { doubts, engine, loading, store, listeners } = pump
    const { stream } = decision
    const doubt = doubts.open.get(placeOf(decision))?.[0]
    const stored = doubt ?? (yield* storedOf(store, decision))
    // a stream that cannot be read must not hold up the others
    const [loaded] = yield* store
      .load([stream])
      .pipe(Effect.catch(() => Effect.as(store.checkpoint("delivery"), [] as readonly State[])))
    const present = [loaded, engine.state(stream), stored.after]
      .filter((state) => state !== undefined)
      .reduce((newest, state) => (state.version > newest.version ? state : newest))
    listeners.stored([stored], present)
    if (doubt !== undefined) isStored(pump, stream, doubt)
    const known = engine.state(stream)
    const isBehind =
      known === undefined ? !loading.stale.has(stream) && !isEmpty(present) : known.version < present.version
    if (isBehind) yield* Effect.forkDetach(pausedFor(pump, Effect.succeed([stream])))
    // an append of an earlier process that succeeded after this one began: its NOTIFYs have not been sent
    if (doubt === undefined && decision.at < doubts.beganAt)
      for (const command of untoldIn(stored)) offerOwn(pump, stream, command)
  })

const isStored = ({ doubts }: Parts, stream: Uri, doubt: Doubtful<Ticket>): void => {
  doubts.open.delete(placeOf(doubt.decision))
  if (doubt.offer !== null) {
    doubts.done.add(doubt.offer)
    doubts.hasDone = true
  }
  const before = doubts.late.get(stream)
  if (before === undefined) doubts.late.set(stream, [doubt])
  else before.push(doubt)
}

/** Doubtful appends may succeed as long as a connection lives: reads the log until all are known. */
export const watchDoubts = (pump: Parts): void => {
  const { doubts, machine, front } = pump
  // count from when the store is back: while it is away nothing can be learned
  doubts.until = performance.now() + doubtSeconds * 1000
  if (doubts.isWatching || doubts.open.size === 0) return
  doubts.isWatching = true
  const watch = Effect.gen(function* () {
    const isOver = (): boolean =>
      doubts.open.size === 0 || performance.now() >= doubts.until || machine.isClosed
    for (let second = 0; !isOver(); second++) {
      yield* Effect.sleep("1 second")
      if (second < 60 || second % 10 === 0) yield* Effect.ignore(whilePaused(pump, front.catchUp))
    }
    doubts.open.clear()
  })
  pump.run(
    Effect.ensuring(
      watch,
      Effect.sync(() => (doubts.isWatching = false)),
    ),
  )
}
