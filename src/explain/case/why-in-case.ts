/**
 * Why a watcher was notified of a change in a case file, or was not.
 */
import { momentOf } from "../../domain/history/moments.ts"
import type { DecisionStep } from "../../domain/history/moments.ts"
import { makeInquiry } from "../../domain/history/why.ts"
import type { Explanation, Question } from "../../domain/history/why.ts"
import { clockOf } from "../../domain/presentity/clock.ts"
import type { State } from "../../domain/presentity/state.ts"
import { get } from "../../domain/table.ts"
import type { Clock } from "../event-text.ts"
import { whyText } from "../history/format-why.ts"
import type { WhyText } from "../history/format-why.ts"
import { ruleNamesIn } from "../history/rule-names.ts"
import type { CaseItem } from "./format.ts"
import { worldOf } from "./world.ts"
import type { DecisionWorld } from "./world.ts"

export interface WhyInCase {
  readonly explanation: Explanation
  readonly text: WhyText
}

/** A question with URIs spelt as in a case file: `sip:alice@example.com`. */
export interface QuestionInCase extends Omit<Question, "presentity" | "watcher"> {
  readonly presentity: string
  readonly watcher: string
}

/**
 * The same answer as `presently why` gives for the log from which the case was written, as of the time of writing. All
 * decisions of the presentity are held in memory.
 *
 * @param items of a whole case, as returned by `readItems`
 * @param clock how instants are written, for example `clockOf("UTC")`
 * @returns null: the case holds nothing about the presentity
 */
export const whyInCase = (
  items: Iterable<CaseItem>,
  given: QuestionInCase,
  clock: Clock,
): WhyInCase | null => {
  // a case uses the canonical spelling
  const question = given as Question
  let world: DecisionWorld | null = null
  let state: State | null = null
  let writtenAt = 0
  const moments: DecisionStep[] = []
  for (const item of items) {
    if (item._tag === "case") {
      world = worldOf(item.world)
      writtenAt = Date.parse(item.writtenAt)
    } else if (item._tag === "stream") {
      state = item.state.presentity === question.presentity ? item.state : null
    } else if (item._tag === "decision" && state !== null && world !== null) {
      const moment = momentOf(state, item.recorded, world)
      state = moment.after
      moments.push(moment)
    }
  }
  return world === null || moments.length === 0
    ? null
    : answer(moments, question, { world, writtenAt, clock })
}

interface Circumstances {
  readonly world: DecisionWorld
  readonly writtenAt: number
  readonly clock: Clock
}

const answer = (
  moments: readonly DecisionStep[],
  question: Question,
  { world, writtenAt, clock }: Circumstances,
): WhyInCase => {
  const search = makeInquiry(question, world)
  for (const moment of moments) search.take(moment)
  const answered = search.answer(writtenAt)
  const explanation = answered.change === null ? answered : explained(moments, question, answered, world)
  const known = { asOf: writtenAt, delivery: () => null }
  const at = explanation.change?.at ?? explanation.treatment?.at ?? null
  const stateAtChange =
    at === null ? undefined : moments.findLast(({ decision }) => clockOf(decision) <= at)?.after
  const rules = stateAtChange === undefined ? undefined : get(stateAtChange.rules, question.packageName)
  const ruleNames = ruleNamesIn(rules?.body.text, question.packageName, world.packages)
  return { explanation, text: whyText(explanation, { ...world, ruleNames, clock, known }) }
}

/** Explains the change that was found, with all that came of it. */
const explained = (
  moments: readonly DecisionStep[],
  question: Question,
  { change, treatment, asOf }: Explanation,
  world: DecisionWorld,
): Explanation => {
  const inquiry = makeInquiry({ ...question, position: change?.position ?? 0 }, world)
  for (const moment of moments) inquiry.take(moment)
  return { ...inquiry.answer(asOf), treatment }
}
