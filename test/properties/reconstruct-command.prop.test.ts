/**
 * Deciding again: the command behind a recorded decision, decided on the state it was decided on, gives its events.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { reconstructCommand } from "../../src/domain/history/reconstruct-command.ts"
import type { ReconstructionContext } from "../../src/domain/history/reconstruction-context.ts"
import { askTheRules } from "../../src/domain/presentity/context.ts"
import type { Decision } from "../../src/domain/presentity/events.ts"
import { forEveryHistory } from "../support/history.ts"
import { packagesOf } from "../support/machine.ts"
import type { Moment, Run } from "../support/machine.ts"
import { forEveryRuledHistory } from "../support/ruled-history.ts"

/** As it stands in the log. */
const decisionOf = ({ before, command, context, events, at }: Moment): Decision => ({
  stream: before.presentity,
  version: before.version + 1,
  at,
  cause: command._tag,
  origin: "",
  nonce: context.nonce,
  events: JSON.parse(JSON.stringify(events)) as Decision["events"],
})

const worldOf = (run: Run, authorize: ReconstructionContext["authorize"]): ReconstructionContext => ({
  packages: packagesOf(run.world),
  limits: run.world.limits,
  authorize,
})

const check = (run: Run, authorize: ReconstructionContext["authorize"]): void => {
  const world = worldOf(run, authorize)
  for (const moment of run.moments) {
    if (moment.events.length === 0) continue
    const reconstructed = reconstructCommand(moment.before, decisionOf(moment), world)
    assert.ok(reconstructed !== null)
    assert.deepEqual(
      reconstructed.outcome.events,
      moment.events,
      JSON.stringify({ real: moment.command, reconstructed: reconstructed.command }, null, 1),
    )
    assert.ok(reconstructed.isExact)
    assert.equal(reconstructed.command._tag, moment.command._tag)
  }
}

describe("a reconstructed command", () => {
  it(
    "the command behind every decision gives its events again, whatever the hook said",
    { tags: ["L03"] },
    () => {
      forEveryHistory((run) => check(run, null))
    },
  )

  it(
    "and so it does where rules decide, with spheres, time, hard state and verdicts",
    { tags: ["L03"] },
    () => {
      forEveryRuledHistory((run) => check(run, askTheRules))
    },
  )
})
