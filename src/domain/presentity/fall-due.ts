/**
 * Time as a command: what is overdue at `now`, and the events that follow from it.
 *
 * Publications end first, then rules that time has changed are applied, then subscriptions and waiting watchers end, then
 * the remaining watchers are told, each once; last come those who want to hear something now and then.
 */
import { entries, values } from "../table.ts"
import type { SubscriptionNo } from "../vocabulary.ts"
import { reviewDue, reviewSphere } from "./authorize.ts"
import type { Context } from "./context.ts"
import { done } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import type { Event } from "./events.ts"
import { allowedAt } from "./pace.ts"
import { changeNotifications, mixedNotifications, notifyOne, viewFor } from "./notify.ts"
import { evolve } from "./evolve.ts"
import type { State, Subscription } from "./state.ts"
import { supersededBy, timedOut } from "./subscribe.ts"

/**
 * Ends what has reached its deadline, sends what was held back until now, and repeats where a watcher wants that.
 *
 * @source RFC 3903 §4.2 (publications), RFC 3265 §3.1.6.4 (subscriptions), RFC 3856 §6.10 (held NOTIFYs), RFC 6446 §6
 * @returns no events when nothing is due: a deadline may have moved since it was noted
 */
export const fallDue = (state: State, context: Context): Outcome => {
  const events: Event[] = []
  let after = state
  const add = (event: Event): void => {
    events.push(event)
    after = evolve(after, event, context.now)
  }

  const changed = new Set<string>()
  for (const [packageName, publications] of entries(state.publications)) {
    const expired = [...values(publications)].filter((one) => one.expiresAt <= context.now)
    for (const one of expired.sort((a, b) => a.createdIn - b.createdIn)) {
      changed.add(packageName)
      add({ _tag: "PublicationRemoved", packageName, entityTag: one.entityTag, cause: "expired" })
    }
  }

  for (const packageName of [...changed].sort()) {
    const eventPackage = context.packages.find(packageName)
    if (eventPackage !== null)
      for (const event of reviewSphere(state, after, eventPackage, context)) add(event)
  }
  for (const event of reviewDue(after, context)) add(event)

  for (const one of servedHere(after)) {
    if (one.expiresAt <= context.now) {
      for (const event of supersededBy(after, one, one.status)) add(event)
      const end = timedOut(after, one, context)
      const isToldSo = context.packages.find(one.packageName)?.notifiesTimeout !== false
      add(isToldSo ? end : { ...end, silent: true })
    } else if (one.giveUpAt !== null && one.giveUpAt <= context.now) {
      add({
        _tag: "SubscriptionTerminated",
        no: one.no,
        reason: "giveup",
        silent: false,
        waitsUntil: null,
      })
    }
  }
  for (const one of [...values(after.waiting)].sort((a, b) => a.no - b.no)) {
    if (one.giveUpAt <= context.now) add({ _tag: "WaitingEnded", no: one.no, event: "giveup" })
  }

  for (const packageName of [...changed].sort()) {
    const eventPackage = context.packages.find(packageName)
    if (eventPackage === null) continue
    for (const event of changeNotifications(state, after, eventPackage, context, null)) add(event)
    for (const event of mixedNotifications(state, after, eventPackage, context)) add(event)
  }

  const idle: SubscriptionNo[] = []
  for (const one of servedHere(after)) {
    if (one.dueAt === null || one.dueAt > context.now) continue
    const eventPackage = context.packages.find(one.packageName)
    const view = eventPackage === null ? null : viewFor(after, one, eventPackage)
    // nothing to say any more, or the NOTIFY on its way will bring the rest about when it ends
    if (view === null || view.digest === one.shown || one.dormant || context.inFlight(one.no))
      idle.push(one.no)
    else {
      // the watcher may have asked for a slower pace since
      const from = eventPackage === null ? context.now : allowedAt(one, eventPackage, context.limits)
      if (from <= context.now) add(notifyOne(one, view, "change"))
      else add({ _tag: "NotificationsDeferred", to: [one.no], until: from, undelivered: false })
    }
  }

  for (const one of servedHere(after)) {
    if (one.repeatAt === null || one.repeatAt > context.now) continue
    const eventPackage = context.packages.find(one.packageName)
    if (eventPackage !== null && !one.dormant && !context.inFlight(one.no))
      add(notifyOne(one, viewFor(after, one, eventPackage), "rate"))
    // it sleeps, or the last one has no answer yet: this one is left out
    else add({ _tag: "NotificationsDeferred", to: [one.no], until: one.dueAt, undelivered: false })
  }
  if (idle.length > 0) {
    add({ _tag: "NotificationsDeferred", to: idle, until: null, undelivered: false })
  }
  return done(events)
}

const servedHere = (state: State): readonly Subscription[] =>
  [...values(state.subscriptions)].filter((one) => one.parked !== true).sort((a, b) => a.no - b.no)
