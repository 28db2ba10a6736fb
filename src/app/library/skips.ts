/**
 * Counts the changes that a watcher was not notified of because it had not taken the notification before.
 *
 * A watcher that keeps up costs two numbers here and nothing else. For the others, views are compared once for all watchers that
 * see the same, and not at all for a decision that no view shows.
 */
import type { CommittedDecision } from "../../domain/engine/engine.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import { viewFor } from "../../domain/presentity/notify.ts"
import type { Subscription } from "../../domain/presentity/state.ts"
import { get } from "../../domain/table.ts"
import type { SubscriptionNo, Uri } from "../../domain/vocabulary.ts"

export interface Skips {
  /** A notification leaves. @returns how many changes were skipped before the one it shows */
  readonly delivered: (notify: Notify) => number
  /** Its watcher has taken it. */
  readonly taken: (notify: Notify) => void
  /** Decisions are committed; to be called before the notifications that follow from them. */
  readonly stored: (stored: readonly CommittedDecision[]) => void
}

interface Watcher {
  readonly packageName: string
  /** Notifications that it has not taken. */
  underWay: number
  /** Changes that it might have been notified of, since the last notification. */
  changes: number
}

interface Presentity {
  readonly watchers: Map<SubscriptionNo, Watcher>
  /** How many watchers have notifications not taken, or changes skipped. */
  behind: number
}

type Presentities = Map<Uri, Presentity>

export const makeSkips = (packages: Packages): Skips => {
  const presentities: Presentities = new Map()
  return {
    delivered: (notify) => delivered(presentities, notify),
    taken: ({ presentity, no: id }) => {
      const known = presentities.get(presentity)
      const watcher = known?.watchers.get(id)
      if (known === undefined || watcher === undefined || watcher.underWay === 0) return
      watcher.underWay--
      if (watcher.underWay === 0 && watcher.changes === 0) known.behind--
    },
    stored: (stored) => {
      for (const committed of stored) count(presentities, packages, committed)
    },
  }
}

const isBehind = ({ underWay, changes }: Watcher): boolean => underWay > 0 || changes > 0

const forget = (presentities: Presentities, uri: Uri, presentity: Presentity, id: SubscriptionNo): void => {
  const watcher = presentity.watchers.get(id)
  if (watcher === undefined) return
  if (isBehind(watcher)) presentity.behind--
  presentity.watchers.delete(id)
  if (presentity.watchers.size === 0) presentities.delete(uri)
}

/** @returns how many changes were skipped before the one that is shown */
const delivered = (
  presentities: Presentities,
  { presentity, no: id, packageName, state }: Notify,
): number => {
  let known = presentities.get(presentity)
  const watcher = known?.watchers.get(id)
  const skipped = watcher === undefined ? 0 : Math.max(0, watcher.changes - 1)
  if (state === "terminated") {
    if (known !== undefined) forget(presentities, presentity, known, id)
    return skipped
  }
  if (known === undefined) {
    known = { watchers: new Map(), behind: 0 }
    presentities.set(presentity, known)
  }
  if (watcher === undefined) known.watchers.set(id, { packageName, underWay: 1, changes: 0 })
  else {
    if (isBehind(watcher)) known.behind--
    watcher.underWay++
    watcher.changes = 0
  }
  known.behind++
  return skipped
}

/** Counts a change for every watcher that is behind and sees a difference after a decision. */
const count = (presentities: Presentities, packages: Packages, committed: CommittedDecision): void => {
  const { decision, before, after } = committed
  const known = presentities.get(decision.stream)
  if (known === undefined) return
  if (after.subscriptions !== before.subscriptions) {
    for (const event of decision.events)
      if (event._tag === "SubscriptionTerminated" && event.silent)
        forget(presentities, decision.stream, known, event.no)
  }
  if (known.behind === 0) return
  const isOnlySubscriptions = showsTheSame(committed)
  if (isOnlySubscriptions && after.subscriptions === before.subscriptions) return
  const comparison: Comparison = { committed, packages, isOnlySubscriptions, found: new Map() }
  for (const [id, watcher] of known.watchers)
    if (isBehind(watcher) && isChangedFor(comparison, id, watcher)) watcher.changes++
}

/** One decision, and what has been found about it so far. */
interface Comparison {
  readonly committed: CommittedDecision
  readonly packages: Packages
  /** Only subscriptions changed. */
  readonly isOnlySubscriptions: boolean
  /** Whether a view changed, by the key that determines the view. */
  readonly found: Map<string, boolean>
}

const isChangedFor = (
  { committed, packages, isOnlySubscriptions, found }: Comparison,
  id: SubscriptionNo,
  { packageName }: Watcher,
): boolean => {
  const { before, after } = committed
  const subscriptionBefore = get(before.subscriptions, id)
  const subscriptionAfter = get(after.subscriptions, id)
  const eventPackage = packages.find(packageName)
  if (subscriptionBefore === undefined || subscriptionAfter === undefined || eventPackage === null)
    return false
  if (
    isOnlySubscriptions &&
    subscriptionBefore === subscriptionAfter &&
    eventPackage.composesFrom === undefined
  )
    return false
  const key = viewKey(subscriptionAfter)
  // a watcher whose own subscription changed its view is compared separately
  const isShared = subscriptionBefore === subscriptionAfter || viewKey(subscriptionBefore) === key
  const known = isShared ? found.get(key) : undefined
  if (known !== undefined) return known
  const isChanged = differs(
    () =>
      viewFor(before, subscriptionBefore, eventPackage).digest !==
      viewFor(after, subscriptionAfter, eventPackage).digest,
  )
  if (isShared) found.set(key, isChanged)
  return isChanged
}

/** Whether everything that views are made of is unchanged, apart from the subscriptions. */
const showsTheSame = ({ before, after }: CommittedDecision): boolean =>
  before.publications === after.publications &&
  before.hardState === after.hardState &&
  before.rules === after.rules &&
  before.watchersChangedIn === after.watchersChangedIn

/** Equal for subscriptions that have the same view of one state. */
const viewKey = ({ packageName, status, polite, matched, accept }: Subscription): string =>
  `${packageName} ${status} ${polite} ${matched} ${accept?.join()}`

const differs = (compare: () => boolean): boolean => {
  try {
    return compare()
  } catch {
    // reported where it was decided
    return false
  }
}
