/**
 * The messages of the newest golden log.
 */
import { sipMessage } from "../../src/app/ladder/message-text.ts"
import { worldOf } from "../../src/explain/case/world.ts"
import { isNote, makeLadder } from "../../src/explain/ladder/messages.ts"
import type { LadderMessage } from "../../src/explain/ladder/messages.ts"
import { eventRows, expectedOf, momentsOf } from "../golden/golden.ts"

const expected = expectedOf("0003-answers")
export const moments = momentsOf(eventRows("0003-answers"), expected)
const ladder = makeLadder(worldOf(expected.world))

/** By time, because deadlines are decided and responses recorded later than they happen. */
export const steps = moments.flatMap(ladder.take).toSorted((left, right) => left.at - right.at)
export const messages = steps
  .filter((step): step is LadderMessage => !isNote(step))
  .map((message) => ({ ...message, ...sipMessage(message) }))
