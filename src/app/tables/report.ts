/**
 * What a check of the tables found, for people and for programs. Whole bodies are nobody's business.
 */
import type { Value } from "../../domain/projections/layout.ts"
import type { ChainReport } from "./chain.ts"
import type { SealReport } from "./seals.ts"
import type { Difference, VerifyReport } from "./verify.ts"

const shownMax = 100

/** One line for each difference, and what was looked at. */
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
    `${report.differences.length} differences in ${report.seconds.toFixed(1)} s`,
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
    differences: report.differences.map((one) => ({
      ...one,
      log: shown(one.column, one.log),
      found: shown(one.column, one.found),
    })),
  })

export const differenceText = ({ kind, table, key, column, log, found }: Difference): string => {
  if (ownTables.has(table)) return `${table} ${key}: ${found}`
  if (kind === "missing") return `${table} ${key}: the log has this row, the table does not`
  if (kind === "extra") return `${table} ${key}: the table has this row, the log does not`
  const [said, is] = [log, found].map((value) => JSON.stringify(shown(column, value)))
  return `${table} ${key}: ${column}: the log says ${said}, the table says ${is}`
}

/** What is not derived from anything: there is nothing to compare with, only something to say. */
const ownTables: ReadonlySet<string> = new Set(["events", "streams", "seals"])

const shown = (column: string | null, value: Value): Value => {
  if (typeof value !== "string") return value
  if (column === "body") return `${value.length} characters`
  return value.length > shownMax ? `${value.slice(0, shownMax)}…` : value
}
