/**
 * A store that the program brings along: turns its promises into effects, and upgrades decisions of earlier versions.
 */
import { Effect, Layer } from "effect"
import { decodeEvents } from "../../encoding/event-codec.ts"
import { EventStore, StoreUnavailable } from "../../ports/event-store.ts"
import type { RecordedDecision } from "../../ports/event-store.ts"
import { shown, wordsOf } from "../extensions/words.ts"
import { interruptibleStore } from "./guarded-store.ts"
import { OptionsInvalid } from "./refused.ts"
import { appendedFault } from "./store-answers.ts"

type Store = EventStore["Service"]

/** The result of the method of that name of `EventStore`. */
type Answer<Name extends keyof PromiseStore> = Effect.Success<ReturnType<Store[Name]>>

/**
 * What a store of your own has to implement: the contract of `EventStore` with promises, without what only saves folding.
 *
 * A rejected promise means that the store does not answer.
 */
export interface PromiseStore {
  /**
   * Stores decisions: all those of a stream or none, and only when the stream stands just before the first of them (a decision of
   * version n follows version n - 1). Streams that stand elsewhere are named in `conflicts`, and nothing of them is stored.
   *
   * Safe to repeat: a decision that is already there, recognized by stream, version and nonce, counts as stored.
   *
   * @param requesters for each decision the watcher whose request it was, or null
   * @returns `position`: of the newest of these decisions in the whole log; `conflicts`: a Set of streams
   */
  readonly append: (...args: Parameters<Store["append"]>) => Promise<Answer<"append">>
  /** The present state of each stream in the order asked, folded from its decisions; `initial(stream)` where there are none. */
  readonly load: (...args: Parameters<Store["load"]>) => Promise<Answer<"load">>
  /** Decisions after a position of the log in commit order, without gaps; fewer than `max` means the end. */
  readonly read: (...args: Parameters<Store["read"]>) => Promise<Answer<"read">>
  /** Decisions of one stream after a version, oldest first; fewer than `max` means the end. */
  readonly history: (...args: Parameters<Store["history"]>) => Promise<Answer<"history">>
}

/**
 * A store of one's own. It keeps decisions; what is folded from them is not saved, so a start reads them all.
 *
 * A promise that is rejected counts as a store that does not answer: what was asked is asked again, then given up. A store
 * that is written with Effect needs none of this: `Layer.succeed(EventStore, store)`.
 *
 * @param given four functions, which are called as its methods
 * @throws OptionsInvalid at once, naming each of the four that is no function
 *
 * @example
 * ```ts
 * const presence = await Presence.make({ store: storeOf({ append, load, read, history }) })
 * ```
 */
export const storeOf = (given: PromiseStore): Layer.Layer<EventStore> => {
  const own = checkedStore(given)
  const asked = <A>(ask: () => Promise<A>): Effect.Effect<A, StoreUnavailable> =>
    Effect.tryPromise({ try: async () => ask(), catch: (cause) => new StoreUnavailable({ cause }) })
  // a promise that nobody awaits any more does not keep anybody
  return interruptibleStore(
    Layer.succeed(EventStore, {
      append: (decisions) => asked(() => own.append(decisions)),
      // without a decision it need not be right, but has to be an answer
      proof: () =>
        Effect.flatMap(
          asked(() => own.append([])),
          (answer) => {
            const fault = appendedFault(answer, [])
            return fault === null
              ? Effect.void
              : Effect.fail(new StoreUnavailable({ cause: new Error(fault) }))
          },
        ),
      load: (streams) => asked(() => own.load(streams)),
      read: (after, max) => asked(async () => decoded(await own.read(after, max))),
      history: (stream, afterVersion, max) =>
        asked(async () => decoded(await own.history(stream, afterVersion, max))),
      historyBack: (stream, beforeVersion, max) =>
        asked(async () => {
          const [present] = await own.load([stream])
          const last = Math.min(beforeVersion - 1, present?.version ?? 0)
          const first = Math.max(0, last - max)
          return last <= first ? [] : decoded(await own.history(stream, first, last - first)).toReversed()
        }),
      saveLandmarks: () => Effect.void,
      landmarkAt: () => Effect.succeed(null),
      landmarkBefore: () => Effect.succeed(null),
      landmarksBack: () => Effect.succeed([]),
      saveSnapshots: () => Effect.void,
      snapshots: () => Effect.succeed([]),
      saveCheckpoint: () => Effect.void,
      checkpoint: () => Effect.succeed(null),
    }),
  )
}

const memberNames = ["append", "load", "read", "history"] as const
const expectedStore = `an object with functions ${memberNames.join(", ")}`

/** @throws OptionsInvalid naming each member that is no function */
const checkedStore = (given: PromiseStore): PromiseStore => {
  const faults: string[] = []
  const found: Record<string, unknown> = {}
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new OptionsInvalid({ faults: [`storeOf: store = ${shown(given)}: expected ${expectedStore}`] })
  for (const name of memberNames) {
    try {
      const member: unknown = given[name]
      if (typeof member === "function") found[name] = member.bind(given)
      else faults.push(`storeOf: ${name} = ${shown(member)}: expected a function`)
    } catch (cause) {
      faults.push(`storeOf: ${name} cannot be read: ${wordsOf(cause)}`)
    }
  }
  if (faults.length > 0) throw new OptionsInvalid({ faults })
  return found as unknown as PromiseStore
}

/**
 * Stored events, upgraded where an earlier version wrote them; the caller finds out what is no row.
 *
 * @throws Error that says what does not match
 */
const decoded = (rows: readonly RecordedDecision[]): readonly RecordedDecision[] =>
  Array.isArray(rows)
    ? rows.map((row: RecordedDecision) =>
        Array.isArray(row?.decision?.events)
          ? { ...row, decision: { ...row.decision, events: decodeEvents(row.decision.events) } }
          : row,
      )
    : rows
