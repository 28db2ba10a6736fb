/**
 * Reads the log of one presentity, from the landmark before what is asked for, so that no more than a thousand decisions are
 * folded for any instant.
 */
import { Effect } from "effect"
import type { DecisionContext } from "../../domain/history/findings.ts"
import { momentOf } from "../../domain/history/moments.ts"
import type { DecisionStep, RecordedDecision } from "../../domain/history/moments.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import type { Millis, PackageName, Uri } from "../../domain/vocabulary.ts"
import type { EventStore, StoreUnavailable } from "../../ports/event-store.ts"
import { isAfter, untilOf } from "./until.ts"

export type HistoryStore = Pick<
  EventStore["Service"],
  "history" | "historyBack" | "landmarkAt" | "landmarkBefore"
>

/** The log that questions are answered from, and the packages and limits its decisions were made with. */
export interface HistoryLog {
  readonly store: HistoryStore
  readonly circumstances: DecisionContext
  readonly now: () => Millis
}

/** Identifies a subscription in a question. */
export interface SubscriptionName {
  readonly watcher: Uri
  readonly packageName: PackageName
}

/** Decisions per read. */
export const pageRows = 500

/** How many decisions one question examines at most, backwards or forwards, besides those around its subject. */
export const lookMax = 20_000

/** Calls `each` with the decisions after a version, oldest first, until it returns `stop`. */
export const eachDecision = (
  store: Pick<HistoryStore, "history">,
  presentity: Uri,
  after: number,
  each: (recorded: RecordedDecision) => "go on" | "stop",
): Effect.Effect<void, StoreUnavailable> =>
  Effect.flatMap(store.history(presentity, after, pageRows), (rows) => {
    for (const recorded of rows) if (each(recorded) === "stop") return Effect.void
    return rows.length < pageRows
      ? Effect.void
      : eachDecision(store, presentity, rows.at(-1)!.decision.version, each)
  })

/**
 * Walks forward from a state, giving the states around each decision.
 *
 * @param only whose NOTIFYs are derived again; null: everybody's
 */
export const walk = (
  { store, circumstances: { packages, limits } }: HistoryLog,
  from: State,
  only: ((subscription: SubscriptionName) => boolean) | null,
  each: (moment: DecisionStep) => "go on" | "stop",
): Effect.Effect<void, StoreUnavailable> => {
  const reaction = { packages, limits, ...(only === null ? {} : { only }) }
  let state = from
  return eachDecision(store, from.presentity, from.version, (recorded) => {
    const moment = momentOf(state, recorded, reaction)
    state = moment.after
    return each(moment)
  })
}

/** The newest landmark up to an instant; where there is none, the initial state. */
export const landmarkAt = (
  store: Pick<HistoryStore, "landmarkAt">,
  presentity: Uri,
  at: Millis,
): Effect.Effect<State, StoreUnavailable> =>
  Effect.map(store.landmarkAt(presentity, at), (state) => state ?? initial(presentity))

/** The newest landmark up to a version; where there is none, the initial state. */
export const landmarkBefore = (
  store: Pick<HistoryStore, "landmarkBefore">,
  presentity: Uri,
  version: number,
): Effect.Effect<State, StoreUnavailable> =>
  Effect.map(store.landmarkBefore(presentity, version), (state) => state ?? initial(presentity))

export const stateAt = (
  store: HistoryStore,
  presentity: Uri,
  at: Millis,
): Effect.Effect<State, StoreUnavailable> =>
  Effect.flatMap(
    Effect.all([landmarkAt(store, presentity, at), untilOf(store, presentity, at)]),
    ([landmark, until]) => {
      let state = landmark
      return Effect.map(
        eachDecision(store, presentity, landmark.version, ({ decision }) => {
          if (isAfter(decision, until)) return "stop"
          state = fold(state, decision)
          return "go on"
        }),
        () => state,
      )
    },
  )
