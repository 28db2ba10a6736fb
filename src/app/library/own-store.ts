/**
 * A store that the program brings along: its promises as effects, its answers brought up to date.
 */
import { Effect, Layer } from "effect"
import { decodeEvents } from "../../adapters/store/encoding/event-codec.ts"
import { EventStore, StoreUnavailable } from "../../ports/event-store.ts"
import type { RecordedDecision } from "../../ports/event-store.ts"
import { interruptibleStore } from "./guarded-store.ts"
import { OptionsInvalid } from "./refused.ts"
import { shown, wordsOf } from "../extensions/words.ts"

type Members = EventStore["Service"]

/** The event store's contract with promises for effects; what is only saved to save folding is left out. */
export type PromiseStore = {
  readonly [Name in "append" | "load" | "read" | "history"]: (
    ...args: Parameters<Members[Name]>
  ) => Promise<Effect.Success<ReturnType<Members[Name]>>>
}

/**
 * A store of one's own. It keeps decisions; what is folded from them is not saved, so a start reads them all.
 *
 * A promise that is rejected counts as a store that does not answer: what was asked is asked again, then given up.
 */
export const storeOf = (given: PromiseStore): Layer.Layer<EventStore> => {
  const own = checkedStore(given)
  const asked = <A>(ask: () => Promise<A>): Effect.Effect<A, StoreUnavailable> =>
    Effect.tryPromise({ try: async () => ask(), catch: (cause) => new StoreUnavailable({ cause }) })
  // a promise that nobody waits for any more keeps nobody
  return interruptibleStore(
    Layer.succeed(EventStore, {
      append: (decisions) => asked(() => own.append(decisions)),
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
 * Events as they were stored, and brought up to date when an earlier version did; what are no rows is found out by whoever asked.
 *
 * @throws Error that says what does not fit
 */
const decoded = (rows: readonly RecordedDecision[]): readonly RecordedDecision[] =>
  Array.isArray(rows)
    ? rows.map((row: RecordedDecision) =>
        Array.isArray(row?.decision?.events)
          ? { ...row, decision: { ...row.decision, events: decodeEvents(row.decision.events) } }
          : row,
      )
    : rows
