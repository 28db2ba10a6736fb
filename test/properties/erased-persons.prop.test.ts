/**
 * A log in which somebody was erased is decided again: what comes out otherwise concerns that person, and everything else comes out
 * as it was.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { encryptDecision, newPersonKey } from "../../src/adapters/store/encryption/encrypted-decision.ts"
import { decodeRow } from "../../src/adapters/store/encryption/stored-row.ts"
import { decideAgain } from "../../src/domain/history/decide-again.ts"
import type { ReconstructionContext } from "../../src/domain/history/reconstruction-context.ts"
import { askTheRules } from "../../src/domain/presentity/context.ts"
import { mentionsPerson } from "../../src/domain/presentity/erase.ts"
import type { Decision } from "../../src/domain/presentity/events.ts"
import { fold } from "../../src/domain/presentity/evolve.ts"
import { requesterOf } from "../../src/domain/presentity/requester.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import type { PersonKey } from "../../src/ports/stored-events.ts"
import { packagesOf } from "../support/machine.ts"
import type { Moment, Run } from "../support/machine.ts"
import { forEveryRuledHistory } from "../support/ruled-history.ts"

const bob = "sip:bob@example.com" as Uri

/** The decisions of a history as they are read when the key of a person is gone. */
const withoutKeyOf = (person: Uri, moments: readonly Moment[]): readonly Decision[] => {
  const keys = new Map<string, PersonKey>()
  const keyOf = (name: string): PersonKey => {
    const key = keys.get(name) ?? newPersonKey(name)
    keys.set(name, key)
    return key
  }
  const rows = moments.map(({ before, command, context, events, at }) => {
    const decision: Decision = {
      stream: before.presentity,
      version: before.version + 1,
      at,
      cause: command._tag,
      origin: "",
      nonce: context.nonce,
      events,
    }
    const { stored } = encryptDecision(decision, requesterOf(before, command, events), keyOf)
    return { decision, stored: JSON.parse(JSON.stringify(stored)) as unknown }
  })
  keys.delete(person)
  const byId = new Map([...keys.values()].map((key) => [key.id, key]))
  return rows.map(({ decision, stored }) => ({
    ...decision,
    ...decodeRow({ ...decision, events: stored }, (id) => byId.get(id)),
  }))
}

describe("a log in which somebody was erased", () => {
  it("is decided again as it was, except for what depends on that person", { tags: ["L03", "T38"] }, () => {
    const counts = { Same: 0, Dropped: 0, Erased: 0, Other: 0 }
    const check = (run: Run, otherLimits: boolean): void => {
      const world: ReconstructionContext = {
        packages: packagesOf(run.world),
        limits: otherLimits ? { ...run.world.limits, minExpiresSubscribe: 1e6 } : run.world.limits,
        authorize: askTheRules,
      }
      const moments = run.moments.filter(({ events }) => events.length > 0)
      const states = new Map<Uri, State>()
      for (const [index, decision] of withoutKeyOf(bob, moments).entries()) {
        const before = states.get(decision.stream) ?? initial(decision.stream)
        states.set(decision.stream, fold(before, decision))
        const { _tag: again } = decideAgain(before, decision, world)
        counts[again]++
        if (otherLimits) continue
        assert.notEqual(again, "Other")
        const { before: told, events } = moments[index]!
        const isBobs =
          mentionsPerson(told, bob) || events.some((event) => "watcher" in event && event.watcher === bob)
        if (!isBobs) assert.notEqual(again, "Erased")
      }
    }
    forEveryRuledHistory((run) => check(run, false))
    assert.ok(counts.Same > 1000 && counts.Erased > 20, JSON.stringify(counts))
    // where others are concerned, another decision is told as before
    forEveryRuledHistory((run) => check(run, true), 0.2)
    assert.ok(counts.Other > 20, JSON.stringify(counts))
  })
})
