/**
 * Events, findings and endings in words.
 */
import type { Ending, Knowledge, Sent } from "../../domain/history/ledger.ts"
import { deliveryOf } from "../../domain/history/ledger.ts"
import type { Finding } from "../../domain/history/why.ts"
import type { Event } from "../../domain/presentity/events.ts"
import type { Body, WatchWord } from "../../domain/vocabulary.ts"
import { gistOf } from "../client/document.ts"
import { spanInWords } from "../time-spans.ts"

export type Clock = (at: number) => string

/** What a document says in a few words: tuples of presence, else its type and size. */
export const bodyInWords = (body: Body | null): string =>
  body === null
    ? "no body"
    : body.dropped !== undefined
      ? `${body.contentType}, dropped by retention`
      : (gistOf(body) ?? `${body.contentType}, ${Buffer.byteLength(body.text)} bytes`)

const short = (text: string): string => (text.length > 14 ? `${text.slice(0, 13)}…` : text)

/** One event but for its name. */
export const formatEvent = (event: Event, clock: Clock): string => {
  switch (event._tag) {
    case "PublicationCreated":
    case "PublicationModified":
      return words(
        event.packageName,
        event.body === null
          ? (event.headers ?? []).map(([name]) => name).join(", ")
          : bodyInWords(event.body),
        `etag ${short(event.entityTag)}`,
        `until ${clock(event.expiresAt)}`,
        event.sender === null ? "" : `by ${event.sender}`,
      )
    case "PublicationRefreshed":
      return words(event.packageName, `etag ${short(event.entityTag)}`, `until ${clock(event.expiresAt)}`)
    case "PublicationRemoved":
      return words(
        event.packageName,
        `etag ${short(event.entityTag)}`,
        event.cause === "expired" ? "by time" : "by its publisher",
      )
    case "HardStateReplaced":
      return words(event.packageName, event.body === null ? "removed" : bodyInWords(event.body))
    case "SubscriptionCreated":
      return words(
        event.packageName,
        `#${event.no}`,
        event.watcher,
        standing(event),
        event.private === true ? "not named to others" : "",
        `until ${clock(event.expiresAt)}`,
        event.takenOver === undefined ? "" : "taken over from another server",
        roomInWords(event.start?.room),
      )
    case "SubscriptionRefreshed":
      return words(
        `#${event.no}`,
        `until ${clock(event.expiresAt)}`,
        event.private === undefined ? "" : event.private ? "not named to others" : "named to others again",
        event.remoteTarget === null ? "" : `now at ${event.remoteTarget}`,
        roomInWords(event.room),
      )
    case "SubscriptionStatusChanged":
      return words(`#${event.no}`, standing(event))
    case "SubscriptionTerminated":
      return words(
        `#${event.no}`,
        event.reason,
        policyInWords(event),
        event.silent ? "without a NOTIFY" : "",
        event.withheld === true ? withheldInWords : "",
      )
    case "WatcherRemembered":
      return words(event.packageName, event.watcher, `waits until ${clock(event.giveUpAt)}`)
    case "WaitingEnded":
      return words(`#${event.no}`, event.event)
    case "RulesReplaced":
      return words(
        event.packageName,
        event.rules === null ? "removed" : `${event.rules.text.length} characters`,
      )
    case "RulesReviewed":
      return event.packageName
    case "WatcherDecided":
      return words(event.packageName, event.watcher, event.handling ?? "taken back")
    case "LogDropped":
      return words(`${event.decisions} decisions before ${clock(event.before)}`)
    case "PersonErased":
      return event.standIn
    case "DocumentsDropped":
      return words(event.packageName, `${event.documents} documents before ${clock(event.before)}`)
    case "SharingTagSet":
    case "SharingTagSwitched":
      return words(event.tag, event.role, `epoch ${event.epoch}`)
    case "RemoteTargetChanged":
      return words(event.remoteTarget, roomInWords(event.room))
    case "TargetDoubted":
      return words("NOTIFYs would go somewhere else than before", roomInWords(event.room))
    case "TargetProven":
      return event.address
    case "NotificationsIssued":
      return words(
        event.packageName,
        event.cause === "proof"
          ? event.withheld === true
            ? "once more, as much as may be sent there"
            : "the address has answered: what waited for that"
          : `because of ${event.cause}`,
        event.withheld === true ? withheldInWords : "",
      )
    case "NotificationsDeferred":
      return words(
        event.to.map((no) => `#${no}`).join(" "),
        event.until === null ? "not held back any more" : `until ${clock(event.until)}`,
        event.undelivered ? "the last one was not taken" : "",
      )
    case "NotificationsAccepted":
      return `${event.of.length / 3}`
    case "ClockSetBack":
      return event.moved === undefined
        ? "the clock is behind earlier decisions"
        : words(
            `by ${spanInWords(event.moved)}`,
            "what the clock granted that stood ahead lasts as long as it was granted for",
          )
    case "FarewellRepeated":
      return words(
        event.packageName,
        `#${event.no}`,
        event.watcher,
        event.reason,
        `CSeq ${event.cseq}`,
        "nobody knew whether the last NOTIFY had arrived",
        event.bodiless === true ? "without the document" : "",
      )
    case "NotificationFailed":
      return words(`#${event.no}`, `CSeq ${event.cseq}`, failureInWords(event))
  }
}

const withheldInWords = "without the document: it waits until the phone's address has answered"

const roomInWords = (room: number | null | undefined): string =>
  room === undefined
    ? ""
    : room === null
      ? "at a proven address"
      : `at an address that has not answered yet (a document of up to ${room} octets may go there)`

const standing = (one: {
  readonly status: string
  readonly polite: boolean
  readonly forced?: true
  readonly matched: string | null
  readonly policy?: WatchWord
  readonly unread?: true
}): string =>
  words(
    one.polite ? "politely blocked" : one.status,
    one.forced === true ? "by force_active" : "",
    policyInWords(one),
    one.unread === true ? "rules not read yet" : "",
    one.matched === null ? "" : one.matched === "" ? "no rule matches" : `rules ${one.matched}`,
  )

export const failureInWords = ({
  outcome,
  status,
}: Extract<Event, { readonly _tag: "NotificationFailed" }>): string =>
  outcome === "refused"
    ? `was answered ${status ?? "badly"}`
    : outcome === "timed-out"
      ? "got no answer in 32 s"
      : outcome === "unproven"
        ? "was not sent, since it would have gone where nobody had answered yet"
        : outcome === "unrepeated"
          ? "got no answer for 8 s and was too large to be sent again to where nobody had answered yet: one without the document asks"
          : "could not be sent"

/** What became of a NOTIFY. */
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

const policyInWords = ({ policy }: { readonly policy?: WatchWord }): string =>
  policy === undefined ? "" : policy === "members" ? "by line_members" : `by policy ${policy}`

const wordOf = ({ policy, packageName }: NonNullable<Ending["by"]>): string =>
  policy === "members"
    ? `the list of the line (line_members), package ${packageName}`
    : `the policy ${policy} of package ${packageName}`

export const endingInWords = ({ because, failure, reason, cause, by }: Ending): string => {
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
      return by === undefined
        ? `was ended because it may not watch any more (${rulesBy.get(cause) ?? cause})`
        : `was ended because it may not watch any more by ${wordOf(by)} (${rulesBy.get(cause) ?? cause})`
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

/** A finding in the fewest words, for a list. */
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

export const words = (...parts: readonly string[]): string => parts.filter((part) => part !== "").join("  ")
