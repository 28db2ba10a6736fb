/**
 * Who watches a package, as its watcher information tells it (RFC 3857): the whole list, or what changed since a
 * subscription was last told. The form of the document is the template package's.
 */
import type { EventPackage, WatcherEntry } from "../packages/event-package.ts"
import { shownWatcher } from "../privacy.ts"
import type { Private } from "../privacy.ts"
import { get, values } from "../table.ts"
import type { Body, Millis, PackageName, Seconds } from "../vocabulary.ts"
import type { State, Subscription } from "./state.ts"
import type { View } from "./view.ts"

/** Changes whenever what watcher information of the package says changes; has no body of its own. */
export const watchersView = (state: State, packageName: PackageName): View => ({
  body: null,
  digest: `w${get(state.watchersChangedIn, packageName) ?? 0}`,
})

/**
 * The document for one winfo subscription.
 *
 * @source RFC 3857 §4.3: full when it answers a SUBSCRIBE or may have missed something, else only what changed
 * @param subscription as it was before this NOTIFY: its counters are the document's version and what it knows already
 */
export const watchersBody = (
  state: State,
  subscription: Subscription,
  eventPackage: EventPackage,
  at: Millis,
  { isFull }: { readonly isFull: boolean },
): Body | null => {
  const packageName = eventPackage.watcherInfoOf
  if (packageName === undefined || eventPackage.renderWatchers === undefined) return null
  return eventPackage.renderWatchers({
    resource: state.presentity,
    packageName,
    version: subscription.notified,
    isFull,
    watchers: entriesOf(state, packageName, at, isFull ? -1 : subscription.toldIn, isFull),
  })
}

/** Watchers of a package that changed after a decision, by number; the gone only where they are news. */
const entriesOf = (
  state: State,
  packageName: PackageName,
  at: Millis,
  since: number,
  isFull: boolean,
): readonly WatcherEntry[] => {
  const found: [number, WatcherEntry][] = []
  const add = (
    one: Private & {
      readonly no: number
      readonly watcher: WatcherEntry["uri"]
      readonly createdAt: Millis
      readonly changedIn: number
    },
    status: WatcherEntry["status"],
    event: WatcherEntry["event"],
    expiration: Seconds | null,
  ): void => {
    if (one.changedIn <= since) return
    found.push([
      one.no,
      {
        id: `w${one.no}`,
        uri: shownWatcher(one),
        status,
        event,
        expiration,
        durationSubscribed: Math.max(0, Math.floor((at - one.createdAt) / 1000)),
        displayName: null,
      },
    ])
  }
  for (const one of values(state.subscriptions)) {
    if (one.packageName !== packageName) continue
    add(one, one.status, one.event, Math.max(0, Math.floor((one.expiresAt - at) / 1000)))
  }
  for (const one of values(state.waiting)) {
    if (one.packageName === packageName) add(one, "waiting", "timeout", null)
  }
  if (!isFull) {
    for (const one of values(state.departed)) {
      if (one.packageName === packageName) add(one, "terminated", one.event, null)
    }
  }
  return found.sort(([one], [other]) => one - other).map(([, entry]) => entry)
}
