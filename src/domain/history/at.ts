/**
 * A presentity as of an instant, for people and programs.
 */
import type { Packages } from "../packages/event-package.ts"
import { viewFor } from "../presentity/notify.ts"
import { byNo } from "../presentity/state.ts"
import type { State } from "../presentity/state.ts"
import { currentView } from "../presentity/view.ts"
import { privacyOf } from "../privacy.ts"
import { entries, values } from "../table.ts"
import type { Body, Header, Millis, PackageName } from "../vocabulary.ts"

/** One presentity at one instant. Times are milliseconds since 1970. */
export interface PresentityAt {
  readonly presentity: string
  readonly at: Millis
  /** The number of decisions up to then. */
  readonly version: number
  readonly publications: readonly {
    readonly event: PackageName
    readonly entityTag: string
    /** Null: the whole content is in `headers`. */
    readonly body: Body | null
    readonly headers: readonly Header[]
    readonly publishedAt: Millis
    readonly expiresAt: Millis
  }[]
  /** The composed document of each package with publications, as shown to a watcher that may see everything. */
  readonly documents: Readonly<Record<PackageName, Body>>
  readonly rules: Readonly<Record<PackageName, string>>
  /** What is shown while no device publishes (RFC 4827). */
  readonly hardState: Readonly<Record<PackageName, Body>>
  readonly watchers: readonly {
    readonly watcher: string
    readonly event: PackageName
    readonly status: "active" | "pending" | "waiting"
    /** The watcher asked for privacy. Absent: it did not. */
    readonly private?: true
    readonly since: Millis
    readonly expiresAt: Millis | null
    /** What it was allowed to see at that instant. */
    readonly document: Body | null
  }[]
}

/** What had expired by `at` is omitted, whether or not its expiry had been decided by then. */
export const presentityIn = (state: State, packages: Packages, at: Millis): PresentityAt => {
  const documents: Record<PackageName, Body> = {}
  const publications: PresentityAt["publications"][number][] = []
  for (const [event, table] of entries(state.publications)) {
    const eventPackage = packages.find(event)
    const body = eventPackage === null ? null : currentView(state, eventPackage).body
    if (body !== null) documents[event] = body
    for (const publication of values(table)) {
      if (publication.expiresAt <= at) continue
      const { entityTag, body: published, headers = [], receivedAt, expiresAt } = publication
      publications.push({ event, entityTag, body: published, headers, publishedAt: receivedAt, expiresAt })
    }
  }
  const watchers: PresentityAt["watchers"][number][] = []
  for (const subscription of [...values(state.subscriptions)].sort(byNo)) {
    if (subscription.expiresAt <= at) continue
    const eventPackage = packages.find(subscription.packageName)
    const { watcher, packageName: event, status, createdAt: since, expiresAt } = subscription
    const document =
      eventPackage === null || eventPackage.watcherInfoOf !== undefined
        ? null
        : viewFor(state, subscription, eventPackage).body
    watchers.push({ watcher, event, status, ...privacyOf(subscription), since, expiresAt, document })
  }
  for (const waiting of [...values(state.waiting)].sort(byNo)) {
    const { watcher, packageName: event, since } = waiting
    watchers.push({
      watcher,
      event,
      status: "waiting",
      ...privacyOf(waiting),
      since,
      expiresAt: null,
      document: null,
    })
  }
  const rules = Object.fromEntries([...entries(state.rules)].map(([event, { body }]) => [event, body.text]))
  const hardState = Object.fromEntries(entries(state.hardState))
  return {
    presentity: state.presentity,
    hardState,
    at,
    version: state.version,
    publications,
    documents,
    rules,
    watchers,
  }
}
