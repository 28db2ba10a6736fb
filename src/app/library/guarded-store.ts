/**
 * Wraps a store that cannot be trusted: whatever it throws, rejects with, never answers or answers wrongly counts as an outage
 * with that cause, and as nothing else.
 */
import { Effect, Layer } from "effect"
import type { Claim } from "../../ports/claim.ts"
import { EventStore, StoreUnavailable } from "../../ports/event-store.ts"
import { wordsOf } from "../extensions/words.ts"
import { within } from "../node/within.ts"
import { StoreFault } from "./refused.ts"
import {
  appendedFault,
  behindFault,
  checkpointFault,
  loadedFault,
  rowsFault,
  stateOrNullFault,
  statesFault,
} from "./store-answers.ts"
import type { Check } from "./store-answers.ts"

type Store = EventStore["Service"]

/** Stores whose appends all end when they are interrupted. */
const interruptible = new WeakSet<Store>()

/** Marks the store that a layer makes: its appends need no fiber of their own. */
export const interruptibleStore = <E, R>(
  layer: Layer.Layer<EventStore, E, R>,
): Layer.Layer<EventStore, E, R> =>
  Layer.provide(
    Layer.effect(
      EventStore,
      Effect.gen(function* () {
        const store = yield* EventStore
        interruptible.add(store)
        return store
      }),
    ),
    layer,
  )

/** Asks a store, and checks the answer. @param check says what is wrong with it */
interface Guard {
  readonly asked: <A>(
    operation: string,
    asking: Effect.Effect<A, StoreUnavailable>,
    check: Check<A>,
  ) => Effect.Effect<A, StoreUnavailable>
  /** The same, within the time that a question may take. */
  readonly bounded: <A>(
    operation: string,
    ask: () => Effect.Effect<A, StoreUnavailable>,
    check?: Check<A>,
  ) => Effect.Effect<A, StoreUnavailable>
}

const failed = (operation: string, why: string, cause: unknown): StoreUnavailable =>
  new StoreUnavailable({ cause: new StoreFault({ operation, why, cause }) })

const makeGuard = (waitMillis: number): Guard => {
  const silence = (): Error => new Error(`no answer in ${waitMillis / 1000} s (option storeWait)`)
  const asked: Guard["asked"] = (operation, asking, check) =>
    asking.pipe(
      Effect.mapError((error) => failed(operation, wordsOf(error.cause), error.cause)),
      Effect.flatMap((answer) => {
        const wrong = safely(check, answer)
        return wrong === null
          ? Effect.succeed(answer)
          : Effect.fail(failed(operation, `it answered ${wrong}`, undefined))
      }),
      Effect.catchDefect((defect) => Effect.fail(failed(operation, wordsOf(defect), defect))),
    )
  return {
    asked,
    bounded: (operation, ask, check = () => null) =>
      asked(operation, within(waitMillis, Effect.suspend(ask), silence), check),
  }
}

/**
 * @param waitMillis how long each question may take; the caller bounds an append
 */
export const guardedStore = (store: Store, waitMillis: number): Store => {
  const guard = makeGuard(waitMillis)
  const { behind, claim, proof } = store
  // every member of a store must be passed on: otherwise this does not compile
  const guarded: Required<Omit<Store, "behind" | "claim" | "proof">> = {
    append: guardedAppend(store, guard),
    ...guardedReads(store, guard),
    ...guardedStates(store, guard),
  }
  return {
    ...guarded,
    ...(behind === undefined
      ? {}
      : {
          behind: (upTo, after, max) =>
            guard.bounded(
              "behind",
              () => behind.call(store, upTo, after, max),
              (answer) => behindFault(answer, after, max),
            ),
        }),
    ...(claim === undefined ? {} : { claim: guardedClaim(claim) }),
    ...(proof === undefined ? {} : { proof: () => guard.bounded("append", () => proof.call(store)) }),
  }
}

const guardedAppend = (store: Store, { asked }: Guard): Store["append"] => {
  /** Abandoning an append does not wait for its end, because one that cannot be interrupted may never end. */
  const leftAlone = interruptible.has(store)
    ? <A>(append: Effect.Effect<A, StoreUnavailable>) => append
    : <A>(append: Effect.Effect<A, StoreUnavailable>) => within(Number.POSITIVE_INFINITY, append)
  return (decisions, requesters) =>
    asked("append", leftAlone(Effect.suspend(() => store.append(decisions, requesters))), (answer) =>
      appendedFault(answer, decisions),
    )
}

/** Reads decisions in their order. */
const guardedReads = (store: Store, { bounded }: Guard): Pick<Store, "read" | "history" | "historyBack"> => ({
  read: (after, max, only) =>
    bounded(
      "read",
      () => (only === undefined ? store.read(after, max) : store.read(after, max, only)),
      (answer) =>
        rowsFault(answer, max, ({ position }, before) =>
          position > (before?.position ?? after) ? null : `position ${position} out of order`,
        ),
    ),
  history: (stream, afterVersion, max) =>
    bounded(
      "history",
      () => store.history(stream, afterVersion, max),
      (answer) =>
        rowsFault(answer, max, ({ decision }, before) =>
          decision.stream === stream && decision.version > (before?.decision.version ?? afterVersion)
            ? null
            : `version ${decision.version} out of order, or of another stream`,
        ),
    ),
  historyBack: (stream, beforeVersion, max) =>
    bounded(
      "historyBack",
      () => store.historyBack(stream, beforeVersion, max),
      (answer) =>
        rowsFault(answer, max, ({ decision }, before) =>
          decision.stream === stream && decision.version < (before?.decision.version ?? beforeVersion)
            ? null
            : `version ${decision.version} out of order, or of another stream`,
        ),
    ),
})

/** Saved states, which save folding, and their positions. */
const guardedStates = (
  store: Store,
  { bounded }: Guard,
): Pick<
  Store,
  | "load"
  | "saveLandmarks"
  | "landmarkAt"
  | "landmarkBefore"
  | "landmarksBack"
  | "saveSnapshots"
  | "snapshots"
  | "saveCheckpoint"
  | "checkpoint"
> => ({
  load: (streams) =>
    bounded(
      "load",
      () => store.load(streams),
      (answer) => loadedFault(answer, streams),
    ),
  saveLandmarks: (states) => bounded("saveLandmarks", () => store.saveLandmarks(states)),
  landmarkAt: (stream, at) => bounded("landmarkAt", () => store.landmarkAt(stream, at), stateOrNullFault),
  landmarkBefore: (stream, version) =>
    bounded("landmarkBefore", () => store.landmarkBefore(stream, version), stateOrNullFault),
  landmarksBack: (stream, beforeVersion, max) =>
    bounded("landmarksBack", () => store.landmarksBack(stream, beforeVersion, max), statesFault),
  saveSnapshots: (states) => bounded("saveSnapshots", () => store.saveSnapshots(states)),
  snapshots: (after, max) => bounded("snapshots", () => store.snapshots(after, max), statesFault),
  saveCheckpoint: (name, at) => bounded("saveCheckpoint", () => store.saveCheckpoint(name, at)),
  checkpoint: (name) => bounded("checkpoint", () => store.checkpoint(name), checkpointFault),
})

/** A claim that throws counts as not sure. */
const guardedClaim = (claim: Claim): Claim => ({
  isSure: () => {
    try {
      const isSure: unknown = claim.isSure()
      return isSure === true
    } catch {
      return false
    }
  },
  taken: () => {
    try {
      const taken: unknown = claim.taken()
      return taken instanceof Error ? (taken as ReturnType<Claim["taken"]>) : null
    } catch {
      return null
    }
  },
})

/** An answer that cannot be inspected is wrong as well. */
const safely = <A>(check: Check<A>, answer: A): string | null => {
  try {
    return check(answer)
  } catch (cause) {
    return `what cannot be read: ${wordsOf(cause)}`
  }
}
