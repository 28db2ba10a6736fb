/**
 * What the outcome of a NOTIFY means: for its subscription, for others in the same dialog, and for what is sent to the
 * watcher next.
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
import type { Dialog, State, Subscription } from "./state.ts"
import type { TargetDoubted } from "./target-events.ts"
import { isSourceElsewhere, isUnproven, withheldDigest } from "./targets.ts"
import { nothing } from "./view.ts"

/**
 * Decides on the outcome of one NOTIFY.
 *
 * @source RFC 3265 §3.2.2, RFC 6665 §4.2.2, RFC 5057 §5; the profile selects between the first two
 */
export const reportDelivery = (state: State, command: ReportDelivery, context: Context): Outcome => {
  const { no: id, cseq, outcome } = command
  const { tried } = outcome
  // addresses of a watcher that is gone could not be encrypted with that person's key, and would outlive its erasure
  const isKnown = tried !== undefined && tried.length > 0 && get(state.subscriptions, id) !== undefined
  if (!isKnown) return decideOutcome(state, command, context)
  const failed: Event = { _tag: "TargetsFailed", no: id, cseq, tried }
  return done([failed, ...decideOutcome(state, command, context).events])
}

const decideOutcome = (state: State, command: ReportDelivery, context: Context): Outcome => {
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
    // over a connection, or to an unproven target, the next NOTIFY takes another path than this one did
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
  FlowLost: { outcome: "flow-lost" },
  TooLarge: { outcome: "too-large" },
} as const

type Failure = Exclude<ReportDelivery["outcome"], { readonly _tag: "Accepted" | "Unproven" }>

/** Repeats what was not sent, within what may be sent to a target that is now unproven. */
const doubted = (
  state: State,
  subscription: Subscription,
  cseq: number,
  context: Context,
): readonly Event[] => {
  const dialog = get(state.dialogs, subscription.dialog)
  const eventPackage = context.packages.find(subscription.packageName)
  if (dialog === undefined || eventPackage === null) return []
  // the target was in doubt already when this NOTIFY was issued
  const isAgain = dialog.proof?._tag === "Unproven" && cseq > dialog.proof.since
  const room = dialog.proof?._tag === "Connection" ? dialog.proof.room : (dialog.start.room ?? 0)
  const doubt: readonly Event[] = isUnproven(dialog)
    ? []
    : [{ _tag: "TargetDoubted", dialog: dialog.no, room }]
  if (isAgain) return [...doubt, undelivered(subscription, null)]
  return [...doubt, ...anew(state, subscription, eventPackage, context)]
}

/**
 * Repeats a NOTIFY that was sent in vain: without a document as long as the target is unproven; the document then
 * follows the 2xx.
 */
const unrepeated = (
  state: State,
  subscription: Subscription,
  cseq: number,
  context: Context,
): readonly Event[] => {
  // the watcher has sent a SUBSCRIBE since, so it is reachable; newer NOTIFYs will show the outcome
  if (cseq <= subscription.heardAt) return catchUp(state, subscription, context)
  const eventPackage = context.packages.find(subscription.packageName)
  return eventPackage === null ? [] : anew(state, subscription, eventPackage, context)
}

const anew = (
  state: State,
  subscription: Subscription,
  eventPackage: EventPackage,
  context: Context,
  cause: "proof" | "credentials" = "proof",
): readonly Event[] => {
  if (!isServedHere(subscription) || context.inFlight(subscription.no))
    return [undelivered(subscription, null)]
  const notify = notifyOne(subscription, viewFor(state, subscription, eventPackage), cause)
  return [subscription.dormant ? bodiless(notify) : notify]
}

const consequences = (
  state: State,
  subscription: Subscription,
  cseq: number,
  outcome: Failure,
  context: Context,
): readonly Event[] => {
  // the watcher has sent a SUBSCRIBE since, so it is reachable; newer NOTIFYs will show the outcome
  if (cseq <= subscription.heardAt) return catchUp(state, subscription, context)
  const dialog = get(state.dialogs, subscription.dialog)
  const elsewhere = dialog === undefined ? null : otherTarget(dialog, cseq, outcome)
  if (elsewhere !== null) {
    const eventPackage = context.packages.find(subscription.packageName)
    return [elsewhere, ...(eventPackage === null ? [] : anew(state, subscription, eventPackage, context))]
  }
  if (outcome._tag === "Refused" && outcome.credentials === true) {
    const eventPackage = context.packages.find(subscription.packageName)
    return eventPackage === null ? [] : anew(state, subscription, eventPackage, context, "credentials")
  }
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

/**
 * Where the watcher may be reached instead; null: nowhere.
 *
 * A Contact that never answered is given up for the address that the SUBSCRIBE came from: the watcher is behind a NAT
 * that its Contact does not show. A connection that was lost leaves the Contact.
 */
const otherTarget = (dialog: Dialog, cseq: number, { _tag }: Failure): TargetDoubted | null => {
  const { no, proof } = dialog
  if (_tag === "FlowLost")
    return proof?._tag === "Connection" ? { _tag: "TargetDoubted", dialog: no, room: proof.room } : null
  const isSilent = _tag === "TimedOut" || _tag === "Unreachable"
  return isSilent && proof?._tag === "Unproven" && cseq > proof.since && isSourceElsewhere(dialog)
    ? { _tag: "TargetDoubted", dialog: no, room: 0, reach: "silence" }
    : null
}

/** The newest state for a watcher that could not be notified earlier; no event if it already has that state. */
const catchUp = (state: State, subscription: Subscription, context: Context): readonly Event[] => {
  if (subscription.status !== "active" || subscription.dormant || context.inFlight(subscription.no)) return []
  if (!isServedHere(subscription)) return []
  const eventPackage = context.packages.find(subscription.packageName)
  if (eventPackage === null) return []
  const view = viewFor(state, subscription, eventPackage)
  if (view.digest === subscription.shown) return []
  // it was only waiting for its target to be proven
  if (subscription.shown === withheldDigest) return [notifyOne(subscription, view, "proof")]
  if (subscription.dueAt !== null) return []
  const until = allowedAt(subscription, eventPackage, context.limits)
  if (until <= context.now) return [notifyOne(subscription, view, "change")]
  return [{ _tag: "NotificationsDeferred", to: [subscription.no], until, undelivered: false }]
}

/**
 * What follows for a watcher that did not accept a NOTIFY and keeps its subscription: the same NOTIFY later if it asked
 * for that, and otherwise only what has changed since, because a failure alone is no reason to repeat (RFC 6665
 * §4.2.2).
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
    // the operator's setting for phones that sleep: try again to find out whether the watcher is still there
    until = Math.max(from, context.now + context.limits.probeSeconds * 1000)
  } else if (isNews) {
    until = Math.max(from, subscription.dueAt ?? 0)
    // marked as undelivered all the same, so that the next NOTIFY has full state and not only what changed
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
  outcome._tag === "FlowLost" ||
  (outcome._tag === "Refused" && outcome.status === 408)

/** What a failed NOTIFY means for its subscription and for others in the same dialog. */
const consequence = (outcome: Failure, limits: Limits): "keeps" | "ends-subscription" | "ends-dialog" => {
  // a page that is loaded anew, a server that was restarted: the watcher comes back, or its time runs out
  if (outcome._tag === "FlowLost") return "keeps"
  // RFC 3856 §9: what a presentity publishes does not take its watchers away
  if (outcome._tag === "TooLarge") return "keeps"
  if (outcome._tag !== "Refused") return limits.endSubOnTimeout ? "ends-subscription" : "keeps"
  const { status, retryAfter } = outcome
  // RFC 3265 §3.2.2: a response with Retry-After is no failure; but after 481 there is no subscription to return to
  if (limits.profile === "3265" && retryAfter !== null && status !== 481) return "keeps"
  if (status === 408) return limits.endSubOnTimeout ? "ends-subscription" : "keeps"
  // RFC 5057 §5.1: these codes mean that the dialog or its target is gone
  if (dialogFatal.has(status)) return "ends-dialog"
  if (usageFatal.has(status)) return "ends-subscription"
  if (limits.profile === "6665" || isRetriable(status)) return "keeps"
  return status === 502 ? "ends-dialog" : "ends-subscription"
}

const dialogFatal: ReadonlySet<number> = new Set([404, 410, 416, 482, 483, 484, 485, 604])

/**
 * RFC 3265 §3.2.2: a response that implies a further action by which the request can be retried is no failure of the
 * subscription, whether or not we take that action: another target (3xx), credentials (401, 407), what the phone can
 * take (413, 415, 420, 421, 494, 513), another connection (430, RFC 5626), another moment (491).
 *
 * @source RFC 3261 §8.1.3.4, §8.1.3.5, §21.4.15, §21.5.7; RFC 3329 §2.3.1; RFC 5057 §5.1 and §5.2, by which each
 * concerns the transaction only
 */
const isRetriable = (status: number): boolean => status < 400 || retriable.has(status)

const retriable: ReadonlySet<number> = new Set([401, 407, 413, 415, 420, 421, 430, 491, 494, 513])
const usageFatal: ReadonlySet<number> = new Set([405, 480, 481, 489, 501])

const ended = (subscription: Subscription): Event => ({
  _tag: "SubscriptionTerminated",
  no: subscription.no,
  reason: "timeout",
  silent: true,
  waitsUntil: null,
})
