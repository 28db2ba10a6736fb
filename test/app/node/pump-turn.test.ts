/**
 * One turn of the pump: what has waited for its presentity is decided as it would have been at once.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { Parts, Ticket } from "../../../src/app/node/pump/parts.ts"
import { decideOffer } from "../../../src/app/node/pump/turn.ts"
import type { Offer } from "../../../src/domain/engine/engine.ts"
import { alice, subscribe } from "../../support/builders.ts"

describe("a request that comes after a stop of the process", () => {
  const offer: Offer<Ticket> = {
    presentity: alice,
    command: subscribe({}),
    origin: "",
    ticket: { answer: () => {} } as unknown as Ticket,
  }

  it(
    "comes before what fell due meanwhile, also when its presentity has to be read first",
    { tags: ["M4"] },
    () => {
      const offers = new Map<string, Offer<Ticket>[]>()
      const pump = {
        doubts: { hasDone: false, done: new Set() },
        loading: { offers, stale: new Set([alice]), unreadable: new Map() },
        machine: { isAway: false },
        engine: { offer: () => ({ _tag: "Missing", presentity: alice }) },
      } as unknown as Parts
      // the first waits for the presentity; the second finds one that waits already
      for (let request = 1; request <= 2; request++) decideOffer(pump, offer, 0, true)
      assert.deepEqual(
        offers.get(alice)?.map(({ amends }) => amends),
        [true, true],
      )
      decideOffer(pump, offer, 0)
      assert.equal(offers.get(alice)?.at(-1), offer)
    },
  )
})
