/** Loads presentities from the store. Those that cannot be read do not hold up the others. */
import { Effect } from "effect"
import type { State } from "../../../domain/presentity/state.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import type { StoreUnavailable } from "../../../ports/event-store.ts"
import { answerMillis, within } from "../within.ts"
import { readAgain } from "./inbox.ts"
import type { Parts } from "./parts.ts"
import { applyPolicies } from "./policies.ts"
import { send } from "./release.ts"

/** The result of a load. */
export interface Loaded {
  readonly states: readonly State[]
  readonly failed: readonly (readonly [Uri, unknown])[]
}

export const nothingLoaded: Loaded = { states: [], failed: [] }

/** How long a presentity that cannot be read is left alone at first, and at most. */
const unreadMillis = 1_000
const unreadMillisMax = 60_000

/** Loads streams, after everything that the log has of them has been handed over. */
const loadFresh = (
  { doubts, front, store }: Parts,
  streams: readonly Uri[],
): Effect.Effect<readonly State[], StoreUnavailable> =>
  Effect.gen(function* () {
    for (let tries = 0; ; tries++) {
      if (doubts.open.size > 0) yield* front.catchUp
      const states = yield* within(answerMillis, store.load(streams))
      const through = states.flatMap(({ presentity, version }) =>
        [...doubts.open].filter(([, decisions]) =>
          decisions.some(({ decision }) => decision.stream === presentity && decision.version <= version),
        ),
      )
      // one of them was stored between the two
      if (through.length === 0) return states
      if (tries > 2) for (const [place] of through) doubts.open.delete(place)
    }
  })

/** The same, except that single streams that cannot be read are reported as failed. */
export const loadEach = (pump: Parts, streams: readonly Uri[]): Effect.Effect<Loaded, StoreUnavailable> =>
  loadFresh(pump, streams).pipe(
    Effect.map((states): Loaded => ({ states, failed: [] })),
    Effect.catch((cause) =>
      Effect.gen(function* () {
        if (streams.length === 0) return yield* Effect.fail(cause)
        // if the store answers, the failure is due to these streams
        yield* within(answerMillis, pump.store.checkpoint("delivery"))
        if (streams.length === 1) return { states: [], failed: [[streams[0]!, cause] as const] }
        const middle = Math.ceil(streams.length / 2)
        const first = yield* loadEach(pump, streams.slice(0, middle))
        const second = yield* loadEach(pump, streams.slice(middle))
        return {
          states: [...first.states, ...second.states],
          failed: [...first.failed, ...second.failed],
        }
      }),
    ),
  )

/** Puts loaded presentities into memory. */
export const takeLoaded = (pump: Parts, { states, failed }: Loaded): void => {
  const { loading, listeners, engine } = pump
  for (const [presentity, cause] of failed) leaveUnread(pump, presentity, cause)
  for (const state of states) {
    const { presentity } = state
    loading.stale.delete(presentity)
    if (loading.unreadable.delete(presentity)) listeners.unreadable(presentity, null)
    if (!engine.isLoaded(presentity)) load(pump, state)
  }
}

/** Requests for it are refused until it can be read; its deadlines resume then, too. */
const leaveUnread = (pump: Parts, presentity: Uri, cause: unknown): void => {
  const { loading, listeners } = pump
  const known = loading.unreadable.get(presentity)
  if (known === undefined) listeners.unreadable(presentity, cause)
  const wait = Math.min((known?.wait ?? unreadMillis / 2) * 2, unreadMillisMax)
  loading.unreadable.set(presentity, { until: performance.now() + wait, wait })
  loading.stale.add(presentity)
  pump.run(Effect.sleep(wait)).addObserver(() => {
    if (pump.machine.isClosed || !loading.unreadable.has(presentity)) return
    readAgain(pump, presentity)
    pump.schedule()
  })
}

/**
 * Puts a presentity into memory. If the policies treat its watchers differently from the log, that is decided
 * first.
 */
const load = (pump: Parts, state: State): void => {
  pump.engine.load(state)
  leaveLate(pump, state.presentity)
  applyPolicies(pump, state)
}

/** Sends the NOTIFYs of decisions that turned out to be stored. */
const leaveLate = (pump: Parts, presentity: Uri): void => {
  const { late } = pump.doubts
  for (const doubtful of late.get(presentity) ?? []) {
    pump.engine.leaveLate(doubtful)
    const { notifications, decision } = doubtful
    const answer = { _tag: "Accepted", reply: { _tag: "Done" } } as const
    send(pump, { ticket: null, at: decision.at, answer, notifications }, true)
  }
  late.delete(presentity)
}
