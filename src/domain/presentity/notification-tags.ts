/**
 * Which document a watcher has: the entity-tags of NOTIFYs (RFC 5839), and whether one names the present document.
 *
 * A tag is computed from the document, so nothing has to be remembered. It starts with a letter and has no dot where
 * publication tags have one, so the two kinds never meet.
 */
import type { EventPackage } from "../packages/event-package.ts"
import type { Body, Header, SubscriptionNo } from "../vocabulary.ts"
import type { Subscription } from "./state.ts"
import { digestOfBoth, viewHash } from "./view-digest.ts"
import type { View } from "./view.ts"

/** The tag of a document that all watchers with the same view get alike; `n` alone for none. */
export const tagOfBody = (body: Body | null, headers?: readonly Header[]): string => {
  if (headers !== undefined) return `n${digestOfBoth(body, headers)}`
  if (body === null) return "n"
  const known = tags.get(body)
  if (known !== undefined) return known
  const tag = `n${viewHash(body)}`
  tags.set(body, tag)
  return tag
}

/** The tag of a document made for one subscription; of its partial documents, that of what they add up to. */
export const tagOfPersonal = (no: SubscriptionNo, version: number, shown: string): string =>
  `n${no.toString(36)}-${version.toString(36)}-${shown}`

/** Whether documents of this package differ from subscription to subscription. */
export const isPersonal = (eventPackage: EventPackage): boolean =>
  eventPackage.watcherInfoOf !== undefined || eventPackage.personalize !== undefined

/**
 * Whether the watcher has said that it has the document it would be sent now.
 *
 * @param one the subscription before this SUBSCRIBE is answered
 * @source RFC 5839 §5.2 (`*`), §6.2
 */
export const hasAlready = (
  suppressIfMatch: string | undefined,
  one: Subscription,
  eventPackage: EventPackage,
  view: View,
): boolean => {
  if (suppressIfMatch === "*") return true
  // whoever is not decided on has no document
  if (suppressIfMatch === undefined || one.status !== "active") return false
  const isCurrent = one.shown === view.digest
  if (isPersonal(eventPackage)) {
    return isCurrent && suppressIfMatch === tagOfPersonal(one.no, one.notified - 1, one.shown)
  }
  const { body, headers } = view
  return (isCurrent || body !== null || headers !== undefined) && suppressIfMatch === tagOfBody(body, headers)
}

const tags = new WeakMap<Body, string>()
