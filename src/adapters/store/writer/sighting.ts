/**
 * What somebody who wants the log sees of its holder, and when it may take it. Pure.
 */

export interface SeenRow {
  readonly epoch: bigint
  /** Empty: it was handed back. */
  readonly application: string
  readonly session: number
  readonly lock: number
  /** Seconds. */
  readonly lease: number
  /** Whether the session is there that shows that the holder lives. */
  readonly lives: boolean
  /** Another one after each statement of that session; null: it is not there, or the role may not see that. */
  readonly turn: string | null
}

/** By how much the clocks of two machines may run apart within a lease, milliseconds. */
export const driftMillis = 100

export type Standing = "free" | "held" | "returning"

/** What somebody who wants the log has seen of its holder. */
export interface Sighting<Row extends SeenRow = SeenRow> {
  readonly row: Row
  /** Since when nothing else has been seen, by a clock that nobody sets. */
  readonly since: number
}

/**
 * @param now by the same clock, when `row` had been read
 * @returns the earlier one as long as the holder has asked nothing, nor come back, since then
 */
export const seen = <Row extends SeenRow>(
  before: Sighting<Row> | null,
  row: Row,
  now: number,
): Sighting<Row> => {
  if (before === null) return { row, since: now }
  const { epoch, application, session, lock, lives, turn } = before.row
  const isSame =
    row.epoch === epoch &&
    row.application === application &&
    row.session === session &&
    row.lock === lock &&
    row.lives === lives &&
    row.turn === turn
  return { row, since: isSame ? before.since : now }
}

/**
 * The holder trusts its memory for a lease after the last question that was answered; whether or not its session is there still, it
 * may not know of its end. So nobody takes the log before a lease in which it has asked nothing, unless its process has certainly
 * ended. Only clocks of our own count: that of the database can be set.
 *
 * @param hasEnded the process of the holder
 */
export const standingOf = ({ row, since }: Sighting, now: number, hasEnded: boolean): Standing => {
  if (row.application === "" || hasEnded) return "free"
  if (row.lives && row.turn === null) return "held"
  if (now - since >= row.lease * 1000 + driftMillis) return "free"
  return row.lives ? "held" : "returning"
}
