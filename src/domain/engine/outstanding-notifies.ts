/**
 * The NOTIFYs of one presentity that have no final answer yet. Memory only: a start issues new ones instead.
 *
 * Plain data, since there is one for each presentity in memory, and most have no NOTIFY under way most of the time. A subscription
 * has one under way as a rule; what more it has is kept apart.
 */
import type { Millis, SubscriptionNo } from "../vocabulary.ts"

export interface OutstandingNotifies {
  /** One of each subscription that has any; null: there are none. */
  first: Map<SubscriptionNo, Outstanding> | null
  /** The others of those that have several, CSeq → issue time; null: there are none. */
  more: Map<SubscriptionNo, Map<number, Millis>> | null
}

interface Outstanding {
  readonly cseq: number
  readonly at: Millis
}

export const noOutstandingNotifies = (): OutstandingNotifies => ({ first: null, more: null })

export const addOutstanding = (
  notifies: OutstandingNotifies,
  no: SubscriptionNo,
  cseq: number,
  at: Millis,
): void => {
  notifies.first ??= new Map()
  const known = notifies.first.get(no)
  if (known === undefined || known.cseq === cseq) {
    notifies.first.set(no, { cseq, at })
    return
  }
  notifies.more ??= new Map()
  const others = notifies.more.get(no)
  if (others === undefined) notifies.more.set(no, new Map([[cseq, at]]))
  else others.set(cseq, at)
}

/** @returns its issue time; null when it is not among them: it was sent before the presentity was last loaded */
export const settleOutstanding = (
  notifies: OutstandingNotifies,
  no: SubscriptionNo,
  cseq: number,
): Millis | null => {
  const { first } = notifies
  const known = first?.get(no)
  if (first === null || known === undefined) return null
  const others = notifies.more?.get(no)
  if (known.cseq === cseq) {
    const next = others?.entries().next().value
    if (next === undefined) first.delete(no)
    else {
      first.set(no, { cseq: next[0], at: next[1] })
      withoutOther(notifies, no, next[0])
    }
    if (first.size === 0) notifies.first = null
    return known.at
  }
  const at = others?.get(cseq)
  if (at === undefined) return null
  withoutOther(notifies, no, cseq)
  return at
}

const withoutOther = (notifies: OutstandingNotifies, no: SubscriptionNo, cseq: number): void => {
  const others = notifies.more?.get(no)
  if (others === undefined) return
  others.delete(cseq)
  if (others.size === 0) notifies.more?.delete(no)
  if (notifies.more?.size === 0) notifies.more = null
}

/** Those issued after `now`, by a clock that stood ahead, were issued so much earlier. */
export const moveBackOutstanding = ({ first, more }: OutstandingNotifies, now: Millis, by: Millis): void => {
  for (const [no, { cseq, at }] of first ?? []) if (at > now) first?.set(no, { cseq, at: at - by })
  for (const others of more?.values() ?? [])
    for (const [cseq, at] of others) if (at > now) others.set(cseq, at - by)
}

/** Whether the subscription has one under way. O(1). */
export const hasOutstanding = ({ first }: OutstandingNotifies, no: SubscriptionNo): boolean =>
  first !== null && first.has(no)

export const holdsOutstanding = (
  { first, more }: OutstandingNotifies,
  no: SubscriptionNo,
  cseq: number,
): boolean => first?.get(no)?.cseq === cseq || more?.get(no)?.has(cseq) === true

export const isNothingOutstanding = ({ first }: OutstandingNotifies): boolean => first === null

/** Issue time of the oldest; null: there is none. O(NOTIFYs under way). */
export const oldestOutstanding = ({ first, more }: OutstandingNotifies): Millis | null => {
  let oldest: Millis | null = null
  for (const { at } of first?.values() ?? []) if (oldest === null || at < oldest) oldest = at
  for (const others of more?.values() ?? [])
    for (const at of others.values()) if (oldest === null || at < oldest) oldest = at
  return oldest
}
