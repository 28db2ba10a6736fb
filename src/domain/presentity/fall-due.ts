/**
 * Time as a command: what is overdue at `now`, and the events that follow from it.
 *
 * Publications expire first; then rules that have changed with time are applied; then subscriptions and waiting
 * watchers expire; then the remaining watchers are notified, each once. Minimum-rate NOTIFYs come last.
 */
import type { EventPackage } from "../packages/event-package.ts"
import { entries, values } from "../table.ts"
import type { PackageName, SubscriptionNo } from "../vocabulary.ts"
import { reviewDue, reviewSphere } from "./authorize.ts"
import type { Answer } from "./commands.ts"
import type { Context } from "./context.ts"
import { isDone } from "./decision.ts"
import { changeNotifications, mixedNotifications, notifyOne, viewFor } from "./notify.ts"
import { allowedAt } from "./pace.ts"
import { byNo, isServedHere } from "./state.ts"
import type { State, Subscription } from "./state.ts"
import { add, addAll } from "./transition.ts"
import type { Draft } from "./transition.ts"
import { supersededBy, timedOut } from "./waiting.ts"

/**
 * Expires what has reached its deadline, sends what was deferred until now, and repeats NOTIFYs to watchers that want a
 * minimum rate.
 *
 * Adds no events if nothing is due: a deadline may have moved since it was noted.
 *
 * @source RFC 3903 §4.2 (publications), RFC 3265 §3.1.6.4 (subscriptions), RFC 3856 §6.10 (deferred NOTIFYs), RFC 6446
 *   §6
 */
export const fallDue = (draft: Draft, context: Context): Answer => {
  const before = draft.after
  const changed = endPublications(draft, context)
  for (const eventPackage of changed) reviewSphere(before, draft, eventPackage, context)
  reviewDue(draft, context)
  endSubscriptions(draft, context)
  endWaiting(draft, context)
  for (const eventPackage of changed) {
    addAll(draft, changeNotifications(before, draft.after, eventPackage, context))
    addAll(draft, mixedNotifications(before, draft.after, eventPackage, context))
  }
  const idle = sendDeferred(draft, context)
  repeat(draft, context)
  if (idle.length > 0) add(draft, deferred(idle, null))
  return isDone
}

/** @returns the packages whose publications have expired, by name */
const endPublications = (draft: Draft, { now, packages }: Context): readonly EventPackage[] => {
  const changed = new Set<PackageName>()
  for (const [packageName, publications] of entries(draft.after.publications)) {
    const expired = [...values(publications)].filter(({ expiresAt }) => expiresAt <= now)
    for (const { entityTag } of expired.sort((left, right) => left.createdIn - right.createdIn)) {
      changed.add(packageName)
      add(draft, { _tag: "PublicationRemoved", packageName, entityTag, cause: "expired" })
    }
  }
  return [...changed].sort().flatMap((packageName) => packages.find(packageName) ?? [])
}

const endSubscriptions = (draft: Draft, context: Context): void => {
  for (const subscription of allServedHere(draft.after)) {
    const { no: id, packageName, status, expiresAt, giveUpAt } = subscription
    if (expiresAt <= context.now) {
      addAll(draft, supersededBy(draft.after, subscription, status))
      const end = timedOut(draft.after, subscription, context)
      const isTold = context.packages.find(packageName)?.notifiesTimeout !== false
      add(draft, isTold ? end : { ...end, silent: true })
    } else if (giveUpAt !== null && giveUpAt <= context.now) {
      add(draft, {
        _tag: "SubscriptionTerminated",
        no: id,
        reason: "giveup",
        silent: false,
        waitsUntil: null,
      })
    }
  }
}

const endWaiting = (draft: Draft, { now }: Context): void => {
  for (const { no: id, giveUpAt } of [...values(draft.after.waiting)].sort(byNo)) {
    if (giveUpAt <= now) add(draft, { _tag: "WaitingEnded", no: id, event: "giveup" })
  }
}

/**
 * Sends what was deferred until now.
 *
 * @returns the subscriptions for which nothing is left to send; one event at the end records that for all of them
 */
const sendDeferred = (draft: Draft, context: Context): readonly SubscriptionNo[] => {
  const { now, packages, limits, inFlight } = context
  const idle: SubscriptionNo[] = []
  for (const subscription of allServedHere(draft.after)) {
    const { no: id, dueAt } = subscription
    if (dueAt === null || dueAt > now) continue
    const eventPackage = packages.find(subscription.packageName)
    const view = eventPackage === null ? null : viewFor(draft.after, subscription, eventPackage)
    const isTold = view === null || view.digest === subscription.shown
    // there is nothing left to send, or the outcome of the NOTIFY under way will bring the rest
    if (eventPackage === null || isTold || subscription.dormant || inFlight(id)) {
      idle.push(id)
      continue
    }
    // the watcher may have asked for a lower rate since
    const from = allowedAt(subscription, eventPackage, limits)
    add(draft, from <= now ? notifyOne(subscription, view, "change") : deferred([id], from))
  }
  return idle
}

/** Repeats NOTIFYs to watchers that ask for them even if nothing has changed (RFC 6446 §6). */
const repeat = (draft: Draft, { now, packages, inFlight }: Context): void => {
  for (const subscription of allServedHere(draft.after)) {
    const { no: id, repeatAt } = subscription
    if (repeatAt === null || repeatAt > now) continue
    const eventPackage = packages.find(subscription.packageName)
    if (eventPackage !== null && !subscription.dormant && !inFlight(id))
      add(draft, notifyOne(subscription, viewFor(draft.after, subscription, eventPackage), "rate"))
    // the watcher is suspended, or the last NOTIFY has no response yet: this repetition is skipped
    else add(draft, deferred([id], subscription.dueAt))
  }
}

const deferred = (to: readonly SubscriptionNo[], until: number | null) =>
  ({ _tag: "NotificationsDeferred", to, until, undelivered: false }) as const

const allServedHere = (state: State): readonly Subscription[] =>
  [...values(state.subscriptions)].filter(isServedHere).sort(byNo)
