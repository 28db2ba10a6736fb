/**
 * Deadlines: what is armed after each decision, against all deadlines of the state.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import { describe, it } from "vitest"
import { deadlineIn, nextDeadline } from "../../src/domain/presentity/deadlines.ts"
import { fold } from "../../src/domain/presentity/evolve.ts"
import { freeze } from "../../src/domain/presentity/snapshot.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import { forEveryHistory } from "../support/history.ts"
import type { Run } from "../support/machine.ts"
import { forEveryRuledHistory } from "../support/ruled-history.ts"

const never = Number.POSITIVE_INFINITY

/** By brute force: every instant in the JSON of the state that stands under the name of a deadline. */
const allDeadlines = (state: State): readonly number[] => {
  const names = new Set(["expiresAt", "giveUpAt", "dueAt", "repeatAt", "boundaryAt"])
  const found: number[] = []
  const search = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return
    // what another server looks after is none of ours
    if ("parked" in value && value.parked === true) return
    for (const [name, inner] of Object.entries(value)) {
      if (names.has(name) && typeof inner === "number") found.push(inner)
      else search(inner)
    }
  }
  search(JSON.parse(JSON.stringify(freeze(state))))
  return found
}

describe("deadlines", () => {
  const checkRun = (run: Run): void => {
    for (const stream of run.states.keys()) {
      let state = initial(stream)
      let armed = never
      for (const decision of run.log.filter((one) => one.stream === stream)) {
        const known = Math.min(never, ...allDeadlines(state))
        state = fold(state, decision)
        const earliest = Math.min(never, ...allDeadlines(state))
        deepStrictEqual(nextDeadline(state) ?? never, earliest)
        const brought = deadlineIn(decision.events, state) ?? never
        // what a decision brings is a deadline that there is, and with those known before it none is missed
        ok(brought >= earliest, `${brought} is before ${earliest}`)
        ok(Math.min(known, brought) <= earliest, `${earliest} is missed: ${JSON.stringify(decision.events)}`)
        armed = Math.min(armed, brought)
        ok(armed <= earliest, `armed for ${armed}, due at ${earliest}`)
        // whoever looks when it comes up arms again
        if (armed <= decision.at) armed = earliest
      }
    }
  }

  it(
    "what is armed after each decision is never later than the earliest deadline",
    { tags: ["L08", "L09"] },
    () => {
      forEveryHistory(checkRun, 0.5)
      forEveryRuledHistory(checkRun, 0.5)
    },
  )
})
