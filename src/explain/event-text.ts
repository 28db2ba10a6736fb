/**
 * The text of each kind of event at two levels of detail: in full for a history, and in brief for the steps of a case,
 * which have one line each.
 */
import { needsIdleDialog } from "../domain/packages/phone-needs.ts"
import { answersIn } from "../domain/presentity/delivery-acks.ts"
import type { Event } from "../domain/presentity/events.ts"
import type { ArrivalChange, TriedTarget } from "../domain/presentity/target-events.ts"
import type { Reach, SubscriptionNo, WatchWord } from "../domain/vocabulary.ts"
import { bodyInWords, shownText } from "./document-summary.ts"
import { spanInWords } from "./time-spans.ts"

/** An instant, in milliseconds since 1970, as text. */
export type Clock = (at: number) => string

type WatcherName = (id: SubscriptionNo) => string

interface EventText<Of extends Event> {
  /** Everything except the event's name. */
  readonly full: (event: Of, clock: Clock) => string
  /** With the event's name; empty if the NOTIFYs of the step already show it. */
  readonly brief: (event: Of, watcher: WatcherName) => string
}

type EventTexts = { readonly [Tag in Event["_tag"]]: EventText<Extract<Event, { readonly _tag: Tag }>> }

/** Joins the non-empty parts with two spaces. */
export const words = (...parts: readonly string[]): string => parts.filter((part) => part !== "").join("  ")

export const short = (text: string): string => (text.length > 14 ? `${text.slice(0, 13)}…` : text)

const withheldInWords = "without the document: it waits until the phone's address has answered"

const roomInWords = (room: number | null | undefined): string =>
  room === undefined
    ? ""
    : room === null
      ? "at a proven address"
      : `at an address that has not answered yet (a document of up to ${room} octets may go there)`

/** Where a later SUBSCRIBE came from, if from elsewhere than the one before, and what that means for NOTIFYs. */
const arrivalInWords = (arrival: ArrivalChange | undefined): string =>
  arrival === undefined
    ? ""
    : words(
        arrival.source === undefined ? "" : `heard from ${arrival.source}`,
        arrival.flow === undefined ? "" : `at ${arrival.flow}`,
        arrival.reach === undefined
          ? ""
          : arrival.reach === null
            ? "reached at its Contact"
            : reachInWords[arrival.reach],
      )

/** Why NOTIFYs go where they go. */
export const reachInWords: Readonly<Record<Reach, string>> = {
  ob: "reached where it was heard from, as its Contact asks (ob, RFC 5626)",
  invalid: "reached where it was heard from: its Contact is a name that does not exist (.invalid)",
  private: "reached where it was heard from: its Contact is a private address, and not that one",
  nat: "reached where it was heard from: that is not the address that it gives in Contact and Via",
  alias: "reached at the address that its Contact names beside its host (alias, received)",
  source: "reached where it was heard from, by the setting notify_to",
  silence: "reached where it was heard from: its Contact never answered",
  contact: "reached at its Contact, by the setting notify_to",
}

const standing = (subject: {
  readonly status: string
  readonly polite: boolean
  readonly forced?: true
  readonly matched: string | null
  readonly policy?: WatchWord
  readonly unread?: true
}): string =>
  words(
    subject.polite ? "politely blocked" : subject.status,
    subject.forced === true ? "by force_active" : "",
    policyInWords(subject),
    subject.unread === true ? "rules not read yet" : "",
    subject.matched === null ? "" : subject.matched === "" ? "no rule matches" : `rules ${subject.matched}`,
  )

/** Nothing of what almost every phone is given. */
const needsInWords = (needs: string | undefined): string =>
  needs === undefined || needs === needsIdleDialog ? "" : `needs ${needs}`

const policyInWords = ({ policy }: { readonly policy?: WatchWord }): string =>
  policy === undefined ? "" : policy === "members" ? "by line_members" : `by policy ${policy}`

const publicationText: EventText<
  Extract<Event, { readonly _tag: "PublicationCreated" | "PublicationModified" }>
> = {
  full: (event, clock) =>
    words(
      event.packageName,
      event.body === null ? (event.headers ?? []).map(([name]) => name).join(", ") : bodyInWords(event.body),
      `etag ${short(event.entityTag)}`,
      `until ${clock(event.expiresAt)}`,
      event.sender === null ? "" : `by ${event.sender}`,
      "device" in event && event.device !== undefined ? `device: ${event.device}` : "",
    ),
  brief: (event) => `${event._tag} ${event.packageName} ${shownText(event.body)}`,
}

const sharingTagText: EventText<Extract<Event, { readonly _tag: "SharingTagSet" | "SharingTagSwitched" }>> = {
  full: (event) => words(event.tag, event.role, `epoch ${event.epoch}`),
  brief: (event) => `${event._tag} ${event.tag} ${event.role}`,
}

/** `tcp:192.0.2.20:5060 could not be reached, udp:192.0.2.21:5060 gave no answer` */
export const triedInWords = (tried: readonly TriedTarget[]): string =>
  tried
    .map(({ address, outcome, status }) =>
      outcome === "unreachable"
        ? `${address} could not be reached`
        : outcome === "timed-out"
          ? `${address} gave no answer`
          : `${address} answered ${status ?? "badly"}`,
    )
    .join(", ")

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
          : outcome === "flow-lost"
            ? "was not delivered, the connection of its phone being closed"
            : outcome === "too-large"
              ? "was not sent: it is larger than a datagram can be, and its phone takes no connection"
              : "could not be sent"

const removals: Readonly<Record<Extract<Event, { readonly _tag: "PublicationRemoved" }>["cause"], string>> = {
  expired: "by time",
  requested: "by its publisher",
  replaced: "replaced, as its device published anew without its entity-tag",
}

const texts: EventTexts = {
  PublicationCreated: publicationText,
  PublicationModified: publicationText,
  PublicationRefreshed: {
    full: (event, clock) =>
      words(event.packageName, `etag ${short(event.entityTag)}`, `until ${clock(event.expiresAt)}`),
    brief: (event) => `${event._tag} ${event.packageName}`,
  },
  PublicationRemoved: {
    full: (event) => words(event.packageName, `etag ${short(event.entityTag)}`, removals[event.cause]),
    brief: (event) => `${event._tag} ${event.packageName} (${event.cause})`,
  },
  HardStateReplaced: {
    full: (event) => words(event.packageName, event.body === null ? "removed" : bodyInWords(event.body)),
    brief: (event) => `${event._tag} ${event.packageName} ${shownText(event.body)}`,
  },
  SubscriptionCreated: {
    full: (event, clock) =>
      words(
        event.packageName,
        `#${event.no}`,
        event.watcher,
        standing(event),
        event.private === true ? "not named to others" : "",
        event.argument === undefined ? "" : `for ${event.argument}`,
        event.phone === undefined ? "" : `phone ${event.phone}`,
        needsInWords(event.needs),
        event.unsolicited === true ? "made by the registrar" : "",
        `until ${clock(event.expiresAt)}`,
        event.takenOver === undefined ? "" : "taken over from another server",
        event.start?.reach === undefined ? "" : reachInWords[event.start.reach],
        roomInWords(event.start?.room),
      ),
    brief: (event) =>
      `${event._tag} ${event.no} ${event.watcher} ${event.packageName} ${event.status}${event.polite ? " (polite-block)" : ""}${event.unread === true ? " (rules not read yet)" : ""}${event.private === true ? " (private)" : ""}`,
  },
  SubscriptionRefreshed: {
    full: (event, clock) =>
      words(
        `#${event.no}`,
        `until ${clock(event.expiresAt)}`,
        event.private === undefined ? "" : event.private ? "not named to others" : "named to others again",
        event.remoteTarget === null ? "" : `now at ${event.remoteTarget}`,
        event.needs === undefined ? "" : needsInWords(event.needs ?? "the usual form"),
        arrivalInWords(event.arrival),
        roomInWords(event.room),
      ),
    brief: (event, watcher) =>
      `${event._tag} ${event.no} ${watcher(event.no)}${event.private === undefined ? "" : event.private ? " (private)" : " (private no more)"}`,
  },
  SubscriptionStatusChanged: {
    full: (event) => words(`#${event.no}`, standing(event)),
    brief: (event, watcher) =>
      `${event._tag} ${event.no} ${watcher(event.no)} ${event.status}${event.polite ? " (polite-block)" : ""}${event.unread === true ? " (rules not read yet)" : ""}`,
  },
  SubscriptionTerminated: {
    full: (event) =>
      words(
        `#${event.no}`,
        event.reason,
        policyInWords(event),
        event.silent ? "without a NOTIFY" : "",
        event.withheld === true ? withheldInWords : "",
      ),
    brief: (event, watcher) =>
      `${event._tag} ${event.no} ${watcher(event.no)} ${event.reason}${event.silent ? " (not told)" : ""}`,
  },
  WatcherRemembered: {
    full: (event, clock) => words(event.packageName, event.watcher, `waits until ${clock(event.giveUpAt)}`),
    brief: (event) => `${event._tag} ${event.no} ${event.watcher} ${event.packageName}`,
  },
  WaitingEnded: {
    full: (event) => words(`#${event.no}`, event.event),
    brief: (event) => `${event._tag} ${event.no} ${event.event}`,
  },
  RulesReplaced: {
    full: (event) =>
      words(event.packageName, event.rules === null ? "removed" : `${event.rules.text.length} characters`),
    brief: (event) => `${event._tag} ${event.packageName}${event.rules === null ? " (none)" : ""}`,
  },
  RulesReviewed: {
    full: (event) => event.packageName,
    brief: (event) => `${event._tag} ${event.packageName}`,
  },
  WatcherDecided: {
    full: (event) => words(event.packageName, event.watcher, event.handling ?? "taken back"),
    brief: (event) =>
      `${event._tag} ${event.watcher} ${event.packageName} ${event.handling ?? "(taken back)"}`,
  },
  LogDropped: {
    full: (event, clock) => words(`${event.decisions} decisions before ${clock(event.before)}`),
    brief: (event) => `${event._tag} ${event.decisions} decisions`,
  },
  PersonErased: { full: (event) => event.standIn, brief: (event) => `${event._tag} ${event.standIn}` },
  DocumentsDropped: {
    full: (event, clock) =>
      words(event.packageName, `${event.documents} documents before ${clock(event.before)}`),
    brief: (event) => `${event._tag} ${event.packageName} ${event.documents} documents`,
  },
  SharingTagSet: sharingTagText,
  SharingTagSwitched: sharingTagText,
  RemoteTargetChanged: {
    full: (event) => words(event.remoteTarget, arrivalInWords(event.arrival), roomInWords(event.room)),
    brief: (event) => `${event._tag} ${event.remoteTarget}`,
  },
  TargetDoubted: {
    full: (event) =>
      words(
        event.reach === undefined ? "NOTIFYs would go somewhere else than before" : reachInWords[event.reach],
        roomInWords(event.room),
      ),
    brief: (event) => `${event._tag} room ${event.room}`,
  },
  TargetProven: { full: (event) => event.address, brief: (event) => `${event._tag} ${event.address}` },
  TargetsFailed: {
    full: ({ no: id, cseq, tried }) => `#${id} CSeq ${cseq}: ${triedInWords(tried)}`,
    brief: ({ _tag, tried }) => `${_tag} ${tried.map(({ address }) => address).join(", ")}`,
  },
  NotificationsIssued: {
    full: (event) =>
      words(
        event.packageName,
        event.cause === "proof"
          ? event.withheld === true
            ? "once more, as much as may be sent there"
            : "the address has answered: what waited for that"
          : event.cause === "credentials"
            ? "once more, with credentials for the challenge"
            : `because of ${event.cause}`,
        event.withheld === true ? withheldInWords : "",
      ),
    brief: (event) =>
      event.suppressed.length === 0
        ? event.withheld === true
          ? "without the document: where it goes has not answered yet"
          : ""
        : `not told, their own device did it: ${event.suppressed.join(" ")}`,
  },
  NotificationsDeferred: {
    full: (event, clock) =>
      words(
        event.to.map((id) => `#${id}`).join(" "),
        event.until === null ? "not held back any more" : `until ${clock(event.until)}`,
        event.undelivered ? "the last one was not taken" : "",
      ),
    brief: (event, watcher) =>
      `${event._tag} ${event.to.map(watcher).join(" ")}${event.until === null ? "" : ` for ${event.until}`}`,
  },
  NotificationsAccepted: {
    full: (event) => `${event.of.length / 3}`,
    brief: (event, watcher) =>
      `${event._tag} ${answersIn(event, 0)
        .map(({ no: id, cseq }) => `${watcher(id)} cseq ${cseq}`)
        .join(", ")}`,
  },
  ClockSetBack: {
    full: (event) =>
      event.moved === undefined
        ? "the clock is behind earlier decisions"
        : words(
            `by ${spanInWords(event.moved)}`,
            "what the clock granted that stood ahead lasts as long as it was granted for",
          ),
    brief: (event) => `${event._tag}${event.moved === undefined ? "" : ` by ${event.moved / 1000} s`}`,
  },
  FarewellRepeated: {
    full: (event) =>
      words(
        event.packageName,
        `#${event.no}`,
        event.watcher,
        event.reason,
        `CSeq ${event.cseq}`,
        "nobody knew whether the last NOTIFY had arrived",
        event.bodiless === true ? "without the document" : "",
      ),
    brief: (event) => `${event._tag} ${event.no} ${event.watcher} cseq ${event.cseq}`,
  },
  NotificationFailed: {
    full: (event) => words(`#${event.no}`, `CSeq ${event.cseq}`, failureInWords(event)),
    brief: (event, watcher) =>
      `${event._tag} ${event.no} ${watcher(event.no)} cseq ${event.cseq} ${event.outcome}${event.status === undefined ? "" : ` ${event.status}`}`,
  },
}

/** An event in full, without its name. */
export const formatEvent = (event: Event, clock: Clock): string =>
  (texts[event._tag] as EventText<Event>).full(event, clock)

/**
 * An event in brief, with its name.
 *
 * @param watcher the URI of the watcher of a subscription, by its number
 * @returns empty for events that the NOTIFYs of the same step show
 */
export const briefEvent = (event: Event, watcher: WatcherName): string =>
  (texts[event._tag] as EventText<Event>).brief(event, watcher)
