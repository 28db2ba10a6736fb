/**
 * How many changes a watcher was not told because it had not done with the notification before.
 *
 * A watcher that takes what it is told costs two numbers here and nothing else. Of those that do not, views are compared once for all
 * that see the same, and not at all for a decision that no view shows.
 */
import type { CommittedDecision } from "../../domain/engine/engine.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import { viewFor } from "../../domain/presentity/notify.ts"
import type { Subscription } from "../../domain/presentity/state.ts"
import { get } from "../../domain/table.ts"
import type { SubscriptionNo, Uri } from "../../domain/vocabulary.ts"

export interface Skips {
  /** A notification leaves. @returns how many changes were left out before the one it tells */
  readonly delivered: (one: Notify) => number
  /** Its watcher has done with it. */
  readonly taken: (one: Notify) => void
  /** Decisions are committed; to be told before the notifications that follow from them. */
  readonly stored: (stored: readonly CommittedDecision[]) => void
}

interface Watcher {
  readonly packageName: string
  /** Notifications it has not done with. */
  underWay: number
  /** Changes it might have been told, since the last one left. */
  changes: number
}

interface Presentity {
  readonly watchers: Map<SubscriptionNo, Watcher>
  /** How many of them have something under way, or changes untold. */
  behind: number
}

export const makeSkips = (packages: Packages): Skips => {
  const all = new Map<Uri, Presentity>()

  const forget = (uri: Uri, of: Presentity, no: SubscriptionNo): void => {
    const one = of.watchers.get(no)
    if (one === undefined) return
    if (one.underWay > 0 || one.changes > 0) of.behind--
    of.watchers.delete(no)
    if (of.watchers.size === 0) all.delete(uri)
  }

  /** @param known what was found of this decision so far, by what decides on a view */
  const changed = (
    one: Watcher,
    no: SubscriptionNo,
    { before, after }: CommittedDecision,
    isOnlySubscriptions: boolean,
    known: Map<string, boolean>,
  ): boolean => {
    const was = get(before.subscriptions, no)
    const is = get(after.subscriptions, no)
    const eventPackage = packages.find(one.packageName)
    if (was === undefined || is === undefined || eventPackage === null) return false
    if (isOnlySubscriptions && was === is && eventPackage.composesFrom === undefined) return false
    const key = viewKey(is)
    // whoever sees something else by its own doing is compared alone
    const isShared = was === is || viewKey(was) === key
    const found = isShared ? known.get(key) : undefined
    if (found !== undefined) return found
    const isChanged = differs(
      () => viewFor(before, was, eventPackage).digest !== viewFor(after, is, eventPackage).digest,
    )
    if (isShared) known.set(key, isChanged)
    return isChanged
  }

  return {
    delivered: ({ presentity, no, packageName, state }) => {
      let of = all.get(presentity)
      const one = of?.watchers.get(no)
      const skipped = one === undefined ? 0 : Math.max(0, one.changes - 1)
      if (state === "terminated") {
        if (of !== undefined) forget(presentity, of, no)
        return skipped
      }
      if (of === undefined) {
        of = { watchers: new Map(), behind: 0 }
        all.set(presentity, of)
      }
      if (one === undefined) of.watchers.set(no, { packageName, underWay: 1, changes: 0 })
      else {
        if (one.underWay > 0 || one.changes > 0) of.behind--
        one.underWay++
        one.changes = 0
      }
      of.behind++
      return skipped
    },
    taken: ({ presentity, no }) => {
      const of = all.get(presentity)
      const one = of?.watchers.get(no)
      if (of === undefined || one === undefined || one.underWay === 0) return
      one.underWay--
      if (one.underWay === 0 && one.changes === 0) of.behind--
    },
    stored: (stored) => {
      for (const each of stored) {
        const { stream } = each.decision
        const of = all.get(stream)
        if (of === undefined) continue
        if (each.after.subscriptions !== each.before.subscriptions) {
          for (const event of each.decision.events)
            if (event._tag === "SubscriptionTerminated" && event.silent) forget(stream, of, event.no)
        }
        if (of.behind === 0) continue
        const isOnlySubscriptions = showsTheSame(each)
        if (isOnlySubscriptions && each.after.subscriptions === each.before.subscriptions) continue
        const known = new Map<string, boolean>()
        for (const [no, one] of of.watchers)
          if ((one.underWay > 0 || one.changes > 0) && changed(one, no, each, isOnlySubscriptions, known))
            one.changes++
      }
    },
  }
}

/** Whether all that views are made of is what it was, apart from the subscriptions. */
const showsTheSame = ({ before, after }: CommittedDecision): boolean =>
  before.publications === after.publications &&
  before.hardState === after.hardState &&
  before.rules === after.rules &&
  before.watchersChangedIn === after.watchersChangedIn

/** Equal for subscriptions that see the same of one state. */
const viewKey = ({ packageName, status, polite, matched, accept }: Subscription): string =>
  `${packageName} ${status} ${polite} ${matched} ${accept?.join()}`

const differs = (compare: () => boolean): boolean => {
  try {
    return compare()
  } catch {
    // told where it was decided
    return false
  }
}
