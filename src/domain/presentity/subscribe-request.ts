/**
 * What a SUBSCRIBE asks for: whose request it is, what it may have, and what the package has against it.
 */
import type { EventPackage } from "../packages/event-package.ts"
import { isHeaderValue } from "../vocabulary.ts"
import type { Rates, Seconds } from "../vocabulary.ts"
import type { Authorization } from "./authorize.ts"
import type { Rejection, Resubscribe, Subscribe } from "./commands.ts"
import type { Context } from "./context.ts"
import { isAccepted, rangesOf } from "./media-types.ts"
import { grantedRates } from "./pace.ts"
import { badEvent, badRequest } from "./rejections.ts"
import { activeSubscriptions } from "./state.ts"
import type { Dialog, State, Subscription } from "./state.ts"
import { counts } from "./view.ts"
import { watchingAs } from "./watching.ts"

/**
 * The request with the watcher that it is of: proxies mostly say who it is when a dialog begins, and pass on what comes
 * within it as it is. Somebody who knows the tags of a dialog but comes another way is not believed so.
 */
export const withWatcher = (
  request: Resubscribe,
  { start }: Dialog,
  usages: readonly Subscription[],
): Resubscribe => {
  const [subscription] = usages
  if (subscription !== undefined && request.also?.includes(subscription.watcher) === true)
    return { ...request, watcher: subscription.watcher }
  if (request.through === undefined || subscription === undefined) return request
  const host = start.source.slice(0, Math.max(0, start.source.lastIndexOf(":")))
  return host === "" || host === request.through ? { ...request, watcher: subscription.watcher } : request
}

/** Of several addresses of a watcher that which the presentity belongs to. Nothing new for one that has one. */
export const byOwnAddress = (
  state: State,
  request: Subscribe,
  eventPackage: EventPackage,
  { limits }: Context,
): Subscribe => {
  if (request.also === undefined) return request
  const watcher = watchingAs(eventPackage, state.presentity, request.watcher, request.also, limits.watching)
  return watcher === request.watcher ? request : { ...request, watcher }
}

export interface SubscribeTerms {
  readonly eventPackage: EventPackage
  /** As announced in the 2xx; the operator's grace comes on top. */
  readonly granted: Seconds
  readonly rates: Rates | null
  readonly suppressIfMatch: string | undefined
  /** Null: the request does not say any. */
  readonly argument: string | null
  readonly sharingTag: string | undefined
  /** Undefined: all that the package sends. */
  readonly accept: readonly string[] | undefined
}

/** The checks that do not depend on who asks. */
export const validate = (command: Subscribe | Resubscribe, context: Context): SubscribeTerms | Rejection => {
  const { limits, packages } = context
  const eventPackage = command.packageName === null ? null : packages.find(command.packageName)
  if (eventPackage === null) return badEvent(context)
  if (command.bodyFault !== null) return command.bodyFault
  const { accept } = command
  // no document will ever be sent that could be of a wrong type
  const isShowable = eventPackage.produces.length === 0 || accept === null
  if (!isShowable && !eventPackage.produces.some((type) => isAccepted(type, accept))) {
    return { _tag: "NotAcceptable", status: 406, accept: eventPackage.produces }
  }
  const wanted = command.expires ?? eventPackage.defaultExpires
  // RFC 3265 §3.1.6.1: an hour or more is never too brief
  // and what the package itself takes for long enough is that
  const minExpires = Math.min(limits.minExpiresSubscribe, eventPackage.defaultExpires)
  if (wanted > 0 && wanted < 3600 && wanted < minExpires) {
    return { _tag: "IntervalTooBrief", status: 423, minExpires }
  }
  const granted = Math.min(wanted, limits.maxExpiresSubscribe)
  const { rates } = command
  return {
    eventPackage,
    granted,
    rates:
      rates === undefined || !limits.rateControl || granted === 0
        ? null
        : grantedRates(rates, eventPackage, limits, granted),
    suppressIfMatch: limits.conditionalNotify ? command.suppressIfMatch : undefined,
    argument: eventPackage.argumentHeader === undefined ? null : (command.argument ?? null),
    sharingTag: command._tag === "Subscribe" ? command.sharingTag : undefined,
    accept: rangesOf(eventPackage, accept),
  }
}

/**
 * What the package has against the request.
 *
 * @param present the subscription that it refreshes or ends; null: it begins one, or asks once
 */
export const refusalOf = (
  state: State,
  command: Subscribe | Resubscribe,
  { eventPackage, granted, argument }: SubscribeTerms,
  { handling }: Authorization,
  present: Subscription | null,
): Rejection | null => {
  if (argument !== null && !isHeaderValue(argument)) {
    return badRequest(`${eventPackage.argumentHeader} is empty or not one line`)
  }
  if (eventPackage.checkSubscription === undefined) return null
  return eventPackage.checkSubscription({
    presentity: state.presentity,
    watcher: command.watcher,
    expires: granted,
    argument: argument ?? present?.argument ?? null,
    // who takes nothing is in nobody's way, and does not learn what others have
    others:
      handling === "allow"
        ? activeSubscriptions(state, eventPackage.name)
            .filter((subscription) => subscription.no !== present?.no && counts(subscription))
            .map((subscription) => ({
              watcher: subscription.watcher,
              argument: subscription.argument ?? null,
            }))
        : [],
  })
}

/** @source RFC 5839 §5.2 */
export const isDormant = ({ suppressIfMatch }: SubscribeTerms): boolean => suppressIfMatch === "*"
