/** Store outages: undecided requests are given up, and the store is polled until it answers. */
import { Effect } from "effect"
import type { Uri } from "../../../domain/vocabulary.ts"
import { unsure } from "../../../ports/claim.ts"
import { StoreUnavailable } from "../../../ports/event-store.ts"
import { answerMillis, within } from "../within.ts"
import { noteDoubtful, watchDoubts } from "./doubts.ts"
import { loadEach, nothingLoaded, takeLoaded } from "./loading.ts"
import type { Loaded } from "./loading.ts"
import type { Parts } from "./parts.ts"
import { refuse } from "./release.ts"

/** How long to wait before polling a store that is away, and at most if it fails again within `shortMillis`. */
const backMillis = 250
const backMillisMax = 5_000
const shortMillis = 1_000

/**
 * Gives up what is undecided, and waits for the store.
 *
 * @param what failed: a store may well be read while it stores nothing, as with a full disk
 */
export const goDown = (pump: Parts, cause: unknown, what: "append" | "read"): void => {
  const { machine, outages } = pump
  if (machine.isAway) return
  machine.take("storeLost")
  machine.takeAppend("giveUp")
  pump.underWay = null
  pump.counters.outages++
  const failed = pump.engine.failed()
  // before refusing, so that listeners know the reason
  if (!outages.isTold) pump.listeners.outage("down", cause)
  outages.isTold = true
  noteDoubtful(pump, failed.doubtful)
  // commands that nobody waits for are kept
  pump.inbox = [...failed.offers.filter(({ ticket }) => ticket === null), ...pump.inbox]
  for (const { ticket } of failed.offers) refuse(pump, ticket, "the store is away")
  for (const stream of failed.streams) pump.loading.stale.add(stream)
  // back off from a store that fails again at once
  outages.pauseMillis =
    performance.now() - outages.upAt < shortMillis
      ? Math.min(Math.max(2 * outages.pauseMillis, backMillis), backMillisMax)
      : 0
  const back = comeBack(pump, failed.streams, what === "append")
  pump.run(Effect.andThen(Effect.sleep(outages.pauseMillis), back))
  pump.waiting.changed()
}

/** @param isDoubted an append failed, and the store has been read at every attempt since: that it can be read says nothing */
const comeBack = (pump: Parts, streams: readonly Uri[], isDoubted: boolean): Effect.Effect<void> => {
  const { machine, store, claim } = pump
  return Effect.suspend(() =>
    machine.isClosed ? Effect.succeed(nothingLoaded) : loadEach(pump, streams),
  ).pipe(
    // loading no streams would succeed without asking the store
    Effect.tap(() => within(answerMillis, store.checkpoint("delivery"))),
    // a store that is read-only, or whose log another server has taken, is not back
    Effect.filterOrFail(
      () => claim.isSure(),
      () => new StoreUnavailable({ cause: claim.taken() ?? unsure }),
    ),
    Effect.tap((loaded) => Effect.sync(() => isBack(pump, loaded, isDoubted))),
    Effect.catch(() =>
      machine.isClosed
        ? Effect.void
        : Effect.flatMap(Effect.sleep(backMillis), () => comeBack(pump, streams, false)),
    ),
    Effect.asVoid,
  )
}

const isBack = (pump: Parts, loaded: Loaded, isDoubted: boolean): void => {
  const { machine, outages } = pump
  if (machine.isClosed) return
  takeLoaded(pump, loaded)
  outages.upAt = performance.now()
  machine.take("storeBack")
  if (isDoubted) outages.isDoubted = true
  if (!outages.isDoubted) tellBack(pump)
  else if (pump.store.proof !== undefined) pump.run(proven(pump, pump.store.proof))
  watchDoubts(pump)
  pump.schedule()
}

const proofMillis = 1_000

/** Asks a store that can be read whether it would store something, unless an append shows that before. */
const proven = (pump: Parts, proof: NonNullable<Parts["store"]["proof"]>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { machine, outages } = pump
    const isOpen = (): boolean => outages.isDoubted && !machine.isAway && !machine.isClosed
    if (!isOpen()) return Effect.void
    return within(answerMillis, proof()).pipe(
      Effect.tap(() => Effect.sync(() => isOpen() && tellBack(pump))),
      Effect.catch(() => Effect.andThen(Effect.sleep(proofMillis), proven(pump, proof))),
    )
  })

/** Requests are accepted again; whether the store is back shows when it has stored something. */
export const tellBack = ({ outages, listeners }: Parts): void => {
  outages.isDoubted = false
  outages.isTold = false
  listeners.outage("up", null)
}
