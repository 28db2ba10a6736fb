/**
 * A store that cannot be trusted: whatever it throws, rejects with, never says or answers instead of what it should is an
 * outage with its cause, and nothing else.
 */
import { Effect, HashMap, Layer } from "effect"
import { EventStore, StoreUnavailable } from "../../ports/event-store.ts"
import type { Claim } from "../../ports/event-store.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { within } from "../node/within.ts"
import { StoreFault } from "./refused.ts"
import { shown, wordsOf } from "../extensions/words.ts"

type Store = EventStore["Service"]

/** Gives what is wrong with an answer; null: nothing. */
type Check<A> = (answer: A) => string | null

/** Stores of which every append ends when it is interrupted. */
const interruptible = new WeakSet<Store>()

/** Says so of the store that a layer makes: its appends cost no fiber of their own. */
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

/**
 * @param waitMillis how long each question may take; an append is bounded by whoever asks for it
 */
export const guardedStore = (store: Store, waitMillis: number): Store => {
  const failed = (operation: string, why: string, cause: unknown): StoreUnavailable =>
    new StoreUnavailable({ cause: new StoreFault({ operation, why, cause }) })
  const asked = <A>(
    operation: string,
    asking: Effect.Effect<A, StoreUnavailable>,
    check: Check<A>,
  ): Effect.Effect<A, StoreUnavailable> =>
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
  const bounded = <A>(
    operation: string,
    ask: () => Effect.Effect<A, StoreUnavailable>,
    check: Check<A> = () => null,
  ): Effect.Effect<A, StoreUnavailable> =>
    asked(operation, within(waitMillis, Effect.suspend(ask), silence), check)
  const silence = (): Error => new Error(`no answer in ${waitMillis / 1000} s (option storeWait)`)
  /** Whoever gives an append up does not wait for its end: one that cannot be interrupted may never come to one. */
  const leftAlone = interruptible.has(store)
    ? <A>(append: Effect.Effect<A, StoreUnavailable>) => append
    : <A>(append: Effect.Effect<A, StoreUnavailable>) => within(Number.POSITIVE_INFINITY, append)
  const { behind, claim } = store
  // whatever is added to a store is to be passed on as well: it does not compile otherwise
  const guarded: Required<Omit<Store, "behind" | "claim">> = {
    append: (decisions, requesters) =>
      asked("append", leftAlone(Effect.suspend(() => store.append(decisions, requesters))), (answer) =>
        appendedFault(answer, decisions),
      ),
    load: (streams) =>
      bounded(
        "load",
        () => store.load(streams),
        (answer) => loadedFault(answer, streams),
      ),
    read: (after, max) =>
      bounded(
        "read",
        () => store.read(after, max),
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
    saveLandmarks: (states) => bounded("saveLandmarks", () => store.saveLandmarks(states)),
    landmarkAt: (stream, at) => bounded("landmarkAt", () => store.landmarkAt(stream, at), stateOrNull),
    landmarkBefore: (stream, version) =>
      bounded("landmarkBefore", () => store.landmarkBefore(stream, version), stateOrNull),
    landmarksBack: (stream, beforeVersion, max) =>
      bounded("landmarksBack", () => store.landmarksBack(stream, beforeVersion, max), statesFault),
    saveSnapshots: (states) => bounded("saveSnapshots", () => store.saveSnapshots(states)),
    snapshots: (after, max) => bounded("snapshots", () => store.snapshots(after, max), statesFault),
    saveCheckpoint: (name, at) => bounded("saveCheckpoint", () => store.saveCheckpoint(name, at)),
    checkpoint: (name) =>
      bounded(
        "checkpoint",
        () => store.checkpoint(name),
        (answer: unknown) =>
          answer === null ||
          (isObject(answer) && isCount(answer["position"]) && Number.isFinite(answer["at"]))
            ? null
            : `${shown(answer)} instead of { position, at }`,
      ),
  }
  return {
    ...guarded,
    ...(behind === undefined
      ? {}
      : {
          behind: (upTo, after, max) =>
            bounded(
              "behind",
              () => behind.call(store, upTo, after, max),
              (answer) => behindFault(answer, after, max),
            ),
        }),
    ...(claim === undefined ? {} : { claim: guardedClaim(claim) }),
  }
}

/** One that fails is not sure. */
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

/** What cannot even be looked at is wrong as well. */
const safely = <A>(check: Check<A>, answer: A): string | null => {
  try {
    return check(answer)
  } catch (cause) {
    return `what cannot be read: ${wordsOf(cause)}`
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0

const appendedFault = (answer: unknown, decisions: readonly Decision[]): string | null => {
  if (!isObject(answer) || !isCount(answer["position"]))
    return `${shown(answer)} instead of { position, conflicts }`
  const { conflicts } = answer
  if (!(conflicts instanceof Set)) return `conflicts ${shown(conflicts)} instead of a Set of streams`
  if (conflicts.size === 0) return null
  const streams = new Set<unknown>(decisions.map(({ stream }) => stream))
  for (const one of conflicts)
    if (!streams.has(one)) return `a conflict of ${shown(one)}, which was not appended to`
  return null
}

const tables = [
  "publications",
  "hardState",
  "subscriptions",
  "waiting",
  "rules",
  "verdicts",
  "sharingTags",
  "watchersChangedIn",
  "departed",
  "dialogs",
] as const

const stateFault = (state: unknown): string | null => {
  if (!isObject(state)) return `${shown(state)} instead of a state`
  if (typeof state["presentity"] !== "string") return "a state without presentity"
  if (!isCount(state["version"])) return `a state of version ${shown(state["version"])}`
  if (!Number.isFinite(state["decidedAt"])) return `a state decided at ${shown(state["decidedAt"])}`
  if (!isCount(state["unproven"])) return `a state with unproven ${shown(state["unproven"])}`
  const odd = tables.find((name) => !HashMap.isHashMap(state[name]))
  return odd === undefined
    ? null
    : `a state with ${odd} ${shown(state[odd])}; states are folded from decisions`
}

const statesFault: Check<unknown> = (answer) => {
  if (!Array.isArray(answer)) return `${shown(answer)} instead of an array of states`
  for (const one of answer) {
    const fault = stateFault(one)
    if (fault !== null) return fault
  }
  return null
}

const stateOrNull: Check<unknown> = (answer) => (answer === null ? null : stateFault(answer))

const loadedFault = (
  answer: readonly { readonly presentity: Uri }[],
  streams: readonly Uri[],
): string | null => {
  const fault = statesFault(answer)
  if (fault !== null) return fault
  if (answer.length !== streams.length) return `${answer.length} states instead of ${streams.length}`
  const odd = streams.findIndex((stream, index) => answer[index]?.presentity !== stream)
  return odd < 0
    ? null
    : `the state of ${shown(answer[odd]?.presentity)} instead of that of ${shown(streams[odd])}`
}

const behindFault = (
  answer: readonly { readonly stream: Uri; readonly version: number }[],
  after: string,
  max: number,
): string | null => {
  if (!Array.isArray(answer)) return `${shown(answer)} instead of an array of { stream, version }`
  if (answer.length > max) return `${answer.length} rows instead of ${max} at most`
  // whoever reads on after the last one would never come to an end
  const before = new Set<unknown>([after])
  for (const row of answer as readonly unknown[]) {
    if (!isObject(row) || typeof row["stream"] !== "string" || !isCount(row["version"]))
      return `${shown(row)} instead of { stream, version }`
    if (before.has(row["stream"])) return `${shown(row["stream"])} twice`
    before.add(row["stream"])
  }
  return null
}

interface Row {
  readonly position: number
  readonly decision: Decision
}

const rowsFault = (
  answer: readonly Row[],
  max: number,
  order: (row: Row, before: Row | undefined) => string | null,
): string | null => {
  if (!Array.isArray(answer)) return `${shown(answer)} instead of an array of { position, decision }`
  if (answer.length > max) return `${answer.length} rows instead of ${max} at most`
  for (const [index, row] of answer.entries()) {
    const fault = rowFault(row) ?? order(row, answer[index - 1])
    if (fault !== null) return fault
  }
  return null
}

const rowFault = (row: unknown): string | null => {
  if (!isObject(row) || !isCount(row["position"]) || !isObject(row["decision"]))
    return `${shown(row)} instead of { position, decision }`
  const { decision } = row
  if (typeof decision["stream"] !== "string") return "a decision without stream"
  if (!isCount(decision["version"]) || decision["version"] === 0)
    return `a decision of version ${shown(decision["version"])}`
  if (!Number.isFinite(decision["at"])) return `a decision at ${shown(decision["at"])}`
  for (const name of ["cause", "origin", "nonce"])
    if (typeof decision[name] !== "string") return `a decision with ${name} ${shown(decision[name])}`
  const { events } = decision
  return Array.isArray(events) && events.every((one) => isObject(one) && typeof one["_tag"] === "string")
    ? null
    : `a decision with events ${shown(events)}`
}
