/**
 * Why a watcher was notified or was not, as text: one sentence, the facts behind it in order, the settings that
 * influenced it, and what to try.
 */
import type { Explanation, Treatment } from "../../domain/history/why.ts"
import { words } from "../event-text.ts"
import { endingInWords } from "./format-finding.ts"
import {
  adviceOf,
  failureAdvice,
  pendingAdvice,
  refusedAdvice,
  subscribeAdvice,
  testAdvice,
} from "./why-advice.ts"
import { changeInWords, factsOf, lifeInWords, sentInWords } from "./why-facts.ts"
import { failurePolicy, policyOf, rulingInWords, settingsUnknown } from "./why-policy.ts"
import type { WhyContext } from "./why-policy.ts"
import { rank, sentenceOf, sinceInWords, treatmentInWords } from "./why-sentence.ts"

export interface WhyText {
  /** One sentence. */
  readonly sentence: string
  readonly facts: readonly string[]
  /** Settings and rules that influenced it. */
  readonly policy: readonly string[]
  readonly advice: readonly string[]
}

export const whyText = (explanation: Explanation, given: Omit<WhyContext, "presentity">): WhyText => {
  const { change, watcher, packageName, presentity, absence, treatment } = explanation
  const context: WhyContext = { ...given, presentity }
  if (change === null && treatment !== null) return treatedText(explanation, treatment, context)
  if (change === null) {
    return {
      sentence: `${watcher} was told of nothing: nothing that ${packageName} of ${presentity} shows was changed until then.`,
      facts: [],
      policy: [],
      advice: [`presently history ${presentity} shows what there was`],
    }
  }
  const subject = `the change at ${context.clock(change.at)} (position ${change.position}, ${packageName})`
  const clause = (phrase: string): string => `${watcher} ${phrase} ${subject}`
  const facts = [`change    position ${change.position}: ${changeInWords(explanation, context)}`]
  const main =
    absence === null
      ? casesText(explanation, clause, facts, context)
      : absent(explanation, clause("was NOT told of"), facts, context)
  if (treatment === null) return main
  // what it was sent then is not what it would be sent now
  const now = treatedText(explanation, treatment, context)
  const isSaid = main.facts.some((fact) => fact.startsWith(`ended     position ${treatment.position},`))
  return {
    sentence: `${main.sentence} ${sinceInWords(treatment, context)}.`,
    facts: isSaid ? main.facts : [...main.facts, ...now.facts],
    policy: [...new Set([...main.policy, ...now.policy])],
    advice: [...new Set([...main.advice, ...now.advice])],
  }
}

const casesText = (
  explanation: Explanation,
  clause: (phrase: string) => string,
  begun: readonly string[],
  context: WhyContext,
): WhyText => {
  const { cases } = explanation
  const best = cases.toSorted((left, right) => rank(left) - rank(right))[0]
  const sentence =
    best === undefined ? clause("was NOT told of") : sentenceOf(best, explanation, clause, context)
  return {
    sentence,
    facts: [...begun, ...cases.flatMap((entry) => factsOf(entry, cases.length > 1, context))],
    policy: [...new Set(cases.flatMap((entry) => policyOf(entry, context)))],
    advice: [...new Set(cases.flatMap((entry) => adviceOf(entry, explanation)))],
  }
}

/** The answer if no change could be notified. */
const treatedText = (
  { watcher, packageName, presentity }: Explanation,
  treatment: Treatment,
  context: WhyContext,
): WhyText => {
  const { life, position, at, cause, origin, judgement } = treatment
  const source = words(`by ${cause}`, origin === "" ? "" : `from ${origin}`)
  const isRefused = treatment._tag === "Ended" && judgement.handling === "block"
  return {
    sentence: `${watcher} is shown nothing of ${packageName} of ${presentity}. ${sinceInWords(treatment, context)}.`,
    facts: [
      `${treatment._tag === "Ended" ? "ended    " : "treated  "} position ${position}, ${context.clock(at)}: #${life.no} ${treatmentInWords(treatment)}  ${source}`,
    ],
    policy: rulingInWords(judgement, packageName, context),
    advice: isRefused
      ? [refusedAdvice(presentity, watcher, packageName, judgement.by)]
      : treatment._tag === "Ended"
        ? []
        : treatment._tag === "Pending"
          ? pendingAdvice(presentity, watcher, packageName, judgement.by)
          : [testAdvice(presentity, watcher, packageName)],
  }
}

const absent = (
  { absence, watcher, presentity, packageName }: Explanation,
  sentence: string,
  facts: readonly string[],
  context: WhyContext,
): WhyText => {
  const { last, next, waiting, judgement, now } = absence ?? {
    last: null,
    next: null,
    waiting: null,
    judgement: null,
    now: null,
  }
  const allFacts = [...facts]
  if (last !== null) allFacts.push(`watching  ${lifeInWords(last, context)}`)
  const before = last?.sent.at(-1)
  if (before !== undefined) allFacts.push(`before    ${sentInWords(before, context)}`)
  if (last?.ended != null)
    allFacts.push(
      `ended     position ${last.ended.place.position}, ${context.clock(last.ended.place.at)}: ${endingInWords(last.ended)}`,
    )
  if (next !== null) {
    allFacts.push(`since     ${lifeInWords(next, context)}`)
    const first = next.sent[0]
    if (first !== undefined) allFacts.push(`told      ${sentInWords(first, context)}`)
  }
  const because =
    waiting !== null
      ? "it waits for a decision, and its subscription is over"
      : last === null
        ? next === null
          ? `it has no subscription to ${packageName}, and had none`
          : "it had not subscribed yet"
        : `its subscription ${last.ended === null ? "is over" : endingInWords(last.ended)}`
  const policy = [
    ...(judgement === null
      ? context.isUndescribed === true
        ? [settingsUnknown]
        : []
      : rulingInWords(judgement, packageName, context)),
    ...(last?.ended?.because === "failure" ? [failurePolicy(context)] : []),
  ]
  const advice =
    last?.ended?.because === "failure"
      ? failureAdvice
      : next === null
        ? subscribeAdvice(now, presentity, watcher, packageName)
        : judgement?.handling === "block"
          ? [refusedAdvice(presentity, watcher, packageName, judgement.by)]
          : []
  return { sentence: `${sentence}: ${because}.`, facts: allFacts, policy: [...new Set(policy)], advice }
}

export const renderWhy = ({ sentence, facts, policy, advice }: WhyText): string =>
  [
    sentence,
    ...facts.map((fact) => `  ${fact}`),
    ...policy.map((line) => `  policy    ${line}`),
    ...advice.map((line) => `  try       ${line}`),
  ].join("\n")
