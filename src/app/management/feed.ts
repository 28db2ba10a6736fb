/**
 * What happens, as it happens and from any place in the log on: publications are read from the log, so nothing is missed
 * however long a reader was away; what was exposed is told to whoever listens at that moment.
 */
import { Effect, Queue, Stream } from "effect"
import type { ExposedRow, FeedFilter, FeedItem } from "../../adapters/admin/desk.ts"
import type { EventStore, Position } from "../../domain/ports.ts"
import { publishesIn } from "../../domain/projections/published.ts"
import { matchesWildcard } from "../../domain/wildcards.ts"

export interface Feed {
  readonly from: (after: Position | null, filter: FeedFilter) => Stream.Stream<FeedItem>
  /** Something was committed. */
  readonly wake: () => void
  readonly expose: (rows: readonly ExposedRow[]) => void
}

/** Decisions read at once. */
const pageSize = 200

export const makeFeed = (store: EventStore["Service"], committed: () => Position): Feed => {
  const sleepers = new Set<() => void>()
  const listeners = new Set<(rows: readonly ExposedRow[]) => void>()

  /** Until something is committed after that. */
  const committedAfter = (position: Position) =>
    Effect.callback<void>((resume) => {
      if (committed() > position) {
        resume(Effect.void)
        return undefined
      }
      const wake = (): void => {
        sleepers.delete(wake)
        resume(Effect.void)
      }
      sleepers.add(wake)
      return Effect.sync(() => void sleepers.delete(wake))
    })

  return {
    from: (after, filter) => {
      const shows = ({ type }: Pick<FeedItem, "type">): boolean => filter.types?.has(type) !== false
      const isMeant = (uri: string): boolean =>
        filter.presentity === null || matchesWildcard(filter.presentity, uri)
      return Stream.callback<FeedItem>(
        (queue) =>
          Effect.gen(function* () {
            const listener = (rows: readonly ExposedRow[]): void => {
              for (const data of rows) {
                if (isMeant(`sip:${data.user}@${data.domain}`)) {
                  const item: FeedItem = { position: null, type: "E_PRESENCE_EXPOSED", data }
                  if (shows(item)) Queue.offerUnsafe(queue, item)
                }
              }
            }
            listeners.add(listener)
            yield* Effect.addFinalizer(() => Effect.sync(() => void listeners.delete(listener)))
            let position = after ?? committed()
            for (;;) {
              if (position >= committed()) {
                yield* committedAfter(position)
                continue
              }
              const read = yield* Effect.orDie(Effect.retry(store.read(position, pageSize), { times: 10 }))
              for (const recorded of read) {
                position = recorded.position
                const { decision } = recorded
                if (!isMeant(decision.stream)) continue
                const found = publishesIn(decision)
                for (const [index, data] of found.entries()) {
                  const isLast = index === found.length - 1
                  const item: FeedItem = {
                    position: isLast ? position : null,
                    type: "E_PRESENCE_PUBLISH",
                    data,
                  }
                  if (shows(item)) yield* Queue.offer(queue, item)
                }
              }
              // what was committed is not to be read yet: not by much
              if (read.length === 0) yield* Effect.sleep("20 millis")
            }
          }),
        { bufferSize: 16 },
      )
    },
    wake: () => {
      for (const wake of sleepers) wake()
    },
    expose: (rows) => {
      for (const listener of listeners) listener(rows)
    },
  }
}
