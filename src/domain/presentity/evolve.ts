/**
 * How each event changes a presentity. Nothing else changes state. `evolve` is the table of contents: one function for each
 * event, beside it or in `evolve-publications.ts`, `evolve-subscriptions.ts` and `evolve-notifications.ts`.
 *
 * Deterministic, and reads no clock. What an event names is there: where the log says what cannot be, an invariant breaks, and
 * `fold` says where. A state that was folded across missing decisions (`isIncomplete`) need not have it, and stays as it is then.
 */
import { emptyTable, get, remove, set } from "../table.ts"
import { unreachable } from "../vocabulary.ts"
import type { DialogNo, Millis, PackageName } from "../vocabulary.ts"
import { clockOf, withClockSetBack } from "./clock.ts"
import { withNumberTaken } from "./dialog-numbers.ts"
import type {
  Decision,
  Event,
  HardStateReplaced,
  RulesReplaced,
  RulesReviewed,
  WatcherDecided,
} from "./events.ts"
import { deferNotifications, issueNotifications } from "./evolve-notifications.ts"
import {
  createPublication,
  modifyPublication,
  refreshPublication,
  removePublication,
} from "./evolve-publications.ts"
import {
  changeStatus,
  createSubscription,
  endWaiting,
  refreshSubscription,
  rememberWatcher,
  switchSharingTag,
  terminateSubscription,
} from "./evolve-subscriptions.ts"
import { nothingDropped, withDocumentsDropped, withLogDropped, withPersonErased } from "./retention.ts"
import type { SharingTagSet } from "./sharing-tag-events.ts"
import { isEmpty, isKnown, verdictKey } from "./state.ts"
import type { Dialog, State } from "./state.ts"
import type { RemoteTargetChanged } from "./target-events.ts"
import {
  withAddress,
  withAnswers,
  withDialog,
  withDoubt,
  withSilence,
  withTarget,
  withUnsent,
} from "./targets.ts"

/**
 * The state after one decision. O(its events), or O(subscriptions) where it notifies all active ones.
 *
 * Throws an Error that names stream, version and event when the decision says what cannot be.
 */
export const fold = (state: State, decision: Pick<Decision, "events" | "at" | "version">): State => {
  const { events, version } = decision
  const before = stateBefore(state, version)
  const now = clockOf(decision)
  let after = before
  let index = 0
  try {
    for (; index < events.length; index++) after = evolve(after, events[index]!, now)
  } catch (cause) {
    const place = `${state.presentity} version ${version}, event ${index + 1} of ${events.length} (${events[index]!._tag})`
    throw new Error(`${place}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
  return closed(before, after, decision)
}

/**
 * The state that the decision of this version is folded on.
 *
 * Where decisions before it are missing, as when the oldest part of a log was dropped, nobody knows what they did.
 */
export const stateBefore = (state: State, version: number): State =>
  version === state.version + 1 || !Number.isInteger(version)
    ? state
    : { ...state, version: version - 1, isIncomplete: true }

/** `fold` where the state after all events is known. */
export const closed = (
  state: State,
  next: State,
  decision: Pick<Decision, "events" | "at" | "version">,
): State => {
  // of nothing only the version is known, however it came about
  const watchersChangedIn = isEmpty(next) ? emptyTable<PackageName, number>() : next.watchersChangedIn
  const decidedAt = Math.max(state.decidedAt, decision.at)
  return {
    ...next,
    watchersChangedIn,
    version: decision.version,
    decidedAt,
    behind: decision.at - clockOf(decision),
  }
}

/** The state after one event that was decided when it was `at` by the clock. */
export const evolve = (state: State, event: Event, at: Millis): State => {
  switch (event._tag) {
    case "PublicationCreated":
      return createPublication(state, event, at)
    case "PublicationModified":
      return modifyPublication(state, event, at)
    case "PublicationRefreshed":
      return refreshPublication(state, event)
    case "PublicationRemoved":
      return removePublication(state, event)
    case "HardStateReplaced":
      return replaceHardState(state, event)
    case "SubscriptionCreated":
      return createSubscription(state, event, at)
    case "SubscriptionRefreshed":
      return refreshSubscription(state, event, at)
    case "SubscriptionStatusChanged":
      return changeStatus(state, event)
    case "SubscriptionTerminated":
      return terminateSubscription(state, event, at)
    case "WatcherRemembered":
      return rememberWatcher(state, event, at)
    case "WaitingEnded":
      return endWaiting(state, event)
    case "RulesReplaced":
      return replaceRules(state, event)
    case "RulesReviewed":
      return reviewRules(state, event)
    case "WatcherDecided":
      return decideWatcher(state, event)
    case "SharingTagSet":
      return setSharingTag(state, event)
    case "SharingTagSwitched":
      return switchSharingTag(state, event)
    case "RemoteTargetChanged":
      return changeTarget(state, event)
    case "TargetDoubted":
      return changeDialog(state, event.dialog, (dialog) => withDoubt(dialog, event.room, event.reach))
    case "TargetProven":
      return changeDialog(state, event.dialog, (dialog) => withAddress(dialog, event.address))
    case "NotificationsIssued":
      return issueNotifications(state, event, at)
    case "NotificationsDeferred":
      return deferNotifications(state, event, at)
    case "NotificationFailed":
      return withSilence(withUnsent(state, event), event)
    case "TargetsFailed":
      return state
    case "NotificationsAccepted":
      return withAnswers(state, event)
    case "FarewellRepeated":
      return withNumberTaken(state, event.start, event.cseq)
    case "ClockSetBack":
      return withClockSetBack(state, event, at)
    case "LogDropped":
      return { ...state, retained: withLogDropped(state.retained ?? nothingDropped, event) }
    case "DocumentsDropped":
      return { ...state, retained: withDocumentsDropped(state.retained ?? nothingDropped, event) }
    case "PersonErased":
      return { ...state, retained: withPersonErased(state.retained ?? nothingDropped, event.standIn) }
    default:
      return unreachable(event)
  }
}

const setSharingTag = (state: State, { tag, role, epoch }: SharingTagSet): State => ({
  ...state,
  sharingTags: set(state.sharingTags, tag, { tag, role, epoch }),
})

const replaceHardState = (state: State, { packageName, body }: HardStateReplaced): State => {
  const { hardState } = state
  return {
    ...state,
    hardState: body === null ? remove(hardState, packageName) : set(hardState, packageName, body),
  }
}

const replaceRules = (state: State, { packageName, rules, boundaryAt }: RulesReplaced): State => ({
  ...state,
  rules:
    rules === null
      ? remove(state.rules, packageName)
      : set(state.rules, packageName, { body: rules, replacedIn: state.version + 1, boundaryAt }),
})

const reviewRules = (state: State, { packageName, boundaryAt }: RulesReviewed): State => {
  const rules = get(state.rules, packageName)
  if (!isKnown(state, rules, "rules that are reviewed are in force")) return state
  return { ...state, rules: set(state.rules, packageName, { ...rules, boundaryAt }) }
}

const decideWatcher = (state: State, { packageName, watcher, handling }: WatcherDecided): State => {
  const key = verdictKey(packageName, watcher)
  const verdicts =
    handling === null
      ? remove(state.verdicts, key)
      : set(state.verdicts, key, { packageName, watcher, handling })
  return { ...state, verdicts }
}

const changeTarget = (
  state: State,
  { dialog: no, remoteTarget, room, arrival }: RemoteTargetChanged,
): State => changeDialog(state, no, (dialog) => withTarget(dialog, remoteTarget, room, arrival))

const changeDialog = (state: State, no: DialogNo, change: (dialog: Dialog) => Dialog): State => {
  const dialog = get(state.dialogs, no)
  if (!isKnown(state, dialog, "a dialog whose target changes has a subscription in it")) return state
  return withDialog(state, change(dialog))
}
