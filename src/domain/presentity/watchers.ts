/**
 * The watchers of a package as watcher information reports them (RFC 3857): the full list, or what changed since a
 * subscription was last notified. The template package determines the format of the document.
 */
import type { EventPackage, WatcherEntry } from "../packages/event-package.ts"
import { shownWatcher } from "../privacy.ts"
import type { Private } from "../privacy.ts"
import { get, values } from "../table.ts"
import type { Body, Millis, PackageName, Seconds } from "../vocabulary.ts"
import type { State, Subscription } from "./state.ts"
import type { View } from "./view.ts"

/** A view without a body of its own; it changes whenever the watcher information of the package does. */
export const watchersView = (state: State, packageName: PackageName): View => ({
  body: null,
  digest: `w${get(state.watchersChangedIn, packageName) ?? 0}`,
})

/**
 * The document for one subscription to watcher information.
 *
 * @source RFC 3857 §4.3: full in response to a SUBSCRIBE or when something may have been missed, otherwise only the
 *   changes
 * @param subscription as it was before this NOTIFY: its counters give the version of the document and what the watcher
 *   already knows
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

/** The watchers of a package that changed after a given decision, by number; terminated ones only in partial state. */
const entriesOf = (
  state: State,
  packageName: PackageName,
  at: Millis,
  since: number,
  isFull: boolean,
): readonly WatcherEntry[] => {
  const numbered: [number, WatcherEntry][] = []
  const add = (
    subject: Private & {
      readonly no: number
      readonly watcher: WatcherEntry["uri"]
      readonly createdAt: Millis
      readonly changedIn: number
    },
    status: WatcherEntry["status"],
    event: WatcherEntry["event"],
    expiration: Seconds | null,
  ): void => {
    if (subject.changedIn <= since) return
    numbered.push([
      subject.no,
      {
        id: `w${subject.no}`,
        uri: shownWatcher(subject),
        status,
        event,
        expiration,
        durationSubscribed: Math.max(0, Math.floor((at - subject.createdAt) / 1000)),
        displayName: null,
      },
    ])
  }
  for (const subscription of values(state.subscriptions)) {
    if (subscription.packageName !== packageName) continue
    add(
      subscription,
      subscription.status,
      subscription.event,
      Math.max(0, Math.floor((subscription.expiresAt - at) / 1000)),
    )
  }
  for (const waiting of values(state.waiting)) {
    if (waiting.packageName === packageName) add(waiting, "waiting", "timeout", null)
  }
  if (!isFull) {
    for (const terminated of values(state.departed)) {
      if (terminated.packageName === packageName) add(terminated, "terminated", terminated.event, null)
    }
  }
  return numbered.sort(([left], [right]) => left - right).map(([, entry]) => entry)
}
