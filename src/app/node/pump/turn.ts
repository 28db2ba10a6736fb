/** One turn of the pump: everything received is decided, and the next batch is appended. */
import { Effect, Exit } from "effect"
import type { Offer } from "../../../domain/engine/engine.ts"
import { initial } from "../../../domain/presentity/state.ts"
import type { Millis, Uri } from "../../../domain/vocabulary.ts"
import { attention } from "../../clock/attention.ts"
import { freshNonce } from "../../nonce.ts"
import { append } from "./append.ts"
import { loadEach, takeLoaded } from "./loading.ts"
import { goDown } from "./outage.ts"
import { isIdle } from "./parts.ts"
import type { Parts, Ticket } from "./parts.ts"
import { refuse, send, sendHeld } from "./release.ts"

export const turn = (pump: Parts): void => {
  const { settling } = pump
  if (settling.waiters > 0) {
    settling.turns++
    settling.idleTurns = isIdle(pump) ? settling.idleTurns + 1 : 0
    pump.waiting.changed()
  }
  decide(pump)
  if (settling.waiters > 0 && isIdle(pump)) pump.schedule()
  pump.waiting.changed()
}

/**
 * Waits until a turn has passed with nothing to do before and after it: an answer may have caused new
 * requests, and something may have fallen due.
 */
export const settled = (pump: Parts): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { settling } = pump
    const from = settling.turns
    settling.waiters++
    pump.schedule()
    return pump.waiting
      .until(() => settling.turns >= from + 2 && settling.idleTurns >= 2)
      .pipe(Effect.ensuring(Effect.sync(() => settling.waiters--)))
  })

const decide = (pump: Parts): void => {
  const { machine, loading } = pump
  if (machine.decides === "nothing") return
  const { isOpen } = machine
  if (pump.held.length > 0 && isOpen && pump.claim.isSure()) sendHeld(pump)
  // what has been decided still has to be stored
  if (pump.isPaused) return append(pump)
  const at = pump.now()
  // after a stop of the process, what has queued up in sockets comes before what fell due meanwhile
  const stopped = attention.late()
  if (stopped > 0) attention.whenRead(pump.schedule)
  if (!machine.isAway && isOpen) pump.engine.advance(at - stopped, freshNonce)
  const offers = isOpen ? pump.inbox : pump.inbox.filter(({ amends }) => amends === true)
  pump.inbox = isOpen ? [] : pump.inbox.filter(({ amends }) => amends !== true)
  for (const offer of offers) decideOffer(pump, offer, at, stopped > 0)
  if (loading.offers.size > 0 && !loading.isUnderWay && !machine.isAway) loadMissing(pump)
  append(pump)
}

/** @param amends decided before what is overdue, whatever the offer says */
export const decideOffer = (pump: Parts, offer: Offer<Ticket>, at: Millis, amends = false): void => {
  const { doubts, loading } = pump
  if (doubts.hasDone && offer.ticket === null && doubts.done.has(offer)) return
  if (pump.machine.isAway && offer.ticket !== null) return refuse(pump, offer.ticket, "the store is away")
  // an offer that nobody waits for is identified by reference (`doubts.done`), so it must not be copied while
  // queued
  const asDecided = amends && offer.ticket !== null ? { ...offer, amends: true as const } : offer
  const queue = offer.presentity === null ? undefined : loading.offers.get(offer.presentity)
  if (queue !== undefined) {
    queue.push(asDecided)
    return
  }
  const offered = pump.engine.offer(amends ? { ...offer, amends: true } : offer, at, freshNonce)
  if (offered._tag === "Released") send(pump, offered.release, false)
  else if (offered._tag === "Missing") {
    const { until = 0 } = loading.unreadable.get(offered.presentity) ?? {}
    if (until > performance.now()) refuse(pump, offer.ticket, "what the log holds of it cannot be read")
    else if (loading.stale.has(offered.presentity)) awaitLoad(pump, offered.presentity, asDecided)
    else {
      assumeEmpty(pump, offered.presentity)
      decideOffer(pump, offer, at, amends)
    }
  }
}

/** A request within a dialog does not name its presentity, so there may already be a queue for it. */
const awaitLoad = ({ loading }: Parts, presentity: Uri, offer: Offer<Ticket>): void => {
  const queue = loading.offers.get(presentity)
  if (queue === undefined) loading.offers.set(presentity, [offer])
  else queue.push(offer)
}

/**
 * Everything alive is in memory, so a presentity that is not has nothing alive; only its version may be
 * unknown. It is assumed to be new: if it is not, the append conflicts, and the command is decided again on
 * the true state.
 */
const assumeEmpty = ({ engine, evicted }: Parts, presentity: Uri): void =>
  engine.load({ ...initial(presentity), ...evicted.take(presentity) })

const loadMissing = (pump: Parts): void => {
  const { loading } = pump
  loading.isUnderWay = true
  const streams = [...loading.offers.keys()]
  pump.run(loadEach(pump, streams)).addObserver((exit) => {
    loading.isUnderWay = false
    if (Exit.isSuccess(exit)) takeLoaded(pump, exit.value)
    else goDown(pump, exit.cause, "read")
    const at = pump.now()
    for (const stream of streams) {
      const offers = loading.offers.get(stream) ?? []
      loading.offers.delete(stream)
      for (const offer of offers) decideOffer(pump, offer, at)
    }
    pump.schedule()
  })
}
