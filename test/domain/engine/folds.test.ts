/**
 * How often an event is applied on its way from command to NOTIFY.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import { afterAll, beforeAll, describe, it, vi } from "vitest"
import type { Event } from "../../../src/domain/presentity/events.ts"
import type * as Evolve from "../../../src/domain/presentity/evolve.ts"
import type * as History from "../../support/history.ts"

const evolveFile = "../../../src/domain/presentity/evolve.ts"

describe("from command to NOTIFY", () => {
  const applied: Event[] = []
  let history: typeof History

  // other test files have loaded these modules, and share them
  beforeAll(async () => {
    vi.resetModules()
    vi.doMock(evolveFile, async (original) => {
      const module = await original<typeof Evolve>()
      const evolve: typeof module.evolve = (state, event, at) => {
        applied.push(event)
        return module.evolve(state, event, at)
      }
      return { ...module, evolve }
    })
    history = await import("../../support/history.ts")
  })
  afterAll(() => {
    vi.doUnmock(evolveFile)
    vi.resetModules()
  })

  it("each event of a decision is applied once", { tags: ["L03"] }, () => {
    let events = 0
    const kinds = new Set<string>()
    history.forEveryHistory((run) => {
      applied.length = 0
      const { log } = history.onEngine(run.world, run.inputs, 3)
      const stored = [...run.states.keys()].flatMap((stream) =>
        log.history(stream, 0, 1e6).flatMap(({ decision }) => decision.events),
      )
      const times = new Map<Event, number>()
      for (const event of applied) times.set(event, (times.get(event) ?? 0) + 1)
      deepStrictEqual(
        stored.filter((event) => times.get(event) !== 1),
        [],
      )
      events += stored.length
      for (const { _tag } of stored) kinds.add(_tag)
    }, 0.25)
    ok(events > 1000)
    ok(kinds.size > 8, [...kinds].join())
  })
})
