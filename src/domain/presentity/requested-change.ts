/**
 * A SUBSCRIBE whose body changes the hard state of its package, as feature keys do.
 */
import type { EventPackage } from "../packages/event-package.ts"
import { get } from "../table.ts"
import type { Body } from "../vocabulary.ts"
import type { Rejection, Resubscribe, Subscribe } from "./commands.ts"
import type { Context } from "./context.ts"
import { changeNotifications, mixedNotifications } from "./notify.ts"
import { badRequest } from "./rejections.ts"
import type { State } from "./state.ts"
import type { SubscribeTerms } from "./subscribe-request.ts"
import { add, addAll } from "./transition.ts"
import type { Draft } from "./transition.ts"

/**
 * The hard state that the body of a SUBSCRIBE asks for; null: it asks for none, or for the present one.
 *
 * The watcher changes its own. Anybody else needs the permission to publish for the presentity.
 */
export const hardStateAsked = (
  state: State,
  { request, watcher }: Subscribe | Resubscribe,
  { eventPackage }: SubscribeTerms,
): Body | null | Rejection => {
  if (request === undefined || eventPackage.applyRequest === undefined) return null
  if (watcher !== state.presentity && request.mayChange !== state.presentity)
    return { _tag: "Forbidden", status: 403, why: "not authorized to change this" }
  const change = eventPackage.applyRequest(get(state.hardState, eventPackage.name) ?? null, request.body)
  if (change._tag === "Refused") return badRequest(change.why)
  return change._tag === "Changed" ? change.body : null
}

/** The change that the body of the request asks for comes first, so that its own NOTIFY shows it. */
export const replaceHardState = (
  draft: Draft,
  body: Body | null,
  { name: packageName }: EventPackage,
): void => {
  if (body !== null) add(draft, { _tag: "HardStateReplaced", packageName, body })
}

/** Adds the NOTIFYs to those who did not ask for the change; whoever did has a NOTIFY already. */
export const tellOthers = (
  draft: Draft,
  body: Body | null,
  eventPackage: EventPackage,
  context: Context,
): void => {
  if (body === null) return
  const { before, after } = draft
  addAll(draft, changeNotifications(before, after, eventPackage, context))
  addAll(draft, mixedNotifications(before, after, eventPackage, context))
}
