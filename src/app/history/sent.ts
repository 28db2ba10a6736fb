/**
 * The NOTIFYs sent to a watcher, and their outcomes.
 */
import { Effect } from "effect"
import { makeLedger, unansweredMillis } from "../../domain/history/ledger.ts"
import type { Sent } from "../../domain/history/ledger.ts"
import type { Millis, PackageName, Uri } from "../../domain/vocabulary.ts"
import { landmarkAt, landmarkBefore, lookMax, pageRows, walk } from "./decisions.ts"
import type { HistoryLog, SubscriptionName } from "./decisions.ts"
import { untilOf } from "./until.ts"

export interface SeenWish {
  /** Only NOTIFYs of decisions before this version; null: the newest. */
  readonly before: number | null
  readonly event: PackageName | null
  readonly since: Millis | null
  readonly until: Millis | null
  /** How many at most; the newest are kept. */
  readonly limit: number
}

/** Collects what was sent to a watcher; the search starts at the newest landmark, and goes back one more at a time. */
export const sentTo = Effect.fnUntraced(function* (
  log: HistoryLog,
  presentity: Uri,
  watcher: Uri,
  wish: SeenWish,
) {
  const { store } = log
  const matches = (subscription: SubscriptionName): boolean =>
    subscription.watcher === watcher && (wish.event === null || subscription.packageName === wish.event)
  const until = wish.until ?? Number.POSITIVE_INFINITY
  const { at: untilAt } = yield* untilOf(store, presentity, until)
  let found: readonly Sent[] = []
  let end = wish.before ?? Number.MAX_SAFE_INTEGER
  let from = yield* wish.until === null
    ? landmarkBefore(store, presentity, end - 1)
    : landmarkAt(store, presentity, until)
  for (let looked = 0; ; looked += pageRows) {
    const ledger = makeLedger(matches)
    const last = end
    let lastAt = from.decidedAt
    yield* walk(log, from, matches, (moment) => {
      const { version, at } = moment.decision
      if (version < last) lastAt = at
      // the outcomes of the last NOTIFYs are recorded a little later
      const isSoon = at <= lastAt + unansweredMillis && version <= last + lookMax
      if (at > untilAt + unansweredMillis || (version > last + pageRows && !isSoon)) return "stop"
      ledger.take(moment)
      return "go on"
    })
    const sent = ledger
      .lives()
      .flatMap((life) => life.sent)
      .filter(({ place }) => place.version < last && place.at <= until && place.at >= (wish.since ?? 0))
      .sort((a, b) => a.place.version - b.place.version)
    found = [...sent, ...found]
    const isOver = from.version === 0 || (wish.since !== null && from.decidedAt < wish.since)
    if (found.length > wish.limit) {
      // NOTIFYs of one decision stay together
      const next = found.at(-wish.limit)?.place.version ?? 0
      return { sent: found.filter(({ place }) => place.version >= next), next }
    }
    if (isOver) return { sent: found, next: null }
    if (looked >= lookMax) return { sent: found, next: from.version + 1 }
    // the NOTIFYs of the decision at the landmark itself come later
    end = from.version + 1
    from = yield* landmarkBefore(store, presentity, from.version - 1)
  }
})
