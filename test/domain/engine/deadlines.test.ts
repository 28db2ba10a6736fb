/**
 * The timing wheel against a plain list, and the dialog index.
 */
import { deepStrictEqual } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeDeadlines } from "../../../src/domain/engine/deadlines.ts"
import { makeDialogs } from "../../../src/domain/engine/dialogs.ts"
import type { Decision, Event } from "../../../src/domain/presentity/events.ts"
import {
  alice,
  at,
  dropped,
  keyOf,
  resubscribe,
  subscribed,
  subscriptionCreated,
  terminated,
} from "../../support/builders.ts"
import { given } from "../../support/given.ts"

describe("deadlines", () => {
  it(
    "whatever is armed, moved and disarmed, what comes up is what a list of all would give",
    { tags: ["L10"] },
    () => {
      const anyKey = fc.nat(5)
      const anyInstant = fc.oneof(fc.nat(2000), fc.constantFrom(127, 128, 129, 255, 256, 100_000_000))
      const anyAct = fc.oneof(
        fc.record({ act: fc.constant("arm" as const), key: anyKey, at: anyInstant }),
        fc.record({ act: fc.constant("disarm" as const), key: anyKey, at: fc.constant(0) }),
        fc.record({ act: fc.constant("due" as const), key: fc.constant(0), at: anyInstant }),
      )
      fc.assert(
        fc.property(fc.array(anyAct, { maxLength: 60, size: "max" }), (acts) => {
          const wheel = makeDeadlines<number>()
          const list = new Map<number, number>()
          for (const { act, key, at: when } of acts) {
            if (act === "arm") {
              wheel.arm(key, when)
              list.set(key, Math.min(list.get(key) ?? Number.POSITIVE_INFINITY, when))
            } else if (act === "disarm") {
              wheel.disarm(key)
              list.delete(key)
            } else {
              const expected = [...list].filter(([, due]) => due <= when)
              for (const [one] of expected) {
                deepStrictEqual(wheel.isDue(one, when), true)
                list.delete(one)
              }
              const found = wheel.due(when)
              deepStrictEqual(new Set(found), new Set(expected.map(([one]) => one)))
              const instants = found.map((one) => new Map(expected).get(one)!)
              deepStrictEqual(
                instants,
                instants.toSorted((one, other) => one - other),
              )
            }
            deepStrictEqual(wheel.size(), list.size)
            for (const one of [0, 1, 2, 3, 4, 5]) {
              deepStrictEqual(wheel.isDue(one, when), (list.get(one) ?? Number.POSITIVE_INFINITY) <= when)
            }
          }
        }),
        { numRuns: 500 },
      )
    },
  )
})

describe("the index of dialogs", () => {
  const decisionOf = (...events: readonly Event[]): Decision => ({
    stream: alice,
    version: 9,
    at: at("10:00:00"),
    cause: "",
    origin: "",
    nonce: "",
    events,
  })

  it(
    "follows what decisions open and close, shared ones to their last subscription",
    { tags: ["3265-3.3.4-d"] },
    () => {
      const dialogs = makeDialogs()
      const { state } = given(subscribed(1))
      dialogs.remember(state)
      deepStrictEqual(dialogs.find(keyOf(1)), { presentity: alice, no: 1 })
      const { state: shared } = given(
        subscribed(1),
        subscriptionCreated(2, { dialog: 1, start: null, eventId: "A", remoteCseq: 2 }),
      )
      dialogs.follow(shared, decisionOf(terminated(1, "timeout")))
      deepStrictEqual(dialogs.size(), 1)
      dialogs.follow(shared, decisionOf(dropped(1), dropped(2)))
      deepStrictEqual(dialogs.size(), 0)
    },
  )

  it("never knows the dialog of a fetch", { tags: ["3265-3.3.6-a"] }, () => {
    const dialogs = makeDialogs()
    dialogs.follow(given().state, decisionOf(subscriptionCreated(1), terminated(1, "timeout")))
    deepStrictEqual([dialogs.size(), dialogs.find(keyOf(1))], [0, null])
    dialogs.follow(given().state, decisionOf(subscriptionCreated(1)))
    deepStrictEqual(dialogs.find(resubscribe(1).dialog), { presentity: alice, no: 1 })
    dialogs.forget(given(subscribed(1)).state)
    deepStrictEqual(dialogs.size(), 0)
  })
})
