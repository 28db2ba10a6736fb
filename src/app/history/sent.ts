/**
 * The NOTIFYs that a watcher was sent, and what became of them.
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
  /** The newest so many. */
  readonly limit: number
}

/** What a watcher was sent; the newest NOTIFYs first looked for, a landmark further back each time. */
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
      // what became of the last ones is written down a little later
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
      // those of one decision stay together
      const next = found.at(-wish.limit)?.place.version ?? 0
      return { sent: found.filter(({ place }) => place.version >= next), next }
    }
    if (isOver) return { sent: found, next: null }
    if (looked >= lookMax) return { sent: found, next: from.version + 1 }
    // those of the landmark's own decision are still to come
    end = from.version + 1
    from = yield* landmarkBefore(store, presentity, from.version - 1)
  }
})
