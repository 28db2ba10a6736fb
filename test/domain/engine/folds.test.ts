/**
 * How often an event is applied on its way from command to NOTIFY.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import { describe, it, vi } from "vitest"
import type { Event } from "../../../src/domain/presentity/events.ts"
import type * as Evolve from "../../../src/domain/presentity/evolve.ts"
import { forEveryHistory, onEngine } from "../../support/history.ts"

const counted = vi.hoisted(() => ({ applied: [] as unknown[] }))

vi.mock(import("../../../src/domain/presentity/evolve.ts"), async (original) => {
  const module: typeof Evolve = await original()
  return {
    ...module,
    evolve: (state, event, at) => {
      counted.applied.push(event)
      return module.evolve(state, event, at)
    },
  }
})

describe("from command to NOTIFY", () => {
  it("each event of a decision is applied once", { tags: ["L03"] }, () => {
    let events = 0
    const several = new Set<string>()
    forEveryHistory((run) => {
      counted.applied.length = 0
      const { log } = onEngine(run.world, run.inputs, 3)
      const stored = [...run.states.keys()].flatMap((stream) =>
        log.history(stream, 0, 1e6).flatMap(({ decision }) => decision.events),
      )
      const times = new Map<unknown, number>()
      for (const event of counted.applied) times.set(event, (times.get(event) ?? 0) + 1)
      deepStrictEqual(
        stored.filter((event) => times.get(event) !== 1),
        [],
      )
      events += stored.length
      for (const event of stored as readonly Event[]) several.add(event._tag)
    }, 0.25)
    ok(events > 1000)
    ok(several.size > 8, [...several].join())
  })
})
