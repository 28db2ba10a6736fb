/**
 * `presently import opensips|kamailio`: copies the presence state of another server into the store of this one, while neither
 * runs.
 */
import { Console, Data, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { UsageInvalid } from "../client/failures.ts"
import { settings } from "../config/settings.ts"
import { exitCodes } from "../exit-codes.ts"
import type { ImportRequest } from "../import/run-import.ts"
import { repeated } from "./store-flags.ts"

const tableFlag = (name: string) =>
  Flag.String(`${name.replaceAll("_", "-")}-table`).pipe(
    Flag.withMetavar("NAME"),
    Flag.withDefault(name),
    Flag.withDescription("the source's table of that name"),
  )

const flags = {
  from: Flag.String("from").pipe(
    Flag.withMetavar("URL"),
    Flag.withDescription("postgres://…, mysql://…, or sqlite:FILE"),
  ),
  config: repeated("config", "FILE", "JSON file of settings by name, as the server will have them"),
  domain: repeated("domain", "DOMAIN", settings.domain.about),
  data: repeated("data", "DIR", settings.data.about),
  databaseUrl: repeated("database-url", "URL", settings.database_url.about),
  set: repeated("set", "NAME=VALUE", "any other setting by its name; repeatable"),
  presentityTable: tableFlag("presentity"),
  activeWatchersTable: tableFlag("active_watchers"),
  watchersTable: tableFlag("watchers"),
  xcapTable: tableFlag("xcap"),
  expiresOffset: Flag.Int("expires-offset").pipe(
    Flag.withMetavar("SECONDS"),
    Flag.withDescription("expires_offset of the other server; as expires_offset here when left out"),
    Flag.optional,
  ),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDefault(false),
    Flag.withDescription("decide on every row and write nothing"),
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDefault(false),
    Flag.withDescription("the report as one JSON object"),
  ),
}

interface Input {
  readonly from: string
  readonly config: readonly string[]
  readonly domain: readonly string[]
  readonly data: readonly string[]
  readonly databaseUrl: readonly string[]
  readonly set: readonly string[]
  readonly presentityTable: string
  readonly activeWatchersTable: string
  readonly watchersTable: string
  readonly xcapTable: string
  readonly expiresOffset: Option.Option<number>
  readonly dryRun: boolean
  readonly json: boolean
}

/** Rows were left behind that may matter; the report names them. */
class RowsSkipped extends Data.TaggedError("RowsSkipped") {
  readonly exitCode = exitCodes.finding
  override get message(): string {
    return "some rows were skipped: see the report"
  }
}

const importFrom = (layout: ImportRequest["layout"], product: string) =>
  Command.make(
    layout,
    flags,
    Effect.fn(function* (input: Input) {
      const tables = {
        presentity: input.presentityTable,
        activeWatchers: input.activeWatchersTable,
        watchers: input.watchersTable,
        xcap: input.xcapTable,
      }
      for (const name of Object.values(tables)) {
        if (!/^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(name)) {
          return yield* new UsageInvalid({
            why: `${JSON.stringify(name)}: expected a table's name of letters, digits and underscores`,
          })
        }
      }
      const config = yield* configOf(input)
      const { runImport } = yield* Effect.promise(() => import("../import/run-import.ts"))
      const { hasFindings, reportText } = yield* Effect.promise(() => import("../import/report.ts"))
      const report = yield* runImport(config, {
        layout,
        from: input.from,
        tables,
        expiresOffset: Option.getOrNull(input.expiresOffset),
        dryRun: input.dryRun,
      })
      yield* Console.log(input.json ? JSON.stringify(report) : reportText(report))
      if (hasFindings(report)) return yield* new RowsSkipped()
    }),
  ).pipe(
    Command.withDescription(`Take over subscriptions, publications, rules and hard state of ${product}`),
    Command.withExamples([
      {
        command: `presently import ${layout} --from mysql://user:secret@127.0.0.1/${layout} --data DIR --dry-run`,
      },
    ]),
  )

export const importCommand = Command.make("import").pipe(
  Command.withDescription("Move over from another presence server"),
  Command.withSubcommands([importFrom("opensips", "OpenSIPS"), importFrom("kamailio", "Kamailio")]),
)

const configOf = Effect.fnUntraced(function* (input: Input) {
  const { readSettings } = yield* Effect.promise(() => import("./run/settings.ts"))
  return yield* readSettings({
    flags: { domain: input.domain, data: input.data, database_url: input.databaseUrl },
    set: input.set,
    file: input.config,
    defaults: {},
  })
})
