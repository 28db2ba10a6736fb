/**
 * The store of a program as the library asks it: everything it has is passed on, and nothing it does wrong gets through.
 */
import assert from "node:assert/strict"
import { Cause, Effect, Exit, Layer } from "effect"
import { describe, it } from "vitest"
import { makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { guardedStore, interruptibleStore } from "../../../src/app/library/guarded-store.ts"
import { StoreFault } from "../../../src/app/library/refused.ts"
import { decisionOf } from "../../../src/app/testing/store-samples.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import type { Claim } from "../../../src/ports/claim.ts"
import { LogIsTaken } from "../../../src/ports/claim.ts"
import { EventStore } from "../../../src/ports/event-store.ts"

type Store = EventStore["Service"]

const alice = "sip:alice@example.com" as Uri
const holder = { program: "another", host: "b", pid: 7, version: "1", since: 0, epoch: 2 }
const taken = new LogIsTaken({ store: "the log", holder, fix: "stop it" })

/** All there is, optional members included. */
const full = (over: Partial<Store> = {}): Required<Store> => {
  const { behind, claim, ...rest } = makeMemoryStore()
  assert.ok(behind !== undefined && claim !== undefined)
  return { ...rest, behind, claim, proof: () => Effect.void, ...over }
}

/** What each question is asked with, so that its answer passes. */
const questions: {
  readonly [Name in Exclude<keyof Store, "claim">]-?: Parameters<NonNullable<Store[Name]>>
} = {
  append: [[decisionOf(alice, 1)], [null]],
  load: [[alice]],
  read: [0, 10],
  history: [alice, 0, 10],
  historyBack: [alice, 9, 10],
  saveLandmarks: [[initial(alice)]],
  landmarkAt: [alice, 1],
  landmarkBefore: [alice, 1],
  landmarksBack: [alice, 1, 10],
  saveSnapshots: [[initial(alice)]],
  snapshots: ["", 10],
  saveCheckpoint: ["tables", { position: 1, at: 1 }],
  checkpoint: ["tables"],
  behind: [5, "", 10],
  proof: [],
}

/** A store that writes down what it is asked. */
const recording = () => {
  const asked: (readonly [string, readonly unknown[]])[] = []
  const store = full()
  const told = Object.fromEntries(
    Object.entries(store).map(([name, member]) => [
      name,
      typeof member !== "function"
        ? member
        : (...args: readonly unknown[]) => {
            asked.push([name, args])
            return (member as (...all: readonly unknown[]) => unknown)(...args)
          },
    ]),
  ) as unknown as Required<Store>
  return { asked, store: told }
}

const failureOf = async (asked: Effect.Effect<unknown, { readonly cause: unknown }>): Promise<StoreFault> => {
  const exit = await Effect.runPromiseExit(asked)
  assert.ok(Exit.isFailure(exit))
  const { cause } = Cause.squash(exit.cause) as { readonly cause: unknown }
  assert.ok(cause instanceof StoreFault, String(cause))
  return cause
}

describe("a guarded store", { tags: ["LIB-8"] }, () => {
  it(
    "has every member of the store that it guards, and asks each with what it was asked",
    { tags: ["LIB-8"] },
    async () => {
      const { asked, store } = recording()
      const guarded = guardedStore(store, 1000)
      assert.deepEqual(Object.keys(guarded).sort(), Object.keys(store).sort())
      for (const [name, args] of Object.entries(questions)) {
        const ask = guarded[name as keyof typeof questions] as (
          ...all: readonly unknown[]
        ) => Effect.Effect<unknown, unknown>
        await Effect.runPromise(ask(...args) as Effect.Effect<unknown>)
        assert.deepEqual(asked.pop(), [name, args])
      }
      assert.deepEqual(asked, [])
    },
  )

  it("has no member more", { tags: ["LIB-8"] }, () => {
    const { behind: _, claim: __, ...rest } = full()
    assert.deepEqual(Object.keys(guardedStore(rest, 1000)).sort(), Object.keys(rest).sort())
  })

  it(
    "says of what is behind in how much time, or what is wrong with the answer",
    { tags: ["LIB-8"] },
    async () => {
      const answers: readonly (readonly [unknown, RegExp])[] = [
        [undefined, /undefined instead of an array/],
        [[{ stream: 5, version: 1 }], /instead of \{ stream, version \}/],
        [[{ stream: alice, version: -1 }], /instead of \{ stream, version \}/],
        [
          [
            { stream: alice, version: 1 },
            { stream: alice, version: 1 },
          ],
          /twice/,
        ],
        // whoever read on after that would read it for ever
        [[{ stream: "sip:after@example.com", version: 1 }], /twice/],
        [
          Array.from({ length: 11 }, (_, no) => ({ stream: `sip:${no}@x`, version: 1 })),
          /11 rows instead of 10/,
        ],
      ]
      for (const [answer, why] of answers) {
        const guarded = guardedStore(full({ behind: () => Effect.succeed(answer as never) }), 1000)
        const fault = await failureOf(guarded.behind!(5, "sip:after@example.com", 10))
        assert.equal(fault.operation, "behind")
        assert.match(fault.message, why)
      }
      for (const effect of [Effect.never, Effect.uninterruptible(Effect.never)]) {
        const guarded = guardedStore(full({ behind: () => effect }), 20)
        assert.match(
          (await failureOf(guarded.behind!(5, "", 10))).message,
          /behind: no answer in 0\.02 s \(option storeWait\)/,
        )
      }
    },
  )

  it(
    "is sure of its log as the store is at the moment, and never where the store fails to say",
    { tags: ["OPS-writer", "LIB-8"] },
    () => {
      const claim = { isSure: (): unknown => true, taken: (): unknown => null }
      const guarded = guardedStore(full({ claim: claim as Claim }), 1000).claim!
      assert.deepEqual([guarded.isSure(), guarded.taken()], [true, null])
      claim.isSure = () => false
      claim.taken = () => taken
      assert.deepEqual([guarded.isSure(), guarded.taken()], [false, taken])
      for (const odd of [undefined, 1, Promise.resolve(true)]) {
        claim.isSure = () => odd
        claim.taken = () => odd
        assert.deepEqual([guarded.isSure(), guarded.taken()], [false, null])
      }
      claim.isSure = claim.taken = () => {
        throw new Error("no claim")
      }
      assert.deepEqual([guarded.isSure(), guarded.taken()], [false, null])
    },
  )

  it(
    "leaves an append alone, in a fiber of its own, only where it may not end when it is given up",
    { tags: ["LIB-8"] },
    async () => {
      let appending = 0
      const layer = Layer.sync(EventStore, () =>
        full({
          append: () =>
            Effect.withFiber((fiber) => {
              appending = fiber.id
              return Effect.succeed({ position: 1, conflicts: new Set<Uri>() })
            }),
        }),
      )
      for (const [from, isSame] of [
        [interruptibleStore(layer), true],
        [layer, false],
      ] as const) {
        const asked = Effect.gen(function* () {
          const guarded = guardedStore(yield* EventStore, 1000)
          const asking = yield* Effect.withFiber((fiber) => Effect.succeed(fiber.id))
          yield* guarded.append([decisionOf(alice, 1)])
          return asking
        })
        assert.equal((await Effect.runPromise(Effect.provide(asked, from))) === appending, isSame)
      }
    },
  )
})
