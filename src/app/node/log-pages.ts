/**
 * Reads the log from a position on in pages; the database reads ahead while a page is folded.
 *
 * Where a page ends is known only once it has been read. The next one is requested earlier, from the first
 * position at which it can begin: positions grow by one per decision, or by more where an append failed or
 * retention dropped something. Overlaps are removed. A log with many gaps would be read several times over,
 * so it is read one page at a time.
 */
import { Effect, Exit, Fiber } from "effect"
import type { EventStore, Position, RecordedDecision, StoreUnavailable } from "../../ports/event-store.ts"

/** Rows per page: a database within the process blocks the event loop while it reads. */
const pageRows = 500

/** Pages requested concurrently. */
const pagesAhead = 3

export interface LogPages {
  /** The next decisions in order; null at the end. After a failure, reads them again. */
  readonly next: Effect.Effect<readonly RecordedDecision[] | null, StoreUnavailable>
}

interface Asked {
  readonly after: Position
  readonly page: Fiber.Fiber<Exit.Exit<readonly RecordedDecision[], StoreUnavailable>>
}

/** For folding: who asked for a decision is left out. @param from the position to start after */
export const makeLogPages = (
  { read }: Pick<EventStore["Service"], "read">,
  from: Position,
  rowsMax = pageRows,
): LogPages => {
  const asked: Asked[] = []
  /** Everything up to here has been returned. */
  let given = from
  /** Pages to request concurrently; the first page shows how dense the log is. */
  let ahead = 1
  let isOver = false

  const ask = (after: Position) =>
    Effect.map(
      Effect.forkChild(Effect.exit(read(after, rowsMax, "events"))),
      (page) => void asked.push({ after, page }),
    )

  const forgetAsked = Effect.suspend(() => Fiber.interruptAll(asked.splice(0).map(({ page }) => page)))

  const next: LogPages["next"] = Effect.gen(function* () {
    if (isOver) return null
    while (asked.length < ahead) {
      const previous = asked.at(-1)
      yield* ask(previous === undefined ? given : Math.max(given, previous.after + rowsMax))
    }
    const { after, page } = asked.shift()!
    const exit = yield* Fiber.join(page)
    if (Exit.isFailure(exit)) yield* forgetAsked
    const rows = yield* exit
    const last = rows.at(-1)?.position ?? given
    const fresh = rows.filter(({ position }) => position > given)
    given = Math.max(given, last)
    isOver = rows.length < rowsMax
    ahead = isDense(last - after, rowsMax) ? pagesAhead : 1
    if (isOver) yield* forgetAsked
    return fresh
  })
  return { next }
}

/** Whether at least half of the positions of a page hold a decision. */
const isDense = (places: number, rows: number): boolean => places <= 2 * rows
