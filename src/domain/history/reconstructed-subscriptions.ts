/**
 * The SUBSCRIBEs that may be behind a recorded decision, the likeliest first.
 */
import type { Resubscribe, Subscribe } from "../presentity/commands.ts"
import type { Event, SubscriptionCreated, SubscriptionRefreshed } from "../presentity/events.ts"
import { evolve } from "../presentity/evolve.ts"
import { isPersonal, tagOfBody, tagOfPersonal } from "../presentity/notification-tags.ts"
import { viewFor } from "../presentity/notify.ts"
import type { Dialog, State, Subscription } from "../presentity/state.ts"
import type { ArrivalChange } from "../presentity/target-events.ts"
import { withTarget } from "../presentity/targets.ts"
import { privacyOf } from "../privacy.ts"
import { get } from "../table.ts"
import { hasNeed, dialogKey } from "../vocabulary.ts"
import type { Millis, Rates, Seconds, SubscriptionNo } from "../vocabulary.ts"
import { secondsTo } from "./reconstruction-context.ts"
import type { ReconstructionContext } from "./reconstruction-context.ts"

export const subscribes = (
  before: State,
  events: readonly Event[],
  at: Millis,
  world: ReconstructionContext,
): readonly Subscribe[] => {
  const created = createdIn(events)
  if (created === undefined || created.start === null) return []
  const { packageName, eventId, watcher, argument, needs, phone, sharingTag, rates } = created
  const suppressIfMatch = conditionOf(before, events, at, created, world)
  return [
    {
      _tag: "Subscribe",
      packageName,
      eventId,
      watcher,
      expires: grantedIn(created, events, at, world),
      accept: created.accept ?? null,
      dialog: created.start,
      ...(suppressIfMatch === null ? {} : { suppressIfMatch }),
      ...(rates === undefined ? {} : { rates }),
      ...(argument === undefined ? {} : { argument }),
      ...(needs === undefined ? {} : { needs }),
      ...(phone === undefined ? {} : { phone }),
      ...(created.unsolicited === undefined ? {} : { unsolicited: created.unsolicited }),
      ...(sharingTag === undefined ? {} : { sharingTag }),
      ...privacyOf(created),
      ...requestIn(before, events),
      forceActive: created.forced === true,
      bodyFault: null,
    },
  ]
}

/** What its body asked for: the state that it led to stands for it. */
const requestIn = ({ presentity }: State, events: readonly Event[]): Pick<Subscribe, "request"> => {
  const replaced = events.find((event) => event._tag === "HardStateReplaced")
  return replaced === undefined || replaced.body === null
    ? {}
    : { request: { body: replaced.body, mayChange: presentity } }
}

/** Suppress-If-Match of the request that created it; null: there was none. */
const conditionOf = (
  before: State,
  events: readonly Event[],
  at: Millis,
  created: SubscriptionCreated,
  world: ReconstructionContext,
): string | null => {
  if (created.dormant === true) return "*"
  return isBodiless(events, created.no) ? tagOfNew(before, events, at, created, world) : null
}

export const createdIn = (events: readonly Event[]): SubscriptionCreated | undefined =>
  events.find((event) => event._tag === "SubscriptionCreated")

/** As announced, without the operator's grace period; 0: a fetch. */
const grantedIn = (
  { no: id, expiresAt }: SubscriptionCreated,
  events: readonly Event[],
  at: Millis,
  { limits }: ReconstructionContext,
): Seconds =>
  events.some((event) => event._tag === "SubscriptionTerminated" && event.no === id)
    ? 0
    : secondsTo(expiresAt, at) - limits.expiresOffset

const isBodiless = (events: readonly Event[], id: SubscriptionNo): boolean =>
  events.some((event) => event._tag === "NotificationsIssued" && event.bodiless === true && isTo(event, id))

const isTo = (event: Event & { readonly _tag: "NotificationsIssued" }, id: SubscriptionNo): boolean =>
  event.to !== "active" && event.to.includes(id)

/** The tag of the document that a new subscription states it has: the one it would be sent. */
const tagOfNew = (
  before: State,
  events: readonly Event[],
  at: Millis,
  { no: id }: SubscriptionCreated,
  world: ReconstructionContext,
): string | null => {
  let state = before
  for (const event of events) {
    state = evolve(state, event, at)
    if (event._tag !== "SubscriptionCreated") continue
    const subscription = get(state.subscriptions, id)
    return subscription === undefined ? null : tagOf(state, subscription, world)
  }
  return null
}

const tagOf = (
  state: State,
  subscription: Subscription,
  { packages }: ReconstructionContext,
): string | null => {
  const eventPackage = packages.find(subscription.packageName)
  if (eventPackage === null) return null
  if (isPersonal(eventPackage))
    return tagOfPersonal(subscription.no, subscription.notified - 1, subscription.shown)
  const { body, headers } = viewFor(state, subscription, eventPackage)
  return tagOfBody(body, headers)
}

export const resubscribes = (
  before: State,
  events: readonly Event[],
  at: Millis,
  world: ReconstructionContext,
): readonly Resubscribe[] => {
  const created = createdIn(events)
  if (created !== undefined) return further(before, events, at, created, world)
  const about = events.find(
    (event) =>
      event._tag === "SubscriptionStatusChanged" ||
      event._tag === "SubscriptionRefreshed" ||
      event._tag === "SubscriptionTerminated",
  )
  const subscription = about === undefined ? undefined : get(before.subscriptions, about.no)
  const dialog = subscription === undefined ? undefined : get(before.dialogs, subscription.dialog)
  if (subscription === undefined || dialog === undefined) return []
  const { no: id } = subscription
  const changed = events.find((event) => event._tag === "SubscriptionStatusChanged" && event.no === id)
  const refreshed = events.find((event) => event._tag === "SubscriptionRefreshed" && event.no === id)
  const ended = events.find((event) => event._tag === "SubscriptionTerminated" && event.no === id)
  const renewed = refreshed?._tag === "SubscriptionRefreshed" ? refreshed : null
  const judged: Subscription =
    changed?._tag === "SubscriptionStatusChanged"
      ? { ...subscription, status: changed.status, polite: changed.polite, matched: changed.matched }
      : subscription
  const end = ended?._tag === "SubscriptionTerminated" ? ended : null
  // a refused request: what it asked for is of no consequence
  const isRefused = end?.reason === "rejected"
  const isTold = events.some((event) => event._tag === "NotificationsIssued" && isTo(event, id))
  const isQuiet = end === null ? !isTold || isBodiless(events, id) : end.silent
  const isDormant = end === null && (renewed?.dormant ?? subscription.dormant)
  const condition = isDormant ? "*" : isQuiet ? (end === null ? tagOf(before, judged, world) : "*") : null
  const rates = ratesOf(renewed, subscription)
  const argument = renewed?.argument
  const isPrivate = renewed?.private
  return [
    {
      _tag: "Resubscribe",
      dialog: dialogKey(dialog.start.callId, dialog.start.localTag, dialog.start.remoteTag),
      packageName: subscription.packageName,
      eventId: subscription.eventId,
      watcher: subscription.watcher,
      expires:
        end !== null && !isRefused
          ? 0
          : renewed === null
            ? null
            : secondsTo(renewed.expiresAt, at) - world.limits.expiresOffset,
      accept: acceptBehind(renewed, subscription, world),
      // not recorded if the subscription ended with its dialog
      cseq: renewed?.remoteCseq ?? dialog.remoteCseq + 1,
      ...reconstructedWay(dialog, renewed?.remoteTarget, renewed?.arrival),
      ...(typeof renewed?.room === "number" ? { room: renewed.room } : {}),
      ...(condition === null ? {} : { suppressIfMatch: condition }),
      ...(rates === null ? {} : { rates }),
      ...(argument === undefined ? {} : { argument }),
      ...(isPrivate === undefined ? {} : { private: isPrivate }),
      ...requestIn(before, events),
      forceActive:
        !isRefused &&
        (changed?._tag === "SubscriptionStatusChanged" ? changed.forced === true : subscription.forced),
      bodyFault: null,
    },
  ]
}

/** Accept as far as it had consequences: ranges that leave something out, or those that led to another form. */
const acceptBehind = (
  renewed: SubscriptionRefreshed | null,
  { accept, needs, packageName }: Subscription,
  { packages }: ReconstructionContext,
): readonly string[] | null => {
  const ranges = (renewed?.accept === undefined ? accept : renewed.accept) ?? null
  return ranges ?? acceptOfForm(packageName, needs, renewed?.needs, packages)
}

/** What a request accepts after which its phone needs another form of documents than before; null: anything. */
const acceptOfForm = (
  packageName: string,
  before: string | undefined,
  after: string | null | undefined,
  packages: ReconstructionContext["packages"],
): readonly string[] | null => {
  if (after === undefined) return null
  const eventPackage = packages.find(packageName)
  const [type, need] = [...(eventPackage?.otherForms ?? [])].find(
    ([, form]) => hasNeed(before, form) !== hasNeed(after, form),
  ) ?? ["", ""]
  if (type === "") return null
  return hasNeed(after, need) ? [type] : (eventPackage?.produces ?? null)
}

/** Where the request arrived, if by another way than the one before, and its Contact. */
const reconstructedWay = (
  dialog: Dialog,
  remoteTarget: string | null | undefined,
  change: ArrivalChange | undefined,
): Pick<Resubscribe, "remoteTarget" | "arrival"> => {
  if (change === undefined) return { remoteTarget: remoteTarget ?? null }
  // what a Contact says of the way to it is known anew only from a request that has one
  const named = remoteTarget ?? dialog.remoteTarget
  const { arrival } = withTarget(dialog, null, undefined, change)
  return arrival === undefined ? { remoteTarget: named } : { remoteTarget: named, arrival }
}

/** The requested rates: those granted now, or those it already has. */
const ratesOf = (renewed: SubscriptionRefreshed | null, subscription: Subscription): Rates | null =>
  renewed === null || renewed.rates === undefined ? subscription.rates : renewed.rates

/** A further subscription in a dialog. */
const further = (
  before: State,
  events: readonly Event[],
  at: Millis,
  created: SubscriptionCreated,
  world: ReconstructionContext,
): readonly Resubscribe[] => {
  const dialog = get(before.dialogs, created.dialog)
  if (dialog === undefined) return []
  const moved = events.find((event) => event._tag === "RemoteTargetChanged")
  const suppressIfMatch = conditionOf(before, events, at, created, world)
  return [
    {
      _tag: "Resubscribe",
      dialog: dialogKey(dialog.start.callId, dialog.start.localTag, dialog.start.remoteTag),
      packageName: created.packageName,
      eventId: created.eventId,
      watcher: created.watcher,
      expires: grantedIn(created, events, at, world),
      // no profile is chosen within a dialog: what its phone needs is what its Accept says
      accept: created.accept ?? acceptOfForm(created.packageName, undefined, created.needs, world.packages),
      cseq: created.remoteCseq,
      ...(moved?._tag === "RemoteTargetChanged"
        ? reconstructedWay(dialog, moved.remoteTarget, moved.arrival)
        : reconstructedWay(dialog, null, undefined)),
      ...(moved?._tag === "RemoteTargetChanged" && typeof moved.room === "number"
        ? { room: moved.room }
        : {}),
      ...(suppressIfMatch === null ? {} : { suppressIfMatch }),
      ...(created.rates === undefined ? {} : { rates: created.rates }),
      ...(created.argument === undefined ? {} : { argument: created.argument }),
      private: created.private === true,
      ...requestIn(before, events),
      forceActive: created.forced === true,
      bodyFault: null,
    },
  ]
}
