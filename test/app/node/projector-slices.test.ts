/**
 * What the projector writes at once, and when it does not wait any longer.
 */
import assert from "node:assert/strict"
import { Context, Effect, Logger } from "effect"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { makeProjector } from "../../../src/app/node/projector.ts"
import { makePending } from "../../../src/app/node/projector/pending.ts"
import { slicesOf, weightOf } from "../../../src/app/node/projector/slices.ts"
import type { CommittedDecision } from "../../../src/domain/engine/engine.ts"
import type { Event } from "../../../src/domain/presentity/events.ts"
import { fold } from "../../../src/domain/presentity/evolve.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import type { EntityTag, Uri } from "../../../src/domain/vocabulary.ts"
import { EventStore } from "../../../src/ports/event-store.ts"
import { PresenceTables } from "../../../src/ports/presence-tables.ts"

/** One decision for one of many presentities, with so many publications. */
const stored = (number: number, publications = 1): CommittedDecision => {
  const stream = `sip:user${number}@example.com` as Uri
  const events = Array.from({ length: publications }, (_, index): Event => ({
    _tag: "PublicationCreated",
    packageName: "presence",
    entityTag: `tag${index}` as EntityTag,
    expiresAt: 9_000_000,
    body: null,
    sender: null,
  }))
  const before = initial(stream)
  const decision = { stream, version: 1, at: 1, cause: "", origin: "", nonce: "", events }
  return { decision, before, after: fold(before, decision) }
}

describe("what the projector writes at once", () => {
  it("is everything, in order, in slices that are small unless a single one is not", { tags: ["L05"] }, () =>
    fc.assert(
      fc.property(fc.array(fc.nat(400)), (weights) => {
        const slices = [...slicesOf(weights, (weight) => weight)]
        assert.deepEqual(slices.flat(), weights)
        for (const slice of slices) {
          const sum = slice.reduce((total, weight) => total + weight, 0)
          assert.ok(slice.length === 1 || (sum <= 250 && slice.length <= 100), `${slice.length} with ${sum}`)
        }
      }),
    ),
  )

  it("is weighed by what lives on a presentity", { tags: ["L05"] }, () => {
    assert.equal(weightOf(initial("sip:alice@example.com" as Uri)), 1)
    assert.equal(weightOf(stored(1, 7).after), 8)
  })

  it("waits for a quarter as many decisions as there is to be written", { tags: ["L05"] }, () => {
    const pending = makePending()
    for (let number = 0; number < 10; number++) pending.note([stored(number, 7)])
    assert.equal(pending.isMany(11), false)
    assert.equal(pending.isMany(10), false)
    for (let round = 0; round < 10; round++) pending.note([stored(1, 7)])
    assert.equal(pending.isMany(10), true)
  })

  it(
    "may take any time together, as long as each step is answered in time",
    { tags: ["T40", "L05"] },
    async () => {
      let writes = 0
      const tables: PresenceTables["Service"] = {
        together: (work) => work,
        write: () =>
          Effect.andThen(
            Effect.sync(() => void writes++),
            Effect.sleep("60 millis"),
          ),
      }
      const store = makeMemoryStore()
      const services = Context.make(EventStore, store).pipe(Context.add(PresenceTables, tables))
      await Effect.runPromise(
        Effect.gen(function* () {
          const projector = yield* makeProjector(
            { periodSeconds: 1, decisionsMax: 10, writeMillis: 1000 },
            { committed: () => ({ position: 1, at: 1 }), oldestInFlight: () => null },
          ).pipe(Effect.provideContext(services))
          for (let number = 0; number < 2000; number++) projector.note([stored(number)])
          yield* projector.flush
          assert.equal(writes, 20)
          assert.deepEqual(projector.lag(), { streams: 0, decisions: 0 })
          assert.deepEqual(yield* store.checkpoint("tables"), { position: 1, at: 1 })
        }).pipe(Effect.provide(Logger.layer([]))),
      )
    },
  )
})
