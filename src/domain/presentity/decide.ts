/**
 * One switch from commands to handlers, followed by what all decisions about watchers have in common.
 */
import type { EventPackage } from "../packages/event-package.ts"
import { entries, get } from "../table.ts"
import { unreachable } from "../vocabulary.ts"
import { abandon } from "./abandon.ts"
import { adoptPublication, adoptSubscription, adoptWatcher } from "./adopt.ts"
import { applyPolicies } from "./apply-policies.ts"
import { decideWatcher, refreshWatchers, replaceRules } from "./authorize.ts"
import { followClock } from "./clock.ts"
import type { Answer, Command } from "./commands.ts"
import type { Context } from "./context.ts"
import { decided, done } from "./decision.ts"
import type { Decided, Outcome } from "./decision.ts"
import { acceptedEvent } from "./delivery-acks.ts"
import { erase } from "./erase.ts"
import type { Event } from "./events.ts"
import { fallDue } from "./fall-due.ts"
import { repeatFarewells } from "./farewell.ts"
import { setHardState } from "./hard-state.ts"
import { changeNotifications, redeliver } from "./notify.ts"
import { publish } from "./publish.ts"
import { reportDelivery } from "./report-delivery.ts"
import { setSharingTag, switchSharingTag } from "./sharing-tags.ts"
import { templateOf } from "./state.ts"
import type { State } from "./state.ts"
import { resubscribe, subscribe } from "./subscribe.ts"
import { withAnswers } from "./targets.ts"
import { terminate } from "./terminate.ts"
import { addAll, begin, transitionOf } from "./transition.ts"
import type { Draft } from "./transition.ts"
import { liveArguments } from "./view.ts"
import { withhold } from "./withhold.ts"

/**
 * Decides one command: the events to store, and the answer that belongs to them.
 *
 * Deterministic and total; leaves `state` unchanged. Everything due before `context.now` must have been decided first
 * (`FallDue`), which the engine ensures. Only `ApplyPolicies` precedes that, because time must not cause a NOTIFY to
 * watchers that may no longer watch.
 */
export const decide = (state: State, command: Command, context: Context): Outcome => {
  const { events, answer } = consider(state, command, context)
  return { events, answer }
}

/** Like `decide`, with the state after each event, so that the caller need not compute these again. */
export const consider = (state: State, command: Command, context: Context): Decided => {
  const known = withAnswer(state, command)
  const draft = begin(known, context.now)
  const answer = handle(draft, command, context)
  if (!isKnownToWatchers(command)) {
    notifyComposedPackages(draft, context)
    notifyWatcherInfo(draft, context)
  }
  const kept = withhold(draft, answer, command, context)
  // what the response proves is not an event of this decision
  return known === state ? kept : decided(transitionOf(state, kept.events, context.now), kept.answer)
}

/** What a 2xx response proves holds for all that follows from it, whenever it is recorded. */
const withAnswer = (state: State, command: Command): State =>
  command._tag === "ReportDelivery" && command.outcome._tag === "Accepted"
    ? withAnswers(state, { _tag: "NotificationsAccepted", of: [command.no, command.cseq, 0] })
    : state

/**
 * Watchers of composed packages learned of these subscriptions from the server they come from, or must not be notified.
 */
const isKnownToWatchers = (command: Command): boolean =>
  command._tag === "AdoptSubscription" ||
  command._tag === "AdoptWatcher" ||
  (command._tag === "Erase" && command.silent)

const handle = (draft: Draft, command: Command, context: Context): Answer => {
  const state = draft.before
  switch (command._tag) {
    case "Publish":
      return publish(draft, command, context)
    case "Subscribe":
      return subscribe(draft, command, context)
    case "Resubscribe":
      return resubscribe(draft, command, context)
    case "ReplaceRules":
      return replaceRules(draft, command, context)
    case "RefreshWatchers":
      return refreshWatchers(draft, command, context)
    case "ApplyPolicies":
      return applyPolicies(draft, context)
    case "DecideWatcher":
      return decideWatcher(draft, command, context)
    case "SetSharingTag":
      return taken(draft, setSharingTag(state, command))
    case "SwitchSharingTag":
      return switchSharingTag(draft, command, context)
    case "SetHardState":
      return setHardState(draft, command, context)
    case "Terminate":
      return taken(draft, terminate(state, command))
    case "Erase":
      return taken(draft, erase(state, command))
    case "AdoptPublication":
      return adoptPublication(draft, command, context)
    case "AdoptSubscription":
      return taken(draft, adoptSubscription(state, command, context))
    case "AdoptWatcher":
      return taken(draft, adoptWatcher(state, command, context))
    case "FallDue":
      return fallDue(draft, context)
    case "ReportDelivery":
      return taken(draft, reportDelivery(state, command, context))
    case "RecordDeliveries":
      return taken(draft, done([acceptedEvent(command.accepted, context.now)]))
    case "Redeliver":
      return taken(draft, redeliver(state, command, context))
    case "FollowClock":
      return taken(draft, followClock(state, command, context))
    case "RepeatFarewells":
      return taken(draft, repeatFarewells(state, command, context))
    case "Abandon":
      return taken(draft, abandon(state, command))
    default:
      return unreachable(command)
  }
}

const taken = (draft: Draft, { events, answer }: Outcome): Answer => {
  addAll(draft, events)
  return answer
}

/**
 * Adds the NOTIFYs of packages whose documents show subscriptions, if any began, ended or changed.
 *
 * O(events) for decisions without such subscriptions; O(watchers) for those with.
 */
const notifyComposedPackages = (draft: Draft, context: Context): void => {
  const { before, after } = draft
  const touched = new Set<EventPackage>()
  for (const event of draft.events) {
    if (!("no" in event)) continue
    const packageName =
      event._tag === "SubscriptionCreated"
        ? event.packageName
        : get(before.subscriptions, event.no)?.packageName
    if (packageName !== undefined)
      for (const eventPackage of context.packages.composing(packageName)) touched.add(eventPackage)
  }
  for (const eventPackage of touched) {
    const [argumentsBefore, argumentsAfter] = [before, after].map((state) =>
      liveArguments(state, eventPackage.composesFrom),
    )
    if (JSON.stringify(argumentsBefore) !== JSON.stringify(argumentsAfter))
      addAll(draft, changeNotifications(before, after, eventPackage, context))
  }
}

/**
 * Adds the NOTIFYs of watcher information if the decision changed who watches (RFC 3857 §4.7.2).
 *
 * O(1) for decisions that did not; O(watchers) for those that did.
 */
const notifyWatcherInfo = (draft: Draft, context: Context): void => {
  if (!draft.events.some(concernsWatchers)) return
  const { before, after } = draft
  for (const [packageName, changedIn] of entries(after.watchersChangedIn)) {
    if (changedIn !== before.version + 1 || get(before.watchersChangedIn, packageName) === changedIn) continue
    const template = context.packages.find(templateOf(packageName))
    if (template !== null) addAll(draft, changeNotifications(before, after, template, context))
  }
}

const concernsWatchers = (event: Event): boolean =>
  event._tag === "SubscriptionCreated" ||
  event._tag === "SubscriptionStatusChanged" ||
  (event._tag === "SubscriptionRefreshed" && event.private !== undefined) ||
  event._tag === "SubscriptionTerminated" ||
  event._tag === "WaitingEnded"
