/**
 * The contract of event stores as vitest tests.
 */
import { describe, it } from "vitest"
import { storeContract } from "../../src/app/testing/store-contract.ts"
import type { EventStore } from "../../src/ports/event-store.ts"

/** @param open returns the store when a case begins */
export const describeStore = (name: string, open: () => EventStore["Service"]): void => {
  describe(`event store contract: ${name}`, () => {
    for (const contractCase of storeContract(open))
      it(`${contractCase.name}`, { tags: [...contractCase.tags] }, contractCase.run)
  })
}
