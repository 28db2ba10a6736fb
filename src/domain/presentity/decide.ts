/**
 * One switch from command to handler; what every decision about watchers has in common comes after it.
 */
import type { EventPackage } from "../packages/event-package.ts"
import { entries, get } from "../table.ts"
import { unreachable } from "../vocabulary.ts"
import { abandon } from "./abandon.ts"
import { adoptPublication, adoptSubscription, adoptWatcher } from "./adopt.ts"
import { decideWatcher, refreshWatchers, replaceRules } from "./authorize.ts"
import { followClock } from "./clock.ts"
import type { Command } from "./commands.ts"
import type { Context } from "./context.ts"
import { done } from "./decision.ts"
import type { Consequences, Outcome } from "./decision.ts"
import { erase } from "./erase.ts"
import { fallDue } from "./fall-due.ts"
import { repeatFarewells } from "./farewell.ts"
import type { Event } from "./events.ts"
import { setHardState } from "./hard-state.ts"
import { setSharingTag, switchSharingTag } from "./sharing-tags.ts"
import { applyPolicies } from "./apply-policies.ts"
import { acceptedEvent } from "./delivery-acks.ts"
import { changeNotifications, redeliver, reportDelivery } from "./notify.ts"
import { publish } from "./publish.ts"
import { statesAfter } from "./evolve.ts"
import { templateOf } from "./state.ts"
import type { State } from "./state.ts"
import { resubscribe, subscribe } from "./subscribe.ts"
import { terminate } from "./terminate.ts"
import { withAnswers } from "./targets.ts"
import { liveArguments } from "./view.ts"
import { withhold } from "./withhold.ts"

/**
 * What follows from a command: events to store and the answer that goes with them.
 *
 * Deterministic, total, leaves `state` as it is. Whatever was due before `context.now` must have been decided first
 * (`FallDue`); the engine sees to that. Only `ApplyPolicies` goes before it: nothing may be told by time to those who may not
 * watch any more.
 */
export const decide = (state: State, command: Command, context: Context): Outcome =>
  consider(state, command, context).outcome

/** `decide`, with the states that it had to compute: so whoever goes on from them need not do it again. */
export const consider = (state: State, command: Command, context: Context): Consequences => {
  const known = withAnswer(state, command)
  const considered = withhold(known, command, consequences(known, command, context), context)
  if (known === state) return considered
  const { outcome } = considered
  return { outcome, states: statesAfter(state, outcome.events, context.now) }
}

/** What a 2xx proves holds already for what follows from it, whenever it is written down. */
const withAnswer = (state: State, command: Command): State =>
  command._tag === "ReportDelivery" && command.outcome._tag === "Accepted"
    ? withAnswers(state, { _tag: "NotificationsAccepted", of: [command.no, command.cseq, 0] })
    : state

const consequences = (state: State, command: Command, context: Context): Consequences => {
  const outcome = handle(state, command, context)
  const handled = { outcome, states: statesAfter(state, outcome.events, context.now) }
  // whoever sees subscriptions has been told of these by the server they come from
  if (command._tag === "AdoptSubscription" || command._tag === "AdoptWatcher") return handled
  if (command._tag === "Erase" && command.silent) return handled
  return notifyWatcherInfo(state, notifyComposedPackages(state, handled, context), context)
}

const withTold = (
  state: State,
  { outcome, states }: Consequences,
  told: readonly Event[],
  { now }: Context,
): Consequences => ({
  outcome: { ...outcome, events: [...outcome.events, ...told] },
  states: [...states, ...statesAfter(states.at(-1) ?? state, told, now)],
})

const handle = (state: State, command: Command, context: Context): Outcome => {
  switch (command._tag) {
    case "Publish":
      return publish(state, command, context)
    case "Subscribe":
      return subscribe(state, command, context)
    case "Resubscribe":
      return resubscribe(state, command, context)
    case "ReplaceRules":
      return replaceRules(state, command, context)
    case "RefreshWatchers":
      return refreshWatchers(state, command, context)
    case "ApplyPolicies":
      return applyPolicies(state, context)
    case "DecideWatcher":
      return decideWatcher(state, command, context)
    case "SetSharingTag":
      return setSharingTag(state, command)
    case "SwitchSharingTag":
      return switchSharingTag(state, command, context)
    case "SetHardState":
      return setHardState(state, command, context)
    case "Terminate":
      return terminate(state, command)
    case "Erase":
      return erase(state, command)
    case "AdoptPublication":
      return adoptPublication(state, command, context)
    case "AdoptSubscription":
      return adoptSubscription(state, command, context)
    case "AdoptWatcher":
      return adoptWatcher(state, command, context)
    case "FallDue":
      return fallDue(state, context)
    case "ReportDelivery":
      return reportDelivery(state, command, context)
    case "RecordDeliveries":
      return done([acceptedEvent(command.accepted, context.now)])
    case "Redeliver":
      return redeliver(state, command, context)
    case "FollowClock":
      return followClock(state, command, context)
    case "RepeatFarewells":
      return repeatFarewells(state, command, context)
    case "Abandon":
      return abandon(state, command)
    default:
      return unreachable(command)
  }
}

/**
 * Adds the NOTIFYs of packages in which the subscriptions that began, ended or changed show.
 *
 * O(events) for decisions without such subscriptions; O(watchers) for those with.
 */
const notifyComposedPackages = (state: State, consequences: Consequences, context: Context): Consequences => {
  const { outcome, states } = consequences
  const touched = new Set<EventPackage>()
  for (const event of outcome.events) {
    if (!("no" in event)) continue
    const packageName =
      event._tag === "SubscriptionCreated"
        ? event.packageName
        : get(state.subscriptions, event.no)?.packageName
    if (packageName !== undefined)
      for (const eventPackage of context.packages.composing(packageName)) touched.add(eventPackage)
  }
  if (touched.size === 0) return consequences
  const after = states.at(-1) ?? state
  const told: Event[] = []
  for (const eventPackage of touched) {
    const [was, is] = [state, after].map((one) => liveArguments(one, eventPackage.composesFrom))
    if (JSON.stringify(was) !== JSON.stringify(is))
      told.push(...changeNotifications(state, after, eventPackage, context, null))
  }
  return told.length === 0 ? consequences : withTold(state, consequences, told, context)
}

/**
 * Adds the NOTIFYs of watcher information to a decision that changed who watches (RFC 3857 §4.7.2).
 *
 * O(1) for decisions that do not; O(watchers) for those that do.
 */
const notifyWatcherInfo = (state: State, consequences: Consequences, context: Context): Consequences => {
  const { outcome, states } = consequences
  if (!outcome.events.some(concernsWatchers)) return consequences
  const after = states.at(-1) ?? state
  const told: Event[] = []
  for (const [packageName, changedIn] of entries(after.watchersChangedIn)) {
    if (changedIn !== state.version + 1 || get(state.watchersChangedIn, packageName) === changedIn) continue
    const template = context.packages.find(templateOf(packageName))
    if (template !== null) told.push(...changeNotifications(state, after, template, context, null))
  }
  return told.length === 0 ? consequences : withTold(state, consequences, told, context)
}

const concernsWatchers = (event: Event): boolean =>
  event._tag === "SubscriptionCreated" ||
  event._tag === "SubscriptionStatusChanged" ||
  (event._tag === "SubscriptionRefreshed" && event.private !== undefined) ||
  event._tag === "SubscriptionTerminated" ||
  event._tag === "WaitingEnded"
