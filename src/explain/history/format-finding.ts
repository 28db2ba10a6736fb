/**
 * In words: the outcomes of NOTIFYs, how subscriptions ended, and the findings about a watcher.
 */
import type { Finding } from "../../domain/history/findings.ts"
import { deliveryOf } from "../../domain/history/ledger.ts"
import type { Ending, Knowledge, Sent } from "../../domain/history/ledger.ts"
import { failureInWords } from "../event-text.ts"
import type { Clock } from "../event-text.ts"

/** The outcome of a NOTIFY. */
export const deliveryInWords = (sent: Sent, known: Knowledge): string => {
  switch (deliveryOf(sent, known)) {
    case "answered":
      return sent.answeredAt === null ? "answered" : `answered after ${sent.answeredAt - sent.place.at} ms`
    case "failed":
      return sent.failed === null ? "failed" : failureInWords(sent.failed.how)
    case "unknown":
      return sent.repeated === null
        ? "not known whether it arrived"
        : "not known whether it arrived, and repeated"
    case "under way":
      return "no answer yet"
  }
}

const wordOf = ({ policy, packageName }: NonNullable<Ending["by"]>): string =>
  policy === "members"
    ? `the list of the line (line_members), package ${packageName}`
    : `the policy ${policy} of package ${packageName}`

export const endingInWords = ({ because, failure, reason, cause, by: decider }: Ending): string => {
  switch (because) {
    case "expired":
      return "ran out, not having been refreshed"
    case "unsubscribed":
      return "was ended by the watcher"
    case "fetch":
      return "asked once and was over at once"
    case "failure":
      return failure === null
        ? "ended because a NOTIFY was not taken"
        : `ended because NOTIFY CSeq ${failure.cseq} ${failureInWords(failure)}`
    case "rules":
      return decider === undefined
        ? `was ended because it may not watch any more (${rulesBy.get(cause) ?? cause})`
        : `was ended because it may not watch any more by ${wordOf(decider)} (${rulesBy.get(cause) ?? cause})`
    case "operator":
      return `was ended by the operator (${reason})`
    case "erased":
      return "ended because somebody was erased"
    case "program":
      return "ended with the program that it was within"
    case "undecided":
      return "was given up: nobody decided on it in time"
  }
}

const rulesBy = new Map([
  ["ReplaceRules", "the rules were replaced"],
  ["ApplyPolicies", "who may watch was looked at again when the server read the log"],
  ["RefreshWatchers", "the rules were asked again"],
  ["DecideWatcher", "the operator's decision"],
  ["Publish", "another sphere was published"],
  ["FallDue", "time changed what the rules say"],
  ["Resubscribe", "the rules were asked again at its refresh"],
])

/** A finding as briefly as possible, for a list. */
export const findingInWords = (finding: Finding, clock: Clock): string => {
  switch (finding._tag) {
    case "Told":
      return "told"
    case "Ended":
      return "ended"
    case "Pending":
      return "pending"
    case "PoliteBlock":
      return "politely blocked"
    case "Hidden":
      return `hidden by rules ${finding.matched === "" ? "(none matches)" : finding.matched}`
    case "SameDocument":
      return "has this document"
    case "Missed":
      return "did not take the last one"
    case "OwnDevice":
      return "its own change"
    case "Asleep":
      return "wants no documents"
    case "Backup":
      return `tag ${finding.tag} is backup`
    case "Paced":
      return `held back until ${clock(finding.until)}`
    case "Retried":
      return `tried again at ${clock(finding.until)}`
    case "UnderWay":
      return "a NOTIFY is under way"
    case "Withheld":
      return "waits until its address has answered"
  }
}
