/**
 * The NOTIFYs of one presentity that have no final answer yet. Memory only: a start issues new ones instead.
 */
import type { Millis, SubscriptionNo } from "../vocabulary.ts"

export interface OutstandingNotifies {
  readonly add: (no: SubscriptionNo, cseq: number, at: Millis) => void
  /** @returns its issue time; null when it is not among them: it was sent before the presentity was last loaded */
  readonly settle: (no: SubscriptionNo, cseq: number) => Millis | null
  /** Those issued after `now`, by a clock that stood ahead, were issued so much earlier. */
  readonly moveBack: (now: Millis, by: Millis) => void
  /** Whether the subscription has one under way. O(1). */
  readonly has: (no: SubscriptionNo) => boolean
  readonly holds: (no: SubscriptionNo, cseq: number) => boolean
  readonly isEmpty: () => boolean
  /** Issue time of the oldest. O(subscriptions with one under way). */
  readonly oldest: () => Millis | null
}

export const makeOutstandingNotifies = (): OutstandingNotifies => {
  /** CSeq → issue time, oldest first. */
  const bySubscription = new Map<SubscriptionNo, Map<number, Millis>>()
  return {
    add: (no, cseq, at) => {
      const own = bySubscription.get(no)
      if (own === undefined) bySubscription.set(no, new Map([[cseq, at]]))
      else own.set(cseq, at)
    },
    settle: (no, cseq) => {
      const own = bySubscription.get(no)
      const at = own?.get(cseq)
      if (own === undefined || at === undefined) return null
      own.delete(cseq)
      if (own.size === 0) bySubscription.delete(no)
      return at
    },
    moveBack: (now, by) => {
      for (const own of bySubscription.values()) {
        for (const [cseq, at] of own) if (at > now) own.set(cseq, at - by)
      }
    },
    has: (no) => bySubscription.has(no),
    holds: (no, cseq) => bySubscription.get(no)?.has(cseq) === true,
    isEmpty: () => bySubscription.size === 0,
    oldest: () => {
      let oldest: Millis | null = null
      for (const own of bySubscription.values()) {
        for (const at of own.values()) if (oldest === null || at < oldest) oldest = at
      }
      return oldest
    },
  }
}
