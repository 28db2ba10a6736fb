/**
 * What a server does before the first request comes.
 */
import assert from "node:assert/strict"
import { Deferred, Effect, Fiber } from "effect"
import { describe, it } from "vitest"
import { makeMemoryLog, makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { makeNode, outOfOrder, warmUp } from "../../../src/app/node/warm-up.ts"
import { packages, warmUpBeside } from "../../support/warm-up.ts"

describe("a warm-up", () => {
  it(
    "takes every kind of request all the way: answers, NOTIFYs, and what comes of them",
    { tags: ["L12"] },
    async () => {
      const counters = await Effect.runPromise(
        Effect.gen(function* () {
          const node = yield* makeNode(packages)
          for (let count = 0; count < 400; count++) yield* node.requests(1 + (count % 8))
          yield* node.write
          return node.counters
        }).pipe(Effect.scoped),
      )
      const refused = Object.entries(counters.responses).filter(([name]) => !name.endsWith(" 200"))
      assert.deepEqual(refused, [])
      assert.ok(counters.responses["PUBLISH 200"]! >= 200)
      assert.ok(counters.responses["SUBSCRIBE 200"]! >= 150)
      assert.ok(counters.notifyAccepted >= 400)
      const { defects, malformed, notifyUnproven, unprovenWaited, sendErrors } = counters
      assert.deepEqual(
        { defects, malformed, notifyUnproven, unprovenWaited, sendErrors },
        {
          defects: 0,
          malformed: 0,
          notifyUnproven: 0,
          unprovenWaited: 0,
          sendErrors: 0,
        },
      )
    },
  )

  it("ends when requests come, and appends only what no log takes", { tags: ["L12"] }, async () => {
    const log = makeMemoryLog()
    const conflicts = await Effect.runPromise(warmUpBeside(makeMemoryStore(log), 5))
    assert.deepEqual(conflicts, Array(5).fill([outOfOrder.stream]))
    assert.deepEqual(log.read(0, 10), [])
  })

  it("ends when requests come, also while the event loop is never idle", { tags: ["L12"] }, async () => {
    let [isOver, isBusy] = [false, true]
    const from = process.threadCpuUsage()
    const spin = (): void => {
      const { user } = process.threadCpuUsage(from)
      // until then its advance is used up
      isOver = user > 500_000
      isBusy = user < 2_000_000
      if (isBusy && !isDone) setImmediate(spin)
    }
    let isDone = false
    spin()
    await Effect.runPromise(
      warmUp({
        packages,
        millisMax: Number.POSITIVE_INFINITY,
        firstMillis: 40,
        firstDone: Effect.void,
        isOpen: () => false,
        isOver: () => isOver,
        database: () => null,
      }),
    )
    isDone = true
    assert.ok(isBusy)
  })

  it.for([
    [false, true],
    [true, false],
  ] as const)(
    "while the event loop is never idle, requests can come: %s; it goes on with its first part: %s",
    { tags: ["L12"] },
    async ([isOpen, goesOn]) => {
      let [looks, isOver] = [0, false]
      const from = process.threadCpuUsage()
      const spin = (): void => {
        isOver ||= process.threadCpuUsage(from).user > 300_000
        if (!isOver) setImmediate(spin)
      }
      spin()
      await Effect.runPromise(
        warmUp({
          packages,
          millisMax: Number.POSITIVE_INFINITY,
          firstMillis: Number.POSITIVE_INFINITY,
          firstDone: Effect.void,
          isOpen: () => isOpen,
          isOver: () => isOver,
          database: () => {
            looks++
            return null
          },
        }),
      )
      assert.equal(looks > 0, goesOn)
    },
  )

  it("does not keep a stop waiting for an append that is never answered", { tags: ["L12"] }, async () => {
    const isAsked = Deferred.makeUnsafe<void>()
    const append = () =>
      Effect.uninterruptible(Effect.andThen(Deferred.succeed(isAsked, undefined), Effect.never))
    await Effect.runPromise(
      Effect.gen(function* () {
        const running = yield* Effect.forkChild(
          warmUp({
            packages,
            millisMax: Number.POSITIVE_INFINITY,
            firstMillis: 40,
            firstDone: Effect.void,
            isOpen: () => false,
            isOver: () => false,
            database: () => ({ ...makeMemoryStore(), append }),
          }),
        )
        yield* Deferred.await(isAsked)
        yield* Fiber.interrupt(running)
      }),
    )
  })

  it(
    "ends when it has taken as long as it may, and does nothing when that is nothing",
    { tags: ["L12"] },
    async () => {
      let looks = 0
      let firstDone = 0
      const options = {
        packages,
        firstMillis: 10,
        firstDone: Effect.sync(() => firstDone++),
        isOpen: () => false,
        isOver: () => {
          looks++
          return false
        },
        database: () => null,
      }
      await Effect.runPromise(warmUp({ ...options, millisMax: 0 }))
      assert.equal(looks, 0)
      assert.equal(firstDone, 1, "whoever waits goes on")
      await Effect.runPromise(warmUp({ ...options, millisMax: 20 }))
      assert.ok(looks > 0)
      assert.ok(firstDone > 1)
    },
  )
})
