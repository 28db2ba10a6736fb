/**
 * The feed of events, live or from any position on. Publications are read from the log, so a reader misses
 * nothing however long it was away; exposed rows are delivered only to those listening at that moment.
 */
import { Effect, Queue, Schedule, Stream } from "effect"
import { publishesIn } from "../../domain/projections/published.ts"
import type { Position } from "../../domain/vocabulary.ts"
import { matchesWildcard } from "../../domain/wildcards.ts"
import type { EventStore, RecordedDecision } from "../../ports/event-store.ts"
import type { ExposedRow, FeedFilter, FeedItem } from "../../ports/operations.ts"
import { answerMillis, within } from "./within.ts"

/** A reader that has processed a page continues after its position. */
export interface FeedPage {
  readonly position: Position
  readonly items: readonly FeedItem[]
  /** How many exposed items were lost after these, because the reader was too slow. Absent: none. */
  readonly lost?: number
}

export interface Feed {
  readonly from: (after: Position | null, filter: FeedFilter) => Stream.Stream<FeedItem>
  /** The same in pages. Pages may be empty, so that the reader's position advances. */
  readonly pages: (after: Position | null, filter: FeedFilter) => Stream.Stream<FeedPage>
  /** Something was committed. */
  readonly wake: () => void
  readonly expose: (rows: readonly ExposedRow[]) => void
}

/** Decisions per read. */
const pageSize = 200

/** Pages buffered for a slow reader. */
const pagesAhead = 2

/** Exposed items buffered for a slow reader; further ones are lost to it. */
const exposedMaxDefault = 100_000

interface Listener {
  readonly filter: FeedFilter
  exposed: FeedItem[]
  lost: number
  wake: () => void
}

export const makeFeed = (
  store: EventStore["Service"],
  committed: () => Position,
  exposedMax = exposedMaxDefault,
): Feed => {
  const listeners = new Set<Listener>()

  /** Completes when something has been committed after that position, or exposed. */
  const newsAfter = (position: Position, listener: Listener) =>
    Effect.callback<void>((resume) => {
      listener.wake = () => {
        if (committed() > position || listener.exposed.length > 0) resume(Effect.void)
      }
      listener.wake()
    })

  /** Retries while the store does not answer. */
  const read = (after: Position) =>
    within(answerMillis, store.read(after, pageSize)).pipe(
      Effect.retry(Schedule.spaced("500 millis")),
      Effect.orDie,
    )

  const pages: Feed["pages"] = (after, filter) =>
    Stream.callback<FeedPage>(
      (queue) =>
        Effect.gen(function* () {
          const listener: Listener = { filter, exposed: [], lost: 0, wake: () => {} }
          listeners.add(listener)
          yield* Effect.addFinalizer(() => Effect.sync(() => void listeners.delete(listener)))
          let position = after ?? committed()
          for (;;) {
            if (listener.exposed.length > 0) {
              const { exposed: items, lost } = listener
              listener.exposed = []
              listener.lost = 0
              yield* Queue.offer(queue, { position, items, ...(lost === 0 ? {} : { lost }) })
            }
            if (position >= committed()) {
              yield* newsAfter(position, listener)
              continue
            }
            const recorded = yield* read(position)
            position = recorded.at(-1)?.position ?? position
            // committed, but not yet visible to reads: try again shortly
            if (recorded.length === 0) yield* Effect.sleep("20 millis")
            else yield* Queue.offer(queue, { position, items: itemsOf(recorded, filter) })
          }
        }),
      { bufferSize: pagesAhead },
    )

  const wake = (): void => {
    for (const listener of listeners) listener.wake()
  }

  return {
    pages,
    from: (after, filter) => Stream.flatMap(pages(after, filter), ({ items }) => Stream.fromIterable(items)),
    wake,
    expose: (rows) => {
      for (const listener of listeners) exposeTo(listener, rows, exposedMax)
      wake()
    },
  }
}

const exposeTo = (listener: Listener, rows: readonly ExposedRow[], max: number): void => {
  const { filter, exposed } = listener
  for (const data of rows) {
    const item: FeedItem = { position: null, id: null, type: "E_PRESENCE_EXPOSED", data }
    if (!isOf(filter, item.type, `sip:${data.user}@${data.domain}`)) continue
    if (exposed.length < max) exposed.push(item)
    else listener.lost++
  }
}

const itemsOf = (read: readonly RecordedDecision[], filter: FeedFilter): readonly FeedItem[] =>
  read.flatMap(({ position, decision }) => {
    const type = "E_PRESENCE_PUBLISH"
    if (!isOf(filter, type, decision.stream)) return []
    const found = publishesIn(decision)
    return found.map((data, index): FeedItem => {
      const isLast = index === found.length - 1
      return { position: isLast ? position : null, id: `${position}.${index}`, type, data }
    })
  })

const isOf = ({ types, presentity }: FeedFilter, type: FeedItem["type"], uri: string): boolean =>
  types?.has(type) !== false && (presentity === null || matchesWildcard(presentity, uri))
