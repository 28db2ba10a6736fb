/**
 * Decisions on SUBSCRIBE: create, refresh, end and fetch (RFC 3265 §3.1, RFC 6665 §4.2.1).
 *
 * The order of checks is fixed: dialog (481), CSeq (500), event package (489), body (415), Accept (406), lifetime
 * (423), policy (403), and the checks of the package (400, 403, 480). Every accepted request causes exactly one
 * immediate NOTIFY.
 */
import type { EventPackage } from "../packages/event-package.ts"
import { privacyOf } from "../privacy.ts"
import { get, size, values } from "../table.ts"
import { invariant } from "../vocabulary.ts"
import type { Seconds, Uri } from "../vocabulary.ts"
import { authorizeWatcher, blocked, decidedBy, statusOf } from "./authorize.ts"
import type { Authorization } from "./authorize.ts"
import type { Answer, Rejection, Resubscribe, Subscribe } from "./commands.ts"
import type { Context } from "./context.ts"
import { accepted, rejected } from "./decision.ts"
import type { Event, Status, SubscriptionCreated } from "./events.ts"
import { sameRanges } from "./media-types.ts"
import { hasAlready } from "./notification-tags.ts"
import { bodiless, notifyOne, viewFor } from "./notify.ts"
import { sameRates } from "./pace.ts"
import { notAuthorized, tooMany } from "./rejections.ts"
import { hardStateAsked, replaceHardState, tellOthers } from "./requested-change.ts"
import { verdictKey } from "./state.ts"
import type { Dialog, State, Subscription } from "./state.ts"
import { byOwnAddress, isDormant, needsBy, refusalOf, validate, withWatcher } from "./subscribe-request.ts"
import type { SubscribeTerms } from "./subscribe-request.ts"
import { add, addAll, append, begin } from "./transition.ts"
import type { Draft } from "./transition.ts"
import { isSolicited, supersededUnsolicited } from "./unsolicited.ts"
import { giveUpAt, mayWait, supersededBy, supersededWaiting, timedOut } from "./waiting.ts"
import { wayAfter } from "./way-to-watcher.ts"

/**
 * A SUBSCRIBE outside any dialog: a new subscription, or, with Expires 0, a fetch.
 *
 * @source RFC 3265 §3.1.6, §3.3.6
 * @rejects BadEvent (489), UnsupportedMediaType (415), NotAcceptable (406), IntervalTooBrief (423), Forbidden (403),
 *   ServiceUnavailable (503); BadRequest (400) and TemporarilyUnavailable (480) by the package
 */
export const subscribe = (draft: Draft, request: Subscribe, context: Context): Answer => {
  const state = draft.before
  const terms = validate(request, context)
  if ("status" in terms) return rejected(terms)
  const command = byOwnAddress(state, request, terms.eventPackage, context)
  const authorization = authorizationOf(state, command, terms.eventPackage, context)
  if (authorization.handling === "block") return rejected(notAuthorized)
  const refusal = refusalOf(state, command, terms, authorization, null)
  if (refusal !== null) return rejected(refusal)
  if (isFull(state, terms, context)) return rejected(tooMany("watchers", context))
  if (isSolicited(state, command)) return rejected(notAuthorized)
  const asked = hardStateAsked(state, command, terms)
  if (asked !== null && "status" in asked) return rejected(asked)
  replaceHardState(draft, asked, terms.eventPackage)
  if (terms.granted > 0) addAll(draft, supersededUnsolicited(state, command))
  const answer = create(draft, terms, authorization, context, {
    eventId: command.eventId,
    watcher: command.watcher,
    dialog: state.version + 1,
    start: command.dialog,
    remoteCseq: command.dialog.remoteCseq,
    ...privacyOf(command),
  })
  tellOthers(draft, asked, terms.eventPackage, context)
  return answer
}

/**
 * A SUBSCRIBE inside a dialog: a refresh or the end of the subscription with this package and `id`, or, if the dialog
 * has no such subscription, a further one in the same dialog.
 *
 * @source RFC 3265 §3.1.4.2, §3.1.6.4; RFC 3261 §12.2.2
 * @rejects CallDoesNotExist (481), OutOfOrder (500), and those of `subscribe`
 */
export const resubscribe = (draft: Draft, request: Resubscribe, context: Context): Answer => {
  const state = draft.before
  const dialogNo = context.findDialog(request.dialog)
  const dialog = dialogNo === null ? undefined : get(state.dialogs, dialogNo)
  if (dialog === undefined) return rejected({ _tag: "CallDoesNotExist", status: 481 })
  if (request.cseq <= dialog.remoteCseq) return rejected({ _tag: "OutOfOrder", status: 500 })
  const terms = validate(request, context)
  if ("status" in terms) return rejected(terms)
  const usages = usagesOf(state, dialog)
  const command = withWatcher(request, dialog, usages)
  // a sender that knows the tags of a dialog but claims another identity does not own it
  if (usages.some(({ watcher }) => watcher !== command.watcher)) return rejected(notAuthorized)
  const subscription = usages.find(
    ({ packageName, eventId }) => packageName === terms.eventPackage.name && eventId === command.eventId,
  )
  const authorization = authorizationOf(state, command, terms.eventPackage, context)
  const refusal = refusalOf(state, command, terms, authorization, subscription ?? null)
  if (refusal !== null && authorization.handling !== "block") return rejected(refusal)
  const asked = authorization.handling === "block" ? null : hardStateAsked(state, command, terms)
  if (asked !== null && "status" in asked) return rejected(asked)
  if (subscription !== undefined) {
    replaceHardState(draft, asked, terms.eventPackage)
    const answer = refresh(draft, { command, terms, dialog, subscription, authorization }, context)
    tellOthers(draft, asked, terms.eventPackage, context)
    return answer
  }
  // existing subscriptions continue unchanged; a further one needs an identified watcher
  const isNamed = command.watcher === request.watcher || request.also?.includes(command.watcher) === true
  const refused = furtherRefusal(terms, authorization, isNamed, context)
  if (refused !== null) return rejected(refused)
  if (isFull(state, terms, context)) return rejected(tooMany("watchers", context))
  replaceHardState(draft, asked, terms.eventPackage)
  const { remoteTarget: moved, ...way } = wayAfter(dialog, command)
  if (moved !== null || way.room !== undefined || way.arrival !== undefined) {
    const remoteTarget = moved ?? dialog.remoteTarget
    add(draft, { _tag: "RemoteTargetChanged", dialog: dialog.no, remoteTarget, ...way })
  }
  const answer = create(draft, terms, authorization, context, {
    eventId: command.eventId,
    watcher: command.watcher,
    dialog: dialog.no,
    start: null,
    remoteCseq: command.cseq,
    // a dialog belongs to one phone: a watcher that is anonymous in one subscription of it is so in all
    ...((command.private ?? usages.some((usage) => usage.private === true))
      ? { private: true as const }
      : {}),
  })
  tellOthers(draft, asked, terms.eventPackage, context)
  return answer
}

/** The objection to a further subscription in a dialog; null: there is none. */
const furtherRefusal = (
  { granted }: SubscribeTerms,
  { handling }: Authorization,
  isNamed: boolean,
  { limits }: Context,
): Rejection | null => {
  if (granted === 0) return { _tag: "CallDoesNotExist", status: 481 }
  if (!isNamed) return notAuthorized
  if (limits.profile === "6665")
    return { _tag: "Forbidden", status: 403, why: "sharing a dialog is not supported" }
  return handling === "block" ? notAuthorized : null
}

/** Whether the maximum number of watchers is reached; a fetch takes no place. */
const isFull = (state: State, { granted }: SubscribeTerms, { limits }: Context): boolean =>
  granted !== 0 && size(state.subscriptions) >= limits.subscriptionsMax

/** A new subscription; a fetch also ends it in the same decision. */
const create = (
  draft: Draft,
  terms: SubscribeTerms,
  authorization: Authorization,
  context: Context,
  who: Pick<SubscriptionCreated, "eventId" | "watcher" | "dialog" | "start" | "remoteCseq" | "private">,
): Answer => {
  const { before } = draft
  const { eventPackage } = terms
  const { handling, matched, forced } = authorization
  const fetches = terms.granted === 0
  const id = before.version + 1
  const status = statusOf(handling)
  // RFC 3857 §4.7.1: a watcher that subscribes again no longer waits from an earlier attempt
  addAll(draft, supersededWaiting(before, { packageName: eventPackage.name, ...who }))
  const begun: SubscriptionCreated = {
    _tag: "SubscriptionCreated",
    no: id,
    packageName: eventPackage.name,
    status,
    polite: handling === "polite-block",
    matched,
    ...(forced ? { forced } : {}),
    ...decidedBy(authorization),
    ...(terms.rates === null ? {} : { rates: terms.rates }),
    // a fetch takes no resource, but may ask for a part of the document
    ...(terms.argument === null || (fetches && eventPackage.tailor === undefined)
      ? {}
      : { argument: terms.argument }),
    ...(terms.needs === undefined ? {} : { needs: terms.needs }),
    ...(terms.phone === undefined ? {} : { phone: terms.phone }),
    ...(terms.unsolicited === undefined ? {} : { unsolicited: terms.unsolicited }),
    ...(terms.accept === undefined ? {} : { accept: terms.accept }),
    ...sharingTagFields(terms.sharingTag, context),
    giveUpAt: status === "pending" && !fetches ? giveUpAt(context) : null,
    expiresAt: fetches ? context.now : deadline(terms.granted, context),
    ...who,
  }
  addCreated(draft, begun, terms)
  const subscription = get(draft.after.subscriptions, id)
  invariant(subscription !== undefined, "a subscription begins in a dialog that is there")
  const answer = subscribed(terms, status, context)
  if (fetches) {
    const waitsUntil = status === "pending" && mayWait(before, context) ? giveUpAt(context) : null
    add(draft, { _tag: "SubscriptionTerminated", no: id, reason: "timeout", silent: false, waitsUntil })
    return answer
  }
  const view = viewFor(draft.after, subscription, eventPackage)
  const notify = notifyOne(subscription, view, "subscribe")
  // RFC 5839 §6.2: outside a dialog the NOTIFY is always sent; only its body may be omitted
  const isKnown = hasAlready(terms.suppressIfMatch, subscription, eventPackage, view)
  add(draft, isKnown ? bodiless(notify) : notify)
  return answer
}

/**
 * Adds the creation of a subscription. It is marked `dormant` if the watcher wants none of the documents that it would
 * bring: none at all (`Suppress-If-Match: *`), or, in a fetch, not the one that it already has.
 */
const addCreated = (draft: Draft, begun: SubscriptionCreated, terms: SubscribeTerms): void => {
  const { granted, suppressIfMatch, eventPackage } = terms
  const isConditional = granted === 0 && suppressIfMatch !== undefined
  if (isDormant(terms) || !isConditional) {
    add(draft, isDormant(terms) ? { ...begun, dormant: true } : begun)
    return
  }
  // which document it would be sent is known only once it exists
  const trial = begin(draft.after, draft.now)
  add(trial, begun)
  const subscription = get(trial.after.subscriptions, begun.no)
  invariant(subscription !== undefined, "a subscription begins in a dialog that is there")
  const view = viewFor(trial.after, subscription, eventPackage)
  if (hasAlready(suppressIfMatch, subscription, eventPackage, view)) add(draft, { ...begun, dormant: true })
  else append(draft, trial)
}

const sharingTagFields = (
  sharingTag: string | undefined,
  { isTagActive }: Context,
): Pick<SubscriptionCreated, "sharingTag" | "parked"> => {
  if (sharingTag === undefined) return {}
  return isTagActive?.(sharingTag) === false ? { sharingTag, parked: true } : { sharingTag }
}

/** A SUBSCRIBE within a dialog, and the subscription that it concerns. */
interface Refresh {
  readonly command: Resubscribe
  readonly terms: SubscribeTerms
  readonly dialog: Dialog
  readonly subscription: Subscription
  readonly authorization: Authorization
}

/** Refreshes a subscription, or ends it with Expires 0. The rules are evaluated first (RFC 3265 §3.1.6.4). */
const refresh = (draft: Draft, request: Refresh, context: Context): Answer => {
  const { terms, subscription, authorization } = request
  // what the request changes is there already; subscriptions are as they were
  const before = draft.after
  const { no: id } = subscription
  const { handling, matched } = authorization
  if (handling === "block") {
    add(draft, blocked(id, authorization))
    return rejected(notAuthorized)
  }
  const status = statusOf(handling)
  const polite = handling === "polite-block"
  const isEnd = terms.granted === 0
  // the newer of two waiting records of one watcher remains
  if (isEnd) addAll(draft, supersededBy(before, subscription, status))
  changeStatus(draft, request, context)
  renew(draft, request, context)
  // as if only the rules had been evaluated again: what the watcher has is not what it would be sent without them
  const { accept: _, needs: _needs, ...kept } = subscription
  const needs = needsBy(subscription.needs, terms.eventPackage, request.command.accept)
  const takes = {
    ...(terms.accept === undefined ? {} : { accept: terms.accept }),
    ...(needs === undefined ? {} : { needs }),
  }
  const asks = terms.argument === null ? {} : { argument: terms.argument }
  const treated: Subscription = { ...kept, ...takes, ...asks, status, polite, matched }
  const due = viewFor(before, treated, terms.eventPackage)
  const isKnown = hasAlready(terms.suppressIfMatch, treated, terms.eventPackage, due)
  // RFC 5839 §6.3: a change of the subscription itself is notified all the same
  const isQuiet = isKnown && subscription.status === status
  if (isEnd) {
    const end = timedOut(before, { ...subscription, status }, context)
    add(draft, isQuiet ? { ...end, silent: true } : end)
    return isQuiet ? quiet(terms) : subscribed(terms, status, context)
  }
  if (isQuiet) {
    if (!isDormant(terms) && subscription.shown !== due.digest) add(draft, known(treated, due.digest))
    return quiet(terms)
  }
  const renewed = get(draft.after.subscriptions, id) ?? subscription
  const view = viewFor(draft.after, renewed, terms.eventPackage)
  if (view.body === null && view.headers === undefined && status === "active" && context.inFlight(id)) {
    // the NOTIFY under way may be the one that reported the empty state, and may be lost
    add(draft, { _tag: "NotificationsDeferred", to: [id], until: null, undelivered: true })
  }
  const notify = notifyOne(renewed, view, "subscribe")
  add(draft, isKnown ? bodiless(notify) : notify)
  return subscribed(terms, status, context)
}

/** Adds the new treatment of the watcher if it differs from the previous one. */
const changeStatus = (draft: Draft, { subscription, authorization }: Refresh, context: Context): void => {
  const { handling, matched, forced, unread } = authorization
  const status = statusOf(handling)
  const polite = handling === "polite-block"
  const isTreatedAlike =
    status === subscription.status &&
    polite === subscription.polite &&
    matched === subscription.matched &&
    forced === subscription.forced &&
    unread === subscription.unread
  if (isTreatedAlike) return
  add(draft, {
    _tag: "SubscriptionStatusChanged",
    no: subscription.no,
    status,
    polite,
    matched,
    ...(forced ? { forced } : {}),
    ...decidedBy(authorization),
    // a refresh does not extend the time for a decision (RFC 3857 §4.7.1)
    giveUpAt: status === "active" ? null : (subscription.giveUpAt ?? giveUpAt(context)),
  })
}

/** Adds what the request changes in the subscription and its dialog, if either remains. */
const renew = (draft: Draft, { command, terms, dialog, subscription }: Refresh, context: Context): void => {
  const isEnd = terms.granted === 0
  const { remoteTarget, room, arrival } = wayAfter(dialog, command)
  const isMoved = remoteTarget !== null || arrival !== undefined
  const needs = needsBy(subscription.needs, terms.eventPackage, command.accept)
  const isOtherForm = needs !== subscription.needs
  const isOtherAccept = !sameRanges(terms.accept, subscription.accept)
  if (isEnd && !isMoved && dialog.usages <= 1 && !isOtherAccept && !isOtherForm) return
  add(draft, {
    _tag: "SubscriptionRefreshed",
    no: subscription.no,
    expiresAt: isEnd ? context.now : deadline(terms.granted, context),
    remoteCseq: command.cseq,
    remoteTarget,
    ...(room === undefined || (isEnd && !isMoved) ? {} : { room }),
    ...(isEnd || sameRates(terms.rates, subscription.rates) ? {} : { rates: terms.rates }),
    ...(isEnd || isDormant(terms) === subscription.dormant ? {} : { dormant: isDormant(terms) }),
    ...(isEnd || terms.argument === null || terms.argument === subscription.argument
      ? {}
      : { argument: terms.argument }),
    ...(isOtherForm ? { needs: needs ?? null } : {}),
    ...(isOtherAccept ? { accept: terms.accept ?? null } : {}),
    ...(isEnd || command.private === undefined || command.private === (subscription.private === true)
      ? {}
      : { private: command.private }),
    ...(arrival === undefined ? {} : { arrival }),
  })
}

const authorizationOf = (
  state: State,
  command: { readonly forceActive: boolean; readonly watcher: Uri },
  eventPackage: EventPackage,
  context: Context,
): Authorization =>
  command.forceActive &&
  eventPackage.watcherInfoOf === undefined &&
  get(state.verdicts, verdictKey(eventPackage.name, command.watcher)) === undefined
    ? { handling: "allow", matched: null, forced: true, by: "operator" }
    : authorizeWatcher(state, eventPackage, command.watcher, context)

/** 202 while the decision is pending, except in the profile of RFC 6665, which has no 202. */
const subscribed = (terms: SubscribeTerms, status: Status, context: Context): Answer =>
  accepted({
    _tag: "Subscribed",
    status: status === "pending" && context.limits.profile === "3265" ? 202 : 200,
    expires: terms.granted,
  })

/** The watcher has shown that it has the present document, although it was not notified of it, or in vain. */
const known = (subscription: Subscription, shown: string): Event => ({
  _tag: "NotificationsIssued",
  packageName: subscription.packageName,
  to: [],
  except: [],
  suppressed: [subscription.no],
  shown,
  cause: "subscribe",
})

/** 204: the watcher already has what it would be sent (RFC 5839 §6.3). */
const quiet = (terms: SubscribeTerms): Answer =>
  accepted({ _tag: "Subscribed", status: 204, expires: terms.granted })

/** The record lives `expiresOffset` longer than the lifetime announced to the watcher. */
const deadline = (granted: Seconds, context: Context): number =>
  context.now + (granted + context.limits.expiresOffset) * 1000

/** The subscriptions of a dialog. O(subscriptions of the presentity), but only if the dialog is shared. */
const usagesOf = (state: State, dialog: Dialog): Subscription[] => {
  if (dialog.usages === 1) {
    const only = get(state.subscriptions, dialog.no)
    if (only !== undefined) return [only]
  }
  return [...values(state.subscriptions)].filter((subscription) => subscription.dialog === dialog.no)
}
