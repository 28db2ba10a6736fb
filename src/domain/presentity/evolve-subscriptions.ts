/**
 * How events change who watches: subscriptions, their dialogs, watchers that wait for a decision, and those that are gone.
 */
import { privacyOf } from "../privacy.ts"
import { get, remove, set, setAll, size, values } from "../table.ts"
import type { Millis, PackageName, SubscriptionNo } from "../vocabulary.ts"
import type {
  SubscriptionCreated,
  SubscriptionRefreshed,
  SubscriptionStatusChanged,
  SubscriptionTerminated,
  WaitingEnded,
  WatcherRemembered,
} from "./events.ts"
import { repaced } from "./pace.ts"
import type { SharingTagSwitched } from "./sharing-tag-events.ts"
import { isKnown, isTemplate, templateOf } from "./state.ts"
import type { Dialog, State, Subscription, TerminatedWatcher } from "./state.ts"
import { proofAtStart, spent, withDialog, withTarget, withoutDialog } from "./targets.ts"

export const createSubscription = (state: State, event: SubscriptionCreated, at: Millis): State => {
  const dialog = dialogOf(state, event)
  if (!isKnown(state, dialog, "a subscription begins in a dialog that is there")) return state
  const began = { ...dialog, remoteCseq: event.remoteCseq, usages: dialog.usages + 1 }
  return {
    ...withDialog(state, began),
    winfoSubscriptions: state.winfoSubscriptions + (isTemplate(event.packageName) ? 1 : 0),
    // one that is over within its decision, a fetch, is not seen in between (RFC 3857 §4.7.2)
    watchersChangedIn: event.expiresAt > at ? changed(state, event.packageName) : state.watchersChangedIn,
    subscriptions: set(state.subscriptions, event.no, begun(event, dialog, state.version + 1, at)),
  }
}

/** The dialog that a subscription begins, or joins. */
const dialogOf = (
  state: State,
  { dialog, start, takenOver, remoteCseq }: SubscriptionCreated,
): Dialog | undefined => {
  if (start === null) return get(state.dialogs, dialog)
  const localCseq = takenOver?.localCseq ?? 0
  const begins: Dialog = {
    no: dialog,
    start,
    remoteTarget: start.remoteTarget,
    remoteCseq,
    localCseq,
    usages: 0,
  }
  return start.room === undefined ? begins : { ...begins, ...proofAtStart(start, localCseq) }
}

const begun = (event: SubscriptionCreated, dialog: Dialog, version: number, at: Millis): Subscription => {
  const { takenOver } = event
  const subscription: Writable<Subscription> = {
    no: event.no,
    packageName: event.packageName,
    eventId: event.eventId,
    watcher: event.watcher,
    status: event.status,
    polite: event.polite,
    matched: event.matched,
    forced: event.forced === true,
    event: "subscribe",
    changedIn: version,
    createdAt: takenOver?.createdAt ?? at,
    expiresAt: event.expiresAt,
    giveUpAt: event.giveUpAt,
    dialog: dialog.no,
    notified: takenOver?.notified ?? 0,
    shown: "",
    spared: false,
    // what another server has sent is not for us to repeat
    issuedAt: takenOver === undefined ? at : 0,
    toldIn: takenOver === undefined || takenOver.localCseq === 0 ? 0 : version,
    pacedAt: 0,
    heardAt: dialog.localCseq,
    dueAt: null,
    dormant: event.dormant === true,
    rates: event.rates ?? null,
    repeatAt: null,
    recent: noTimes,
  }
  // what most have none of comes last, and always in this order: few shapes, and nothing is kept for what is not there
  if (event.argument !== undefined) subscription.argument = event.argument
  if (event.needs !== undefined) subscription.needs = event.needs
  if (event.accept !== undefined) subscription.accept = event.accept
  if (event.sharingTag !== undefined) subscription.sharingTag = event.sharingTag
  if (event.parked !== undefined) subscription.parked = event.parked
  if (event.private === true) subscription.private = true
  if (event.policy !== undefined) subscription.policy = event.policy
  if (event.unread !== undefined) subscription.unread = event.unread
  if (event.unsolicited !== undefined) subscription.unsolicited = event.unsolicited
  return subscription
}

/** Being made: nobody has it yet. */
type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

/** Shared by all whose pace counts none. */
const noTimes: readonly Millis[] = []

export const refreshSubscription = (state: State, event: SubscriptionRefreshed, at: Millis): State => {
  const subscription = get(state.subscriptions, event.no)
  if (!isKnown(state, subscription, "a subscription that is refreshed is there")) return state
  const dialog = get(state.dialogs, subscription.dialog)
  if (!isKnown(state, dialog, "a subscription has a dialog")) return state
  const refreshed = { ...dialog, remoteCseq: event.remoteCseq }
  const next = withDialog(state, withTarget(refreshed, event.remoteTarget, event.room, event.arrival))
  const taken = needing(taking(subscription, event.accept), event.needs)
  const renewed: Writable<Subscription> = {
    ...(event.private === undefined ? taken : named(taken, event.private, state.version + 1)),
    expiresAt: event.expiresAt,
    heardAt: dialog.localCseq,
    dormant: event.dormant ?? subscription.dormant,
  }
  if (event.rates !== undefined) Object.assign(renewed, repaced(subscription, event.rates, at))
  if (event.argument !== undefined) renewed.argument = event.argument
  if (event.needs != null) renewed.needs = event.needs
  if (event.accept != null) renewed.accept = event.accept
  return {
    ...next,
    // others are told under which name it goes from now on
    watchersChangedIn:
      event.private === undefined ? next.watchersChangedIn : changed(state, subscription.packageName),
    subscriptions: set(state.subscriptions, event.no, renewed),
  }
}

/** Without what it took before, when it takes other media types from now on. */
const taking = (subscription: Subscription, accept: readonly string[] | null | undefined): Subscription => {
  if (accept === undefined || subscription.accept === undefined) return subscription
  const { accept: _, ...kept } = subscription
  return kept
}

/** Without what its phone needed before, when it needs something else from now on. */
const needing = (subscription: Subscription, needs: string | null | undefined): Subscription => {
  if (needs === undefined || subscription.needs === undefined) return subscription
  const { needs: _, ...kept } = subscription
  return kept
}

const named = (subscription: Subscription, isPrivate: boolean, changedIn: number): Subscription => {
  const { private: _, ...kept } = subscription
  return isPrivate ? { ...kept, private: true, changedIn } : { ...kept, changedIn }
}

export const changeStatus = (state: State, event: SubscriptionStatusChanged): State => {
  const subscription = get(state.subscriptions, event.no)
  if (!isKnown(state, subscription, "a subscription whose status changes is there")) return state
  const { status, polite, matched, giveUpAt } = event
  const isTransition = status !== subscription.status
  const { policy: _policy, unread: _unread, ...kept } = subscription
  return {
    ...state,
    watchersChangedIn: isTransition ? changed(state, subscription.packageName) : state.watchersChangedIn,
    subscriptions: set(state.subscriptions, event.no, {
      ...kept,
      status,
      polite,
      matched,
      forced: event.forced === true,
      ...(event.policy === undefined ? {} : { policy: event.policy }),
      ...(event.unread === undefined ? {} : { unread: event.unread }),
      giveUpAt,
      repeatAt: status === "active" ? subscription.repeatAt : null,
      // back to pending has no event of its own (RFC 3858 §3): the only one that leads there is subscribe
      event: !isTransition ? subscription.event : status === "active" ? "approved" : "subscribe",
      changedIn: isTransition ? state.version + 1 : subscription.changedIn,
    }),
  }
}

export const terminateSubscription = (state: State, event: SubscriptionTerminated, at: Millis): State => {
  const { no, silent, waitsUntil } = event
  const subscription = get(state.subscriptions, no)
  if (!isKnown(state, subscription, "a subscription that ends is there")) return state
  const { packageName, watcher, eventId, createdAt, expiresAt } = subscription
  const version = state.version + 1
  const next = withoutSubscription(state, subscription, silent)
  const watching = { no, packageName, watcher, ...privacyOf(subscription), createdAt, changedIn: version }
  if (waitsUntil !== null) {
    return {
      ...next,
      watchersChangedIn: changed(state, packageName),
      waiting: set(next.waiting, no, { ...watching, eventId, since: at, giveUpAt: waitsUntil }),
    }
  }
  const told = isTemplate(packageName) ? forgetDeparted(next) : next
  // a fetch: it began in this decision, and not to stay
  if (subscription.changedIn === version && expiresAt <= at && subscription.notified === 0) return told
  // RFC 3857 has no event for a NOTIFY that failed: nobody decided on a pending one, an active one timed out
  const ending = silent && subscription.status === "pending" ? "giveup" : event.reason
  return rememberTerminated(told, { ...watching, event: ending })
}

/** A dialog ends with the last subscription in it; the last NOTIFY takes a number of it. */
const withoutSubscription = (
  state: State,
  { no, packageName, dialog: dialogNo }: Subscription,
  silent: boolean,
): State => {
  const next = {
    ...state,
    subscriptions: remove(state.subscriptions, no),
    winfoSubscriptions: state.winfoSubscriptions - (isTemplate(packageName) ? 1 : 0),
  }
  const dialog = get(state.dialogs, dialogNo)
  if (!isKnown(state, dialog, "a subscription has a dialog")) return next
  const usages = dialog.usages - 1
  if (usages <= 0) return withoutDialog(next, dialog.no)
  const left = { ...dialog, usages, localCseq: silent ? dialog.localCseq : dialog.localCseq + 1 }
  return withDialog(next, silent ? left : spent(left))
}

export const rememberWatcher = (state: State, event: WatcherRemembered, at: Millis): State => {
  const { no, packageName, watcher, createdAt, giveUpAt } = event
  const changedIn = state.version + 1
  return {
    ...state,
    watchersChangedIn: changed(state, packageName),
    waiting: set(state.waiting, no, {
      no,
      packageName,
      eventId: null,
      watcher,
      createdAt,
      since: at,
      giveUpAt,
      changedIn,
    }),
  }
}

export const endWaiting = (state: State, { no, event }: WaitingEnded): State => {
  const waiting = get(state.waiting, no)
  if (!isKnown(state, waiting, "a watcher that waits no more was waiting")) return state
  const { packageName, watcher, createdAt } = waiting
  return rememberTerminated(
    { ...state, waiting: remove(state.waiting, no) },
    { no, packageName, watcher, ...privacyOf(waiting), createdAt, event, changedIn: state.version + 1 },
  )
}

export const switchSharingTag = (state: State, { tag, role }: SharingTagSwitched): State => {
  const switched = [...values(state.subscriptions)].filter(({ sharingTag }) => sharingTag === tag)
  return {
    ...state,
    subscriptions: setAll(
      state.subscriptions,
      switched.map((subscription): [SubscriptionNo, Subscription] => {
        const { parked: _, ...kept } = subscription
        return [kept.no, role === "backup" ? { ...kept, parked: true } : kept]
      }),
    ),
  }
}

/** Remembers who is gone for as long as a winfo subscription has not been told. */
const rememberTerminated = (state: State, watcher: TerminatedWatcher): State => ({
  ...state,
  watchersChangedIn: changed(state, watcher.packageName),
  departed: isWatched(state, templateOf(watcher.packageName))
    ? set(state.departed, watcher.no, watcher)
    : state.departed,
})

/** Whoever is gone is forgotten once every winfo subscription that knew of it has been told. */
export const forgetDeparted = (state: State): State => {
  if (size(state.departed) === 0) return state
  /** By template: the decision up to which its least informed subscription has been told. */
  const told = new Map<PackageName, number>()
  for (const { packageName, toldIn } of values(state.subscriptions)) {
    if (isTemplate(packageName)) {
      told.set(packageName, Math.min(told.get(packageName) ?? toldIn, toldIn))
    }
  }
  let { departed } = state
  for (const { no, packageName, changedIn } of values(state.departed)) {
    const until = told.get(templateOf(packageName))
    if (until === undefined || until >= changedIn) departed = remove(departed, no)
  }
  return departed === state.departed ? state : { ...state, departed }
}

const changed = (state: State, packageName: PackageName): State["watchersChangedIn"] =>
  set(state.watchersChangedIn, packageName, state.version + 1)

const isWatched = (state: State, packageName: PackageName): boolean => {
  if (state.winfoSubscriptions === 0) return false
  for (const subscription of values(state.subscriptions))
    if (subscription.packageName === packageName) return true
  return false
}
