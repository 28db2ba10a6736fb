/**
 * What another server has, and goes on here: publications under their entity-tags, subscriptions in their dialogs, watchers
 * that wait for a decision.
 *
 * The same checks as for a request, but for what the other server has granted already: lifetimes stay as they are. What
 * is there already is left alone, so taking over twice is taking over once. Rules and hard state need nothing of their
 * own: they are replaced (`authorize.ts`, `hard-state.ts`).
 */
import { isPublishable } from "../packages/event-package.ts"
import { get, size, values } from "../table.ts"
import { dialogKey } from "../vocabulary.ts"
import { decidedBy, giveUpAt, authorizeWatcher, mayWait, statusOf, supersededWaiting } from "./authorize.ts"
import type { AdoptPublication, AdoptSubscription, AdoptWatcher, Rejection } from "./commands.ts"
import type { Context } from "./context.ts"
import { accept, done, reject } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import type { SubscriptionCreated } from "./events.ts"
import { bodyFault, headerFault, headersOf, withConsequences } from "./publish.ts"
import { publication } from "./state.ts"
import type { State } from "./state.ts"

/**
 * A publication that goes on; whoever watches here is told of it.
 *
 * @rejects BadEvent (489), BadRequest (400), UnsupportedMediaType (415), ServiceUnavailable (503)
 */
export const adoptPublication = (state: State, command: AdoptPublication, context: Context): Outcome => {
  const eventPackage = context.packages.find(command.packageName)
  if (eventPackage === null || !isPublishable(eventPackage)) return reject(badEvent(context))
  const { entityTag, expiresAt, receivedAt, body, sender } = command
  if (publication(state, eventPackage.name, entityTag) !== undefined) return done([])
  if (expiresAt <= context.now) return reject(over)
  const content = { ...command, bodyFault: null }
  const fault = bodyFault(content, eventPackage) ?? headerFault(content, eventPackage)
  if (fault !== null) return reject(fault)
  const headers = headersOf(content, eventPackage)
  if (body === null && (eventPackage.bodyRequired !== false || headers.length === 0))
    return reject(saysNothing)
  const others = get(state.publications, eventPackage.name)
  if (others !== undefined && size(others) >= context.limits.publicationsMax) {
    return reject(tooMany("publications", context))
  }
  const created = {
    _tag: "PublicationCreated",
    packageName: eventPackage.name,
    entityTag,
    expiresAt,
    body,
    ...(headers.length === 0 ? {} : { headers }),
    sender,
    receivedAt,
  } as const
  return accept(withConsequences(state, created, eventPackage, context, null), { _tag: "Done" })
}

/**
 * A subscription that goes on: in a dialog of its own, or in one that is there already (RFC 3265 §3.1.4.2).
 *
 * What the other server decided on the watcher stands, unless rules or another policy are in force here: then they do.
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
  const usages = [...values(state.subscriptions)].filter((one) => one.dialog === dialog?.no)
  if (usages.some((one) => one.packageName === eventPackage.name && one.eventId === eventId)) return done([])
  if (expiresAt <= context.now) return reject(over)
  if (usages.some((one) => one.watcher !== watcher)) {
    return reject({ _tag: "Forbidden", status: 403, why: "its dialog is that of another watcher" })
  }
  const judgement = authorizeWatcher(state, eventPackage, watcher, context)
  if (judgement.handling === "block") return reject(forbidden)
  if (size(state.subscriptions) >= context.limits.subscriptionsMax)
    return reject(tooMany("watchers", context))
  const isRuled =
    judgement.matched !== null || (judgement.policy !== undefined && judgement.policy !== "rules")
  // what another server decided does not stand against a source that has not been read here
  const isJudged = isRuled || judgement.unread === true
  const status = isJudged ? statusOf(judgement.handling) : command.status
  const no = state.version + 1
  const created: SubscriptionCreated = {
    _tag: "SubscriptionCreated",
    no,
    packageName: eventPackage.name,
    eventId,
    watcher,
    status,
    polite: isJudged ? judgement.handling === "polite-block" : command.polite,
    matched: judgement.matched,
    ...decidedBy(judgement),
    giveUpAt: status === "pending" ? giveUpAt(context) : null,
    expiresAt,
    dialog: dialog?.no ?? no,
    start: dialog === undefined ? start : null,
    remoteCseq: Math.max(start.remoteCseq, dialog?.remoteCseq ?? 0),
    takenOver,
  }
  return done([...supersededWaiting(state, created), created])
}

/**
 * A watcher that waits for a decision, for as long from now on as one that begins to wait here; nothing happens when it
 * watches or waits here already, or when rules in force here have decided.
 *
 * @rejects BadEvent (489), Forbidden (403), ServiceUnavailable (503)
 */
export const adoptWatcher = (state: State, command: AdoptWatcher, context: Context): Outcome => {
  const { watcher, createdAt } = command
  const eventPackage = context.packages.find(command.packageName)
  if (eventPackage === null) return reject(badEvent(context))
  const matches = (one: { readonly packageName: string; readonly watcher: string }): boolean =>
    one.packageName === eventPackage.name && one.watcher === watcher
  for (const one of values(state.subscriptions)) if (matches(one)) return done([])
  for (const one of values(state.waiting)) if (matches(one)) return done([])
  const { handling, matched, policy } = authorizeWatcher(state, eventPackage, watcher, context)
  if (handling === "block") return reject(forbidden)
  if ((matched !== null || (policy !== undefined && policy !== "rules")) && handling !== "confirm")
    return done([])
  if (!mayWait(state, context)) return reject(tooMany("watchers", context))
  const no = state.version + 1
  return done([
    {
      _tag: "WatcherRemembered",
      no,
      packageName: eventPackage.name,
      watcher,
      createdAt,
      giveUpAt: giveUpAt(context),
    },
  ])
}

const badEvent = (context: Context): Rejection => ({
  _tag: "BadEvent",
  status: 489,
  allowEvents: context.packages.allowEvents,
})

const badRequest = (why: string): Rejection => ({ _tag: "BadRequest", status: 400, why })

const tooMany = (what: string, context: Context): Rejection => ({
  _tag: "ServiceUnavailable",
  status: 503,
  why: `too many ${what} for this presentity`,
  retryAfter: context.limits.retryAfter,
})

const over = badRequest("it is over")
const saysNothing = badRequest("it has no body")
const forbidden: Rejection = { _tag: "Forbidden", status: 403, why: "not authorized to watch" }
