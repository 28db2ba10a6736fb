/**
 * How events of NOTIFYs change subscriptions and their dialogs.
 */
import { get, set, setAll } from "../table.ts"
import type { DialogNo, Millis, SubscriptionNo } from "../vocabulary.ts"
import type { NotificationsDeferred, NotificationsIssued } from "./events.ts"
import { forgetDeparted } from "./evolve-subscriptions.ts"
import { paced, repeatOf } from "./pace.ts"
import { audience, isKnown } from "./state.ts"
import type { Dialog, State, Subscription } from "./state.ts"
import { spent } from "./targets.ts"

/** Each subscription that is told takes the next CSeq of its dialog. O(subscriptions told). */
export const issueNotifications = (state: State, event: NotificationsIssued, at: Millis): State => {
  const { to, suppressed } = event
  // the usual case of one by one, and of a dialog with one subscription, makes no lists
  if (suppressed.length === 0 && to.length === 1 && to !== "active") return issueOne(state, event, to[0]!, at)
  const told = audience(state, event)
  const isWhole = to === "active" || told.length === to.length ? told : undefined
  isKnown(state, isWhole, "a subscription that is notified is there")
  const subscriptions: [SubscriptionNo, Subscription][] = []
  const dialogs: [DialogNo, Dialog][] = []
  let shared: Map<DialogNo, Dialog> | null = null
  for (const subscription of told) {
    const before: Dialog | undefined =
      shared?.get(subscription.dialog) ?? get(state.dialogs, subscription.dialog)
    if (!isKnown(state, before, "a subscription has a dialog")) continue
    const dialog = withNext(before)
    // more than one of its subscriptions may be told: each takes a number
    if (dialog.usages > 1) (shared ??= new Map()).set(dialog.no, dialog)
    else dialogs.push([dialog.no, dialog])
    subscriptions.push([subscription.no, notified(subscription, event, state.version + 1, at)])
  }
  for (const no of suppressed) {
    const subscription = get(state.subscriptions, no)
    if (isKnown(state, subscription, "a subscription that counts as told is there"))
      subscriptions.push([no, { ...subscription, shown: event.shown, spared: true, dueAt: null }])
  }
  return forgetDeparted({
    ...state,
    subscriptions: setAll(state.subscriptions, subscriptions),
    dialogs: setAll(state.dialogs, shared === null ? dialogs : [...dialogs, ...shared]),
  })
}

const issueOne = (state: State, event: NotificationsIssued, no: SubscriptionNo, at: Millis): State => {
  const subscription = get(state.subscriptions, no)
  if (!isKnown(state, subscription, "a subscription that is notified is there")) return forgetDeparted(state)
  const dialog = get(state.dialogs, subscription.dialog)
  if (!isKnown(state, dialog, "a subscription has a dialog")) return forgetDeparted(state)
  return forgetDeparted({
    ...state,
    subscriptions: set(state.subscriptions, no, notified(subscription, event, state.version + 1, at)),
    dialogs: set(state.dialogs, dialog.no, withNext(dialog)),
  })
}

/** The dialog in which one more NOTIFY was issued. */
const withNext = (dialog: Dialog): Dialog => {
  const next = { ...dialog, localCseq: dialog.localCseq + 1 }
  return next.proof === undefined ? next : spent(next)
}

const notified = (
  subscription: Subscription,
  { cause, withheld, bodiless, shown }: NotificationsIssued,
  toldIn: number,
  at: Millis,
): Subscription => {
  const isWithheld = withheld === true
  // a NOTIFY that shows nothing takes no number of a document
  const isCounted = subscription.status === "active" && bodiless !== true
  const next: Subscription = {
    ...subscription,
    notified: isCounted ? subscription.notified + 1 : subscription.notified,
    shown,
    spared: false,
    issuedAt: at,
    toldIn,
    pacedAt: cause === "change" && !isWithheld ? at : subscription.pacedAt,
    dueAt: null,
  }
  return subscription.rates === null || isWithheld ? next : { ...next, ...paced(subscription, at) }
}

export const deferNotifications = (
  state: State,
  { to, until, undelivered }: NotificationsDeferred,
  at: Millis,
): State => ({
  ...state,
  subscriptions: setAll(
    state.subscriptions,
    to.flatMap((no): [SubscriptionNo, Subscription][] => {
      const subscription = get(state.subscriptions, no)
      if (!isKnown(state, subscription, "a subscription whose NOTIFY waits is there")) return []
      const { repeatAt } = subscription
      const isMissed = repeatAt !== null && repeatAt <= at
      return [
        [
          no,
          {
            ...subscription,
            shown: undelivered ? "" : subscription.shown,
            dueAt: until,
            repeatAt: isMissed ? repeatOf(subscription, at) : repeatAt,
          },
        ],
      ]
    }),
  ),
})
