/**
 * Pages of history: the matching decisions, with the states around them.
 */
import { Effect } from "effect"
import { entryOf } from "../../domain/history/entries.ts"
import type { Entry } from "../../domain/history/entries.ts"
import type { RecordedDecision } from "../../domain/history/moments.ts"
import { clockOf } from "../../domain/presentity/clock.ts"
import type { Millis, PackageName, Uri } from "../../domain/vocabulary.ts"
import { eachDecision, landmarkBefore, lookMax, pageRows, walk } from "./decisions.ts"
import type { HistoryLog, HistoryStore } from "./decisions.ts"
import { makeRequesters } from "./requesters.ts"

export interface PageWish {
  /** Only decisions before this version; null: the newest. */
  readonly before: number | null
  /** Only those after this version, oldest first; null: the newest. */
  readonly after: number | null
  readonly limit: number
  readonly since: Millis | null
  readonly until: Millis | null
  /** Kinds of events; null: all. */
  readonly types: ReadonlySet<string> | null
  readonly event: PackageName | null
}

export interface HistoryPage {
  /** Oldest first. */
  readonly entries: readonly Entry[]
  /** The `before` of the preceding page; null: there is none. */
  readonly next: number | null
}

const fits = (
  { decision }: RecordedDecision,
  { types, event: packageName, since, until }: PageWish,
): boolean =>
  // decisions that only record answers to NOTIFYs are left out unless asked for
  (decision.cause !== "RecordDeliveries" || types !== null) &&
  clockOf(decision) >= (since ?? 0) &&
  clockOf(decision) <= (until ?? Number.POSITIVE_INFINITY) &&
  ((types === null && packageName === null) ||
    decision.events.some(
      (event) =>
        (types === null || types.has(event._tag)) &&
        (packageName === null || !("packageName" in event) || event.packageName === packageName),
    ))

/** The versions that match, from the newest down, and where to continue. */
const versionsBack = Effect.fnUntraced(function* (store: HistoryStore, presentity: Uri, wish: PageWish) {
  const found: number[] = []
  let before = wish.before ?? Number.MAX_SAFE_INTEGER
  for (let looked = 0; looked < lookMax; looked += pageRows) {
    const rows = yield* store.historyBack(presentity, before, pageRows)
    for (const recorded of rows) {
      before = recorded.decision.version
      if (wish.since !== null && recorded.decision.at < wish.since) return { found, next: null }
      if (!fits(recorded, wish)) continue
      found.push(before)
      if (found.length >= wish.limit) return { found, next: before > 1 ? before : null }
    }
    if (rows.length < pageRows) return { found, next: null }
  }
  return { found, next: before }
})

/** The same from a version upwards. */
const versionsOn = Effect.fnUntraced(function* (
  store: HistoryStore,
  presentity: Uri,
  after: number,
  wish: PageWish,
) {
  const found: number[] = []
  yield* eachDecision(store, presentity, after, (recorded) => {
    if (fits(recorded, wish)) found.unshift(recorded.decision.version)
    return found.length >= wish.limit || recorded.decision.version > after + lookMax ? "stop" : "go on"
  })
  return { found, next: null }
})

/** The entries of a page of history. */
export const historyPage = Effect.fnUntraced(function* (log: HistoryLog, presentity: Uri, wish: PageWish) {
  const { store, circumstances } = log
  const { found, next } = yield* wish.after === null
    ? versionsBack(store, presentity, wish)
    : versionsOn(store, presentity, wish.after, wish)
  const [oldest, newest] = [found.at(-1), found[0]]
  if (oldest === undefined || newest === undefined) return { entries: [], next }
  const wanted = new Set(found)
  const entries: Entry[] = []
  const requesterAt = makeRequesters(store, presentity)
  yield* walk(log, yield* landmarkBefore(store, presentity, oldest - 1), null, (moment) => {
    const { version } = moment.decision
    if (wanted.has(version)) entries.push(entryOf(moment, circumstances))
    return version >= newest ? "stop" : "go on"
  })
  const named = yield* Effect.forEach(entries, (entry) =>
    typeof entry.requester === "number"
      ? Effect.map(requesterAt(entry.requester), (requester): Entry => ({ ...entry, requester }))
      : Effect.succeed(entry),
  )
  return { entries: named, next }
})
