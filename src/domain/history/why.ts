/**
 * Why a watcher was notified of a change, or was not: the situation of its subscription when the change was decided,
 * and what became of it later.
 *
 * The assessment is the one with which the decision was made (`assess` of `presentity/notify.ts`), of the states in the
 * log. What it leaves open has a single cause: a NOTIFY was under way.
 */
import type { EventPackage } from "../packages/event-package.ts"
import { authorizeWatcher } from "../presentity/authorize.ts"
import type { Authorization } from "../presentity/authorize.ts"
import { clockOf } from "../presentity/clock.ts"
import { standingAt } from "../presentity/context.ts"
import type { Context } from "../presentity/context.ts"
import type { Event } from "../presentity/events.ts"
import { assess, digestBefore, viewFor } from "../presentity/notify.ts"
import type { Change as PublishedChange } from "../presentity/notify.ts"
import { byNo } from "../presentity/state.ts"
import type { State, Subscription, Waiting } from "../presentity/state.ts"
import { currentView } from "../presentity/view.ts"
import { get, values } from "../table.ts"
import type { Millis, PackageName, Position, SubscriptionNo, Uri } from "../vocabulary.ts"
import { changeIn } from "./changes.ts"
import type { Change } from "./changes.ts"
import { endingOf, makeLedger, placeOf, unansweredMillis } from "./ledger.ts"
import type { Ending, Life, Place, Sent } from "./ledger.ts"
import { differenceOf, linesOf } from "./lines.ts"
import type { DecisionStep } from "./moments.ts"
import { unreadBehind } from "./recalled-unread.ts"

/** What was decided for one subscription together with the change. */
export type Finding =
  /** A NOTIFY was sent with it. */
  | { readonly _tag: "Told" }
  /** The decision that made the change ended it. */
  | { readonly _tag: "Ended"; readonly ending: Ending }
  /** Nobody has decided whether it may watch. */
  | { readonly _tag: "Pending"; readonly judgement: Authorization }
  /** The presentity appears absent to it (RFC 5025 §3.2.1). */
  | { readonly _tag: "PoliteBlock"; readonly judgement: Authorization }
  /** The matching rules hide what changed; `lines`: the lines of the document that they omit. */
  | { readonly _tag: "Hidden"; readonly matched: string; readonly lines: readonly string[] }
  /** Its document is the one that it was last sent. */
  | { readonly _tag: "SameDocument" }
  /**
   * Its document did not change; it did not accept the previous NOTIFY, and is notified again with the next change that
   * it may see.
   */
  | { readonly _tag: "Missed" }
  /** Its own device made the change (OpenSIPS Sender). */
  | { readonly _tag: "OwnDevice" }
  /** It wants no documents until it subscribes again (RFC 5839 §5.2). */
  | { readonly _tag: "Asleep" }
  /** According to its sharing tag another server is responsible for it. */
  | { readonly _tag: "Backup"; readonly tag: string }
  /** Too soon after the last NOTIFY, for the package or for the rate that the watcher asked for. */
  | { readonly _tag: "Paced"; readonly until: Millis; readonly isOwnPace: boolean }
  /** The last NOTIFY was not accepted, and is tried again at that time. */
  | { readonly _tag: "Retried"; readonly until: Millis }
  /** The last NOTIFY, issued in that decision, had no response yet. */
  | { readonly _tag: "UnderWay"; readonly version: number; readonly at: Millis }
  /** A NOTIFY was sent without the document, which waits until the target has answered. */
  | { readonly _tag: "Withheld" }

/** What became of a change that was held back. */
export type Sequel =
  | { readonly _tag: "Told" }
  | { readonly _tag: "Ended"; readonly ending: Ending }
  /** The change was reverted: its document was again the one it had been sent before. */
  | { readonly _tag: "TakenBack"; readonly place: Place }
  | { readonly _tag: "Open" }

export interface Case {
  readonly life: Life
  readonly finding: Finding
  /** Null: nothing was held back. */
  readonly sequel: Sequel | null
  /** The NOTIFY that reported the change, in the same decision or later. */
  readonly sent: Sent | null
}

/** The situation of a watcher without a subscription when the change was decided. */
export interface Absence {
  readonly _tag: "Absent"
  /** Its last subscription before that, as far as the log was read. */
  readonly last: Life | null
  /** Its first subscription after that. */
  readonly next: Life | null
  readonly waiting: Waiting | null
  /** How a SUBSCRIBE would have been treated; null: there was no such package. */
  readonly judgement: Authorization | null
}

/** A watcher is shown nothing, or nothing specific, from then on, whether or not anything changes. */
export type Treatment = Place & {
  readonly cause: string
  readonly origin: string
  readonly life: Pick<Life, "no" | "watcher" | "packageName">
  /** How the watcher was treated from then on, as a SUBSCRIBE would be. */
  readonly judgement: Authorization
} & (
    | { readonly _tag: "Ended"; readonly ending: Ending }
    /** Nobody has decided on it. */
    | { readonly _tag: "Pending" }
    /** The presentity appears absent to it (RFC 5025 §3.2.1). */
    | { readonly _tag: "PoliteBlock" }
  )

export interface Explanation {
  readonly presentity: Uri
  readonly watcher: Uri
  readonly packageName: PackageName
  readonly asOf: Millis
  /** Null: no change that could have been notified was decided before that instant. */
  readonly change: (Place & { readonly what: Change; readonly cause: string; readonly origin: string }) | null
  /** One for each subscription; empty: `absence` gives the reason. */
  readonly cases: readonly Case[]
  readonly absence: Absence | null
  /** What has kept everything from the watcher since the change, or, without a change, at all; null: nothing does. */
  readonly treatment: Treatment | null
}

export interface Question {
  readonly presentity: Uri
  readonly watcher: Uri
  readonly packageName: PackageName
  /** The last change before this instant is explained. */
  readonly at: Millis
  /** If present, only the change at this position is explained. */
  readonly position?: Position
}

/** The context of the decisions, as far as the log does not record it. */
export type DecisionContext = Pick<Context, "packages" | "limits" | "authorize">

export interface Inquiry {
  /** Takes all decisions on the presentity, oldest first, from some state on. */
  readonly take: (moment: DecisionStep) => void
  /** Whether no later decision can change the answer. */
  readonly isAnswered: () => boolean
  readonly answer: (asOf: Millis) => Explanation
}

export const makeInquiry = (question: Question, circumstances: DecisionContext): Inquiry => {
  const { presentity, watcher, packageName, at } = question
  const matches = (subject: { readonly watcher: Uri; readonly packageName: PackageName }): boolean =>
    subject.watcher === watcher && subject.packageName === packageName
  const ledger = makeLedger(matches)
  let found: Found | null = null
  let treatment: Treatment | null = null
  let isPast = false
  let lastAt = 0

  const examine = (moment: DecisionStep): void => {
    if (moment.decision.at > at && question.position === undefined) {
      isPast = true
      return
    }
    if (question.position !== undefined && moment.position !== question.position) return
    const treated = treatmentIn(moment, packageName, watcher, circumstances)
    if (treated !== undefined) treatment = treated
    const published = changeIn(moment, packageName, watcher, circumstances.packages)
    if (published === null) return
    const eventPackage = circumstances.packages.find(packageName)
    const findings = new Map<SubscriptionNo, OpenCase>()
    for (const [id, finding] of findingsIn(moment, published, packageName, circumstances, matches)) {
      ledger.notice(id, moment)
      findings.set(id, { finding, sequel: isHeld(finding) ? { _tag: "Open" } : null })
    }
    found = {
      moment,
      what: published,
      findings,
      judgement: eventPackage === null ? null : authorizationIn(moment, eventPackage, watcher, circumstances),
    }
  }

  return {
    take: (moment) => {
      lastAt = clockOf(moment.decision)
      ledger.take(moment)
      if (found !== null && found.moment.position < moment.position) {
        for (const [id, open] of found.findings) {
          if (open.sequel?._tag === "Open") open.sequel = sequelIn(moment, id, circumstances)
        }
      }
      examine(moment)
    },
    isAnswered: () => {
      if (found === null) return question.position === undefined && isPast
      if (question.position === undefined && !isPast) return false
      const from = found.moment.position
      const lives = ledger.lives()
      if (found.findings.size === 0) return lives.some(({ began }) => (began?.position ?? 0) > from)
      return lives.every(({ no: id, sent }) => {
        const sequel = found?.findings.get(id)?.sequel
        if (sequel?._tag === "Open") return false
        const told = sent.find(({ place }) => place.position >= from)
        if (told === undefined) return true
        return told.answeredAt !== null || told.failed !== null || lastAt - told.place.at > unansweredMillis
      })
    },
    answer: (asOf) => {
      const base = { presentity, watcher, packageName, asOf }
      const lives = ledger.lives()
      if (found === null) return { ...base, change: null, cases: [], absence: null, treatment }
      const { moment, what, findings, judgement } = found
      const place = placeOf(moment)
      const { cause, origin } = moment.decision
      const cases = lives.flatMap((life): Case[] => {
        const open = findings.get(life.no)
        if (open === undefined) return []
        const from =
          open.finding._tag === "Told" || open.finding._tag === "Ended" ? place.position : place.position + 1
        const tells =
          open.finding._tag === "Told" || open.sequel?._tag === "Told" || open.finding._tag === "Ended"
        const sent = tells ? (life.sent.find((candidate) => candidate.place.position >= from) ?? null) : null
        return [{ life, finding: open.finding, sequel: open.sequel, sent }]
      })
      const absence: Absence | null =
        cases.length > 0
          ? null
          : {
              _tag: "Absent",
              last: lives.findLast(({ began }) => (began?.position ?? 0) < place.position) ?? null,
              next: lives.find(({ began }) => (began?.position ?? 0) > place.position) ?? null,
              waiting: [...values(moment.after.waiting)].find(matches) ?? null,
              judgement,
            }
      const later = treatment !== null && treatment.position > place.position ? treatment : null
      return { ...base, change: { ...place, what, cause, origin }, cases, absence, treatment: later }
    },
  }
}

/**
 * How a decision affects whether a watcher is shown anything of a package at all. Undefined: not at all; null: it is
 * shown something.
 */
export const treatmentIn = (
  moment: DecisionStep,
  packageName: PackageName,
  watcher: Uri,
  circumstances: DecisionContext,
): Treatment | null | undefined => {
  const { before, after, decision } = moment
  const matches = (subject: Pick<Subscription, "watcher" | "packageName">): boolean =>
    subject.watcher === watcher && subject.packageName === packageName
  // a fetch also shows how the watcher is treated, and ends at once
  const fetches = decision.events.flatMap((event) =>
    event._tag === "SubscriptionCreated" && matches(event) && get(after.subscriptions, event.no) === undefined
      ? event
      : [],
  )
  const ended = decision.events.flatMap((event) => {
    const subscription =
      event._tag === "SubscriptionTerminated" ? get(before.subscriptions, event.no) : undefined
    return event._tag === "SubscriptionTerminated" && subscription !== undefined && matches(subscription)
      ? event
      : []
  })
  const isDecided = decision.events.some((event) => {
    if (event._tag === "SubscriptionCreated") return matches(event)
    const subscription =
      event._tag === "SubscriptionStatusChanged" ? get(after.subscriptions, event.no) : undefined
    return subscription !== undefined && matches(subscription)
  })
  const eventPackage = circumstances.packages.find(packageName)
  if (eventPackage === null || (!isDecided && ended.length === 0)) return undefined
  const left = [...[...values(after.subscriptions)].filter(matches), ...fetches].sort(byNo)
  if (left.some(isShown)) return null
  const base = (id: SubscriptionNo) => ({
    ...placeOf(moment),
    cause: decision.cause,
    origin: decision.origin,
    life: { no: id, watcher, packageName },
    judgement: authorizationIn(moment, eventPackage, watcher, circumstances),
  })
  const subscription = left.at(-1)
  if (subscription !== undefined) {
    // the end of another subscription says nothing new about the remaining ones
    const wasShown = [...values(before.subscriptions)].some(
      (candidate) => matches(candidate) && isShown(candidate),
    )
    if (!isDecided && !wasShown) return undefined
    return { ...base(subscription.no), _tag: subscription.status === "pending" ? "Pending" : "PoliteBlock" }
  }
  const last = ended.at(-1)
  // an end by expiry, by the watcher or by a failure is nobody's decision about the watcher
  if (last === undefined || last.reason === "timeout") return null
  return { ...base(last.no), _tag: "Ended", ending: endingOf(last, moment) }
}

const isShown = ({ status, polite }: Pick<Subscription, "status" | "polite">): boolean =>
  status === "active" && !polite

interface OpenCase {
  readonly finding: Finding
  sequel: Sequel | null
}

interface Found {
  readonly moment: DecisionStep
  readonly what: Change
  readonly findings: ReadonlyMap<SubscriptionNo, OpenCase>
  readonly judgement: Authorization | null
}

const isHeld = ({ _tag }: Finding): boolean =>
  _tag === "Paced" || _tag === "Retried" || _tag === "UnderWay" || _tag === "Withheld"

/** Whether the last NOTIFY of a decision to a subscription went without its document. */
const isWithheld = (events: readonly Event[], id: SubscriptionNo): boolean => {
  const last = events.findLast(
    (event) => event._tag === "NotificationsIssued" && event.to !== "active" && event.to.includes(id),
  )
  return last?._tag === "NotificationsIssued" && last.withheld === true
}

/** The subscriptions that were live before or after the decision. */
const concerned = (
  { before, after }: DecisionStep,
  matches: (subscription: Subscription) => boolean,
): ReadonlySet<SubscriptionNo> =>
  new Set(
    [...values(before.subscriptions), ...values(after.subscriptions)]
      .filter(matches)
      .map(({ no: id }) => id)
      .sort((left, right) => left - right),
  )

/**
 * What the change means for each subscription to the package that was live before or after it. O(subscriptions).
 *
 * @param matches absent: all of them
 */
export const findingsIn = (
  moment: DecisionStep,
  published: Change,
  packageName: PackageName,
  circumstances: DecisionContext,
  matches: (subscription: Subscription) => boolean = () => true,
): ReadonlyMap<SubscriptionNo, Finding> => {
  const findings = new Map<SubscriptionNo, Finding>()
  const eventPackage = circumstances.packages.find(packageName)
  if (eventPackage === null) return findings
  for (const id of concerned(
    moment,
    (subscription) => subscription.packageName === packageName && matches(subscription),
  )) {
    const finding = findingOf(moment, published, id, eventPackage, circumstances)
    if (finding !== null) findings.set(id, finding)
  }
  return findings
}

const findingOf = (
  moment: DecisionStep,
  published: Change,
  id: SubscriptionNo,
  eventPackage: EventPackage,
  circumstances: DecisionContext,
): Finding | null => {
  const { before, after, decision, notifications } = moment
  const { events } = decision
  const ended = events.find((event) => event._tag === "SubscriptionTerminated" && event.no === id)
  if (ended?._tag === "SubscriptionTerminated") return { _tag: "Ended", ending: endingOf(ended, moment) }
  const subscription = get(after.subscriptions, id)
  if (subscription === undefined) return null
  if (notifications.some((notify) => notify.no === id))
    return isWithheld(events, id) ? { _tag: "Withheld" } : { _tag: "Told" }
  const change: PublishedChange = {
    before,
    after,
    eventPackage,
    sender: senderOf(published),
    isTreatment: isTreatment(published),
  }
  const digest = viewFor(after, subscription, eventPackage).digest
  const authorization = (): Authorization =>
    authorizationIn(moment, eventPackage, subscription.watcher, circumstances)
  // it was not notified: if nothing else prevented that, a NOTIFY was under way, which the log does not record
  const assessment = assess(change, subscription, digest, {
    ...circumstances,
    now: clockOf(decision),
    inFlight: nobody,
  })
  switch (assessment) {
    case "standby":
      return { _tag: "Backup", tag: subscription.sharingTag ?? "" }
    case "pending":
      return { _tag: "Pending", judgement: authorization() }
    case "suspended":
      return { _tag: "Asleep" }
    default:
  }
  const isSuppressed = events.some(
    (event) => event._tag === "NotificationsIssued" && event.suppressed.includes(id),
  )
  if (isSuppressed) return { _tag: "OwnDevice" }
  const isMissed = subscription.shown === ""
  switch (assessment) {
    case "own device":
    case "own device, owed":
      return { _tag: "OwnDevice" }
    case "same document":
      return unchanged(change, subscription, digest, authorization) ?? { _tag: "SameDocument" }
    case "unaffected":
      if (!isMissed) return heldBack(subscription, clockOf(decision))
      return (
        unchanged(change, subscription, digest, authorization) ??
        (subscription.dueAt === null ? { _tag: "Missed" } : { _tag: "Retried", until: subscription.dueAt })
      )
    default:
      return heldBack(subscription, clockOf(decision))
  }
}

/** Deferred by pacing, by Retry-After, or by a NOTIFY that was under way. */
const heldBack = ({ dueAt, shown, rates, toldIn, issuedAt }: Subscription, now: Millis): Finding => {
  if (dueAt === null || dueAt <= now) return { _tag: "UnderWay", version: toldIn, at: issuedAt }
  return shown === ""
    ? { _tag: "Retried", until: dueAt }
    : { _tag: "Paced", until: dueAt, isOwnPace: rates !== null }
}

/** Why its document did not change, if the rules are the reason; null: they are not. */
const unchanged = (
  change: PublishedChange,
  subscription: Subscription,
  digest: string,
  authorization: () => Authorization,
): Finding | null => {
  const { before, after, eventPackage } = change
  const { polite, matched } = subscription
  if (polite) return { _tag: "PoliteBlock", judgement: authorization() }
  const isHidden =
    matched !== null &&
    digestBefore(change, subscription) === digest &&
    wholeChanged(before, after, eventPackage)
  return isHidden ? { _tag: "Hidden", matched, lines: hiddenFrom(subscription, after, eventPackage) } : null
}

/** Whether the change concerns the treatment of watchers, not what is published. */
const isTreatment = ({ _tag }: Change): boolean => _tag === "Rules" || _tag === "Decided"

/** The device that made the change; null: none did. */
const senderOf = (published: Change): string | null =>
  published._tag === "Published" && "sender" in published.event ? (published.event.sender ?? null) : null

const nobody = (): boolean => false

const hiddenFrom = (
  subscription: Subscription,
  state: State,
  eventPackage: EventPackage,
): readonly string[] => {
  const [whole, own] = [
    currentView(state, eventPackage).body,
    viewFor(state, subscription, eventPackage).body,
  ]
  return differenceOf(linesOf(whole?.text ?? ""), linesOf(own?.text ?? "")).flatMap(({ mark, text }) =>
    mark === "-" && text !== "" ? [text] : [],
  )
}

const wholeChanged = (before: State, after: State, eventPackage: EventPackage): boolean =>
  eventPackage.watcherInfoOf === undefined &&
  currentView(before, eventPackage).digest !== currentView(after, eventPackage).digest

/** What a decision after the change means for a subscription that is still to be notified. */
const sequelIn = (moment: DecisionStep, id: SubscriptionNo, { packages }: DecisionContext): Sequel => {
  const { after, decision, notifications } = moment
  if (notifications.some((notify) => notify.no === id && notify.state !== "terminated"))
    return isWithheld(decision.events, id) ? { _tag: "Open" } : { _tag: "Told" }
  const ended = decision.events.find((event) => event._tag === "SubscriptionTerminated" && event.no === id)
  if (ended?._tag === "SubscriptionTerminated") return { _tag: "Ended", ending: endingOf(ended, moment) }
  const subscription = get(after.subscriptions, id)
  const eventPackage = subscription === undefined ? null : packages.find(subscription.packageName)
  if (subscription === undefined || eventPackage === null) return { _tag: "Open" }
  return subscription.shown === viewFor(after, subscription, eventPackage).digest
    ? { _tag: "TakenBack", place: placeOf(moment) }
    : { _tag: "Open" }
}

/** How the watcher is treated after the decision. */
const authorizationIn = (
  { after, decision }: DecisionStep,
  eventPackage: EventPackage,
  watcher: Uri,
  circumstances: DecisionContext,
): Authorization => {
  const isUnread = unreadBehind(after, decision)
  const context = standingAt({ ...circumstances, isUnread }, clockOf(decision))
  return authorizeWatcher(after, eventPackage, watcher, context)
}
