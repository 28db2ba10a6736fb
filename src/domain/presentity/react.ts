/**
 * One decision's events → the NOTIFYs they stand for. A dull mapping: every number in a NOTIFY was taken by the fold, and what
 * it shows is found in `notify-document.ts`.
 */
import type { EventPackage, Packages } from "../packages/event-package.ts"
import { get } from "../table.ts"
import type { Arrival, DialogStart, Millis, Seconds } from "../vocabulary.ts"
import type { Limits } from "./context.ts"
import type { Event, FarewellRepeated, NotificationsIssued, SubscriptionTerminated } from "./events.ts"
import type { Intent, Notify, TerminationReason } from "./intents.ts"
import { isPersonal } from "./notification-tags.ts"
import { bodies, empty, lastOf, stopgap, tagOf } from "./notify-document.ts"
import type { Shown } from "./notify-document.ts"
import { viewFor } from "./notify.ts"
import { audience, publication } from "./state.ts"
import type { Dialog, Publication, State, Subscription } from "./state.ts"
import { startNow } from "./targets.ts"
import { transitionOf } from "./transition.ts"
import type { Transition } from "./transition.ts"

export interface Reaction {
  readonly packages: Packages
  /** Whoever reads a log may want those of some subscriptions only; absent: of all. */
  readonly only?: (subscription: Pick<Subscription, "watcher" | "packageName" | "dialog">) => boolean
  /** Told of each intent with the index of its event; absent: nobody is. */
  readonly seen?: (index: number, intent: Intent) => void
  readonly limits: Pick<Limits, "expiresOffset" | "conditionalNotify">
}

/**
 * The intents of one decision, in the order in which they must be sent.
 *
 * @param before the state the decision was made on
 * @param after the state with all its events: bodies show this one
 * @param at what time it was by the clock (`clockOf`)
 */
export const react = (
  before: State,
  events: readonly Event[],
  after: State,
  at: Millis,
  reaction: Reaction,
): readonly Intent[] => {
  // the state after the last event is not looked at
  const { states } = transitionOf(before, events.slice(0, -1), at)
  return reactTo({ before, now: at, events, states }, after, reaction)
}

/** The same where the states between the events are known. */
export const reactTo = (
  transition: Pick<Transition, "before" | "now" | "events" | "states">,
  after: State,
  reaction: Reaction,
): readonly Intent[] => {
  const { before, now, events, states } = transition
  const intents: Intent[] = []
  const scene: Scene = {
    before,
    after,
    now,
    parting: endedIn(before, events),
    reaction,
    intents,
  }
  for (let index = 0; index < events.length; index++) {
    const event = events[index]!
    const state = index === 0 ? before : states[index - 1]!
    if (event._tag === "NotificationsIssued") tell(scene, event, state, index)
    else if (event._tag === "SubscriptionTerminated") tellEnd(scene, event, state, index)
    else if (event._tag === "FarewellRepeated") repeatFarewell(scene, event, index)
  }
  return intents
}

/** What all NOTIFYs of a decision have in common. */
interface Scene {
  readonly before: State
  readonly after: State
  readonly now: Millis
  /** Publications that the decision ended, by package. */
  readonly parting: ReadonlyMap<string, readonly Publication[]>
  readonly reaction: Reaction
  /** In the order in which they must be sent. */
  readonly intents: Intent[]
}

const add = ({ intents, reaction }: Scene, index: number, intent: Intent): void => {
  intents.push(intent)
  reaction.seen?.(index, intent)
}

/** @param state before the event */
const tell = (scene: Scene, event: NotificationsIssued, state: State, index: number): void => {
  const { before, after, now, parting, reaction } = scene
  const eventPackage = reaction.packages.find(event.packageName)
  const shownTo =
    eventPackage === null || event.withheld === true
      ? null
      : bodies(event, eventPackage, { decidedOn: before, before: state, after, now, parting })
  const tags = tagsFor(scene, eventPackage, event.shown)
  let taken: Map<number, number> | null = null
  for (const subscription of audience(state, event)) {
    const dialog = get(state.dialogs, subscription.dialog)
    if (dialog === undefined) continue
    let cseq = dialog.localCseq + 1
    if (dialog.usages > 1) {
      // more than one of its subscriptions may be told
      cseq = (taken?.get(dialog.no) ?? dialog.localCseq) + 1
      ;(taken ??= new Map()).set(dialog.no, cseq)
    }
    if (reaction.only?.(subscription) === false) continue
    let intent: Unsent
    if (event.withheld === true) {
      // no tag: nobody has this document instead of the real one
      intent = notify(after, subscription, dialog, cseq, stopgap(after, subscription, dialog, eventPackage))
    } else {
      const document = shownTo === null ? empty : shownTo(subscription)
      intent = notify(after, subscription, dialog, cseq, event.bodiless === true ? empty : document)
      intent.entityTag = tags(subscription, document)
    }
    intent.expires = remaining(subscription, now, reaction)
    add(scene, index, intent)
  }
}

/** The last NOTIFY of a subscription. @param state before the event */
const tellEnd = (scene: Scene, event: SubscriptionTerminated, state: State, index: number): void => {
  const { after, now, parting, reaction } = scene
  const subscription = event.silent ? undefined : get(state.subscriptions, event.no)
  const dialog = subscription === undefined ? undefined : get(state.dialogs, subscription.dialog)
  if (subscription === undefined || dialog === undefined || reaction.only?.(subscription) === false) return
  const eventPackage = reaction.packages.find(subscription.packageName)
  // the last state goes along, unless it is the rules that end it (RFC 3265 §3.3.6)
  const document =
    eventPackage === null || event.reason === "rejected"
      ? empty
      : lastOf(after, subscription, eventPackage, parting.get(eventPackage.name), now)
  const digest = eventPackage === null ? "" : viewFor(after, subscription, eventPackage).digest
  const withheld = event.withheld === true ? stopgap(after, subscription, dialog, eventPackage) : null
  const sent = subscription.dormant ? empty : (withheld ?? document)
  const last = notify(after, subscription, dialog, dialog.localCseq + 1, sent)
  if (withheld === null) last.entityTag = tagsFor(scene, eventPackage, digest)(subscription, document)
  ends(last, event.reason)
  add(scene, index, last)
}

const repeatFarewell = (scene: Scene, event: FarewellRepeated, index: number): void => {
  const { after, now, reaction } = scene
  const subscription = subscriptionOf(event)
  if (reaction.only?.(subscription) === false) return
  const eventPackage = reaction.packages.find(subscription.packageName)
  const shown =
    eventPackage === null || event.bodiless === true
      ? empty
      : lastOf(after, subscription, eventPackage, undefined, now)
  const digest = eventPackage === null ? "" : viewFor(after, subscription, eventPackage).digest
  const { start, cseq, reason } = event
  const dialog = {
    start,
    remoteTarget: start.remoteTarget,
    ...(event.unproven === true ? { proof: { _tag: "Unproven", room: 0, since: cseq - 1 } as const } : {}),
  }
  const last = notify(after, subscription, dialog, cseq, shown)
  last.entityTag = tagsFor(scene, eventPackage, digest)(subscription, shown)
  ends(last, reason)
  add(scene, index, last)
}

/**
 * The entity-tags of NOTIFYs that show a view of this digest, computed once for all in a row that show the very same. Null:
 * conditional notification is off, or the package is not there any more.
 */
const tagsFor = (
  { reaction: { limits } }: Scene,
  eventPackage: EventPackage | null,
  digest: string,
): ((subscription: Subscription, document: Shown) => string | null) => {
  if (eventPackage === null || !limits.conditionalNotify) return noTag
  if (isPersonal(eventPackage))
    return (subscription, document) => tagOf(subscription, eventPackage, document, digest)
  let last: Shown | null = null
  let tag: string | null = null
  return (subscription, document) => {
    if (document !== last) tag = tagOf(subscription, eventPackage, document, digest)
    last = document
    return tag
  }
}

const noTag = (): null => null

/** The subscription as it ended. Its dialog may be gone. */
const subscriptionOf = (event: FarewellRepeated): Subscription => ({
  ...event,
  dialog: 0,
  forced: false,
  event: "subscribe",
  changedIn: 0,
  createdAt: 0,
  expiresAt: 0,
  giveUpAt: null,
  shown: "",
  spared: false,
  issuedAt: 0,
  toldIn: 0,
  pacedAt: 0,
  heardAt: 0,
  dueAt: null,
  dormant: event.bodiless === true,
  rates: null,
  repeatAt: null,
  recent: [],
})

/** Publications that this decision ended, by package, oldest first. */
const endedIn = (before: State, events: readonly Event[]): ReadonlyMap<string, readonly Publication[]> => {
  if (!events.some(({ _tag }) => _tag === "PublicationRemoved")) return nothingEnded
  const ended = new Map<string, Publication[]>()
  for (const event of events) {
    // what takes its place says what is now
    if (event._tag !== "PublicationRemoved" || event.cause === "replaced") continue
    const removed = publication(before, event.packageName, event.entityTag)
    if (removed === undefined) continue
    const known = ended.get(event.packageName)
    if (known === undefined) ended.set(event.packageName, [removed])
    else known.push(removed)
  }
  return ended
}

const nothingEnded: ReadonlyMap<string, readonly Publication[]> = new Map()

/** `expires` of Subscription-State: what is left of the announced time, never 0 while it lives (RFC 3265 §3.2.2). */
const remaining = ({ expiresAt }: Subscription, now: Millis, { limits }: Reaction): Seconds =>
  Math.max(1, Math.ceil((expiresAt - now) / 1000) - limits.expiresOffset)

/** What a watcher is told to wait, where the reason gives waiting a meaning. */
const retrySeconds: ReadonlyMap<TerminationReason, Seconds> = new Map([
  ["giveup", 3600],
  ["probation", 60],
])

/** Being written: nobody has it yet. */
type Unsent = { -readonly [Key in keyof Notify]: Notify[Key] }

/** A NOTIFY of a subscription that goes on. Whoever makes one says its entity-tag, and when it expires or that it `ends`. */
const notify = (
  { presentity }: State,
  { no, packageName, eventId, status, rates }: Subscription,
  dialog: Pick<Dialog, "start" | "remoteTarget" | "proof" | "arrival">,
  cseq: number,
  { body, headers }: Shown,
): Unsent => {
  const unsent: Unsent = {
    _tag: "Notify",
    presentity,
    no,
    cseq,
    packageName,
    eventId,
    dialog: presentOf(dialog),
    state: status,
    expires: null,
    reason: null,
    retryAfter: null,
    body,
    rates,
    entityTag: null,
  }
  if (headers !== undefined) unsent.headers = headers
  if (dialog.proof !== undefined) unsent.proof = dialog.proof
  return unsent
}

/** The dialog as it is now: the same object as long as its target is the same, so that what is prepared for it holds. */
const presentOf = (dialog: Pick<Dialog, "start" | "remoteTarget" | "arrival">): DialogStart => {
  const { start, remoteTarget, arrival } = dialog
  if (arrival === undefined && remoteTarget === start.remoteTarget) return start
  const known = moved.get(start)
  if (known !== undefined && known.arrival === arrival && known.present.remoteTarget === remoteTarget)
    return known.present
  const present = startNow(dialog)
  moved.set(start, { present, arrival })
  return present
}

/** By the dialog as it began, what it is now: both never change, and the one goes with the other. */
const moved = new WeakMap<
  DialogStart,
  { readonly present: DialogStart; readonly arrival: Arrival | undefined }
>()

/** @source RFC 3265 §3.2.4 */
const ends = (last: Unsent, reason: TerminationReason): void => {
  last.state = "terminated"
  last.reason = reason
  // nobody has decided; asking again at once would not help
  last.retryAfter = retrySeconds.get(reason) ?? null
  last.rates = null
}
