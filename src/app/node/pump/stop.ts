/** Stops a pump: requests are no longer accepted, and what is left is finished. */
import { Effect } from "effect"
import type { Offer } from "../../../domain/engine/engine.ts"
import type { Millis } from "../../../domain/vocabulary.ts"
import { freshNonce } from "../../nonce.ts"
import { isAppended } from "./parts.ts"
import type { Parts, Ticket } from "./parts.ts"

/** Nothing is undecided, or the store went away and nothing will be decided. */
const isDrained = (pump: Parts): boolean =>
  pump.machine.status !== "draining" || (pump.inbox.length === 0 && isAppended(pump))

/** Accepts no more requests, and waits until nothing is undecided. A pump that has not started accepts none anyway. */
export const drain = (pump: Parts): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (pump.machine.isOpen) pump.machine.take("drain")
    return pump.waiting.until(() => isDrained(pump))
  })

/** Writes the known outcomes of NOTIFYs to the log, and waits for the commit. */
export const record = (pump: Parts): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (pump.machine.status === "draining") pump.engine.record(pump.now(), freshNonce)
    pump.schedule()
    return pump.waiting.until(() => isDrained(pump))
  })

/** Issue time of the oldest NOTIFY that would have to be repeated if this process ended now; null if there is none. */
export const oldestInFlight = ({ recovered, doubts, inbox, loading, engine }: Parts): Millis | null => {
  const tells = ({ command }: Offer<Ticket>): boolean =>
    command._tag === "Redeliver" || command._tag === "RepeatFarewells"
  const isWaiting = recovered !== null || doubts.late.size > 0 || inbox.some(tells)
  return isWaiting || [...loading.offers.values()].some((offers) => offers.some(tells))
    ? 0
    : engine.oldestInFlight()
}

/** Waits until every NOTIFY that has been sent has an outcome, and the outcomes are committed. */
export const answered = ({ engine, waiting }: Parts): Effect.Effect<void> =>
  waiting.until(() => !engine.hasInFlight())
