/**
 * The log from one place on, page by page: while one page is folded, the database reads the next ones.
 *
 * Where a page ends is known only when it is there. The next one is asked for before that, from the earliest place at which it can
 * begin: positions grow by one for each decision, or by more where an append failed or retention has dropped something. What two pages
 * share is left out. A log with many holes would be read several times over in this way, so that it is read one page after the other.
 */
import { Effect, Exit, Fiber } from "effect"
import type { EventStore, Position, RecordedDecision, StoreUnavailable } from "../../ports/event-store.ts"

/** Rows per page: a database within the process blocks the event loop while it reads. */
const pageRows = 500

/** Pages asked for at the same time. */
const pagesAhead = 3

export interface LogPages {
  /** The decisions after those that were given so far, in order; null: that was the end. After a failure they are asked for again. */
  readonly next: Effect.Effect<readonly RecordedDecision[] | null, StoreUnavailable>
}

interface Asked {
  readonly after: Position
  readonly page: Fiber.Fiber<Exit.Exit<readonly RecordedDecision[], StoreUnavailable>>
}

/** @param from the place after which it begins */
export const makeLogPages = (
  { read }: Pick<EventStore["Service"], "read">,
  from: Position,
  rowsMax = pageRows,
): LogPages => {
  const asked: Asked[] = []
  /** Everything up to here was given. */
  let given = from
  /** How many pages may be under way; the first one says how dense the log is. */
  let ahead = 1
  let isOver = false

  const ask = (after: Position) =>
    Effect.map(
      Effect.forkChild(Effect.exit(read(after, rowsMax))),
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

/** Whether most places of a page hold a decision. */
const isDense = (places: number, rows: number): boolean => places <= 2 * rows
