/**
 * What a stack is told by the smallest server that it is part of.
 */
import assert from "node:assert/strict"
import { Effect, Layer } from "effect"
import { describe, it } from "vitest"
import { makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { readConfig } from "../../../src/app/config/config.ts"
import { packagesOf } from "../../../src/app/config/packages.ts"
import { layerNode, serve } from "../../../src/app/server/node.ts"
import { PumpService } from "../../../src/app/server/pump.ts"
import { allowEveryone, defaultLimits } from "../../../src/domain/presentity/context.ts"
import { EventStore } from "../../../src/ports/event-store.ts"
import { SipTransport } from "../../../src/ports/sip-transport.ts"
import type { SipCounters, SipHandler } from "../../../src/ports/sip-transport.ts"

const packages = packagesOf(readConfig({ flags: {}, set: [], env: {}, file: null, defaults: {} }))

describe("the smallest server", () => {
  it("refuses with the Retry-After of its options until it is ready", { tags: ["LIB-server"] }, async () => {
    const heard: unknown[] = []
    let handler: SipHandler | null = null
    const stack = Layer.succeed(SipTransport, {
      listen: (given) =>
        Effect.sync(() => {
          handler = given
          heard.push(given.overload?.())
        }),
      notify: () => {},
      addresses: () => [],
      counters: {} as SipCounters,
    })
    const options = { packages, limits: defaultLimits, authorize: allowEveryone, retryAfter: 9 }
    const node = layerNode(options).pipe(
      Layer.provideMerge(Layer.mergeAll(stack, Layer.succeed(EventStore, makeMemoryStore()))),
    )
    const program = Effect.gen(function* () {
      yield* serve
      heard.push(handler?.overload?.())
      const { drain } = yield* PumpService
      yield* drain
      heard.push(handler?.overload?.())
    })
    await Effect.runPromise(Effect.scoped(Effect.provide(program, node)))
    assert.deepEqual(heard, [{ retryAfter: 9 }, null, { retryAfter: 9 }])
  })
})
