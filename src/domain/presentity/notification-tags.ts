/**
 * The entity-tags of NOTIFYs (RFC 5839), and whether a tag names the present document.
 *
 * A tag is computed from the document, so nothing has to be remembered. It starts with a letter and has no dot where
 * tags of publications have one, so the two kinds never collide.
 */
import type { EventPackage } from "../packages/event-package.ts"
import type { Body, Header, SubscriptionNo } from "../vocabulary.ts"
import type { Subscription } from "./state.ts"
import { digestOfBoth, viewHash } from "./view-digest.ts"
import type { View } from "./view.ts"

/** The tag of a document that is the same for all watchers with the same view; `n` alone for no document. */
export const tagOfBody = (body: Body | null, headers?: readonly Header[]): string => {
  if (headers !== undefined) return `n${digestOfBoth(body, headers)}`
  if (body === null) return "n"
  const known = tags.get(body)
  if (known !== undefined) return known
  const tag = `n${viewHash(body)}`
  tags.set(body, tag)
  return tag
}

/** The tag of a document made for one subscription; for partial documents, that of the state they add up to. */
export const tagOfPersonal = (id: SubscriptionNo, version: number, shown: string): string =>
  `n${id.toString(36)}-${version.toString(36)}-${shown}`

/** Whether documents of this package differ between subscriptions. */
export const isPersonal = (eventPackage: EventPackage): boolean =>
  eventPackage.watcherInfoOf !== undefined || eventPackage.personalize !== undefined

/**
 * Whether the watcher has stated that it already has the document that it would be sent now.
 *
 * @param subscription the subscription before this SUBSCRIBE is answered
 * @source RFC 5839 §5.2 (`*`), §6.2
 */
export const hasAlready = (
  suppressIfMatch: string | undefined,
  subscription: Subscription,
  eventPackage: EventPackage,
  view: View,
): boolean => {
  if (suppressIfMatch === "*") return true
  // a watcher that is not decided on has no document
  if (suppressIfMatch === undefined || subscription.status !== "active") return false
  const isCurrent = subscription.shown === view.digest
  if (isPersonal(eventPackage)) {
    return (
      isCurrent &&
      suppressIfMatch === tagOfPersonal(subscription.no, subscription.notified - 1, subscription.shown)
    )
  }
  const { body, headers } = view
  return (isCurrent || body !== null || headers !== undefined) && suppressIfMatch === tagOfBody(body, headers)
}

const tags = new WeakMap<Body, string>()
