/**
 * One decision's events → the NOTIFYs they stand for. A dull mapping: every number in a NOTIFY was taken by the fold.
 */
import type { EventPackage, Packages } from "../packages/event-package.ts"
import { get } from "../table.ts"
import type { Limits } from "./context.ts"
import type { Body, Header, Millis, Seconds } from "../vocabulary.ts"
import type { Event, FarewellRepeated, NotificationsIssued } from "./events.ts"
import type { Intent, Notify, TerminationReason } from "./intents.ts"
import { isAccepted } from "./media-types.ts"
import { isPersonal, tagOfBody, tagOfPersonal } from "./notification-tags.ts"
import { viewFor } from "./notify.ts"
import { evolve } from "./evolve.ts"
import { audience, publication } from "./state.ts"
import type { Dialog, Publication, State, Subscription } from "./state.ts"
import { octetsOf, withheldDigest } from "./targets.ts"
import { absentView, currentDocument, currentView, documentOf, offlineBody, partingView } from "./view.ts"
import { watchersBody } from "./watchers.ts"

export interface Reaction {
  readonly packages: Packages
  /** Whoever reads a log may want those of some subscriptions only; absent: of all. */
  readonly only?: (one: Pick<Subscription, "watcher" | "packageName" | "dialog">) => boolean
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
 * @param states after each event, where they are known already
 */
export const react = (
  before: State,
  events: readonly Event[],
  after: State,
  at: Millis,
  reaction: Reaction,
  states?: readonly State[],
): readonly Intent[] => {
  const intents: Intent[] = []
  const add = (index: number, intent: Intent): void => {
    intents.push(intent)
    reaction.seen?.(index, intent)
  }
  const parting = endedIn(before, events)
  let state = before
  for (let index = 0; index < events.length; index++) {
    const event = events[index]!
    if (event._tag === "NotificationsIssued") {
      const eventPackage = reaction.packages.find(event.packageName)
      const shown =
        eventPackage === null ? null : bodies(event, before, state, after, eventPackage, parting, at)
      const next = new Map<number, number>()
      for (const one of audience(state, event)) {
        const dialog = get(state.dialogs, one.dialog)
        if (dialog === undefined) continue
        const cseq = (next.get(dialog.no) ?? dialog.localCseq) + 1
        if (dialog.usages > 1) next.set(dialog.no, cseq)
        if (reaction.only?.(one) === false) continue
        const expires = remaining(one, at, reaction)
        if (event.withheld === true) {
          // no tag: nobody has this document instead of the real one
          add(
            index,
            notify(after, one, dialog, cseq, stopgap(after, one, dialog, eventPackage), null, expires, null),
          )
          continue
        }
        const document = shown === null ? empty : shown(one)
        const entityTag =
          eventPackage === null || !reaction.limits.conditionalNotify
            ? null
            : tagOf(one, eventPackage, document, event.shown)
        const sent = event.bodiless === true ? empty : document
        add(index, notify(after, one, dialog, cseq, sent, entityTag, expires, null))
      }
    } else if (event._tag === "SubscriptionTerminated" && !event.silent) {
      const one = get(state.subscriptions, event.no)
      const dialog = one === undefined ? undefined : get(state.dialogs, one.dialog)
      if (one !== undefined && dialog !== undefined && reaction.only?.(one) !== false) {
        const eventPackage = reaction.packages.find(one.packageName)
        // the last state goes along, unless it is the rules that end it (RFC 3265 §3.3.6)
        const document =
          eventPackage === null || event.reason === "rejected"
            ? empty
            : lastOf(after, one, eventPackage, parting.get(eventPackage.name), at)
        const shown = eventPackage === null ? "" : viewFor(after, one, eventPackage).digest
        const entityTag =
          eventPackage === null || !reaction.limits.conditionalNotify
            ? null
            : tagOf(one, eventPackage, document, shown)
        const cseq = dialog.localCseq + 1
        const withheld = event.withheld === true ? stopgap(after, one, dialog, eventPackage) : null
        const sent = one.dormant ? empty : (withheld ?? document)
        const tag = withheld === null ? entityTag : null
        add(index, notify(after, one, dialog, cseq, sent, tag, null, event.reason))
      }
    }
    if (event._tag === "FarewellRepeated") {
      const one = subscriptionOf(event)
      if (reaction.only?.(one) !== false) add(index, farewell(event, one, after, at, reaction))
    }
    if (index < events.length - 1) state = states?.[index] ?? evolve(state, event, at)
  }
  return intents
}

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

const farewell = (
  event: FarewellRepeated,
  one: Subscription,
  after: State,
  at: Millis,
  { packages, limits }: Reaction,
): Intent => {
  const eventPackage = packages.find(one.packageName)
  const document =
    eventPackage === null || event.bodiless === true ? empty : lastOf(after, one, eventPackage, undefined, at)
  const entityTag =
    eventPackage === null || !limits.conditionalNotify
      ? null
      : tagOf(one, eventPackage, document, viewFor(after, one, eventPackage).digest)
  const { start, cseq, reason } = event
  const dialog = {
    start,
    remoteTarget: start.remoteTarget,
    ...(event.unproven === true ? { proof: { _tag: "Unproven", room: 0, since: cseq - 1 } as const } : {}),
  }
  return notify(after, one, dialog, cseq, document, entityTag, null, reason)
}

/** The last document did not arrive, or did not leave. */
const isMissed = ({ shown }: Subscription): boolean => shown === "" || shown === withheldDigest

/** What a NOTIFY shows, in its body and in headers. */
interface Shown {
  readonly body: Body | null
  readonly headers?: readonly Header[]
}

const empty: Shown = { body: null }

/** What goes instead of a document that waits: what the package shows when there is nothing, if that may be sent. */
const stopgap = (
  after: State,
  one: Subscription,
  { proof }: Dialog,
  eventPackage: EventPackage | null,
): Shown => {
  if (eventPackage === null || one.status !== "active") return empty
  const nobody = eventPackage.watcherInfoOf === undefined ? null : eventPackage.watcherInfoOf
  const shown: Shown =
    nobody === null || eventPackage.renderWatchers === undefined
      ? absentView(after.presentity, eventPackage)
      : {
          body: eventPackage.renderWatchers({
            resource: after.presentity,
            packageName: nobody,
            version: one.notified,
            isFull: true,
            watchers: [],
          }),
        }
  const { headers } = shown
  const body = takenBody(personal(shown.body, one, eventPackage), one)
  const room = proof?._tag === "Unproven" ? proof.room : 0
  if (octetsOf(body, headers) > room) return empty
  return headers === undefined ? { body } : { body, headers }
}

/** What each subscription is shown that one event tells of the state `after`; each as it was before that event. */
const bodies = (
  event: NotificationsIssued,
  decidedOn: State,
  before: State,
  after: State,
  eventPackage: EventPackage,
  parting: ReadonlyMap<string, readonly Publication[]>,
  at: Millis,
): ((one: Subscription) => Shown) => {
  const ended = parting.get(eventPackage.name)
  const parted = new Map<string | null, Body | null>()
  const changed = changes(event, decidedOn, after, eventPackage, ended ?? [])
  const bodyFor = (one: Subscription): Body | null => {
    if (eventPackage.watcherInfoOf !== undefined) {
      // one that was told in vain may have missed anything
      const isFull = event.cause !== "change" || one.notified === 0 || isMissed(one)
      // those who are gone are forgotten by the very event that tells of them
      return one.status === "active" ? watchersBody(before, one, eventPackage, at, isFull) : null
    }
    const change = changed(one)
    if (change !== null) return change
    if (ended !== undefined && one.status === "active" && !one.polite) {
      const key = one.accept === undefined ? one.matched : `${one.matched} ${one.accept.join()}`
      if (!parted.has(key)) parted.set(key, partingView(after, eventPackage, ended, one).body)
      const body = parted.get(key) ?? null
      // what ended has no form of its own: what is left is shown, or that nothing is
      if (body !== null) return body
    }
    const view = viewFor(after, one, eventPackage)
    if (view.body !== null || one.status !== "active" || one.toldIn === 0) return view.body
    // without a body the watcher would go on showing what it was sent before (RFC 3856 §6.8)
    const knows = one.shown === view.digest && !mayBeMissed.has(event.cause)
    return knows ? null : takenBody(offlineBody(after.presentity, eventPackage), one)
  }
  return (one) => withHeaders(personal(bodyFor(one), one, eventPackage), after, one, eventPackage)
}

/** What these tell again may not have arrived, whatever was shown according to the log. */
const mayBeMissed: ReadonlySet<NotificationsIssued["cause"]> = new Set(["recovery", "proof"])

/** Headers are always those of the present state, in full. */
const withHeaders = (
  body: Body | null,
  after: State,
  one: Subscription,
  eventPackage: EventPackage,
): Shown => {
  const { headers } = viewFor(after, one, eventPackage)
  return headers === undefined ? { body } : { body, headers }
}

/** @param one as it was before this NOTIFY: it has been sent so many documents */
const personal = (body: Body | null, one: Subscription, eventPackage: EventPackage): Body | null =>
  body === null || eventPackage.personalize === undefined
    ? body
    : eventPackage.personalize(body, { watcher: one.watcher, version: one.notified })

/**
 * The body that tells only what this decision changed, for watchers that were shown what was true before; null for any
 * other, and where a package or its change can only be told in full.
 */
const changes = (
  event: NotificationsIssued,
  decidedOn: State,
  after: State,
  eventPackage: EventPackage,
  ended: readonly Publication[],
): ((one: Subscription) => Body | null) => {
  // what rules hide they would have to hide of changes as well
  if (
    eventPackage.difference === undefined ||
    eventPackage.rules?.filter !== undefined ||
    event.cause !== "change"
  )
    return () => null
  const known = currentView(decidedOn, eventPackage).digest
  let body: Body | null | undefined
  return (one) => {
    const wasTold = one.shown === known && !one.spared && one.notified > 0
    if (one.status !== "active" || one.polite || !wasTold || one.accept !== undefined) return null
    if (body === undefined) {
      const was = currentDocument(decidedOn, eventPackage)
      const is = documentOf(after, eventPackage, ended)
      const change = was === null || is === null ? null : (eventPackage.difference?.(was, is) ?? null)
      body = change === null ? null : eventPackage.render(change)
    }
    return body
  }
}

/** @param one as it was before this NOTIFY */
const tagOf = (
  one: Subscription,
  eventPackage: EventPackage,
  { body, headers }: Shown,
  shown: string,
): string =>
  isPersonal(eventPackage) && body !== null
    ? tagOfPersonal(one.no, one.notified, shown)
    : tagOfBody(body, headers)

/** What the last NOTIFY of a subscription shows. */
const lastOf = (
  after: State,
  one: Subscription,
  eventPackage: EventPackage,
  ended: readonly Publication[] | undefined,
  at: Millis,
): Shown => {
  if (eventPackage.watcherInfoOf === undefined || one.status !== "active") {
    return withHeaders(
      personal(lastBody(after, one, eventPackage, ended), one, eventPackage),
      after,
      one,
      eventPackage,
    )
  }
  return { body: watchersBody(after, one, eventPackage, at, true) }
}

const lastBody = (
  after: State,
  one: Subscription,
  eventPackage: EventPackage,
  ended: readonly Publication[] | undefined,
): Body | null => {
  if (ended !== undefined && one.status === "active" && !one.polite) {
    const { body } = partingView(after, eventPackage, ended, one)
    if (body !== null) return body
  }
  const view = viewFor(after, one, eventPackage)
  if (view.body !== null || one.status !== "active" || one.toldIn === 0) return view.body
  // without a body its watcher would go on showing what it was sent before (RFC 3856 §6.8)
  return one.shown === view.digest ? null : takenBody(offlineBody(after.presentity, eventPackage), one)
}

/** No body rather than one of a media type that the watcher does not take (RFC 3856 §6.7). */
const takenBody = (body: Body | null, { accept }: Subscription): Body | null =>
  body === null || accept === undefined || isAccepted(body.contentType, accept) ? body : null

/** Publications that this decision ended, by package, oldest first. */
const endedIn = (before: State, events: readonly Event[]): ReadonlyMap<string, readonly Publication[]> => {
  const ended = new Map<string, Publication[]>()
  for (const event of events) {
    if (event._tag !== "PublicationRemoved") continue
    const one = publication(before, event.packageName, event.entityTag)
    if (one === undefined) continue
    const others = ended.get(event.packageName)
    if (others === undefined) ended.set(event.packageName, [one])
    else others.push(one)
  }
  return ended
}

/** `expires` of Subscription-State: what is left of the announced time, never 0 while it lives (RFC 3265 §3.2.2). */
const remaining = (one: Subscription, at: Millis, reaction: Reaction): Seconds =>
  Math.max(1, Math.ceil((one.expiresAt - at) / 1000) - reaction.limits.expiresOffset)

/** What a watcher is told to wait, where the reason gives waiting a meaning. */
const retrySeconds: ReadonlyMap<TerminationReason, Seconds> = new Map([
  ["giveup", 3600],
  ["probation", 60],
])

const notify = (
  state: State,
  one: Subscription,
  dialog: Pick<Dialog, "start" | "remoteTarget" | "proof">,
  cseq: number,
  { body, headers }: Shown,
  entityTag: string | null,
  expires: Seconds | null,
  reason: TerminationReason | null,
): Notify => ({
  _tag: "Notify",
  presentity: state.presentity,
  no: one.no,
  cseq,
  packageName: one.packageName,
  eventId: one.eventId,
  dialog:
    dialog.remoteTarget === dialog.start.remoteTarget
      ? dialog.start
      : { ...dialog.start, remoteTarget: dialog.remoteTarget },
  state: reason !== null ? "terminated" : one.status,
  expires,
  reason,
  // RFC 3265 §3.2.4: nobody has decided; asking again at once would not help
  retryAfter: reason === null ? null : (retrySeconds.get(reason) ?? null),
  body,
  ...(headers === undefined ? {} : { headers }),
  rates: reason === null ? one.rates : null,
  entityTag,
  ...(dialog.proof === undefined ? {} : { proof: dialog.proof }),
})
