/**
 * What one NOTIFY shows, in its body and in headers: the present document, what has changed of it, or, where that may not be
 * sent yet, what the package shows when there is nothing.
 */
import type { EventPackage } from "../packages/event-package.ts"
import type { Body, Header, Millis } from "../vocabulary.ts"
import type { NotificationsIssued } from "./events.ts"
import { isAccepted } from "./media-types.ts"
import { isPersonal, tagOfBody, tagOfPersonal } from "./notification-tags.ts"
import { viewFor, viewsOf } from "./notify.ts"
import type { Dialog, Publication, State, Subscription } from "./state.ts"
import { absentFor, formOf, offlineFor, partingView, tailoredView } from "./tailored-view.ts"
import { octetsOf, withheldDigest } from "./targets.ts"
import { currentDocument, currentView, documentOf } from "./view.ts"
import type { View } from "./view.ts"
import { watchersBody } from "./watchers.ts"

/** The last document did not arrive, or did not leave. */
const isMissed = ({ shown }: Subscription): boolean => shown === "" || shown === withheldDigest

/** What a NOTIFY shows, in its body and in headers. */
export interface Shown {
  readonly body: Body | null
  readonly headers?: readonly Header[]
}

export const empty: Shown = { body: null }

/** What goes instead of a document that waits: what the package shows when there is nothing, if that may be sent. */
export const stopgap = (
  after: State,
  subscription: Subscription,
  { proof }: Dialog,
  eventPackage: EventPackage | null,
): Shown => {
  if (eventPackage === null || subscription.status !== "active") return empty
  const nobody = eventPackage.watcherInfoOf === undefined ? null : eventPackage.watcherInfoOf
  const shown: Shown =
    nobody === null || eventPackage.renderWatchers === undefined
      ? absentFor(after, eventPackage, subscription)
      : {
          body: eventPackage.renderWatchers({
            resource: after.presentity,
            packageName: nobody,
            version: subscription.notified,
            isFull: true,
            watchers: [],
          }),
        }
  const { headers } = shown
  const body = takenBody(personal(shown.body, subscription, eventPackage), subscription)
  const room = proof?._tag === "Unproven" ? proof.room : 0
  if (octetsOf(body, headers) > room) return empty
  return headers === undefined ? { body } : { body, headers }
}

/** A decision, and the event of it that tells something. */
export interface Telling {
  readonly decidedOn: State
  /** Before that event. */
  readonly before: State
  /** After all events: documents show this one. */
  readonly after: State
  readonly now: Millis
  /** Publications that the decision ended, by package. */
  readonly parting: ReadonlyMap<string, readonly Publication[]>
}

/**
 * What each subscription is shown that one event tells; each as it was before that event. What is the same for all that see the
 * same is made once: the very object that the one before it got.
 */
export const bodies = (
  event: NotificationsIssued,
  eventPackage: EventPackage,
  { decidedOn, before, after, now, parting }: Telling,
): ((subscription: Subscription) => Shown) => {
  const ended = parting.get(eventPackage.name)
  const parted = new Map<string | null, Body | null>()
  const changed = changes(event, decidedOn, after, eventPackage, ended ?? [])
  const viewOf = viewsOf(after, eventPackage)
  const bodyFor = (subscription: Subscription, view: View): Body | null => {
    const { status, polite, accept, matched, toldIn, shown } = subscription
    if (eventPackage.watcherInfoOf !== undefined) {
      // one that was told in vain may have missed anything
      const isFull = event.cause !== "change" || subscription.notified === 0 || isMissed(subscription)
      // those who are gone are forgotten by the very event that tells of them
      return status === "active" ? watchersBody(before, subscription, eventPackage, now, { isFull }) : null
    }
    const change = changed === null ? null : changed(subscription)
    if (change !== null) return change
    if (ended !== undefined && status === "active" && !polite) {
      const form = formOf(subscription, eventPackage)
      const key = accept === undefined && form === "" ? matched : `${matched} ${accept?.join() ?? ""} ${form}`
      if (!parted.has(key)) parted.set(key, partingView(after, eventPackage, ended, subscription).body)
      const body = parted.get(key) ?? null
      // what ended has no form of its own: what is left is shown, or that nothing is
      if (body !== null) return body
    }
    if (view.body !== null || status !== "active" || toldIn === 0) return view.body
    // without a body the watcher would go on showing what it was sent before (RFC 3856 §6.8)
    const isKnown = shown === view.digest && !mayBeMissed.has(event.cause)
    return isKnown ? null : takenBody(offlineFor(after, eventPackage, subscription), subscription)
  }
  const isAlike = eventPackage.personalize === undefined
  let last: Shown = empty
  return (subscription) => {
    const view = viewOf(subscription)
    const body = personal(bodyFor(subscription, view), subscription, eventPackage)
    const { headers } = view
    if (isAlike && last.body === body && last.headers === headers) return last
    last = headers === undefined ? { body } : { body, headers }
    return last
  }
}

/** What these tell again may not have arrived, whatever was shown according to the log. */
const mayBeMissed: ReadonlySet<NotificationsIssued["cause"]> = new Set(["recovery", "proof"])

/** Headers are always those of the present state, in full. */
const withHeaders = (
  body: Body | null,
  after: State,
  subscription: Subscription,
  eventPackage: EventPackage,
): Shown => {
  const { headers } = viewFor(after, subscription, eventPackage)
  return headers === undefined ? { body } : { body, headers }
}

/** @param subscription as it was before this NOTIFY: it has been sent so many documents */
const personal = (body: Body | null, subscription: Subscription, eventPackage: EventPackage): Body | null =>
  body === null || eventPackage.personalize === undefined
    ? body
    : eventPackage.personalize(body, { watcher: subscription.watcher, version: subscription.notified })

/**
 * The body that tells only what this decision changed, for watchers that were shown what was true before; null for any
 * other. Null for all of them where a package or its change can only be told in full.
 */
const changes = (
  event: NotificationsIssued,
  decidedOn: State,
  after: State,
  eventPackage: EventPackage,
  ended: readonly Publication[],
): ((subscription: Subscription) => Body | null) | null => {
  // what rules hide they would have to hide of changes as well
  if (
    eventPackage.difference === undefined ||
    eventPackage.rules?.filter !== undefined ||
    event.cause !== "change"
  )
    return null
  const knownDigest = currentView(decidedOn, eventPackage).digest
  const byNeeds = new Map<string, Body | null>()
  return (subscription) => {
    const { status, polite, shown, needs, spared, notified, accept } = subscription
    // what it asked for is a part, of which the difference of the whole says too much
    const isPart = eventPackage.tailor !== undefined && subscription.argument !== undefined
    if (status !== "active" || polite || accept !== undefined || isPart) return null
    const known =
      needs === undefined ? knownDigest : tailoredView(decidedOn, eventPackage, subscription).digest
    if (shown !== known || spared || notified === 0) return null
    const made = byNeeds.get(needs ?? "")
    if (made !== undefined) return made
    const before = currentDocument(decidedOn, eventPackage)
    const present = documentOf(after, eventPackage, ended)
    const change =
      before === null || present === null ? null : (eventPackage.difference?.(before, present) ?? null)
    const form = { argument: null, needs: needs ?? null }
    const body = change === null ? null : eventPackage.render(eventPackage.tailor?.(change, form) ?? change)
    byNeeds.set(needs ?? "", body)
    return body
  }
}

/** @param subscription as it was before this NOTIFY */
export const tagOf = (
  subscription: Subscription,
  eventPackage: EventPackage,
  { body, headers }: Shown,
  shown: string,
): string =>
  isPersonal(eventPackage) && body !== null
    ? tagOfPersonal(subscription.no, subscription.notified, shown)
    : tagOfBody(body, headers)

/** What the last NOTIFY of a subscription shows. */
export const lastOf = (
  after: State,
  subscription: Subscription,
  eventPackage: EventPackage,
  ended: readonly Publication[] | undefined,
  at: Millis,
): Shown => {
  if (eventPackage.watcherInfoOf === undefined || subscription.status !== "active") {
    return withHeaders(
      personal(lastBody(after, subscription, eventPackage, ended), subscription, eventPackage),
      after,
      subscription,
      eventPackage,
    )
  }
  return { body: watchersBody(after, subscription, eventPackage, at, { isFull: true }) }
}

const lastBody = (
  after: State,
  subscription: Subscription,
  eventPackage: EventPackage,
  ended: readonly Publication[] | undefined,
): Body | null => {
  if (ended !== undefined && subscription.status === "active" && !subscription.polite) {
    const { body } = partingView(after, eventPackage, ended, subscription)
    if (body !== null) return body
  }
  const view = viewFor(after, subscription, eventPackage)
  if (view.body !== null || subscription.status !== "active" || subscription.toldIn === 0) return view.body
  // without a body its watcher would go on showing what it was sent before (RFC 3856 §6.8)
  return subscription.shown === view.digest
    ? null
    : takenBody(offlineFor(after, eventPackage, subscription), subscription)
}

/** No body rather than one of a media type that the watcher does not take (RFC 3856 §6.7). */
const takenBody = (body: Body | null, { accept }: Subscription): Body | null =>
  body === null || accept === undefined || isAccepted(body.contentType, accept) ? body : null
