/**
 * Why a watcher was told or was not, as text: one sentence, the facts behind it in order, the settings that had a say, and
 * what to try.
 */
import type {
  Case,
  DecisionContext,
  Explanation,
  Finding,
  ExplainedAuthorization,
  Treatment,
} from "../../domain/history/why.ts"
import type { Knowledge, Life } from "../../domain/history/ledger.ts"
import type { Limits } from "../../domain/presentity/context.ts"
import { policyKey } from "../../domain/presentity/watching.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { bodyInWords } from "../document-summary.ts"
import { deliveryInWords, endingInWords } from "./format-finding.ts"
import { formatEvent, words } from "../event-text.ts"
import type { Clock } from "../event-text.ts"

export interface WhyText {
  /** One sentence. */
  readonly sentence: string
  readonly facts: readonly string[]
  /** Settings and rules that had a say. */
  readonly policy: readonly string[]
  readonly advice: readonly string[]
}

/** @param ruleNames names of the rules in force, in document order */
export const whyText = (
  explanation: Explanation,
  clock: Clock,
  known: Knowledge,
  circumstances: DecisionContext,
  ruleNames: readonly string[],
): WhyText => {
  const { change, watcher, packageName, presentity, absence, treatment } = explanation
  const about: About = { presentity, names: ruleNames, ...circumstances }
  if (change === null && treatment !== null) return treatedText(explanation, treatment, clock, about)
  if (change === null) {
    return {
      sentence: `${watcher} was told of nothing: nothing that ${packageName} of ${presentity} shows was changed until then.`,
      facts: [],
      policy: [],
      advice: [`presently history ${presentity} shows what there was`],
    }
  }
  const what = `the change at ${clock(change.at)} (position ${change.position}, ${packageName})`
  const told = (phrase: string): string => `${watcher} ${phrase} ${what}`
  const facts = [`change    position ${change.position}: ${changeInWords(explanation, clock)}`]
  const then =
    absence === null
      ? casesText(explanation, told, facts, clock, known, about)
      : absent(explanation, told("was NOT told of"), facts, clock, known, about)
  if (treatment === null) return then
  // what it was told of then is not what it is told of now
  const now = treatedText(explanation, treatment, clock, about)
  const isSaid = then.facts.some((fact) => fact.startsWith(`ended     position ${treatment.position},`))
  return {
    sentence: `${then.sentence} ${sinceInWords(treatment, clock)}.`,
    facts: isSaid ? then.facts : [...then.facts, ...now.facts],
    policy: [...new Set([...then.policy, ...now.policy])],
    advice: [...new Set([...then.advice, ...now.advice])],
  }
}

const casesText = (
  explanation: Explanation,
  told: (phrase: string) => string,
  begun: readonly string[],
  clock: Clock,
  known: Knowledge,
  about: About,
): WhyText => {
  const { cases } = explanation
  const best = cases.toSorted((one, other) => rank(one) - rank(other))[0]
  const sentence =
    best === undefined ? told("was NOT told of") : sentenceOf(best, explanation, told, clock, known)
  return {
    sentence,
    facts: [...begun, ...cases.flatMap((one) => factsOf(one, cases.length > 1, clock, known))],
    policy: [...new Set(cases.flatMap((one) => policyOf(one, about)))],
    advice: [...new Set(cases.flatMap((one) => adviceOf(one, explanation)))],
  }
}

/** What the settings and rules in force have to say of a presentity. */
interface About extends DecisionContext {
  readonly presentity: Uri
  /** Of rules, in document order. */
  readonly names: readonly string[]
}

/** Where nothing that could be told was changed. */
const treatedText = (
  { watcher, packageName, presentity }: Explanation,
  treatment: Treatment,
  clock: Clock,
  about: About,
): WhyText => {
  const { life, position, at, cause, origin, judgement } = treatment
  const by = words(`by ${cause}`, origin === "" ? "" : `from ${origin}`)
  const isRefused = treatment._tag === "Ended" && judgement.handling === "block"
  return {
    sentence: `${watcher} is shown nothing of ${packageName} of ${presentity}. ${sinceInWords(treatment, clock)}.`,
    facts: [
      `${treatment._tag === "Ended" ? "ended    " : "treated  "} position ${position}, ${clock(at)}: #${life.no} ${treatmentInWords(treatment)}  ${by}`,
    ],
    policy: rulingInWords(judgement, packageName, about),
    advice: isRefused
      ? [refusedAdvice(presentity, watcher, packageName, judgement.by)]
      : treatment._tag === "Ended"
        ? []
        : treatment._tag === "Pending"
          ? pendingAdvice(presentity, watcher, packageName, judgement.by)
          : [testAdvice(presentity, watcher, packageName)],
  }
}

const sinceInWords = (treatment: Treatment, clock: Clock): string =>
  `Since ${clock(treatment.at)} (position ${treatment.position}) ${treatmentInWords(treatment)}`

const treatmentInWords = (treatment: Treatment): string => {
  switch (treatment._tag) {
    case "Ended":
      return `its subscription ${endingInWords(treatment.ending)}`
    case "Pending":
      return "its subscription is pending: nobody has decided whether it may watch"
    case "PoliteBlock":
      return "it is politely blocked: shown what is shown of somebody absent"
  }
}

const testAdvice = (presentity: Uri, watcher: Uri, packageName: string): string =>
  `presently rules test ${presentity}${packageFlag(packageName)} --watcher ${watcher} says how a document would treat it`

const packageFlag = (packageName: string): string =>
  packageName === "presence" ? "" : ` --package ${packageName}`

const pendingAdvice = (
  presentity: Uri,
  watcher: Uri,
  packageName: string,
  by: ExplainedAuthorization["by"],
): readonly string[] =>
  by === "unread"
    ? ["presently doctor, and GET /v1/sources of the management port, say what keeps it from being read"]
    : [
        `presently rules put ${presentity} FILE${packageFlag(packageName)} with a rule that allows ${watcher}, or decide over the management port (PUT …/watchers/${watcher}/decision)`,
      ]

export const renderWhy = ({ sentence, facts, policy, advice }: WhyText): string =>
  [
    sentence,
    ...facts.map((fact) => `  ${fact}`),
    ...policy.map((one) => `  policy    ${one}`),
    ...advice.map((one) => `  try       ${one}`),
  ].join("\n")

const changeInWords = ({ change }: Explanation, clock: Clock): string => {
  if (change === null) return ""
  const { what, cause, origin } = change
  const by = origin === "" ? "" : `from ${origin}`
  return what._tag === "Mixed"
    ? words(what.by.join(" "), `by ${cause}`, by)
    : words(what.event._tag, formatEvent(what.event, clock), by)
}

/** Who was told counts before who will be. */
const rank = ({ finding, sequel }: Case): number =>
  finding._tag === "Told" ? 0 : sequel?._tag === "Told" ? 1 : finding._tag === "Ended" ? 3 : 2

const sentenceOf = (
  { life, finding, sequel, sent }: Case,
  { change }: Explanation,
  told: (phrase: string) => string,
  clock: Clock,
  known: Knowledge,
): string => {
  const notify = sent === null ? "" : `NOTIFY CSeq ${sent.notify.cseq} ${deliveryInWords(sent, known)}`
  if (sent?.failed != null) {
    const isOver = sent.failed.place.position === life.ended?.place.position
    return `${told("was NOT told of")}: ${notify}${isOver ? ", and that ended its subscription" : ""}.`
  }
  if (finding._tag === "Told") return `${told("was told of")} at once: ${notify}.`
  const held = heldInWords(finding, clock)
  switch (sequel?._tag) {
    case undefined:
      return `${told("was NOT told of")}: ${reasonInWords(finding)}.`
    case "Told": {
      const later = sent === null ? "" : `${(sent.place.at - (change?.at ?? 0)) / 1000} s later`
      return `${told("was told of")} ${later}: ${held}; ${notify}.`
    }
    case "TakenBack":
      return `${told("was NOT told of")}: ${held}, and at ${clock(sequel.place.at)} there was nothing left to tell.`
    case "Ended":
      return `${told("was NOT told of")}: ${held}, and before that its subscription ${endingInWords(sequel.ending)}.`
    case "Open":
      return `${told("has NOT been told yet of")}: ${held}.`
  }
}

const heldInWords = (finding: Finding, clock: Clock): string => {
  switch (finding._tag) {
    case "Paced":
      return `held back until ${clock(finding.until)} by ${finding.isOwnPace ? "the pace the watcher asked for" : "the package's interval"}`
    case "Retried":
      return `the last NOTIFY was not taken and is tried again at ${clock(finding.until)}`
    case "UnderWay":
      return `the NOTIFY of version ${finding.version} (${clock(finding.at)}) had no answer yet, and there is one at a time`
    case "Withheld":
      return "the document waited until the phone's address had answered a NOTIFY without it"
    default:
      return reasonInWords(finding)
  }
}

const reasonInWords = (finding: Finding): string => {
  switch (finding._tag) {
    case "Ended":
      return `its subscription ${endingInWords(finding.ending)} in the same decision`
    case "Pending":
      return "nobody has decided whether it may watch, so it is shown nothing"
    case "PoliteBlock":
      return "it is politely blocked: shown what is shown of somebody absent"
    case "Hidden":
      return finding.matched === ""
        ? "no rule lets it see anything of this"
        : "the rules that match it hide what changed"
    case "SameDocument":
      return "the document it would get is the one it was sent last"
    case "Missed":
      return "this changed nothing of what it may see; it did not take its last NOTIFY and is told with the next change"
    case "OwnDevice":
      return "its own device made the change"
    case "Asleep":
      return "it wants no documents until it subscribes again (Suppress-If-Match: *)"
    case "Backup":
      return `another server looks after it (sharing tag ${finding.tag} is backup here)`
    case "Told":
    case "Paced":
    case "Retried":
    case "UnderWay":
    case "Withheld":
      return ""
  }
}

const factsOf = (
  { life, finding, sequel, sent }: Case,
  isOneOfMany: boolean,
  clock: Clock,
  known: Knowledge,
): readonly string[] => {
  const facts = [`watching  ${lifeInWords(life, clock)}`]
  if (isOneOfMany)
    facts.push(`          ${sequel === null ? finding._tag : `${finding._tag}, ${sequel._tag}`}`)
  const before = life.sent.findLast(
    (one) => one !== sent && one.place.position < (sent?.place.position ?? Infinity),
  )
  if (before !== undefined) facts.push(`before    ${sentInWords(before, clock, known)}`)
  if (finding._tag === "Hidden") facts.push(...finding.lines.slice(0, 20).map((line) => `hidden    ${line}`))
  if (sent !== null) facts.push(`told      ${sentInWords(sent, clock, known)}`)
  const ending =
    finding._tag === "Ended" ? finding.ending : sequel?._tag === "Ended" ? sequel.ending : life.ended
  if (ending !== null)
    facts.push(
      `ended     position ${ending.place.position}, ${clock(ending.place.at)}: ${endingInWords(ending)}`,
    )
  return facts
}

const sentInWords = (sent: Life["sent"][number], clock: Clock, known: Knowledge): string =>
  `position ${sent.place.position}, ${clock(sent.place.at)}: NOTIFY CSeq ${sent.notify.cseq} (${bodyInWords(sent.notify.body)}) ${deliveryInWords(sent, known)}`

const lifeInWords = ({ no, createdAt, origin, began }: Life, clock: Clock): string =>
  words(
    `#${no}`,
    `since ${clock(createdAt)}`,
    began === null ? "" : `position ${began.position}`,
    origin === "" ? "" : `from ${origin}`,
  )

const policyOf = ({ finding, sent, life }: Case, about: About): readonly string[] => {
  const { limits } = about
  if (sent?.failed != null) return [failurePolicy(limits)]
  switch (finding._tag) {
    case "Paced":
      return finding.isOwnPace
        ? ["rate_control = 1, and the watcher asked for max-rate (RFC 6446)"]
        : [
            limits.notifyIntervalMillis === null
              ? "notify_min_interval is not set: the package's own interval"
              : `notify_min_interval = ${limits.notifyIntervalMillis / 1000}`,
          ]
    case "Retried":
      return [
        `notify_probe_interval = ${limits.probeSeconds}, end_sub_on_timeout = ${limits.endSubOnTimeout ? 1 : 0}`,
      ]
    case "Pending":
    case "PoliteBlock":
      return rulingInWords(finding.judgement, life.packageName, about)
    case "Hidden":
      return [rulesInWords(finding.matched, about.names)]
    case "Ended":
      return finding.ending.because === "failure" ? [failurePolicy(limits)] : []
    default:
      return []
  }
}

const failurePolicy = (limits: Limits): string =>
  `end_sub_on_timeout = ${limits.endSubOnTimeout ? 1 : 0}, notify_probe_interval = ${limits.probeSeconds}, event_framework = ${limits.profile}`

const rulingInWords = (
  { by, handling, matched }: ExplainedAuthorization,
  packageName: string,
  about: About,
): readonly string[] => {
  const { limits, names } = about
  const asked = limits.watching === undefined ? "" : `the policy rules of package ${packageName} asks them: `
  switch (by) {
    case "operator":
      return [`the operator decided on this watcher: ${handling}`]
    case "hook":
      return handling === "allow" ? [] : [`request_policy or a hook says ${handling}`]
    case "members":
      return [`the list of the line does not name this watcher (line_members)`]
    case "owner":
    case "domain":
      return handling === "allow" ? [] : [policySentence(by, packageName, about)]
    case "everybody":
      return []
    case "default":
      return [`${asked}the presentity has no rules: no_rules = ${limits.noRules}`]
    case "unread":
      return ["the source of rules had not been read yet, and none were in force: watchers wait until it has"]
    case "rules":
      return [
        matched === "" || matched === null
          ? `${asked}no rule matches: no_match = ${limits.noMatch}`
          : `${asked}${rulesInWords(matched, names)}: ${handling}`,
      ]
  }
}

/** With the setting that says so. */
const policySentence = (policy: "owner" | "domain", packageName: string, about: About): string => {
  const { presentity, packages, limits } = about
  const { watching } = limits
  const eventPackage = packages.find(packageName)
  const key =
    eventPackage === null || watching === undefined
      ? null
      : policyKey(eventPackage, presentity, watching).counts
  const isMailbox = /^message-summary(?:\.winfo)*$/.test(packageName)
  const others = isMailbox ? " and those that mailbox_owners lists with it" : ""
  const settings = [
    key === null ? "the package's own, watch_policy can say otherwise" : `watch_policy = ${key}=${policy}`,
    ...(isMailbox && watching !== undefined && Object.hasOwn(watching.mailboxOwners, presentity)
      ? [`mailbox_owners = ${presentity}=${watching.mailboxOwners[presentity]?.join("|")}`]
      : []),
  ].join("; ")
  const start = `the policy ${policy} of package ${packageName}`
  if (packageName.endsWith(".winfo") && policy === "owner")
    return `${start}: watcher information is for its owner alone${others} (RFC 3857 §4.6; ${settings})`
  const whom =
    policy === "owner"
      ? `the presentity itself${others}`
      : `identities of the same domain${isMailbox ? " and those that mailbox_owners lists" : ""}`
  return `${start} is for ${whom} (${settings})`
}

const rulesInWords = (matched: string, names: readonly string[]): string =>
  matched === ""
    ? "no rule matches"
    : `matching rules: ${matched
        .split(",")
        .map((ordinal) => names[Number(ordinal)] ?? ordinal)
        .join(", ")}`

const adviceOf = (
  { finding, sequel, life, sent }: Case,
  { presentity, watcher }: Explanation,
): readonly string[] => {
  const ending = finding._tag === "Ended" ? finding.ending : sequel?._tag === "Ended" ? sequel.ending : null
  if (ending?.because === "failure" || sent?.failed != null) return failureAdvice
  switch (finding._tag) {
    case "Pending":
      return pendingAdvice(presentity, watcher, life.packageName, finding.judgement.by)
    case "PoliteBlock":
    case "Hidden":
      return [testAdvice(presentity, watcher, life.packageName)]
    case "Paced":
      return ["notify_min_interval = 0 tells every change at once"]
    case "Withheld":
      return sequel?._tag === "Open"
        ? [
            "see whether the phone takes NOTIFYs at its Contact; TCP, digest authentication from there, or notify_targets prove it at once",
          ]
        : []
    case "UnderWay":
      return sequel?._tag === "Open"
        ? [`see whether #${life.no} answers its NOTIFYs: presently seen ${watcher} ${presentity}`]
        : []
    case "Missed":
    case "Retried":
      return failureAdvice
    case "Backup":
      return [`presently mi pres_set_sharing_tag_active ${finding.tag} makes this server look after it`]
    default:
      return []
  }
}

const failureAdvice = [
  "look at the watcher's network; notify_probe_interval keeps phones that sleep subscribed (with end_sub_on_timeout = 0)",
]

const refusedAdvice = (
  presentity: string,
  watcher: string,
  packageName: string,
  by: ExplainedAuthorization["by"],
): string => {
  return by === "rules" || by === "default"
    ? `a SUBSCRIBE is answered 403: presently rules test ${presentity}${packageFlag(packageName)} --watcher ${watcher} says why`
    : "a SUBSCRIBE is answered 403; docs/watching.md says how to let somebody in"
}

const absent = (
  { absence, watcher, presentity, packageName }: Explanation,
  told: string,
  facts: readonly string[],
  clock: Clock,
  known: Knowledge,
  about: About,
): WhyText => {
  const { last, next, waiting, judgement } = absence ?? {
    last: null,
    next: null,
    waiting: null,
    judgement: null,
  }
  const found = [...facts]
  if (last !== null) found.push(`watching  ${lifeInWords(last, clock)}`)
  const before = last?.sent.at(-1)
  if (before !== undefined) found.push(`before    ${sentInWords(before, clock, known)}`)
  if (last?.ended != null)
    found.push(
      `ended     position ${last.ended.place.position}, ${clock(last.ended.place.at)}: ${endingInWords(last.ended)}`,
    )
  if (next !== null) {
    found.push(`since     ${lifeInWords(next, clock)}`)
    const first = next.sent[0]
    if (first !== undefined) found.push(`told      ${sentInWords(first, clock, known)}`)
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
    ...(judgement === null ? [] : rulingInWords(judgement, packageName, about)),
    ...(last?.ended?.because === "failure" ? [failurePolicy(about.limits)] : []),
  ]
  const isRefused = judgement?.handling === "block"
  const advice =
    last?.ended?.because === "failure"
      ? failureAdvice
      : isRefused
        ? [refusedAdvice(presentity, watcher, packageName, judgement.by)]
        : next === null
          ? ["see whether the phone subscribes: its SUBSCRIBE would be accepted now"]
          : []
  return { sentence: `${told}: ${because}.`, facts: found, policy, advice }
}
