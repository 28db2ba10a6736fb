/**
 * An import from end to end: source, layout, target, rows, report.
 */
import { Clock, Effect } from "effect"
import { findLayout } from "../../adapters/import/layouts.ts"
import type { LayoutName, SourceTables } from "../../adapters/import/layouts.ts"
import { openSource } from "../../adapters/import/open.ts"
import { allowEveryone, askTheRules } from "../../domain/presentity/context.ts"
import type { Config } from "../config/config.ts"
import { withExtensions } from "../config/extensions.ts"
import { asksRules, limitsOf } from "../config/limits.ts"
import { packagesOf } from "../config/packages.ts"
import type { ImportReport, TableReport } from "./report.ts"
import { rowsPerPage, takeOver } from "./take-over.ts"
import { openTarget } from "./target.ts"

export interface ImportRequest {
  readonly layout: LayoutName
  readonly from: string
  readonly tables: SourceTables
  /** `expires_offset` of the other server, in seconds; null: the same as here. */
  readonly expiresOffset: number | null
  readonly dryRun: boolean
}

/** Reads and decides everything and, unless it is a dry run, stores it. */
export const runImport = Effect.fn("Import.run")(function* (config: Config, request: ImportRequest) {
  const startedAt = yield* Clock.currentTimeMillis
  const source = yield* openSource(request.from)
  const layout = yield* findLayout(source, request.layout, request.tables)
  const target = yield* openTarget(config, source, request.tables, request.dryRun)
  const { tables, decisions } = yield* takeOver(source, layout, target.name, {
    packages: packagesOf(yield* withExtensions(config)),
    limits: limitsOf(config),
    authorize: asksRules(config) ? askTheRules : allowEveryone,
    now: startedAt,
    listened: config.listen.map(({ transport }) => transport),
    domains: config.domain.length === 0 ? [] : [...config.domain, ...ownHosts(config)],
    graceMillis: request.expiresOffset === null ? 0 : (config.expires_offset - request.expiresOffset) * 1000,
    oma: config.oma_rules,
    dryRun: request.dryRun,
    rowsMax: rowsPerPage,
  }).pipe(Effect.provideContext(target.services))
  const seconds = ((yield* Clock.currentTimeMillis) - startedAt) / 1000
  const report: ImportReport = {
    source: source.name,
    layout: `${layout.name}, ${layout.found}`,
    target: target.name,
    dryRun: request.dryRun,
    tables,
    notices: noticesOf(config, tables, request.tables.xcap),
    decisions,
    seconds,
  }
  return report
}, Effect.scoped)

const noticesOf = (config: Config, tables: readonly TableReport[], xcap: string): readonly string[] => {
  const hasDocuments = tables.some(({ table, taken, present }) => table === xcap && taken + present > 0)
  if (!hasDocuments) return []
  return asksRules(config)
    ? []
    : ["no rules are asked with these settings: a server that is to ask those taken over needs policy=rules"]
}

/** The host names under which a server is addressed besides its domains. */
const ownHosts = (config: Config): readonly string[] => [
  "localhost",
  "127.0.0.1",
  ...config.listen.map(({ host }) => host),
]
