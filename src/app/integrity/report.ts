/**
 * The result of a check of the tables, for people and for programs. Whole bodies are never shown.
 */
import type { Value } from "../../domain/projections/layout.ts"
import type { ChainReport } from "./check-chain.ts"
import type { SealReport } from "./check-seals.ts"
import { signatureColumn } from "./folded.ts"
import type { Difference, VerifyReport } from "./verify.ts"

const shownMax = 100

/** One line for each difference, and what was checked. */
export const verifyText = (store: string, report: VerifyReport): string => {
  const { rows, lag } = report
  const source = report.fromStart
    ? `${report.decisions} decisions from the first on, ${report.snapshots} snapshots`
    : `snapshots and ${report.decisions} decisions`
  return [
    ...report.differences.map(differenceText),
    `${store}: ${report.streams} streams at position ${report.position}, from ${source}`,
    `presentity ${rows.presentity} rows, active_watchers ${rows.active_watchers}, watchers ${rows.watchers}` +
      (lag === 0 ? "" : `; ${lag} newer decisions are not in the tables yet`) +
      (report.ahead === 0
        ? ""
        : `; ${report.ahead} rows of a write that was cut off, which the next start finishes`) +
      (report.truncated === 0 ? "" : `; ${report.truncated} streams whose oldest decisions are gone`),
    ...(report.chain === null ? [] : [chainText(report.chain)]),
    ...(report.seals === null ? [] : [sealsText(report.seals)]),
    `${differenceCount(report.differences.length)} in ${report.seconds.toFixed(1)} s`,
  ].join("\n")
}

const chainText = ({ rows, unchained, beginnings }: ChainReport): string =>
  `chain of ${rows} decisions checked` +
  (unchained === 0 ? "" : `; ${unchained} older ones were written before there was a chain`) +
  (beginnings === 0 ? "" : `; ${beginnings} streams begin where older decisions were dropped`)

const sealsText = ({ seals, position, at, unsealed, dropped }: SealReport): string =>
  position === null || at === null
    ? "no seals"
    : `${seals} seals, the newest at position ${position} of ${new Date(at).toISOString()}; ` +
      `${unsealed} newer decisions are not sealed` +
      (dropped === 0 ? "" : `; of ${dropped} seals the decisions were dropped`)

export const verifyJson = (report: VerifyReport): string =>
  JSON.stringify({
    ...report,
    differences: report.differences.map((difference) => ({ ...difference, ...shownBeside(difference) })),
  })

const differenceCount = (count: number): string => counted(count, "difference")

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`

/** What a repair changed, and the result after it. @param fromStart whether snapshots were compared with folded events */
export const repairedText = (written: number, left: number, fromStart: boolean, seconds?: number): string => {
  const what = written === 1 ? "1 row or snapshot" : `${written} rows and snapshots`
  return (
    `${what} rewritten${seconds === undefined ? "" : ` in ${seconds.toFixed(1)} s`}, ${differenceCount(left)} left` +
    (fromStart ? "" : "; what snapshots say was not compared with the events: --from-start does that too")
  )
}

export const differenceText = (difference: Difference): string => {
  const { kind, table, key, column, found } = difference
  if (ownTables.has(table)) return `${table} ${key}: ${found}`
  if (kind === "missing") return `${table} ${key}: the log has this row, the table does not`
  if (kind === "extra") return `${table} ${key}: the table has this row, the log does not`
  const { log: said, found: stored } = shownBeside(difference)
  return `${table} ${key}: ${column}: the log says ${JSON.stringify(said)}, the table says ${JSON.stringify(stored)}`
}

/** Tables that are not derived: there is nothing to compare with, so the finding itself is shown. */
const ownTables: ReadonlySet<string> = new Set(["events", "streams", "seals"])

export const lost = "the log itself cannot be read there; restore it from a backup"
const unproved = "this key does not prove it; check with the key that signed it, or compare with a backup"

/** What to do. A difference that was found by reading from the first event on is also repaired that way. */
export const adviceFor = ({
  differences,
  fromStart,
}: Pick<VerifyReport, "differences" | "fromStart">): string => {
  if (!differences.every(({ table }) => ownTables.has(table)))
    return `presently verify --repair${fromStart ? " --from-start" : ""} rewrites what differs`
  return differences.every(({ column }) => column === signatureColumn) ? unproved : lost
}

/** How much is shown before the place where two long texts part. */
const shownBefore = 20

/** Both values, cut around the place where they part if necessary; of bodies only that place is given. */
const shownBeside = ({
  column,
  log,
  found,
}: Pick<Difference, "column" | "log" | "found">): { readonly log: Value; readonly found: Value } => {
  const parts = partingOf(log, found)
  const shown = (value: Value): Value => {
    if (typeof value !== "string") return value
    if (column === "body") {
      return `${counted(value.length, "character")}${parts === null ? "" : `, another from character ${parts + 1} on`}`
    }
    if (value.length <= shownMax) return value
    const from = parts === null || parts < shownMax - shownBefore ? 0 : parts - shownBefore
    const end = from + shownMax
    return `${from === 0 ? "" : `(${from} characters)…`}${value.slice(from, end)}${end < value.length ? "…" : ""}`
  }
  return { log: shown(log), found: shown(found) }
}

/** The first place where two texts differ; null: they are equal, or not both texts. */
const partingOf = (left: Value, right: Value): number | null => {
  if (typeof left !== "string" || typeof right !== "string" || left === right) return null
  let at = 0
  while (at < left.length && left[at] === right[at]) at += 1
  return at
}
