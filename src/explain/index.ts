/**
 * `presently/explain`: what happened, in words and drawings. Reads case files written by `presently export`, describes
 * their steps, explains why a watcher was notified or was not, examines what would have happened otherwise, and draws
 * the SIP messages as a ladder, with the same sentences as the command line.
 *
 * It also runs in a browser: nothing here needs Node, the network, a clock or a file.
 *
 * @example
 * const items = [...readItems("alice.case", linesIn(text), pureSha256)]
 * const question = { presentity: "sip:alice@example.com", watcher: "sip:bob@example.com", packageName: "presence", at: Infinity }
 * const found = whyInCase(items, question, clockOf("UTC"))
 * console.log(found === null ? "nothing about alice" : renderWhy(found.text))
 */
export { caseFormat } from "./case/format.ts"
export type { CaseHeader, CaseItem } from "./case/format.ts"
export { CaseBroken, linesIn, readItems } from "./case/read.ts"
export type { Line } from "./case/read.ts"
export { pureSha256 } from "./case/sha256.ts"
export type { RunningSha256, Sha256 } from "./case/sha256.ts"
export { replay } from "./case/replay.ts"
export type { Replayed, ReplayOptions } from "./case/replay.ts"
export { placeOf } from "./case/log-position.ts"
export type { Place } from "./case/log-position.ts"
export { worldOf } from "./case/world.ts"
export type { CaseWorld, DecisionWorld } from "./case/world.ts"
export { differenceText, driftText, notifyText, stateText, stepText } from "./case/step-text.ts"
export { whyInCase } from "./case/why-in-case.ts"
export type { QuestionInCase, WhyInCase } from "./case/why-in-case.ts"

export { briefEvent, formatEvent } from "./event-text.ts"
export type { Clock } from "./event-text.ts"
export { summaryOf } from "./document-summary.ts"
export type { Summary, Tuple } from "./document-summary.ts"
export {
  atText,
  entryText,
  sentText,
  differenceText as stateDifferenceText,
} from "./history/format-history.ts"
export { renderWhy, whyText } from "./history/format-why.ts"
export type { WhyText } from "./history/format-why.ts"
export { clockOf, isZone, parseInstant } from "./history/time.ts"

export { drawHead, drawStep, lanesOf, mermaid } from "./ladder/draw.ts"
export type { Paint } from "./ladder/draw.ts"
export { inOrder, ladderSteps } from "./ladder/case-ladder.ts"
export type { CaseLadderOptions } from "./ladder/case-ladder.ts"
export { isNote, makeLadder } from "./ladder/messages.ts"
export type { Ladder, LadderMessage, LadderNote, LadderStep } from "./ladder/messages.ts"
