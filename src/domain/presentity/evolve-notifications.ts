/**
 * How events of NOTIFYs change subscriptions and their dialogs.
 */
import { get, setAll } from "../table.ts"
import type { DialogNo, Millis, SubscriptionNo } from "../vocabulary.ts"
import type { NotificationsDeferred, NotificationsIssued } from "./events.ts"
import { forgetDeparted } from "./evolve-subscriptions.ts"
import { paced, repeatOf } from "./pace.ts"
import { audience, isKnown } from "./state.ts"
import type { Dialog, State, Subscription } from "./state.ts"
import { spent } from "./targets.ts"

/** Each subscription that is told takes the next CSeq of its dialog. O(subscriptions told). */
export const issueNotifications = (state: State, event: NotificationsIssued, at: Millis): State => {
  const { shown, suppressed } = event
  const subscriptions: [SubscriptionNo, Subscription][] = []
  const dialogs = new Map<DialogNo, Dialog>()
  const told = audience(state, event)
  const isWhole = event.to === "active" || told.length === event.to.length ? told : undefined
  isKnown(state, isWhole, "a subscription that is notified is there")
  for (const subscription of told) {
    const dialog = dialogs.get(subscription.dialog) ?? get(state.dialogs, subscription.dialog)
    if (!isKnown(state, dialog, "a subscription has a dialog")) continue
    const next = { ...dialog, localCseq: dialog.localCseq + 1 }
    dialogs.set(dialog.no, next.proof === undefined ? next : spent(next))
    subscriptions.push([subscription.no, notified(subscription, event, state.version + 1, at)])
  }
  for (const no of suppressed) {
    const subscription = get(state.subscriptions, no)
    if (isKnown(state, subscription, "a subscription that counts as told is there"))
      subscriptions.push([no, { ...subscription, shown, spared: true, dueAt: null }])
  }
  return forgetDeparted({
    ...state,
    subscriptions: setAll(state.subscriptions, subscriptions),
    dialogs: setAll(state.dialogs, dialogs),
  })
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
  return {
    ...subscription,
    notified: isCounted ? subscription.notified + 1 : subscription.notified,
    shown,
    spared: false,
    issuedAt: at,
    toldIn,
    pacedAt: cause === "change" && !isWithheld ? at : subscription.pacedAt,
    dueAt: null,
    ...(subscription.rates === null || isWithheld ? {} : paced(subscription, at)),
  }
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
