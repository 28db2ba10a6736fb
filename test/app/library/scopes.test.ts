/**
 * What lives no longer than it is wanted: a server that is disposed of, and a history that is read no further than it is taken.
 */
import assert from "node:assert/strict"
import { Effect, Layer, Stream } from "effect"
import { describe, it } from "vitest"
import { EventStore, Presence, PresenceService, Server, memoryStore } from "../../../src/app/index.ts"
import { holds } from "../../support/condition.ts"

describe("await using", () => {
  it("closes a server: its address is free again", async () => {
    const begin = async (listen?: readonly string[]): Promise<readonly string[]> => {
      await using server = await Server.start(listen === undefined ? {} : { listen })
      return server.addresses
    }
    // a port that the system gave may be given to somebody else meanwhile
    await holds(
      "it is free again",
      async () => {
        const addresses = await begin()
        const again = await begin(addresses).catch((cause: { readonly _tag?: string }) => {
          assert.equal(cause._tag, "BindFailed")
          return null
        })
        if (again !== null) assert.deepEqual(again, addresses)
        return again
      },
      30_000,
    )
  })
})

describe("history as a stream", () => {
  it("is read page by page, and no further than it is taken", async () => {
    const reads: number[] = []
    const store = Layer.effect(
      EventStore,
      Effect.map(EventStore, (memory) => ({
        ...memory,
        history: (stream, after, max) => {
          reads.push(after)
          return memory.history(stream, after, max)
        },
      })),
    ).pipe(Layer.provide(memoryStore()))
    const presentity = "sip:alice@example.com"
    const program = Effect.gen(function* () {
      const presence = yield* PresenceService
      const body = '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"/>'
      let { entityTag } = yield* presence.publish({ presentity, body })
      for (let count = 1; count < 1_001; count++)
        ({ entityTag } = yield* presence.publish({ presentity, entityTag }))
      reads.length = 0
      const some = yield* Stream.runCollect(Stream.take(presence.history(presentity), 3))
      const readFor3 = reads.splice(0)
      const all = yield* Stream.runCollect(presence.history(presentity))
      return { some, readFor3, all }
    })
    const { some, readFor3, all } = await Effect.runPromise(
      Effect.provide(program, Presence.layer().pipe(Layer.provide(store))),
    )
    assert.deepEqual(
      some.map(({ version }) => version),
      [1, 2, 3],
    )
    assert.deepEqual(readFor3, [0])
    assert.deepEqual(
      all.map(({ version }) => version),
      Array.from({ length: 1_001 }, (_, index) => index + 1),
    )
    assert.deepEqual(reads, [0, 500, 1_000])
  })
})
