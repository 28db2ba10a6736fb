/**
 * The last step of a decision: documents that exceed what may be sent to their targets are withheld.
 *
 * It examines the NOTIFYs of the decision as they would be sent. If all targets are proven there is nothing to examine.
 */
import { get, values } from "../table.ts"
import type { DialogNo, SubscriptionNo } from "../vocabulary.ts"
import type { Answer, Command } from "./commands.ts"
import type { Context } from "./context.ts"
import { decided, rejected } from "./decision.ts"
import type { Decided } from "./decision.ts"
import type { Event, NotificationsIssued } from "./events.ts"
import type { Notify } from "./intents.ts"
import { reactTo } from "./react.ts"
import type { Reaction } from "./react.ts"
import { isUnproven, octetsOf, withheldDigest } from "./targets.ts"
import { begin, rewritten } from "./transition.ts"
import type { Transition } from "./transition.ts"

/** What happens to a NOTIFY for an unproven target; `not at all`: an earlier one had no response. */
type Fate = "without its document" | "not at all"

/**
 * The decision without the documents that may not be sent: their subscriptions get a NOTIFY without a document, or
 * none.
 *
 * @rejects TargetUnproven (403): a fetch whose document may not be sent
 */
export const withhold = (
  transition: Transition,
  answer: Answer,
  command: Command,
  context: Context,
): Decided => {
  const fates = fatesIn(transition, command, context)
  if (fates === null) return decided(transition, answer)
  const isLost = (event: Event, index: number): boolean =>
    event._tag === "SubscriptionTerminated" && fates[index]!.size > 0
  const isFetch = command._tag === "Subscribe" && transition.events.some(isLost)
  if (isFetch) {
    return decided(begin(transition.before, context.now), rejected({ _tag: "TargetUnproven", status: 403 }))
  }
  const kept = rewritten(transition, (event, index) => sendable(event, fates[index]!))
  return decided(kept, answer)
}

type Fates = ReadonlyMap<SubscriptionNo, Fate>

/** For each event what happens to its NOTIFYs; null: all of them may be sent. */
const fatesIn = (transition: Transition, command: Command, context: Context): readonly Fates[] | null => {
  const { before, events, after } = transition
  if (before.unproven === 0 && !(mayDoubt.has(command._tag) && events.some(bringsDoubt))) return null
  if (!events.some(tells)) return null
  const doubtful = doubtfulIn(transition)
  if (doubtful.size === 0) return null
  const fates = events.map(() => new Map<SubscriptionNo, Fate>())
  let isAny = false
  const reaction: Reaction = {
    packages: context.packages,
    limits: context.limits,
    only: ({ dialog }) => doubtful.has(dialog),
    seen: (index, notify) => {
      const fate = fateOf(notify)
      if (fate === null) return
      fates[index]!.set(notify.no, fate)
      isAny = true
    },
  }
  reactTo(transition, after, reaction)
  return isAny ? fates : null
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

/** The dialogs whose target is unproven at some event of the decision. */
const doubtfulIn = ({ before, events, states }: Transition): ReadonlySet<DialogNo> => {
  const doubtful = new Set<DialogNo>()
  if (before.unproven > 0) {
    for (const dialog of values(before.dialogs)) if (isUnproven(dialog)) doubtful.add(dialog.no)
  }
  events.forEach((event, index) => {
    if (!bringsDoubt(event)) return
    const after = states[index]!
    const id =
      "dialog" in event
        ? event.dialog
        : "no" in event
          ? get(after.subscriptions, event.no)?.dialog
          : undefined
    if (id !== undefined && isUnproven(get(after.dialogs, id))) doubtful.add(id)
  })
  return doubtful
}

const fateOf = ({ proof, body, headers }: Notify): Fate | null => {
  if (proof?._tag !== "Unproven") return null
  if (proof.spent === true) return "not at all"
  const octets = octetsOf(body, headers)
  return octets > 0 && octets > proof.room ? "without its document" : null
}

/** The events that replace one whose NOTIFYs may not all be sent as they are. */
const sendable = (event: Event, fates: Fates): readonly Event[] => {
  if (fates.size === 0) return [event]
  if (event._tag === "SubscriptionTerminated") {
    return [fates.get(event.no) === "not at all" ? { ...event, silent: true } : { ...event, withheld: true }]
  }
  if (event._tag !== "NotificationsIssued") return [event]
  const bare: SubscriptionNo[] = []
  const untold: SubscriptionNo[] = []
  for (const [id, fate] of fates) (fate === "not at all" ? untold : bare).push(id)
  const kept = withoutFates(event, fates)
  return [
    ...(kept.to.length === 0 && kept.suppressed.length === 0 ? [] : [kept]),
    ...(bare.length === 0 ? [] : [withheld(event, bare)]),
    ...(untold.length === 0 ? [] : [missed(untold)]),
  ]
}

const withoutFates = (event: NotificationsIssued, fates: Fates): NotificationsIssued =>
  event.to === "active"
    ? { ...event, except: [...event.except, ...fates.keys()].sort((left, right) => left - right) }
    : { ...event, to: event.to.filter((id) => !fates.has(id)) }

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
