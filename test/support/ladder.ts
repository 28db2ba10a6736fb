/**
 * The messages of the newest golden log.
 */
import { worldOf } from "../../src/app/case/world.ts"
import { isNote, stepsOf } from "../../src/app/ladder/messages.ts"
import type { LadderMessage } from "../../src/app/ladder/messages.ts"
import { eventRows, expectedOf, momentsOf } from "../golden/golden.ts"

const expected = expectedOf("0002-every-event")
export const moments = momentsOf(eventRows("0002-every-event"), expected)
/** By time: what falls due is decided when somebody looks. */
export const steps = moments
  .toSorted((one, other) => one.decision.at - other.decision.at)
  .flatMap((moment) => stepsOf(moment, worldOf(expected.world)))
export const messages = steps.filter((step): step is LadderMessage => !isNote(step))
