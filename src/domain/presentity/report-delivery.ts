/**
 * What the end of a NOTIFY means: for its subscription, for others in its dialog, and for what the watcher is told next.
 */
import type { EventPackage } from "../packages/event-package.ts"
import { get, values } from "../table.ts"
import type { Millis } from "../vocabulary.ts"
import type { ReportDelivery } from "./commands.ts"
import type { Context, Limits } from "./context.ts"
import { done, nothingHappened } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import type { Event } from "./events.ts"
import { bodiless, notifyOne, viewFor } from "./notify.ts"
import { allowedAt } from "./pace.ts"
import { byNo, isServedHere } from "./state.ts"
import type { State, Subscription } from "./state.ts"
import { isUnproven, withheldDigest } from "./targets.ts"
import { nothing } from "./view.ts"

/**
 * The end of one NOTIFY.
 *
 * @source RFC 3265 §3.2.2, RFC 6665 §4.2.2, RFC 5057 §5; which of the first two is the profile
 */
export const reportDelivery = (state: State, command: ReportDelivery, context: Context): Outcome => {
  const { no: id, cseq, outcome } = command
  const subscription = get(state.subscriptions, id)
  if (outcome._tag === "Unproven") {
    const outcomeName = outcome.room === undefined ? "unproven" : "unrepeated"
    const unsent: Event = { _tag: "NotificationFailed", no: id, cseq, outcome: outcomeName }
    if (outcomeName === "unrepeated")
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
    no: id,
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
  if (!isServedHere(subscription) || context.inFlight(subscription.no))
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
        .filter((candidate) => candidate.dialog === subscription.dialog)
        .sort(byNo)
        .map(ended)
    case "ends-subscription":
      return [ended(subscription)]
    case "keeps":
      return afterFailure(state, subscription, outcome, context)
  }
}

/** The newest state for a watcher that could not be told earlier; nothing when it has it already. */
const catchUp = (state: State, subscription: Subscription, context: Context): readonly Event[] => {
  if (subscription.status !== "active" || subscription.dormant || context.inFlight(subscription.no)) return []
  if (!isServedHere(subscription)) return []
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
  if (!isServedHere(subscription)) return [undelivered(subscription, null)]
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

const undelivered = ({ no: id }: Subscription, until: Millis | null): Event => ({
  _tag: "NotificationsDeferred",
  to: [id],
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
