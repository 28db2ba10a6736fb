/**
 * What a change meant for each subscription when it was decided, and what became of it later.
 *
 * The assessment is the one with which the decision was made (`assess` of `presentity/notify.ts`), of the states in the log.
 * What it leaves open has a single cause: a NOTIFY was under way.
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
import { byNo, verdictKey } from "../presentity/state.ts"
import type { State, Subscription } from "../presentity/state.ts"
import { currentView } from "../presentity/view.ts"
import { get, values } from "../table.ts"
import type { Millis, PackageName, SubscriptionNo, Uri } from "../vocabulary.ts"
import type { Change } from "./changes.ts"
import { endingOf, placeOf } from "./ledger.ts"
import type { Ending, Place } from "./ledger.ts"
import { differenceOf, linesOf } from "./lines.ts"
import type { DecisionStep } from "./moments.ts"
import { unreadBehind } from "./reconstructed-unread.ts"

/** The context of the decisions, as far as the log does not record it. */
export interface DecisionContext extends Pick<Context, "packages" | "limits" | "authorize"> {
  /** `limits` and `authorize` are not those of the server: only the log is known. */
  readonly isUndescribed?: true
}

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

/** Whether the subscription was still to be notified of the change. */
export const isHeld = ({ _tag }: Finding): boolean =>
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
    case "told":
    case "too soon":
    case "under way":
    case "deferred":
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
export const sequelIn = (moment: DecisionStep, id: SubscriptionNo, { packages }: DecisionContext): Sequel => {
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
export const authorizationIn = (
  moment: DecisionStep,
  eventPackage: EventPackage,
  watcher: Uri,
  circumstances: DecisionContext,
): Authorization => {
  const { after, decision } = moment
  if (circumstances.isUndescribed === true) return recordedIn(moment, eventPackage.name, watcher)
  const isUnread = unreadBehind(after, decision)
  const context = standingAt({ ...circumstances, isUnread }, clockOf(decision))
  return authorizeWatcher(after, eventPackage, watcher, context)
}

/** How the watcher is treated as far as the log says it, whatever the settings were. */
const recordedIn = (
  { before, after, decision }: DecisionStep,
  packageName: PackageName,
  watcher: Uri,
): Authorization => {
  const base = { matched: null, forced: false }
  const verdict = get(after.verdicts, verdictKey(packageName, watcher))
  if (verdict !== undefined) return { ...base, handling: verdict.handling, by: "operator" }
  const isTheirs = (subject: Pick<Subscription, "packageName" | "watcher">): boolean =>
    subject.packageName === packageName && subject.watcher === watcher
  const left = [...values(after.subscriptions)].filter(isTheirs).sort(byNo).at(-1)
  if (left !== undefined) {
    const { matched, polite, status, unread } = left
    const handling = status === "pending" ? "confirm" : polite ? "polite-block" : "allow"
    const by = matched !== null ? "rules" : unread === true ? "unread" : "unknown"
    return { ...base, handling, matched, by }
  }
  const isRefused = decision.events.some((event) => {
    if (event._tag !== "SubscriptionTerminated" || event.reason !== "rejected") return false
    const ended = get(before.subscriptions, event.no)
    return ended !== undefined && isTheirs(ended)
  })
  return { ...base, handling: isRefused ? "block" : "confirm", by: "unknown" }
}
