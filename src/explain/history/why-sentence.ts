/**
 * The one sentence that answers the question.
 */
import type { Finding } from "../../domain/history/findings.ts"
import type { Case, Explanation, Treatment } from "../../domain/history/why.ts"
import { deliveryInWords, endingInWords } from "./format-finding.ts"
import type { WhyContext } from "./why-policy.ts"

/** Watchers that were notified come before those that will be. */
export const rank = ({ finding, sequel }: Case): number =>
  finding._tag === "Told" ? 0 : sequel?._tag === "Told" ? 1 : finding._tag === "Ended" ? 3 : 2

export const sentenceOf = (
  { life, finding, sequel, sent }: Case,
  { change }: Explanation,
  clause: (phrase: string) => string,
  context: WhyContext,
): string => {
  const notify =
    sent === null ? "" : `NOTIFY CSeq ${sent.notify.cseq} ${deliveryInWords(sent, context.known)}`
  if (sent?.failed != null) {
    const isOver = sent.failed.place.position === life.ended?.place.position
    return `${clause("was NOT told of")}: ${notify}${isOver ? ", and that ended its subscription" : ""}.`
  }
  if (finding._tag === "Told") return `${clause("was told of")} at once: ${notify}.`
  const held = heldInWords(finding, context)
  switch (sequel?._tag) {
    case undefined:
      return `${clause("was NOT told of")}: ${reasonInWords(finding)}.`
    case "Told": {
      const later = sent === null ? "" : `${(sent.place.at - (change?.at ?? 0)) / 1000} s later`
      return `${clause("was told of")} ${later}: ${held}; ${notify}.`
    }
    case "TakenBack":
      return `${clause("was NOT told of")}: ${held}, and at ${context.clock(sequel.place.at)} there was nothing left to tell.`
    case "Ended":
      return `${clause("was NOT told of")}: ${held}, and before that its subscription ${endingInWords(sequel.ending)}.`
    case "Open":
      return `${clause("has NOT been told yet of")}: ${held}.`
  }
}

const heldInWords = (finding: Finding, { clock }: WhyContext): string => {
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

export const sinceInWords = (treatment: Treatment, { clock }: WhyContext): string =>
  `Since ${clock(treatment.at)} (position ${treatment.position}) ${treatmentInWords(treatment)}`

export const treatmentInWords = (treatment: Treatment): string => {
  switch (treatment._tag) {
    case "Ended":
      return `its subscription ${endingInWords(treatment.ending)}`
    case "Pending":
      return "its subscription is pending: nobody has decided whether it may watch"
    case "PoliteBlock":
      return "it is politely blocked: shown what is shown of somebody absent"
  }
}
