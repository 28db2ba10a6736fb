/**
 * What a server does before the first request comes.
 */
import assert from "node:assert/strict"
import { Effect } from "effect"
import { describe, it } from "vitest"
import { makeMemoryLog, makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { readConfig } from "../../../src/app/config/config.ts"
import { packagesOf } from "../../../src/app/config/packages.ts"
import { makeNode, outOfOrder, warmUp } from "../../../src/app/node/warm-up.ts"

const packages = packagesOf(readConfig({ flags: {}, set: [], env: {}, file: null, defaults: {} }))

describe("a warm-up", () => {
  it(
    "takes every kind of request all the way: answers, NOTIFYs, and what comes of them",
    { tags: ["L12"] },
    async () => {
      const counters = await Effect.runPromise(
        Effect.gen(function* () {
          const node = yield* makeNode(packages)
          for (let count = 0; count < 400; count++) yield* node.request
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
    const memory = makeMemoryStore(log)
    const conflicts: string[] = []
    let looks = 0
    await Effect.runPromise(
      warmUp({
        packages,
        millisMax: Number.POSITIVE_INFINITY,
        isOver: () => ++looks > 40,
        database: () => ({
          ...memory,
          append: (decisions) =>
            Effect.tap(memory.append(decisions), (appended) =>
              Effect.sync(() => void conflicts.push(...appended.conflicts)),
            ),
        }),
      }),
    )
    assert.deepEqual([...new Set(conflicts)], [outOfOrder.stream])
    assert.deepEqual(log.read(0, 10), [])
  })

  it(
    "ends when it has taken as long as it may, and does nothing when that is nothing",
    { tags: ["L12"] },
    async () => {
      let looks = 0
      const options = {
        packages,
        isOver: () => {
          looks++
          return false
        },
        database: () => null,
      }
      await Effect.runPromise(warmUp({ ...options, millisMax: 0 }))
      assert.equal(looks, 0)
      await Effect.runPromise(warmUp({ ...options, millisMax: 20 }))
      assert.ok(looks > 0)
    },
  )
})
