/**
 * A store that is away: what is undecided is given up, and it is asked now and then until it answers.
 */
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

/** How long a store that is away is left alone, and at most when it goes again within `shortMillis` of being back. */
const backMillis = 250
const backMillisMax = 5_000
const shortMillis = 1_000

/** Gives up what is undecided and waits for the store. */
export const goDown = (pump: Parts, cause: unknown): void => {
  const { machine, outages } = pump
  if (machine.isAway) return
  machine.take("storeLost")
  machine.takeAppend("giveUp")
  pump.underWay = null
  pump.counters.outages++
  const failed = pump.engine.failed()
  // first: what is refused now is refused for this
  pump.listeners.outage("down", cause)
  noteDoubtful(pump, failed.doubtful)
  // what nobody waits for is not lost with it
  pump.inbox = [...failed.offers.filter(({ ticket }) => ticket === null), ...pump.inbox]
  for (const { ticket } of failed.offers) refuse(pump, ticket, "the store is away")
  for (const stream of failed.streams) pump.loading.stale.add(stream)
  // one that goes as soon as it is back is not asked all the time
  outages.pauseMillis =
    performance.now() - outages.upAt < shortMillis
      ? Math.min(Math.max(2 * outages.pauseMillis, backMillis), backMillisMax)
      : 0
  pump.run(Effect.andThen(Effect.sleep(outages.pauseMillis), comeBack(pump, failed.streams)))
  pump.waiting.changed()
}

const comeBack = (pump: Parts, streams: readonly Uri[]): Effect.Effect<void> => {
  const { machine, store, claim } = pump
  return Effect.suspend(() =>
    machine.isClosed ? Effect.succeed(nothingLoaded) : loadEach(pump, streams),
  ).pipe(
    // loading nothing would succeed without asking anybody
    Effect.tap(() => within(answerMillis, store.checkpoint("delivery"))),
    // one that only lets itself be read, or that is somebody else's by now, is not back
    Effect.filterOrFail(
      () => claim.isSure(),
      () => new StoreUnavailable({ cause: claim.taken() ?? unsure }),
    ),
    Effect.tap((loaded) => Effect.sync(() => isBack(pump, loaded))),
    Effect.catch(() =>
      machine.isClosed
        ? Effect.void
        : Effect.flatMap(Effect.sleep(backMillis), () => comeBack(pump, streams)),
    ),
    Effect.asVoid,
  )
}

const isBack = (pump: Parts, loaded: Loaded): void => {
  const { machine, outages } = pump
  if (machine.isClosed) return
  takeLoaded(pump, loaded)
  outages.upAt = performance.now()
  machine.take("storeBack")
  pump.listeners.outage("up", null)
  watchDoubts(pump)
  pump.schedule()
}
