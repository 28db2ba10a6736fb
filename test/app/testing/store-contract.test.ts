/**
 * The contract of event stores finds a store that breaks it: each promise is broken once, and the case of its name says so.
 */
import { Effect } from "effect"
import type { Layer } from "effect"
import { assert, describe, it } from "vitest"
import { makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { storeOf } from "../../../src/app/library/own-store.ts"
import { storeContract } from "../../../src/app/testing/store-contract.ts"
import { decisionOf, freshStream } from "../../../src/app/testing/store-samples.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import { decodeDecision, encodeDecision } from "../../../src/encoding/decision-codec.ts"
import { EventStore, StoreUnavailable } from "../../../src/ports/event-store.ts"

type Store = EventStore["Service"]

/** Names of the cases that a store does not pass. */
const brokenBy = async (breaks: (store: Store) => Partial<Store>): Promise<readonly string[]> => {
  const store = makeMemoryStore()
  const cases = storeContract(() => ({ ...store, ...breaks(store) }))
  const broken: string[] = []
  for (const { name, run } of cases) {
    await run().catch((cause: unknown) => {
      assert.instanceOf(cause, Error)
      broken.push(name)
    })
  }
  return broken
}

const faults: readonly (readonly [promise: string, breaks: (store: Store) => Partial<Store>])[] = [
  [
    "what is appended is loaded, byte for byte and in order",
    (store) => ({
      history: (...args) =>
        Effect.map(store.history(...args), (rows) =>
          rows.map((row) => ({ ...row, decision: { ...row.decision, origin: "" } })),
        ),
    }),
  ],
  [
    "a stream never seen is empty at version 0, and streams come in the order asked",
    (store) => ({ load: (streams) => Effect.map(store.load(streams), (states) => states.toReversed()) }),
  ],
  [
    "an append at the wrong version stores nothing of that stream and all of the others",
    (store) => ({
      append: (decisions) =>
        Effect.flatMap(store.append(decisions), ({ position, conflicts }) =>
          conflicts.size > 0 && conflicts.size < new Set(decisions.map(({ stream }) => stream)).size
            ? Effect.succeed({ position, conflicts: new Set(decisions.map(({ stream }) => stream)) })
            : Effect.succeed({ position, conflicts }),
        ),
    }),
  ],
  [
    "an append repeated after a doubtful outcome is stored once and counts as stored",
    (store) => ({
      append: (decisions) =>
        Effect.flatMap(store.load([decisions[0]!.stream]), ([state]) =>
          state!.version >= decisions[0]!.version
            ? Effect.succeed({ position: 1, conflicts: new Set([decisions[0]!.stream]) })
            : store.append(decisions),
        ),
    }),
  ],
  [
    "of many appends at one version exactly one wins",
    (store) => ({
      append: (decisions) =>
        Effect.map(store.append(decisions), ({ position }) => ({ position, conflicts: new Set() })),
    }),
  ],
  [
    "reading in pages sees every decision once, in one order, each stream in version order",
    (store) => ({ read: (after, max) => store.read(Math.max(0, after - 1), max) }),
  ],
  [
    "a snapshot only saves folding, and an older one never replaces a newer",
    () => ({ snapshots: () => Effect.succeed([]) }),
  ],
  [
    "a presentity with nothing alive keeps its version and is no longer listed",
    (store) => ({
      load: (streams) =>
        Effect.map(store.load(streams), (states) =>
          states.map((state) => (state.version === 2 ? initial(state.presentity) : state)),
        ),
    }),
  ],
  [
    "snapshots come in pages, each once",
    (store) => ({
      snapshots: (after, max) =>
        Effect.map(store.snapshots(after, max + 1), (states) => states.slice(0, max - 1)),
    }),
  ],
  [
    "landmarks are found by version and by instant, the newest that fits, whole",
    (store) => ({ landmarkAt: (stream, at) => store.landmarkAt(stream, at + 1) }),
  ],
  [
    "a landmark with nothing alive says what it was, not only its version",
    (store) => ({
      landmarkBefore: (stream, version) =>
        Effect.map(store.landmarkBefore(stream, version), (state) =>
          state === null || state.version !== 2 ? state : { ...initial(stream), version: 2 },
        ),
    }),
  ],
  [
    "history backwards is history, turned round",
    (store) => ({
      historyBack: (stream, before, max) => store.history(stream, 0, Math.min(max, before - 1)),
    }),
  ],
  ["a checkpoint is what was saved last", () => ({ checkpoint: () => Effect.succeed(null) })],
]

describe("the contract of event stores", () => {
  it.each(faults)("finds a store that breaks: %s", async (promise, breaks) => {
    assert.include(await brokenBy(breaks), promise)
  })

  it("has a fault tried for each of its promises", () => {
    const names = storeContract(makeMemoryStore).map(({ name }) => name)
    assert.sameMembers(
      faults.map(([promise]) => promise),
      names,
    )
  })

  it("is kept by the store that keeps decisions only, in the part that is about the log", async () => {
    const memory = makeMemoryStore()
    const layer = storeOf({
      append: (decisions) => Effect.runPromise(memory.append(decisions)),
      load: (streams) => Effect.runPromise(memory.load(streams)),
      read: (after, max) => Effect.runPromise(memory.read(after, max)),
      history: (...args) => Effect.runPromise(memory.history(...args)),
    })
    const store = await Effect.runPromise(Effect.provide(EventStore, layer as Layer.Layer<EventStore>))
    const cases = storeContract(() => store)
    for (const { part, run } of cases) if (part === "log") await run()
    const states = await Promise.allSettled(
      cases.filter(({ part }) => part === "states").map(({ run }) => run()),
    )
    assert.isTrue(states.some(({ status }) => status === "rejected"))
  })

  it("says why a store that does not answer fails", async () => {
    const away = { read: () => Effect.fail(new StoreUnavailable({ cause: "away" })) }
    const [broken] = await brokenBy(() => away)
    assert.strictEqual(
      broken,
      "reading in pages sees every decision once, in one order, each stream in version order",
    )
  })
})

describe("a decision as text", () => {
  it("is read as it was written, and brought up to date when an earlier version wrote it", () => {
    const decision = decisionOf(freshStream(), 1)
    assert.deepStrictEqual(decodeDecision(encodeDecision(decision)), decision)
    const earlier = {
      ...decision,
      events: [{ _tag: "SubscriptionTerminated", no: 1, reason: "timeout", silent: false }],
    }
    const [event] = decodeDecision(JSON.stringify(earlier)).events
    assert.deepStrictEqual(event, {
      _tag: "SubscriptionTerminated",
      no: 1,
      reason: "timeout",
      silent: false,
      waitsUntil: null,
    })
  })

  it("that is none is refused with what does not fit", () => {
    const { nonce: _, ...rest } = decisionOf(freshStream(), 1)
    assert.throws(() => decodeDecision(JSON.stringify(rest)), /nonce/)
    assert.throws(() => decodeDecision("{}"), /stream/)
    const strange = { ...rest, nonce: "n", events: [{ _tag: "Nonsense" }] }
    assert.throws(() => decodeDecision(JSON.stringify(strange)), /_tag|Nonsense/)
  })
})
