/**
 * What was: every decision about a presentity, and the presentity as of any instant.
 */
import { Effect } from "effect"
import { viewFor } from "../../domain/presentity/notify.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { EventStore, StoreUnavailable } from "../../domain/ports.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import { currentView } from "../../domain/presentity/view.ts"
import { entries, values } from "../../domain/table.ts"
import type { Body, Header, Millis, PackageName, Uri } from "../../domain/vocabulary.ts"

/** One presentity at one instant. Times are milliseconds since 1970. */
export interface PresentityAt {
  readonly presentity: string
  readonly at: Millis
  /** Decisions until then. */
  readonly version: number
  readonly publications: readonly {
    readonly event: PackageName
    readonly entityTag: string
    /** Null: all that is published is in `headers`. */
    readonly body: Body | null
    readonly headers: readonly Header[]
    readonly publishedAt: Millis
    readonly expiresAt: Millis
  }[]
  /** The composed document of each package with publications, as somebody who may see everything saw it. */
  readonly documents: Readonly<Record<PackageName, Body>>
  readonly rules: Readonly<Record<PackageName, string>>
  /** What is shown while nobody publishes (RFC 4827). */
  readonly hardState: Readonly<Record<PackageName, Body>>
  readonly watchers: readonly {
    readonly watcher: string
    readonly event: PackageName
    readonly status: "active" | "pending" | "waiting"
    readonly since: Millis
    readonly expiresAt: Millis | null
    /** What it was allowed to see then. */
    readonly document: Body | null
  }[]
}

/** Decisions per read. */
const pageRows = 500

/** Calls `each` with every decision about a presentity, oldest first, until it says stop. */
export const eachDecision = (
  store: EventStore["Service"],
  presentity: Uri,
  each: (decision: Decision) => "go on" | "stop",
): Effect.Effect<void, StoreUnavailable> => {
  const page = (after: number): Effect.Effect<void, StoreUnavailable> =>
    Effect.flatMap(store.history(presentity, after, pageRows), (rows) => {
      for (const { decision } of rows) if (each(decision) === "stop") return Effect.void
      return rows.length < pageRows ? Effect.void : page(after + rows.length)
    })
  return page(0)
}

export const presentityAt = (
  store: EventStore["Service"],
  packages: Packages,
  presentity: Uri,
  at: Millis,
): Effect.Effect<PresentityAt, StoreUnavailable> => {
  let state = initial(presentity)
  const fold1 = (decision: Decision): "go on" | "stop" => {
    if (decision.at > at) return "stop"
    state = fold(state, decision)
    return "go on"
  }
  return Effect.map(eachDecision(store, presentity, fold1), () => describe(state, packages, at))
}

/** What had expired by `at` was decided then at the latest, or nobody had looked: it is left out either way. */
const describe = (state: State, packages: Packages, at: Millis): PresentityAt => {
  const documents: Record<PackageName, Body> = {}
  const publications: PresentityAt["publications"][number][] = []
  for (const [event, table] of entries(state.publications)) {
    const pack = packages.find(event)
    const body = pack === null ? null : currentView(state, pack).body
    if (body !== null) documents[event] = body
    for (const one of values(table)) {
      if (one.expiresAt <= at) continue
      const { entityTag, body: published, headers = [], receivedAt, expiresAt } = one
      publications.push({ event, entityTag, body: published, headers, publishedAt: receivedAt, expiresAt })
    }
  }
  const watchers: PresentityAt["watchers"][number][] = []
  for (const one of [...values(state.subscriptions)].sort((a, b) => a.no - b.no)) {
    if (one.expiresAt <= at) continue
    const pack = packages.find(one.packageName)
    const { watcher, packageName: event, status, createdAt: since, expiresAt } = one
    const document = pack === null || pack.watcherInfoOf !== undefined ? null : viewFor(state, one, pack).body
    watchers.push({ watcher, event, status, since, expiresAt, document })
  }
  for (const one of [...values(state.waiting)].sort((a, b) => a.no - b.no)) {
    const { watcher, packageName: event, since } = one
    watchers.push({ watcher, event, status: "waiting", since, expiresAt: null, document: null })
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
