/**
 * What a SUBSCRIBE asks for: whose request it is, what can be granted, and the package's objections.
 */
import type { EventPackage } from "../packages/event-package.ts"
import { withNeed, withoutNeed, isHeaderValue } from "../vocabulary.ts"
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
 * The request with its watcher. Proxies usually assert the identity when a dialog begins and pass on later requests in
 * it unchanged. A sender that knows the tags of a dialog but arrives by another path is not trusted in this way.
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

/** Of the watcher's several addresses, the one to which the presentity belongs. A watcher with one address keeps it. */
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
  /** As announced in the 2xx response; the operator's grace period is added to it. */
  readonly granted: Seconds
  readonly rates: Rates | null
  readonly suppressIfMatch: string | undefined
  /** Null: the request does not state one. */
  readonly argument: string | null
  readonly needs: string | undefined
  readonly phone: string | undefined
  readonly unsolicited: true | undefined
  readonly sharingTag: string | undefined
  /** Undefined: everything that the package sends. */
  readonly accept: readonly string[] | undefined
}

/** The checks that do not depend on who sends the request. */
export const validate = (command: Subscribe | Resubscribe, context: Context): SubscribeTerms | Rejection => {
  const { limits, packages } = context
  const eventPackage = command.packageName === null ? null : packages.find(command.packageName)
  if (eventPackage === null) return badEvent(context)
  if (command.bodyFault !== null) return command.bodyFault
  const { accept } = command
  if (!isShowable(eventPackage, accept)) {
    return { _tag: "NotAcceptable", status: 406, accept: eventPackage.produces }
  }
  const wanted = command.expires ?? eventPackage.defaultExpires
  // RFC 3265 §3.1.6.1: an hour or more is never too brief; neither is the default lifetime of the package
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
    argument: hasArgument(eventPackage) ? (command.argument ?? null) : null,
    needs: needsBy(command._tag === "Subscribe" ? command.needs : undefined, eventPackage, accept),
    phone: command._tag === "Subscribe" ? command.phone : undefined,
    unsolicited: command._tag === "Subscribe" ? command.unsolicited : undefined,
    sharingTag: command._tag === "Subscribe" ? command.sharingTag : undefined,
    accept: rangesOf(eventPackage, accept),
  }
}

/** No document will ever be sent, so none can have a wrong type; or it has one that the watcher accepts. */
const isShowable = ({ produces, otherForms }: EventPackage, accept: readonly string[] | null): boolean =>
  produces.length === 0 ||
  accept === null ||
  produces.some((type) => isAccepted(type, accept)) ||
  (otherForms !== undefined && [...otherForms.keys()].some((type) => accept.includes(type)))

/**
 * What a phone needs that says in its Accept what it reads: an older format only where it accepts none of the usual ones,
 * or needs it and accepts it. Without an Accept it is what it was.
 */
export const needsBy = (
  needs: string | undefined,
  { produces, otherForms }: EventPackage,
  accept: readonly string[] | null,
): string | undefined => {
  if (otherForms === undefined || accept === null) return needs
  const isUsual = produces.some((type) => isAccepted(type, accept))
  let left = needs
  for (const [type, need] of otherForms) {
    if (!accept.includes(type)) left = withoutNeed(left, need)
    else if (!isUsual) left = withNeed(left, need)
  }
  return left
}

const hasArgument = (eventPackage: EventPackage): boolean =>
  eventPackage.argumentHeader !== undefined || eventPackage.readParameters !== undefined

/**
 * The package's objection to the request; null: it has none.
 *
 * @param present the subscription that the request refreshes or ends; null: it creates one, or is a fetch
 */
export const refusalOf = (
  state: State,
  command: Subscribe | Resubscribe,
  { eventPackage, granted, argument }: SubscribeTerms,
  { handling }: Authorization,
  present: Subscription | null,
): Rejection | null => {
  if (argument !== null && !isHeaderValue(argument)) {
    return badRequest(`${eventPackage.argumentHeader ?? "Event"} is empty or not one line`)
  }
  if (eventPackage.checkSubscription === undefined) return null
  return eventPackage.checkSubscription({
    presentity: state.presentity,
    watcher: command.watcher,
    expires: granted,
    argument: argument ?? present?.argument ?? null,
    // a request that takes nothing conflicts with nobody, and does not learn what others hold
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

/** Whether the watcher wants no documents for now (RFC 5839 §5.2). */
export const isDormant = ({ suppressIfMatch }: SubscribeTerms): boolean => suppressIfMatch === "*"
