/**
 * An import in this process, as `presently import` runs it.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Cause } from "effect"
import type { TestContext } from "vitest"
import { usualTables } from "../../src/adapters/import/layouts.ts"
import { readConfig } from "../../src/app/config/config.ts"
import type { SettingName } from "../../src/app/config/settings.ts"
import type { ImportReport, TableReport } from "../../src/app/import/report.ts"
import { runImport } from "../../src/app/import/run-import.ts"
import type { ImportRequest } from "../../src/app/import/run-import.ts"

export const importFrom = async (
  request: Partial<ImportRequest> & Pick<ImportRequest, "layout" | "from">,
  settings: Readonly<Partial<Record<SettingName, unknown>>>,
): Promise<ImportReport> => {
  const config = readConfig({
    flags: {},
    set: [],
    env: {},
    file: null,
    defaults: { domain: ["example.com"], ...settings },
  })
  const exit = await Effect.runPromiseExit(
    runImport(config, { tables: usualTables, expiresOffset: null, dryRun: false, ...request }),
  )
  if (Exit.isSuccess(exit)) return exit.value
  throw Cause.squash(exit.cause)
}

/** One table in the report, without names of rows: `taken`, `present`, and the number of rows for each reason. */
export const inShort = (report: ImportReport, table: string): Record<string, number> => {
  const line: TableReport | undefined = report.tables.find((candidate) => candidate.table === table)
  if (line === undefined) throw new Error(`no table ${table}`)
  return {
    taken: line.taken,
    present: line.present,
    ...Object.fromEntries(line.skipped.map(({ reason, rows }) => [reason, rows])),
  }
}

/** An empty folder that is removed after the test. */
export const emptyFolder = ({ onTestFinished }: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-import-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, "data")
}
