/**
 * Who must be told of a change.
 *
 * A watcher is told when its view differs from the one it was last sent, at most one change-driven NOTIFY at a time
 * and not more often than the package allows; what is held back is sent later with the content of that time.
 * NOTIFYs that answer a SUBSCRIBE or end a subscription are never held back (`subscribe.ts`, `fall-due.ts`).
 */
import type { EventPackage } from "../packages/event-package.ts"
import { get, values } from "../table.ts"
import type { Millis, PackageName, SubscriptionNo } from "../vocabulary.ts"
import type { Redeliver } from "./commands.ts"
import type { Context } from "./context.ts"
import { done } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import type { Event, NotificationsIssued } from "./events.ts"
import { allowedAt } from "./pace.ts"
import { byNo, isServedHere, servedHere } from "./state.ts"
import type { State, Subscription } from "./state.ts"
import { formOf, tailoredView } from "./tailored-view.ts"
import { absentView, acceptableView, nothing, takenOf, undecided, visibleView } from "./view.ts"
import type { View } from "./view.ts"
import { watchersView } from "./watchers.ts"

/** A change of what a package shows, as each of its watchers is assessed on it. */
export interface Change {
  readonly before: State
  /** Without the events that tell of it. */
  readonly after: State
  readonly eventPackage: EventPackage
  /** Who made the change, by Contact URI; that device's subscriptions count as told of it. Null: no watcher's device. */
  readonly sender: string | null
  /** What has changed is how watchers are treated, by rules or by the operator, and not what is published. */
  readonly isTreatment: boolean
}

/** What a change means for one watcher. Those before `told` say why it is not told now. */
export type Assessment =
  /** Another server looks after it. */
  | "standby"
  /** Nobody has decided whether it may watch. */
  | "pending"
  /** It wants no documents until it subscribes again (RFC 5839 §5.2). */
  | "suspended"
  /** Its document is the one that it was last sent. */
  | "same document"
  /** The change does not show in its document. It differs from what was last sent for another reason, which does not make news of it. */
  | "unaffected"
  /** Its own device made the change and knows what was there before: it counts as told. */
  | "own device"
  /** Its own device made the change, but is still owed an earlier one. */
  | "own device, owed"
  /** A NOTIFY has no answer yet. Its outcome brings the newest state along. */
  | "under way"
  /** Held back already, by the pace or by Retry-After (RFC 3261 §20.33): the newest state goes then (`dueAt`). */
  | "deferred"
  /** Too soon after the last one (`allowedAt`). */
  | "too soon"
  | "told"

/**
 * What a change means for one watcher. It decides who is told (`changeNotifications`, `authorize.ts`) and explains afterwards
 * who was not (`history/why.ts`).
 *
 * @param digest of what the subscription may see of the state after the change (`viewFor`)
 */
export const assess = (
  change: Change,
  subscription: Subscription,
  digest: string,
  { now, limits, inFlight }: Pick<Context, "now" | "limits" | "inFlight">,
): Assessment => {
  if (!isServedHere(subscription)) return "standby"
  if (subscription.status === "pending") return "pending"
  if (subscription.dormant) return "suspended"
  if (subscription.shown === digest) return "same document"
  const { before, after, eventPackage, sender, isTreatment } = change
  if (isTreatment) return digestBefore(change, subscription) === digest ? "unaffected" : "told"
  // what did not arrive goes along with the next change, but not with one it may not see: its time would tell of it
  const isFiltered = subscription.polite || subscription.matched !== null
  if (isFiltered && subscription.shown === "" && digestBefore(change, subscription) === digest)
    return "unaffected"
  if (sender !== null && get(after.dialogs, subscription.dialog)?.remoteTarget === sender) {
    // a device that is still owed an earlier change stays owed it
    const isOwed = subscription.shown !== viewFor(before, subscription, eventPackage).digest
    return isOwed ? "own device, owed" : "own device"
  }
  if (inFlight(subscription.no)) return "under way"
  if (subscription.dueAt !== null && subscription.dueAt > now) return "deferred"
  return allowedAt(subscription, eventPackage, limits) <= now ? "told" : "too soon"
}

/** Of what the watcher would have seen without the change; where it is treated differently now, as it was treated before. */
export const digestBefore = (
  { before, eventPackage, isTreatment }: Change,
  subscription: Subscription,
): string => {
  const treated = isTreatment ? (get(before.subscriptions, subscription.no) ?? subscription) : subscription
  return viewFor(before, treated, eventPackage).digest
}

/**
 * The events that tell the watchers of a package what `after` looks like. O(watchers of the presentity).
 *
 * @source RFC 3265 §3.2.2; RFC 3856 §6.7, §6.10
 * @param sender who made the change, by Contact URI; that device's subscriptions count as told of it. Null for time
 */
export const changeNotifications = (
  before: State,
  after: State,
  eventPackage: EventPackage,
  context: Context,
  sender: string | null = null,
): readonly Event[] => {
  if (eventPackage.watcherInfoOf !== undefined && after.winfoSubscriptions === 0) return none
  const active = servedHere(after, eventPackage.name)
  if (active.length === 0) return none
  const change: Change = { before, after, eventPackage, sender, isTreatment: false }
  const groups = new Map<string, Group>()
  const held = new Map<Millis, SubscriptionNo[]>()
  const viewOf = viewsOf(after, eventPackage)
  for (const subscription of active) {
    // suspended: nothing is composed for it
    if (subscription.dormant) continue
    const { no } = subscription
    const { digest } = viewOf(subscription)
    const assessment = assess(change, subscription, digest, context)
    if (isNoNews(assessment)) continue
    const group = groupOf(groups, digest)
    switch (assessment) {
      case "told":
        group.told.push(no)
        break
      case "own device":
        group.suppressed.push(no)
        break
      case "too soon":
        collect(held, allowedAt(subscription, eventPackage, context.limits), no)
        break
      // nothing now: what holds it back brings the newest state along
      case "standby":
      case "pending":
      case "suspended":
      case "own device, owed":
      case "under way":
      case "deferred":
        break
      default:
        assessment satisfies never
    }
  }
  const events: Event[] = []
  for (const [digest, { told, suppressed }] of groups) {
    if (told.length + suppressed.length > 0)
      events.push(issued(eventPackage.name, told, active, suppressed, digest))
  }
  for (const [until, to] of held) {
    events.push({ _tag: "NotificationsDeferred", to, until, undelivered: false })
  }
  return events
}

const none: readonly Event[] = []

const isNoNews = (assessment: Assessment): assessment is "same document" | "unaffected" =>
  assessment === "same document" || assessment === "unaffected"

/** Watchers that see the same. */
interface Group {
  readonly told: SubscriptionNo[]
  readonly suppressed: SubscriptionNo[]
}

const groupOf = (groups: Map<string, Group>, digest: string): Group => {
  let group = groups.get(digest)
  if (group === undefined) {
    group = { told: [], suppressed: [] }
    groups.set(digest, group)
  }
  return group
}

/** The same for watchers of packages in which this one shows; in those nobody has made the change itself. */
export const mixedNotifications = (
  before: State,
  after: State,
  eventPackage: EventPackage,
  context: Context,
): readonly Event[] =>
  context.packages
    .mixing(eventPackage.name)
    .flatMap((mixed) => changeNotifications(before, after, mixed, context))

/** One NOTIFY for one subscription with its present view. */
export const notifyOne = (
  subscription: Subscription,
  view: View,
  cause: NotificationsIssued["cause"],
): NotificationsIssued => ({
  _tag: "NotificationsIssued",
  packageName: subscription.packageName,
  to: [subscription.no],
  except: [],
  suppressed: [],
  shown: view.digest,
  cause,
})

/** The present state to every active watcher, whatever it was told before. O(watchers of the presentity). */
export const tellAgain = (state: State, eventPackage: EventPackage): readonly Event[] => {
  const groups = new Map<string, SubscriptionNo[]>()
  const viewOf = viewsOf(state, eventPackage)
  for (const subscription of servedHere(state, eventPackage.name)) {
    if (!subscription.dormant) collect(groups, viewOf(subscription).digest, subscription.no)
  }
  return [...groups].map(([shown, to]): Event => ({
    _tag: "NotificationsIssued",
    packageName: eventPackage.name,
    to,
    except: [],
    suppressed: [],
    shown,
    cause: "refresh",
  }))
}

/** The same without its document: the watcher has it, or wants none (RFC 5839 §6.2). */
export const bodiless = (notify: NotificationsIssued): NotificationsIssued => ({ ...notify, bodiless: true })

/**
 * What this subscription may see: nothing while pending, absence when politely blocked, else what the rules let through.
 * Of watcher information only the digest: its documents differ from subscription to subscription (`watchers.ts`).
 */
export const viewFor = (state: State, subscription: Subscription, eventPackage: EventPackage): View => {
  if (subscription.status === "pending") return undecided
  if (eventPackage.watcherInfoOf !== undefined) return watchersView(state, eventPackage.watcherInfoOf)
  if (formOf(subscription, eventPackage) !== "") return tailoredView(state, eventPackage, subscription)
  const { accept } = subscription
  if (subscription.polite) return takenOf(absentView(state.presentity, eventPackage), accept)
  if (accept !== undefined) return acceptableView(state, eventPackage, subscription.matched, accept)
  return visibleView(state, eventPackage, subscription.matched)
}

/** `viewFor` for many subscriptions of one state: looked up once for all in a row that are treated alike. */
export const viewsOf = (state: State, eventPackage: EventPackage): ((subscription: Subscription) => View) => {
  let last: Subscription | null = null
  let view: View = nothing
  return (subscription) => {
    if (last === null || !isTreatedAlike(last, subscription, eventPackage)) {
      view = viewFor(state, subscription, eventPackage)
      last = subscription
    }
    return view
  }
}

const isTreatedAlike = (left: Subscription, right: Subscription, eventPackage: EventPackage): boolean =>
  left.matched === right.matched &&
  left.status === right.status &&
  left.polite === right.polite &&
  left.accept === right.accept &&
  (eventPackage.tailor === undefined || (left.argument === right.argument && left.needs === right.needs))

/**
 * After a restart: whatever was issued at or after `since` may never have been sent, so each of those subscriptions
 * gets one NOTIFY with the present state.
 */
export const redeliver = (state: State, command: Redeliver, context: Context): Outcome => {
  const events: Event[] = []
  const late = [...values(state.subscriptions)].filter(
    (subscription) =>
      (command.only === undefined
        ? subscription.issuedAt >= command.since
        : command.only.includes(subscription.no)) && isServedHere(subscription),
  )
  for (const subscription of late.sort(byNo)) {
    const eventPackage = context.packages.find(subscription.packageName)
    if (eventPackage === null) continue
    const notify = notifyOne(subscription, viewFor(state, subscription, eventPackage), "recovery")
    events.push(subscription.dormant ? bodiless(notify) : notify)
  }
  return done(events)
}

/** Says "all active ones" where that is shorter than naming them. */
const issued = (
  packageName: PackageName,
  told: readonly SubscriptionNo[],
  active: readonly Subscription[],
  suppressed: readonly SubscriptionNo[],
  shown: string,
): NotificationsIssued => {
  const left = active.length - told.length
  const toldSet = left === 0 || left >= told.length ? null : new Set(told)
  return {
    _tag: "NotificationsIssued",
    packageName,
    to: left >= told.length ? told : "active",
    except: toldSet === null ? [] : active.filter(({ no }) => !toldSet.has(no)).map(({ no }) => no),
    suppressed,
    shown,
    cause: "change",
  }
}

const collect = <K>(groups: Map<K, SubscriptionNo[]>, key: K, no: SubscriptionNo): void => {
  const group = groups.get(key)
  if (group === undefined) groups.set(key, [no])
  else group.push(no)
}
