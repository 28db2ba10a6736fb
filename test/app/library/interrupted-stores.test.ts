/**
 * Stores of Effect's own that are interrupted, or that nothing can interrupt: what is told is what happened, and nobody waits for ever.
 */
import assert from "node:assert/strict"
import { Cause, Effect, Layer } from "effect"
import { describe, it } from "vitest"
import { makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { errorMessage } from "../../../src/app/error-message.ts"
import { Presence, PresenceService } from "../../../src/app/index.ts"
import type { PresenceFault, PresenceRefused } from "../../../src/app/index.ts"
import { EventStore } from "../../../src/ports/event-store.ts"

const alice = "sip:alice@example.com"
const bob = "sip:bob@example.com"
const body = '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"/>'

type Store = EventStore["Service"]
const storeWith = (over: Partial<Store>) => Layer.succeed(EventStore, { ...makeMemoryStore(), ...over })

const stuck = Effect.uninterruptible(Effect.never)
const unable: readonly (readonly [string, Effect.Effect<never>, RegExp, RegExp])[] = [
  [
    "cannot be interrupted and never ends",
    stuck,
    /append: no answer in 3 s, after which an append is given up/,
    /no answer in 0\.2 s \(option storeWait\)/,
  ],
  [
    "never ends",
    Effect.never,
    /append: no answer in 3 s, after which an append is given up/,
    /no answer in 0\.2 s \(option storeWait\)/,
  ],
  [
    "is interrupted by somebody else",
    Effect.interrupt,
    /append: it was interrupted before it had an answer/,
    /it was interrupted before it had an answer/,
  ],
]

const isSaid = (error: Error, what: RegExp): true => {
  assert.match(error.message, what)
  assert.doesNotMatch(error.message, /fibers/i)
  return true
}

describe("a store of Effect's own", { tags: ["LIB-8"] }, () => {
  it(
    "an append that does not end is refused with 503, whatever became of it, and the program is told the same",
    { tags: ["LIB-8"] },
    async () => {
      await Promise.all(
        unable.map(async ([how, effect, why]) => {
          const faults: PresenceFault[] = []
          const presence = await Presence.make({
            store: storeWith({ append: () => effect }),
            onFault: (fault) => void faults.push(fault),
          })
          await assert.rejects(presence.publish({ presentity: alice, body }), (error: PresenceRefused) => {
            assert.equal(error.status, 503, how)
            return isSaid(error, why)
          })
          const [fault] = faults
          assert.ok(fault?._tag === "StoreAway" && why.test(fault.why), `${how}: ${JSON.stringify(fault)}`)
          await presence.close()
        }),
      )
    },
  )

  it.each(unable)(
    "one that %s fails the start and each question, with what happened",
    { tags: ["LIB-8"] },
    async (_, effect, __, why) => {
      for (const name of ["read", "snapshots", "checkpoint"])
        await assert.rejects(
          Presence.make({ store: storeWith({ [name]: () => effect }), storeWait: 0.2 }),
          (error: Error) => isSaid(error, why),
          name,
        )
      const presence = await Presence.make({ store: storeWith({ history: () => effect }), storeWait: 0.2 })
      for (const asked of [presence.history(alice), presence.at(alice, 1)])
        await assert.rejects(asked, (error: Error) => {
          assert.match(errorMessage(error), why)
          return true
        })
      await presence.close()
    },
  )

  it("the same as a layer", { tags: ["LIB-8"] }, async () => {
    const starting = Effect.provide(
      Effect.flatMap(PresenceService, (presence) => presence.settle),
      Layer.provide(Presence.layer({ storeWait: 0.2 }), storeWith({ read: () => stuck })),
    )
    await assert.rejects(Effect.runPromise(starting), (error: Error) => isSaid(error, /no answer in 0\.2 s/))
  })

  it("whoever asks when it is closed is told that it stops", { tags: ["LIB-8"] }, async () => {
    const presence = await Presence.make()
    await presence.close()
    for (const asked of [
      presence.publish({ presentity: alice, body }),
      presence.watch({ presentity: alice, watcher: bob }),
      presence.fetch({ presentity: alice, watcher: bob }),
      presence.setRules(alice, "<ruleset/>"),
      presence.terminate({ presentity: alice }),
    ])
      await assert.rejects(asked, (error: PresenceRefused) => {
        assert.equal(error.status, 503)
        return isSaid(error, /stopping/)
      })
  })
})

describe("the reason of what was interrupted", () => {
  it(
    "is told as an interruption, as a cause, as an error and as what lies behind one",
    { tags: ["LIB-8"] },
    async () => {
      const cause = Cause.interrupt(1)
      const error = await Effect.runPromise(Effect.interrupt).catch((thrown: unknown) => thrown)
      const said = "it was interrupted before it had an answer"
      for (const thrown of [cause, error, Cause.squash(cause)]) assert.equal(errorMessage(thrown), said)
      assert.equal(errorMessage(new Error("outside", { cause: error })), `outside: ${said}`)
      const both = Cause.combine(cause, Cause.fail(new Error("disk full")))
      assert.equal(errorMessage(both), "disk full")
    },
  )
})
