/**
 * The last step of a decision: documents that are more than may be sent to where they would go stay here.
 *
 * It looks at the NOTIFYs that the decision stands for, as they would leave. Nothing to do, and nothing looked at, where all
 * targets are proven.
 */
import { get } from "../table.ts"
import type { DialogNo, SubscriptionNo } from "../vocabulary.ts"
import type { Command } from "./commands.ts"
import type { Context } from "./context.ts"
import { reject } from "./decision.ts"
import type { Consequences } from "./decision.ts"
import type { Event, NotificationsIssued } from "./events.ts"
import { statesAfter } from "./evolve.ts"
import type { Notify } from "./intents.ts"
import { react } from "./react.ts"
import type { Reaction } from "./react.ts"
import type { State } from "./state.ts"
import { isUnproven, octetsOf, withheldDigest } from "./targets.ts"

/** What becomes of a NOTIFY to where nothing is proven; `not at all`: an earlier one got no answer. */
type Fate = "without its document" | "not at all"

/**
 * The decision without the documents that may not leave: each of their subscriptions gets a NOTIFY without it, or none.
 *
 * @rejects TargetUnproven (403): what was to be fetched
 */
export const withhold = (
  state: State,
  command: Command,
  considered: Consequences,
  context: Context,
): Consequences => {
  const { outcome, states } = considered
  const { events } = outcome
  if (state.unproven === 0 && !(mayDoubt.has(command._tag) && events.some(bringsDoubt))) return considered
  if (!events.some(tells)) return considered
  const doubtful = doubtfulIn(state, events, states)
  if (doubtful.size === 0) return considered
  const fates = events.map(() => new Map<SubscriptionNo, Fate>())
  let isAny = false
  const reaction: Reaction = {
    packages: context.packages,
    limits: context.limits,
    only: (one) => doubtful.has(one.dialog),
    seen: (index, notify) => {
      const fate = fateOf(notify)
      if (fate === null) return
      fates[index]!.set(notify.no, fate)
      isAny = true
    },
  }
  react(state, events, states.at(-1)!, context.now, reaction, states)
  if (!isAny) return considered
  const isFetch = command._tag === "Subscribe" && events.some(({ _tag }) => _tag === "SubscriptionTerminated")
  if (
    isFetch &&
    events.some((event, index) => event._tag === "SubscriptionTerminated" && fates[index]!.size > 0)
  )
    return { outcome: reject({ _tag: "TargetUnproven", status: 403 }), states: [] }
  const kept = events.flatMap((event, index) => rewritten(event, fates[index]!))
  return { outcome: { ...outcome, events: kept }, states: statesAfter(state, kept, context.now) }
}

const mayDoubt: ReadonlySet<Command["_tag"]> = new Set([
  "Subscribe",
  "Resubscribe",
  "AdoptSubscription",
  "ReportDelivery",
])

const bringsDoubt = (event: Event): boolean => {
  switch (event._tag) {
    case "SubscriptionCreated":
      return event.start?.room !== undefined
    case "SubscriptionRefreshed":
    case "RemoteTargetChanged":
      return typeof event.room === "number"
    default:
      return event._tag === "TargetDoubted"
  }
}

const tells = (event: Event): boolean =>
  event._tag === "NotificationsIssued" || (event._tag === "SubscriptionTerminated" && !event.silent)

/** Dialogs that go, at some event of the decision, where nothing is proven. */
const doubtfulIn = (
  state: State,
  events: readonly Event[],
  states: readonly State[],
): ReadonlySet<DialogNo> => {
  const doubtful = new Set<DialogNo>()
  if (state.unproven > 0) {
    for (const [no, dialog] of state.dialogs) if (isUnproven(dialog)) doubtful.add(no)
  }
  events.forEach((event, index) => {
    if (!bringsDoubt(event)) return
    const after = states[index]!
    const no =
      "dialog" in event
        ? event.dialog
        : "no" in event
          ? get(after.subscriptions, event.no)?.dialog
          : undefined
    if (no !== undefined && isUnproven(get(after.dialogs, no))) doubtful.add(no)
  })
  return doubtful
}

const fateOf = ({ proof, body, headers }: Notify): Fate | null => {
  if (proof?._tag !== "Unproven") return null
  if (proof.spent === true) return "not at all"
  const octets = octetsOf(body, headers)
  return octets > 0 && octets > proof.room ? "without its document" : null
}

const rewritten = (event: Event, fates: ReadonlyMap<SubscriptionNo, Fate>): readonly Event[] => {
  if (fates.size === 0) return [event]
  if (event._tag === "SubscriptionTerminated") {
    return [fates.get(event.no) === "not at all" ? { ...event, silent: true } : { ...event, withheld: true }]
  }
  if (event._tag !== "NotificationsIssued") return [event]
  const bare: SubscriptionNo[] = []
  const untold: SubscriptionNo[] = []
  for (const [no, fate] of fates) (fate === "not at all" ? untold : bare).push(no)
  const kept = told(event, fates)
  return [
    ...(kept.to.length === 0 && kept.suppressed.length === 0 ? [] : [kept]),
    ...(bare.length === 0 ? [] : [withheld(event, bare)]),
    ...(untold.length === 0 ? [] : [missed(untold)]),
  ]
}

const told = (event: NotificationsIssued, fates: ReadonlyMap<SubscriptionNo, Fate>): NotificationsIssued =>
  event.to === "active"
    ? { ...event, except: [...event.except, ...fates.keys()].sort((one, other) => one - other) }
    : { ...event, to: event.to.filter((no) => !fates.has(no)) }

const withheld = (
  { packageName, cause }: NotificationsIssued,
  to: readonly SubscriptionNo[],
): NotificationsIssued => ({
  _tag: "NotificationsIssued",
  packageName,
  to,
  except: [],
  suppressed: [],
  shown: withheldDigest,
  cause,
  withheld: true,
})

const missed = (to: readonly SubscriptionNo[]): Event => ({
  _tag: "NotificationsDeferred",
  to,
  until: null,
  undelivered: true,
})
