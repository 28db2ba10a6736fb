/**
 * Takes over what another server holds: publications under their entity-tags, subscriptions in their dialogs, and
 * watchers that wait for a decision.
 *
 * The checks are those of requests, except that lifetimes stay as the other server granted them. What exists already is
 * left alone, so a repeated takeover has no effect. Rules and hard state need no commands of their own: they are
 * replaced (`authorize.ts`, `hard-state.ts`).
 */
import { isPublishable } from "../packages/event-package.ts"
import { get, size, values } from "../table.ts"
import { dialogKey } from "../vocabulary.ts"
import type { AdoptPublication, AdoptSubscription, AdoptWatcher } from "./adopt-commands.ts"
import { authorizeWatcher, decidedBy, statusOf } from "./authorize.ts"
import type { Answer } from "./commands.ts"
import type { Context } from "./context.ts"
import { done, isDone, reject, rejected } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import type { Event, SubscriptionCreated } from "./events.ts"
import {
  bodyFault,
  changePublished,
  headerFault,
  headersOf,
  initialOrder,
  isFull,
  saysNothing,
} from "./publish.ts"
import { badEvent, badRequest, notAuthorized, tooMany } from "./rejections.ts"
import { publication } from "./state.ts"
import type { State } from "./state.ts"
import type { Draft } from "./transition.ts"
import { giveUpAt, mayWait, supersededWaiting } from "./waiting.ts"

/**
 * Continues a publication; its watchers on this server are notified.
 *
 * @rejects BadEvent (489), BadRequest (400), UnsupportedMediaType (415), ServiceUnavailable (503)
 */
export const adoptPublication = (draft: Draft, command: AdoptPublication, context: Context): Answer => {
  const state = draft.before
  const eventPackage = context.packages.find(command.packageName)
  if (eventPackage === null || !isPublishable(eventPackage)) return rejected(badEvent(context))
  const { entityTag, expiresAt, receivedAt, body, sender } = command
  if (publication(state, eventPackage.name, entityTag) !== undefined) return isDone
  if (expiresAt <= context.now) return rejected(isOver)
  const content = { ...command, bodyFault: null }
  const fault = bodyFault(content, eventPackage) ?? headerFault(content, eventPackage)
  if (fault !== null) return rejected(fault)
  const headers = headersOf(content, eventPackage)
  if (saysNothing(body, headers, eventPackage)) return rejected(badRequest("it has no body"))
  if (isFull(state, eventPackage, context)) return rejected(tooMany("publications", context))
  const created: Event = {
    _tag: "PublicationCreated",
    packageName: eventPackage.name,
    entityTag,
    expiresAt,
    body,
    ...(headers.length === 0 ? {} : { headers }),
    sender,
    ...initialOrder(eventPackage, context),
    receivedAt,
  }
  changePublished(draft, created, eventPackage, context)
  return isDone
}

/**
 * Continues a subscription, in a dialog of its own or in an existing one (RFC 3265 §3.1.4.2).
 *
 * The other server's decision on the watcher remains valid unless rules or another policy are in force here, which then
 * take precedence.
 *
 * @rejects BadEvent (489), BadRequest (400), Forbidden (403), ServiceUnavailable (503)
 */
export const adoptSubscription = (state: State, command: AdoptSubscription, context: Context): Outcome => {
  const eventPackage = context.packages.find(command.packageName)
  if (eventPackage === null) return reject(badEvent(context))
  if (eventPackage.argumentHeader !== undefined) {
    return reject(badRequest(`what its SUBSCRIBE said in ${eventPackage.argumentHeader} is not known`))
  }
  const { eventId, watcher, expiresAt, dialog: start, takenOver } = command
  const dialogNo = context.findDialog(dialogKey(start.callId, start.localTag, start.remoteTag))
  const dialog = dialogNo === null ? undefined : get(state.dialogs, dialogNo)
  const usages = [...values(state.subscriptions)].filter((subscription) => subscription.dialog === dialog?.no)
  if (
    usages.some(
      (subscription) => subscription.packageName === eventPackage.name && subscription.eventId === eventId,
    )
  )
    return done([])
  if (expiresAt <= context.now) return reject(isOver)
  if (usages.some((subscription) => subscription.watcher !== watcher)) {
    return reject({ _tag: "Forbidden", status: 403, why: "its dialog is that of another watcher" })
  }
  const judgement = authorizeWatcher(state, eventPackage, watcher, context)
  if (judgement.handling === "block") return reject(notAuthorized)
  if (size(state.subscriptions) >= context.limits.subscriptionsMax)
    return reject(tooMany("watchers", context))
  const isRuled =
    judgement.matched !== null || (judgement.policy !== undefined && judgement.policy !== "rules")
  // another server's decision does not prevail over a source of rules that has not been read here
  const isJudged = isRuled || judgement.unread === true
  const status = isJudged ? statusOf(judgement.handling) : command.status
  const id = state.version + 1
  const created: SubscriptionCreated = {
    _tag: "SubscriptionCreated",
    no: id,
    packageName: eventPackage.name,
    eventId,
    watcher,
    status,
    polite: isJudged ? judgement.handling === "polite-block" : command.polite,
    matched: judgement.matched,
    ...decidedBy(judgement),
    giveUpAt: status === "pending" ? giveUpAt(context) : null,
    expiresAt,
    dialog: dialog?.no ?? id,
    start: dialog === undefined ? start : null,
    remoteCseq: Math.max(start.remoteCseq, dialog?.remoteCseq ?? 0),
    takenOver,
  }
  return done([...supersededWaiting(state, created), created])
}

/**
 * Continues a watcher that waits for a decision. It waits for as long as one that begins to wait now. Nothing happens
 * if it already watches or waits here, or if rules in force here have decided.
 *
 * @rejects BadEvent (489), Forbidden (403), ServiceUnavailable (503)
 */
export const adoptWatcher = (state: State, command: AdoptWatcher, context: Context): Outcome => {
  const { watcher, createdAt } = command
  const eventPackage = context.packages.find(command.packageName)
  if (eventPackage === null) return reject(badEvent(context))
  const matches = (subject: { readonly packageName: string; readonly watcher: string }): boolean =>
    subject.packageName === eventPackage.name && subject.watcher === watcher
  for (const subscription of values(state.subscriptions)) if (matches(subscription)) return done([])
  for (const waiting of values(state.waiting)) if (matches(waiting)) return done([])
  const { handling, matched, policy } = authorizeWatcher(state, eventPackage, watcher, context)
  if (handling === "block") return reject(notAuthorized)
  if ((matched !== null || (policy !== undefined && policy !== "rules")) && handling !== "confirm")
    return done([])
  if (!mayWait(state, context)) return reject(tooMany("watchers", context))
  const id = state.version + 1
  return done([
    {
      _tag: "WatcherRemembered",
      no: id,
      packageName: eventPackage.name,
      watcher,
      createdAt,
      giveUpAt: giveUpAt(context),
    },
  ])
}

const isOver = badRequest("it is over")
