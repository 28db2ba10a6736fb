/**
 * Who must be told of a change, and what the end of a NOTIFY means.
 *
 * A watcher is told when its view differs from the one it was last sent, at most one change-driven NOTIFY at a time
 * and not more often than the package allows; what is held back is sent later with the content of that time.
 * NOTIFYs that answer a SUBSCRIBE or end a subscription are never held back (`subscribe.ts`, `fall-due.ts`).
 */
import type { EventPackage } from "../packages/event-package.ts"
import { get, values } from "../table.ts"
import type { Millis, PackageName, SubscriptionNo } from "../vocabulary.ts"
import type { Redeliver, ReportDelivery } from "./commands.ts"
import { allowedAt } from "./pace.ts"
import type { Context, Limits } from "./context.ts"
import { done, nothingHappened } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import type { Event, NotificationsIssued } from "./events.ts"
import { toldOfChanges } from "./state.ts"
import type { State, Subscription } from "./state.ts"
import { isUnproven, withheldDigest } from "./targets.ts"
import { absentView, acceptableView, nothing, takenOf, undecided, visibleView } from "./view.ts"
import type { View } from "./view.ts"
import { watchersView } from "./watchers.ts"

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
  sender: string | null,
): readonly Event[] => {
  const active = toldOfChanges(after, eventPackage.name)
  if (active.length === 0) return []
  const groups = new Map<string, { readonly told: SubscriptionNo[]; readonly suppressed: SubscriptionNo[] }>()
  const held = new Map<Millis, SubscriptionNo[]>()
  for (const one of active) {
    if (one.dormant) continue
    const { digest } = viewFor(after, one, eventPackage)
    if (one.shown === digest) continue
    // what did not arrive goes along with the next change, but not with one it may not see: its time would tell of it
    const isFiltered = one.polite || one.matched !== null
    if (isFiltered && one.shown === "" && viewFor(before, one, eventPackage).digest === digest) continue
    let group = groups.get(digest)
    if (group === undefined) {
      group = { told: [], suppressed: [] }
      groups.set(digest, group)
    }
    if (sender !== null && get(after.dialogs, one.dialog)?.remoteTarget === sender) {
      // a device that is still owed an earlier change stays owed it
      if (one.shown === viewFor(before, one, eventPackage).digest) group.suppressed.push(one.no)
      continue
    }
    // one at a time: its outcome brings the newest state along
    if (context.inFlight(one.no)) continue
    // held back already, by the rate or by Retry-After (RFC 3261 §20.33): the newest state goes then
    if (one.dueAt !== null && one.dueAt > context.now) continue
    const from = allowedAt(one, eventPackage, context.limits)
    if (from <= context.now) group.told.push(one.no)
    else collect(held, from, one.no)
  }
  const events: Event[] = []
  for (const [digest, { told, suppressed }] of groups) {
    if (told.length + suppressed.length === 0) continue
    events.push(issued(eventPackage.name, told, active, suppressed, digest))
  }
  for (const [until, to] of held) {
    events.push({ _tag: "NotificationsDeferred", to, until, undelivered: false })
  }
  return events
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
    .flatMap((mixed) => changeNotifications(before, after, mixed, context, null))

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
  for (const one of toldOfChanges(state, eventPackage.name)) {
    if (!one.dormant) collect(groups, viewFor(state, one, eventPackage).digest, one.no)
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
  const { accept } = subscription
  if (subscription.polite) return takenOf(absentView(state.presentity, eventPackage), accept)
  if (accept !== undefined) return acceptableView(state, eventPackage, subscription.matched, accept)
  return visibleView(state, eventPackage, subscription.matched)
}

/**
 * The end of one NOTIFY.
 *
 * @source RFC 3265 §3.2.2, RFC 6665 §4.2.2, RFC 5057 §5; which of the first two is the profile
 */
export const reportDelivery = (state: State, command: ReportDelivery, context: Context): Outcome => {
  const { no, cseq, outcome } = command
  const subscription = get(state.subscriptions, no)
  if (outcome._tag === "Unproven") {
    const how = outcome.room === undefined ? "unproven" : "unrepeated"
    const unsent: Event = { _tag: "NotificationFailed", no, cseq, outcome: how }
    if (how === "unrepeated")
      return done(
        subscription === undefined ? [unsent] : [unsent, ...unrepeated(state, subscription, cseq, context)],
      )
    return done(
      subscription === undefined ? [unsent] : [unsent, ...doubted(state, subscription, cseq, context)],
    )
  }
  if (outcome._tag === "Accepted") {
    if (subscription === undefined) return nothingHappened
    const events: Event[] = []
    const dialog = get(state.dialogs, subscription.dialog)
    if (
      outcome.remoteTarget !== null &&
      dialog !== undefined &&
      outcome.remoteTarget !== dialog.remoteTarget
    ) {
      events.push({
        _tag: "RemoteTargetChanged",
        dialog: dialog.no,
        remoteTarget: outcome.remoteTarget,
      })
    }
    // over a connection, or to where nothing is proven, what is sent now goes elsewhere than this one went
    const isNamed = dialog?.proof === undefined || dialog.proof._tag === "Addresses"
    if (outcome.address !== undefined && dialog !== undefined && isNamed)
      events.push({ _tag: "TargetProven", dialog: dialog.no, address: outcome.address })
    return done([...events, ...catchUp(state, subscription, context)])
  }
  const failed: Event = {
    _tag: "NotificationFailed",
    no,
    cseq,
    ...failures[outcome._tag],
    ...(outcome._tag === "Refused" ? { status: outcome.status } : {}),
  }
  return done(
    subscription === undefined
      ? [failed]
      : [failed, ...consequences(state, subscription, cseq, outcome, context)],
  )
}

const failures = {
  Refused: { outcome: "refused" },
  TimedOut: { outcome: "timed-out" },
  Unreachable: { outcome: "unreachable" },
} as const

type Failure = Exclude<ReportDelivery["outcome"], { readonly _tag: "Accepted" | "Unproven" }>

/** What did not leave is told again, as far as may be sent to where nothing is proven now. */
const doubted = (
  state: State,
  subscription: Subscription,
  cseq: number,
  context: Context,
): readonly Event[] => {
  const dialog = get(state.dialogs, subscription.dialog)
  const eventPackage = context.packages.find(subscription.packageName)
  if (dialog === undefined || eventPackage === null) return []
  // doubted already, and told with that in mind
  const isAgain = dialog.proof?._tag === "Unproven" && cseq > dialog.proof.since
  const room = dialog.proof?._tag === "Connection" ? dialog.proof.room : (dialog.start.room ?? 0)
  const doubt: readonly Event[] = isUnproven(dialog)
    ? []
    : [{ _tag: "TargetDoubted", dialog: dialog.no, room }]
  if (isAgain) return [...doubt, undelivered(subscription, null)]
  return [...doubt, ...anew(state, subscription, eventPackage, context)]
}

/** What left in vain is told again: as long as nothing is proven there, without a document, which then follows the 2xx. */
const unrepeated = (
  state: State,
  subscription: Subscription,
  cseq: number,
  context: Context,
): readonly Event[] => {
  // the watcher has sent a SUBSCRIBE since: it lives, and newer NOTIFYs will tell how
  if (cseq <= subscription.heardAt) return catchUp(state, subscription, context)
  const eventPackage = context.packages.find(subscription.packageName)
  return eventPackage === null ? [] : anew(state, subscription, eventPackage, context)
}

const anew = (
  state: State,
  subscription: Subscription,
  eventPackage: EventPackage,
  context: Context,
): readonly Event[] => {
  if (subscription.parked === true || context.inFlight(subscription.no))
    return [undelivered(subscription, null)]
  const notify = notifyOne(subscription, viewFor(state, subscription, eventPackage), "proof")
  return [subscription.dormant ? bodiless(notify) : notify]
}

const consequences = (
  state: State,
  subscription: Subscription,
  cseq: number,
  outcome: Failure,
  context: Context,
): readonly Event[] => {
  // the watcher has sent a SUBSCRIBE since: it lives, and newer NOTIFYs will tell how
  if (cseq <= subscription.heardAt) return catchUp(state, subscription, context)
  switch (consequence(outcome, context.limits)) {
    case "ends-dialog":
      return [...values(state.subscriptions)]
        .filter((one) => one.dialog === subscription.dialog)
        .sort((one, other) => one.no - other.no)
        .map(ended)
    case "ends-subscription":
      return [ended(subscription)]
    case "keeps":
      return afterFailure(state, subscription, outcome, context)
  }
}

/**
 * After a restart: whatever was issued at or after `since` may never have been sent, so each of those subscriptions
 * gets one NOTIFY with the present state.
 */
export const redeliver = (state: State, command: Redeliver, context: Context): Outcome => {
  const events: Event[] = []
  const late = [...values(state.subscriptions)].filter(
    (one) =>
      (command.only === undefined ? one.issuedAt >= command.since : command.only.includes(one.no)) &&
      one.parked !== true,
  )
  for (const one of late.sort((a, b) => a.no - b.no)) {
    const eventPackage = context.packages.find(one.packageName)
    if (eventPackage === null) continue
    const notify = notifyOne(one, viewFor(state, one, eventPackage), "recovery")
    events.push(one.dormant ? bodiless(notify) : notify)
  }
  return done(events)
}

/** The newest state for a watcher that could not be told earlier; nothing when it has it already. */
const catchUp = (state: State, subscription: Subscription, context: Context): readonly Event[] => {
  if (subscription.status !== "active" || subscription.dormant || context.inFlight(subscription.no)) return []
  if (subscription.parked === true) return []
  const eventPackage = context.packages.find(subscription.packageName)
  if (eventPackage === null) return []
  const view = viewFor(state, subscription, eventPackage)
  if (view.digest === subscription.shown) return []
  // it has waited only for where it goes to be proven
  if (subscription.shown === withheldDigest) return [notifyOne(subscription, view, "proof")]
  if (subscription.dueAt !== null) return []
  const until = allowedAt(subscription, eventPackage, context.limits)
  if (until <= context.now) return [notifyOne(subscription, view, "change")]
  return [{ _tag: "NotificationsDeferred", to: [subscription.no], until, undelivered: false }]
}

/**
 * What a watcher that did not take a NOTIFY, and stays, is told: the same later when it asked for that, and whatever
 * has changed since; but nothing only because of the failure (RFC 6665 §4.2.2).
 */
const afterFailure = (
  state: State,
  subscription: Subscription,
  outcome: ReportDelivery["outcome"],
  context: Context,
): readonly Event[] => {
  if (subscription.parked === true) return [undelivered(subscription, null)]
  const eventPackage = context.packages.find(subscription.packageName)
  const view = eventPackage === null ? nothing : viewFor(state, subscription, eventPackage)
  const from =
    eventPackage === null ? subscription.pacedAt : allowedAt(subscription, eventPackage, context.limits)
  const isNews =
    subscription.shown !== "" &&
    subscription.shown !== withheldDigest &&
    subscription.shown !== view.digest &&
    !context.inFlight(subscription.no)
  let until: Millis | null = null
  if (outcome._tag === "Refused" && outcome.retryAfter !== null) {
    until = Math.max(from, context.now + Math.max(1, outcome.retryAfter) * 1000)
  } else if (isSilence(outcome) && context.limits.probeSeconds > 0) {
    // the operator's wish, for phones that sleep: ask again whether it is there
    until = Math.max(from, context.now + context.limits.probeSeconds * 1000)
  } else if (isNews) {
    until = Math.max(from, subscription.dueAt ?? 0)
    // marked as not delivered all the same, so that it is told everything and not only what has changed since
    if (until <= context.now)
      return [undelivered(subscription, null), notifyOne(subscription, view, "change")]
  }
  return [undelivered(subscription, until)]
}

const undelivered = ({ no }: Subscription, until: Millis | null): Event => ({
  _tag: "NotificationsDeferred",
  to: [no],
  until,
  undelivered: true,
})

const isSilence = (outcome: ReportDelivery["outcome"]): boolean =>
  outcome._tag === "TimedOut" ||
  outcome._tag === "Unreachable" ||
  (outcome._tag === "Refused" && outcome.status === 408)

/** What one failed NOTIFY does to the subscription and to others in its dialog. */
const consequence = (outcome: Failure, limits: Limits): "keeps" | "ends-subscription" | "ends-dialog" => {
  if (outcome._tag !== "Refused") return limits.endSubOnTimeout ? "ends-subscription" : "keeps"
  const { status, retryAfter } = outcome
  // RFC 3265 §3.2.2: with Retry-After it has not failed; but 481 says that there is nothing to come back to
  if (limits.profile === "3265" && retryAfter !== null && status !== 481) return "keeps"
  if (status === 408) return limits.endSubOnTimeout ? "ends-subscription" : "keeps"
  // RFC 5057 §5.1: these say that the dialog or its target is gone
  if (dialogFatal.has(status)) return "ends-dialog"
  if (usageFatal.has(status)) return "ends-subscription"
  if (limits.profile === "6665") return "keeps"
  return status === 502 ? "ends-dialog" : "ends-subscription"
}

const dialogFatal: ReadonlySet<number> = new Set([404, 410, 416, 482, 483, 484, 485, 604])
const usageFatal: ReadonlySet<number> = new Set([405, 480, 481, 489, 501])

const ended = (subscription: Subscription): Event => ({
  _tag: "SubscriptionTerminated",
  no: subscription.no,
  reason: "timeout",
  silent: true,
  waitsUntil: null,
})

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
    except: toldSet === null ? [] : active.filter((one) => !toldSet.has(one.no)).map((one) => one.no),
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
