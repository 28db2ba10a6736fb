/**
 * Why a watcher was told of a change, or was not: what was true of its subscription when the change was decided, and what
 * came of it later.
 *
 * The assessment is the one that the decision was made by (`assess` of `presentity/notify.ts`), of the states that the log gives.
 * What it leaves open has one cause: a NOTIFY was under way.
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
import { unreadBehind } from "./reconstructed-unread.ts"

/** What was decided for one subscription when the change was. */
export type Finding =
  /** A NOTIFY left with it. */
  | { readonly _tag: "Told" }
  /** The decision that made the change ended it. */
  | { readonly _tag: "Ended"; readonly ending: Ending }
  /** Nobody has decided whether it may watch. */
  | { readonly _tag: "Pending"; readonly judgement: Authorization }
  /** It is shown that nobody is there (RFC 5025 §3.2.1). */
  | { readonly _tag: "PoliteBlock"; readonly judgement: Authorization }
  /** The rules that match it hide what changed; `lines`: of the document, what they leave out. */
  | { readonly _tag: "Hidden"; readonly matched: string; readonly lines: readonly string[] }
  /** Its document is what it was last sent. */
  | { readonly _tag: "SameDocument" }
  /** Its document stays as it was; it did not take that, and is told again with the next change that it may see. */
  | { readonly _tag: "Missed" }
  /** Its own device made the change (OpenSIPS Sender). */
  | { readonly _tag: "OwnDevice" }
  /** It wants no documents until it subscribes again (RFC 5839 §5.2). */
  | { readonly _tag: "Asleep" }
  /** The tag says that another server looks after it. */
  | { readonly _tag: "Backup"; readonly tag: string }
  /** Too soon after the last one: by the package, or by the pace that it asked for. */
  | { readonly _tag: "Paced"; readonly until: Millis; readonly isOwnPace: boolean }
  /** The last NOTIFY was not taken, and is tried again then. */
  | { readonly _tag: "Retried"; readonly until: Millis }
  /** The last NOTIFY, issued in that decision, had no answer yet. */
  | { readonly _tag: "UnderWay"; readonly version: number; readonly at: Millis }
  /** A NOTIFY left, but without the document: that waits until where it goes has answered. */
  | { readonly _tag: "Withheld" }

/** What came of a change that was held back. */
export type Sequel =
  | { readonly _tag: "Told" }
  | { readonly _tag: "Ended"; readonly ending: Ending }
  /** By then its document was what it had been sent before. */
  | { readonly _tag: "TakenBack"; readonly place: Place }
  | { readonly _tag: "Open" }

export interface Case {
  readonly life: Life
  readonly finding: Finding
  /** Null: nothing was held back. */
  readonly sequel: Sequel | null
  /** The NOTIFY that told of it, in the decision or later. */
  readonly sent: Sent | null
}

/** Of a watcher that had no subscription when the change was decided. */
export interface Absence {
  readonly _tag: "Absent"
  /** Its last subscription before that, as far as the log was read. */
  readonly last: Life | null
  /** The first one after that. */
  readonly next: Life | null
  readonly waiting: Waiting | null
  /** What a SUBSCRIBE would have met; null: there was no such package. */
  readonly judgement: Authorization | null
}

/** That a watcher is shown nothing any more, or nothing in particular, whether or not anything changed. */
export type Treatment = Place & {
  readonly cause: string
  readonly origin: string
  readonly life: Pick<Life, "no" | "watcher" | "packageName">
  /** How it was treated from then on, as a SUBSCRIBE would be. */
  readonly judgement: Authorization
} & (
    | { readonly _tag: "Ended"; readonly ending: Ending }
    /** Nobody has decided on it. */
    | { readonly _tag: "Pending" }
    /** It is shown that nobody is there (RFC 5025 §3.2.1). */
    | { readonly _tag: "PoliteBlock" }
  )

export interface Explanation {
  readonly presentity: Uri
  readonly watcher: Uri
  readonly packageName: PackageName
  readonly asOf: Millis
  /** Null: nothing that could have been told was decided until then. */
  readonly change: (Place & { readonly what: Change; readonly cause: string; readonly origin: string }) | null
  /** By subscription; empty: `absence` says why. */
  readonly cases: readonly Case[]
  readonly absence: Absence | null
  /** What keeps everything from the watcher since the change, or where there was none, at all; null: nothing does. */
  readonly treatment: Treatment | null
}

export interface Question {
  readonly presentity: Uri
  readonly watcher: Uri
  readonly packageName: PackageName
  /** The last change until then is explained. */
  readonly at: Millis
  /** This one is, if it is one. */
  readonly position?: Position
}

/** What decisions were made with, as far as the log does not say it. */
export type DecisionContext = Pick<Context, "packages" | "limits" | "authorize">

export interface Inquiry {
  /** All decisions on the presentity, oldest first, from some state on. */
  readonly take: (moment: DecisionStep) => void
  /** Nothing that comes later will change the answer. */
  readonly isAnswered: () => boolean
  readonly answer: (asOf: Millis) => Explanation
}

export const makeInquiry = (question: Question, circumstances: DecisionContext): Inquiry => {
  const { presentity, watcher, packageName, at } = question
  const matches = (one: { readonly watcher: Uri; readonly packageName: PackageName }): boolean =>
    one.watcher === watcher && one.packageName === packageName
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
    const what = changeIn(moment, packageName, watcher, circumstances.packages)
    if (what === null) return
    const eventPackage = circumstances.packages.find(packageName)
    const findings = new Map<SubscriptionNo, OpenCase>()
    for (const [no, finding] of findingsIn(moment, what, packageName, circumstances, matches)) {
      ledger.notice(no, moment)
      findings.set(no, { finding, sequel: isHeld(finding) ? { _tag: "Open" } : null })
    }
    found = {
      moment,
      what,
      findings,
      judgement: eventPackage === null ? null : authorizationIn(moment, eventPackage, watcher, circumstances),
    }
  }

  return {
    take: (moment) => {
      lastAt = clockOf(moment.decision)
      ledger.take(moment)
      if (found !== null && found.moment.position < moment.position) {
        for (const [no, open] of found.findings) {
          if (open.sequel?._tag === "Open") open.sequel = sequelIn(moment, no, circumstances)
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
      return lives.every(({ no, sent }) => {
        const sequel = found?.findings.get(no)?.sequel
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
        const sent = tells ? (life.sent.find((one) => one.place.position >= from) ?? null) : null
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
 * What a decision means for whether a watcher is shown anything of a package at all. Undefined: nothing; null: it is again.
 */
export const treatmentIn = (
  moment: DecisionStep,
  packageName: PackageName,
  watcher: Uri,
  circumstances: DecisionContext,
): Treatment | null | undefined => {
  const { before, after, decision } = moment
  const matches = (one: Pick<Subscription, "watcher" | "packageName">): boolean =>
    one.watcher === watcher && one.packageName === packageName
  // one that asked once is told how it is treated, and is over
  const asked = decision.events.flatMap((event) =>
    event._tag === "SubscriptionCreated" && matches(event) && get(after.subscriptions, event.no) === undefined
      ? event
      : [],
  )
  const ended = decision.events.flatMap((event) => {
    const one = event._tag === "SubscriptionTerminated" ? get(before.subscriptions, event.no) : undefined
    return event._tag === "SubscriptionTerminated" && one !== undefined && matches(one) ? event : []
  })
  const isDecided = decision.events.some((event) => {
    if (event._tag === "SubscriptionCreated") return matches(event)
    const one = event._tag === "SubscriptionStatusChanged" ? get(after.subscriptions, event.no) : undefined
    return one !== undefined && matches(one)
  })
  const eventPackage = circumstances.packages.find(packageName)
  if (eventPackage === null || (!isDecided && ended.length === 0)) return undefined
  const left = [...[...values(after.subscriptions)].filter(matches), ...asked].sort(byNo)
  if (left.some(isShown)) return null
  const base = (no: SubscriptionNo) => ({
    ...placeOf(moment),
    cause: decision.cause,
    origin: decision.origin,
    life: { no, watcher, packageName },
    judgement: authorizationIn(moment, eventPackage, watcher, circumstances),
  })
  const one = left.at(-1)
  if (one !== undefined) {
    // that another one is over says nothing new of those that are left
    const wasShown = [...values(before.subscriptions)].some((other) => matches(other) && isShown(other))
    if (!isDecided && !wasShown) return undefined
    return { ...base(one.no), _tag: one.status === "pending" ? "Pending" : "PoliteBlock" }
  }
  const last = ended.at(-1)
  // what is over by time, by itself or for a fault is nobody's word
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

/** Whether the last thing that a decision sent to a subscription was a NOTIFY without its document. */
const isWithheld = (events: readonly Event[], no: SubscriptionNo): boolean => {
  const last = events.findLast(
    (event) => event._tag === "NotificationsIssued" && event.to !== "active" && event.to.includes(no),
  )
  return last?._tag === "NotificationsIssued" && last.withheld === true
}

/** Those alive before or after the decision. */
const concerned = (
  { before, after }: DecisionStep,
  matches: (one: Subscription) => boolean,
): ReadonlySet<SubscriptionNo> =>
  new Set(
    [...values(before.subscriptions), ...values(after.subscriptions)]
      .filter(matches)
      .map(({ no }) => no)
      .sort((one, other) => one - other),
  )

/**
 * What the change means for each subscription to the package that is there before or after it. O(subscriptions).
 *
 * @param matches left out: all of them
 */
export const findingsIn = (
  moment: DecisionStep,
  what: Change,
  packageName: PackageName,
  circumstances: DecisionContext,
  matches: (one: Subscription) => boolean = () => true,
): ReadonlyMap<SubscriptionNo, Finding> => {
  const findings = new Map<SubscriptionNo, Finding>()
  const eventPackage = circumstances.packages.find(packageName)
  if (eventPackage === null) return findings
  for (const no of concerned(moment, (one) => one.packageName === packageName && matches(one))) {
    const finding = findingOf(moment, what, no, eventPackage, circumstances)
    if (finding !== null) findings.set(no, finding)
  }
  return findings
}

const findingOf = (
  moment: DecisionStep,
  what: Change,
  no: SubscriptionNo,
  eventPackage: EventPackage,
  circumstances: DecisionContext,
): Finding | null => {
  const { before, after, decision, notifications } = moment
  const { events } = decision
  const ended = events.find((event) => event._tag === "SubscriptionTerminated" && event.no === no)
  if (ended?._tag === "SubscriptionTerminated") return { _tag: "Ended", ending: endingOf(ended, moment) }
  const subscription = get(after.subscriptions, no)
  if (subscription === undefined) return null
  if (notifications.some((notify) => notify.no === no))
    return isWithheld(events, no) ? { _tag: "Withheld" } : { _tag: "Told" }
  const change: PublishedChange = {
    before,
    after,
    eventPackage,
    sender: senderOf(what),
    isTreatment: isTreatment(what),
  }
  const digest = viewFor(after, subscription, eventPackage).digest
  const authorization = (): Authorization =>
    authorizationIn(moment, eventPackage, subscription.watcher, circumstances)
  // it was not told: where nothing else stood against that, a NOTIFY was under way, of which the log says nothing
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
    (event) => event._tag === "NotificationsIssued" && event.suppressed.includes(no),
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

/** By pace, by Retry-After, or by a NOTIFY that was under way. */
const heldBack = ({ dueAt, shown, rates, toldIn, issuedAt }: Subscription, now: Millis): Finding => {
  if (dueAt === null || dueAt <= now) return { _tag: "UnderWay", version: toldIn, at: issuedAt }
  return shown === ""
    ? { _tag: "Retried", until: dueAt }
    : { _tag: "Paced", until: dueAt, isOwnPace: rates !== null }
}

/** Why its document stays as it was, if that is by its rules; null: it is not. */
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

/** A change of how watchers are treated, not of what is published. */
const isTreatment = ({ _tag }: Change): boolean => _tag === "Rules" || _tag === "Decided"

/** The device that made the change; null: none did. */
const senderOf = (what: Change): string | null =>
  what._tag === "Published" && "sender" in what.event ? (what.event.sender ?? null) : null

const nobody = (): boolean => false

const hiddenFrom = (one: Subscription, state: State, eventPackage: EventPackage): readonly string[] => {
  const [whole, own] = [currentView(state, eventPackage).body, viewFor(state, one, eventPackage).body]
  return differenceOf(linesOf(whole?.text ?? ""), linesOf(own?.text ?? "")).flatMap(({ mark, text }) =>
    mark === "-" && text !== "" ? [text] : [],
  )
}

const wholeChanged = (before: State, after: State, eventPackage: EventPackage): boolean =>
  eventPackage.watcherInfoOf === undefined &&
  currentView(before, eventPackage).digest !== currentView(after, eventPackage).digest

/** What a decision after the change means for who still waits to be told. */
const sequelIn = (moment: DecisionStep, no: SubscriptionNo, { packages }: DecisionContext): Sequel => {
  const { after, decision, notifications } = moment
  if (notifications.some((notify) => notify.no === no && notify.state !== "terminated"))
    return isWithheld(decision.events, no) ? { _tag: "Open" } : { _tag: "Told" }
  const ended = decision.events.find((event) => event._tag === "SubscriptionTerminated" && event.no === no)
  if (ended?._tag === "SubscriptionTerminated") return { _tag: "Ended", ending: endingOf(ended, moment) }
  const one = get(after.subscriptions, no)
  const eventPackage = one === undefined ? null : packages.find(one.packageName)
  if (one === undefined || eventPackage === null) return { _tag: "Open" }
  return one.shown === viewFor(after, one, eventPackage).digest
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
