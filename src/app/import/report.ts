/**
 * What became of every row: counts by table and reason, with a few rows named for each reason.
 */

/** Rows named for each reason. */
const examplesMax = 5

export interface SkippedRows {
  readonly reason: string
  readonly rows: number
  /** Rows of which nothing could continue; nobody has to act on them. */
  readonly isOver: boolean
  readonly examples: readonly string[]
}

export interface TableReport {
  readonly table: string
  readonly read: number
  readonly taken: number
  /** Taken over already, by an earlier import or with another row. */
  readonly present: number
  readonly skipped: readonly SkippedRows[]
}

export interface ImportReport {
  readonly source: string
  readonly layout: string
  readonly target: string
  readonly dryRun: boolean
  readonly tables: readonly TableReport[]
  /** What else the operator should know, one line each. */
  readonly notices: readonly string[]
  /** Decisions written to the log, or that a dry run would write. */
  readonly decisions: number
  readonly seconds: number
}

export interface TableCount {
  readonly took: () => void
  readonly wasThere: () => void
  readonly skipped: (why: string, isOver: boolean, row: string) => void
  readonly report: () => TableReport
}

export const countTable = (table: string): TableCount => {
  let [taken, present, left] = [0, 0, 0]
  const reasons = new Map<string, { rows: number; isOver: boolean; examples: string[] }>()
  return {
    took: () => void taken++,
    wasThere: () => void present++,
    skipped: (why, isOver, row) => {
      left++
      const known = reasons.get(why) ?? { rows: 0, isOver, examples: [] }
      known.rows++
      if (known.examples.length < examplesMax) known.examples.push(row)
      reasons.set(why, known)
    },
    report: () => ({
      table,
      read: taken + present + left,
      taken,
      present,
      skipped: [...reasons].map(([reason, skipped]) => ({ reason, ...skipped })),
    }),
  }
}

/** Whether rows were left behind that may matter. */
export const hasFindings = (report: ImportReport): boolean =>
  report.tables.some(({ skipped }) => skipped.some(({ isOver }) => !isOver))

/** The report for people. */
export const reportText = (report: ImportReport): string => {
  const lines = [`${report.source}: ${report.layout}`]
  for (const { table, read, taken, present, skipped } of report.tables) {
    const left = skipped.reduce((sum, { rows }) => sum + rows, 0)
    const known = present === 0 ? "" : `, ${present} there already`
    lines.push(`  ${table}: ${read} rows, ${taken} taken${known}, ${left} skipped`)
    for (const { reason, rows, examples } of skipped) {
      lines.push(`    ${rows} × ${reason}`, ...examples.map((example) => `      ${printable(example)}`))
      if (rows > examples.length) lines.push(`      and ${rows - examples.length} more`)
    }
  }
  lines.push(...report.notices)
  const done = report.dryRun ? "would be written: nothing was" : "written"
  lines.push(`${report.decisions} decisions ${done}, to ${report.target}, in ${report.seconds.toFixed(1)} s`)
  return lines.join("\n")
}

/** Rows contain text from another system. */
const printable = (text: string): string => text.replace(/[^\x20-\x7e\u00a0-\uffff]/g, "?").slice(0, 200)
