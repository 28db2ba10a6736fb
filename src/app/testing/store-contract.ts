/**
 * The contract of every event store, for authors of stores: a list of cases for any test framework, or for none.
 */
import { inspect, isDeepStrictEqual } from "node:util"
import { Effect } from "effect"
import type { Decision, Event } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import { freeze } from "../../domain/presentity/snapshot.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import type { EntityTag, Uri } from "../../domain/vocabulary.ts"
import type { EventStore } from "../../ports/event-store.ts"
import { decisionOf, decisionsOf, freshStream, stateAfter } from "./store-samples.ts"

type Store = EventStore["Service"]

export interface StoreCase {
  /** The promise, as a title for a test. */
  readonly name: string
  /**
   * `log`: every store keeps this promise. `states`: so does every store that saves states, which only saves folding; a store of
   * `storeOf` does not.
   */
  readonly part: "log" | "states"
  /** Ids of the requirements that depend on it, as in docs/requirements.md. */
  readonly tags: readonly string[]
  /** Tries it. Rejects with an Error that says what was found and what was expected. */
  readonly run: () => Promise<void>
}

/**
 * The cases that a store must pass, one by one, so that each can be a test of its own.
 *
 * Each case uses streams that no other has seen, so all of them may be tried on one store, and on one that holds something
 * already. Nobody else may write to it meanwhile. Only checkpoints are overwritten.
 *
 * @example
 * import { describe, it } from "node:test"
 * import { storeContract } from "presently/testing"
 *
 * describe("my store", () => {
 *   for (const { name, run } of storeContract(() => openMyStore(":memory:"))) it(name, run)
 * })
 *
 * @param open gives the store to try: a new one for each case, or the same one each time
 */
export const storeContract = (open: () => Store | Promise<Store>): readonly StoreCase[] =>
  promises.map(({ name, part, tags = [], holds }) => ({
    name,
    part,
    tags,
    run: async () => {
      const store = await open()
      await Effect.runPromise(holds(store))
    },
  }))

interface StorePromise extends Pick<StoreCase, "name" | "part"> {
  readonly tags?: readonly string[]
  readonly holds: (store: Store) => Effect.Effect<void, unknown>
}

const demandSame = (found: unknown, expected: unknown, what: string): void => {
  if (isDeepStrictEqual(found, expected)) return
  const [actual, should] = [found, expected].map((value) => inspect(value, { depth: 6, breakLength: 120 }))
  throw new Error(`${what}: ${actual} instead of ${should}`)
}

const demand = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(what)
}

const demandState = (found: State | null | undefined, expected: State | null, what: string): void =>
  demandSame(found == null ? null : freeze(found), expected === null ? null : freeze(expected), what)

// ── the log ──

const keepsDecisions = Effect.fnUntraced(function* (store: Store) {
  const stream = freshStream()
  const { position, conflicts } = yield* store.append(decisionsOf(stream, 1, 3))
  demandSame(conflicts.size, 0, "conflicts of an append to a new stream")
  const history = yield* store.history(stream, 0, 10)
  demandSame(
    history.map(({ decision }) => decision),
    decisionsOf(stream, 1, 3),
    "the decisions of the stream",
  )
  demandSame(history.at(-1)?.position, position, "the position of the newest decision")
  const [state] = yield* store.load([stream])
  demandState(state, stateAfter(stream, 3), "the state that is loaded")
})

const loadsInOrder = Effect.fnUntraced(function* (store: Store) {
  const [first, second, never] = [freshStream(), freshStream(), freshStream()]
  yield* store.append([decisionOf(first, 1), decisionOf(second, 1), decisionOf(first, 2)])
  const states = yield* store.load([never, second, first])
  demandSame(
    states.map(({ presentity, version }) => [presentity, version]),
    [
      [never, 0],
      [second, 1],
      [first, 2],
    ],
    "streams and versions that are loaded",
  )
})

const refusesConflicts = Effect.fnUntraced(function* (store: Store) {
  const [moved, fine] = [freshStream(), freshStream()]
  yield* store.append(decisionsOf(moved, 1, 2))
  const stale = decisionOf(moved, 2, { nonce: "another writer" })
  const { conflicts } = yield* store.append([stale, decisionOf(fine, 1), decisionOf(moved, 3)])
  demandSame([...conflicts], [moved], "conflicts of an append behind the stream")
  const ahead = yield* store.append([decisionOf(moved, 5)])
  demandSame([...ahead.conflicts], [moved], "conflicts of an append ahead of the stream")
  const skipped = yield* store.append([decisionOf(freshStream(), 2)])
  demandSame(skipped.conflicts.size, 1, "conflicts of a second decision without a first")
  const states = yield* store.load([moved, fine])
  demandSame(
    states.map(({ version }) => version),
    [2, 1],
    "versions after the appends",
  )
})

const repeatsSafely = Effect.fnUntraced(function* (store: Store) {
  const [stream, another] = [freshStream(), freshStream()]
  const batch = [...decisionsOf(stream, 1, 3), decisionOf(another, 1)]
  const first = yield* store.append(batch)
  const again = yield* store.append(batch)
  demandSame(again.conflicts.size, 0, "conflicts of an append that is repeated")
  demand(
    again.position >= first.position,
    `an append that is repeated went back from position ${first.position} to ${again.position}`,
  )
  const history = yield* store.history(stream, 0, 10)
  demandSame(history.length, 3, "the number of decisions after it")
})

const letsOneWin = Effect.fnUntraced(function* (store: Store) {
  const stream = freshStream()
  yield* store.append([decisionOf(stream, 1)])
  const racing = Array.from({ length: 8 }, (_, index) =>
    store.append([decisionOf(stream, 2, { nonce: `racer-${index}` })]),
  )
  const results = yield* Effect.all(racing, { concurrency: "unbounded" })
  demandSame(results.filter(({ conflicts }) => conflicts.size === 0).length, 1, "appends that won")
  const [state] = yield* store.load([stream])
  demandSame(state?.version, 2, "the version after them")
})

const readsInPages = Effect.fnUntraced(function* (store: Store) {
  yield* store.append([decisionOf(freshStream(), 1)])
  let after = yield* endOf(store)
  const streams = Array.from({ length: 20 }, freshStream)
  const writers = streams.map((stream) =>
    Effect.forEach([1, 2, 3], (version) => store.append([decisionOf(stream, version)])),
  )
  yield* Effect.all(writers, { concurrency: "unbounded" })
  const seen: Decision[] = []
  for (;;) {
    const page = yield* store.read(after, 7)
    for (const { position, decision } of page) {
      demand(position > after, `position ${position} comes after ${after}`)
      after = position
      seen.push(decision)
    }
    if (page.length < 7) break
  }
  for (const stream of streams) {
    const versions = seen.filter((decision) => decision.stream === stream).map(({ version }) => version)
    demandSame(versions, [1, 2, 3], "versions of one stream in the order of the log")
  }
  demandSame(seen.length, 60, "the number of decisions that were read")
})

const endOf = Effect.fnUntraced(function* (store: Store) {
  for (let after = 0; ;) {
    const page = yield* store.read(after, 1000)
    if (page.length === 0) return after
    const last = page.at(-1)!.position
    demand(last > after, `a page of decisions after position ${after} ends at position ${last}`)
    after = last
  }
})

const readsBackwards = Effect.fnUntraced(function* (store: Store) {
  const stream = freshStream()
  yield* store.append([...decisionsOf(stream, 1, 7), decisionOf(freshStream(), 1)])
  const forward = yield* store.history(stream, 0, 10)
  for (const before of [1, 2, 5, 8, 100]) {
    for (const max of [1, 3, 100]) {
      const expected = forward.filter(({ decision }) => decision.version < before).toReversed()
      const found = yield* store.historyBack(stream, before, max)
      demandSame(found, expected.slice(0, max), `at most ${max} decisions before version ${before}`)
    }
  }
  demandSame(yield* store.historyBack(freshStream(), 8, 100), [], "decisions of a stream never seen")
})

// ── saved states ──

const savesSnapshots = Effect.fnUntraced(function* (store: Store) {
  const stream = freshStream()
  yield* store.append(decisionsOf(stream, 1, 4))
  yield* store.saveSnapshots([stateAfter(stream, 3)])
  yield* store.saveSnapshots([stateAfter(stream, 2)])
  const [state] = yield* store.load([stream])
  demandState(state, stateAfter(stream, 4), "the state that is loaded")
  const saved = yield* allSnapshots(store, 1000)
  const snapshot = saved.find(({ presentity }) => presentity === stream)
  demandState(snapshot, stateAfter(stream, 3), "the snapshot")
})

const forgetsWhatIsOver = Effect.fnUntraced(function* (store: Store) {
  const stream = freshStream()
  const removed: Event = {
    _tag: "PublicationRemoved",
    packageName: "presence",
    entityTag: `${stream}-1` as EntityTag,
    cause: "requested",
  }
  const gone = decisionOf(stream, 2, { events: [removed] })
  yield* store.append([decisionOf(stream, 1), gone])
  yield* store.saveSnapshots([stateAfter(stream, 1)])
  yield* store.saveSnapshots([fold(stateAfter(stream, 1), gone)])
  const [state] = yield* store.load([stream])
  demandSame(state?.version, 2, "the version of a stream of which nothing is alive")
  const saved = yield* allSnapshots(store, 1000)
  demand(
    !saved.some(({ presentity }) => presentity === stream),
    "a stream is listed of which nothing is alive",
  )
  const next = yield* store.append([decisionOf(stream, 3)])
  demandSame(next.conflicts.size, 0, "conflicts of its next decision")
})

const listsSnapshotsInPages = Effect.fnUntraced(function* (store: Store) {
  const streams = Array.from({ length: 5 }, freshStream).sort()
  yield* store.append(streams.map((stream) => decisionOf(stream, 1)))
  yield* store.saveSnapshots(streams.map((stream) => stateAfter(stream, 1)))
  const listed = (yield* allSnapshots(store, 2)).map(({ presentity }) => presentity)
  demandSame(listed.filter((stream) => streams.includes(stream)).sort(), streams, "streams that are listed")
})

const allSnapshots = Effect.fnUntraced(function* (store: Store, max: number) {
  const all: State[] = []
  const streams = new Set<Uri>()
  for (let after = ""; ;) {
    const page = yield* store.snapshots(after, max)
    for (const state of page) {
      demand(!streams.has(state.presentity), `${state.presentity} is listed twice`)
      streams.add(state.presentity)
      all.push(state)
    }
    if (page.length < max) return all
    after = page.at(-1)!.presentity
  }
})

const findsLandmarks = Effect.fnUntraced(function* (store: Store) {
  const [stream, another] = [freshStream(), freshStream()]
  yield* store.append([...decisionsOf(stream, 1, 9), decisionOf(another, 1)])
  const states = [3, 6, 9].map((version) => stateAfter(stream, version))
  yield* store.saveLandmarks(states.toReversed())
  yield* store.saveLandmarks(states.slice(1, 2))
  for (const [version, landmark] of [
    [2, null],
    [3, 3],
    [5, 3],
    [8, 6],
    [9, 9],
    [700, 9],
  ] as const) {
    const expected = landmark === null ? null : stateAfter(stream, landmark)
    const byVersion = yield* store.landmarkBefore(stream, version)
    demandState(byVersion, expected, `the landmark at or before version ${version}`)
    const { at } = decisionOf(stream, version)
    demandState(
      yield* store.landmarkAt(stream, at),
      expected,
      `the landmark at the instant of version ${version}`,
    )
    const before = yield* store.landmarkAt(stream, at - 1)
    demand((before?.version ?? 0) < version, `a landmark is given from after the instant that was asked for`)
  }
  const versions = Effect.map((found: readonly State[]) => found.map(({ version }) => version))
  demandSame(yield* store.landmarksBack(stream, 9, 10).pipe(versions), [6, 3], "landmarks before version 9")
  demandSame(
    yield* store.landmarksBack(stream, 10, 2).pipe(versions),
    [9, 6],
    "two landmarks before version 10",
  )
  for (const without of [another, freshStream()]) {
    demandState(
      yield* store.landmarkAt(without, Number.MAX_SAFE_INTEGER / 1000),
      null,
      "a landmark of a stream without",
    )
    demandState(yield* store.landmarkBefore(without, 500), null, "a landmark of a stream without")
    demandSame(yield* store.landmarksBack(without, 500, 5), [], "landmarks of a stream without")
  }
})

const keepsEmptyLandmarks = Effect.fnUntraced(function* (store: Store) {
  const stream: Uri = freshStream()
  const entityTag = `${stream}-1` as EntityTag
  const event: Event = { _tag: "PublicationRemoved", packageName: "presence", entityTag, cause: "requested" }
  const decisions = [decisionOf(stream, 1), decisionOf(stream, 2, { events: [event] })]
  yield* store.append(decisions)
  const state = decisions.reduce((before, decision) => fold(before, decision), initial(stream))
  yield* store.saveLandmarks([state])
  const found = yield* store.landmarkBefore(stream, 2)
  demand((found?.decidedAt ?? 0) > 0, "a landmark does not say when its stream was decided on")
  demandState(found, state, "a landmark with nothing alive")
})

const keepsCheckpoints = Effect.fnUntraced(function* (store: Store) {
  const [earlier, later] = [
    { position: 4, at: 1_770_000_000_001 },
    { position: 9, at: 1_770_000_000_002 },
  ]
  yield* store.saveCheckpoint("delivery", earlier)
  yield* store.saveCheckpoint("delivery", later)
  const found = yield* store.checkpoint("delivery")
  // rows of some drivers are objects without a prototype
  demandSame(found === null ? null : { ...found }, later, "the checkpoint")
})

const promises: readonly StorePromise[] = [
  {
    name: "what is appended is loaded, byte for byte and in order",
    part: "log",
    holds: keepsDecisions,
  },
  {
    name: "a stream never seen is empty at version 0, and streams come in the order asked",
    part: "log",
    holds: loadsInOrder,
  },
  {
    name: "an append at the wrong version stores nothing of that stream and all of the others",
    part: "log",
    holds: refusesConflicts,
  },
  {
    name: "an append repeated after a doubtful outcome is stored once and counts as stored",
    part: "log",
    tags: ["3903-6-c"],
    holds: repeatsSafely,
  },
  {
    name: "of many appends at one version exactly one wins",
    part: "log",
    tags: ["3903-6-g"],
    holds: letsOneWin,
  },
  {
    name: "reading in pages sees every decision once, in one order, each stream in version order",
    part: "log",
    holds: readsInPages,
  },
  {
    name: "a snapshot only saves folding, and an older one never replaces a newer",
    part: "states",
    tags: ["L04"],
    holds: savesSnapshots,
  },
  {
    name: "a presentity with nothing alive keeps its version and is no longer listed",
    part: "states",
    holds: forgetsWhatIsOver,
  },
  {
    name: "snapshots come in pages, each once",
    part: "states",
    holds: listsSnapshotsInPages,
  },
  {
    name: "landmarks are found by version and by instant, the newest that fits, whole",
    part: "states",
    tags: ["L04"],
    holds: findsLandmarks,
  },
  {
    name: "a landmark with nothing alive says what it was, not only its version",
    part: "states",
    holds: keepsEmptyLandmarks,
  },
  {
    name: "history backwards is history, turned round",
    part: "log",
    holds: readsBackwards,
  },
  {
    name: "a checkpoint is what was saved last",
    part: "states",
    holds: keepsCheckpoints,
  },
]
