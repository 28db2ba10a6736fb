/**
 * `presently verify` and `presently projections rebuild`: compare the three tables with the log, and make them again from it.
 */
import { Console, Data, Effect } from "effect"
import { Command } from "effect/cli"
import type { Repaired } from "../../ports/operations.ts"
import type { DriftReport } from "../case/drift.ts"
import { UsageInvalid } from "../client/failures.ts"
import type { Config } from "../config/config.ts"
import { readPublicKey } from "../config/signing-key.ts"
import { exitCodes } from "../exit-codes.ts"
import type { CheckedStore } from "../integrity/verify-store.ts"
import { adminFlags, askAdmin } from "./admin-call.ts"
import type { AdminInput } from "./admin-call.ts"
import { placeConfig } from "./log-place.ts"
import { flag, isOfStore, repeated, storeConfig, storeFlags } from "./store-flags.ts"

/** Something differs from the log; the report names it. */
class Differences extends Data.TaggedError("Differences")<{
  readonly count: number
  readonly advice: string
}> {
  readonly exitCode = exitCodes.finding
  override get message(): string {
    return `${this.count} ${this.count === 1 ? "difference" : "differences"}: ${this.advice}`
  }
}

const json = flag("json", "the report as one JSON object")

export const verify = Command.make(
  "verify",
  {
    ...adminFlags,
    ...storeFlags,
    json,
    fromStart: flag("from-start", "read every event from the first on, and compare snapshots as well"),
    publicKey: repeated("public-key", "FILE", "check seals too, with the public key of whoever signed them"),
    tablesOnly: flag("tables-only", "leave out the chain of the log, for which every decision is read"),
    repair: flag(
      "repair",
      "rewrite the rows and snapshots that differ: of a running server, or with the flags of its store of one that is stopped",
    ),
    drift: flag(
      "drift",
      "instead of the tables: decide every recorded command again with these settings; exit code 1 when it would be decided otherwise",
    ),
  },
  Effect.fn(function* ({ fromStart, repair, tablesOnly, publicKey, drift, json, ...input }) {
    if (repair && !drift && !isOfStore(input)) return yield* repairInServer(input, fromStart, json)
    const config = yield* repair ? storeConfig(input) : placeConfig(input)
    if (drift) return yield* verifyDrift(config, json)
    const key = yield* publicKeyOf(publicKey.at(-1) ?? null, repair || tablesOnly)
    const { checkStore } = yield* Effect.promise(() => import("../integrity/verify-store.ts"))
    const { adviceFor, lost, repairedText, verifyJson, verifyText } = yield* Effect.promise(
      () => import("../integrity/report.ts"),
    )
    const { store, report, after }: CheckedStore = yield* checkStore(config, "verify", {
      fromStart,
      repair,
      chain: !repair && !tablesOnly,
      ...(key === null ? {} : { publicKey: key }),
    })
    yield* Console.log(json ? verifyJson(report) : verifyText(store, report))
    if (report.repaired === null) {
      const count = report.differences.length
      if (count > 0) return yield* new Differences({ count, advice: adviceFor(report) })
      return
    }
    if (!json) yield* Console.log(repairedText(report.repaired, after, fromStart))
    if (after > 0) return yield* new Differences({ count: after, advice: lost })
  }),
).pipe(
  Command.withDescription(
    "Compare the three tables with the log, also while a server runs; exit code 1 when they differ. " +
      "The flags of its store say where the log is (--database-url, --data or --config); without them the server at --admin is asked, which itself repairs",
  ),
)

/** Reads the whole log once, from the first decision on. */
const verifyDrift = Effect.fnUntraced(function* (config: Config, json: boolean) {
  const { checkDrift } = yield* Effect.promise(() => import("../case/drift.ts"))
  const { driftText, leftOutText } = yield* Effect.promise(() => import("../../explain/case/step-text.ts"))
  const { store, decisions, drifted, count, dropped, erased, skipped }: DriftReport =
    yield* checkDrift(config)
  for (const { moment, decided } of drifted) {
    const { position, decision } = moment
    const lines = json
      ? [JSON.stringify({ v: 1, kind: "drift", position, ...decision, decided })]
      : driftText(moment, decided ?? [], decided === null ? "it is no command's" : null, { utc: false })
    for (const line of lines) yield* Console.log(line)
  }
  yield* Console.log(
    json
      ? JSON.stringify({ v: 1, kind: "end", decisions, drifted: count, dropped, erased, skipped })
      : `${store}: ${decisions} decisions made again, ${count} would be another today` +
          leftOutText("; ", dropped, erased) +
          (skipped.length === 0
            ? ""
            : `; ${skipped.length} streams skipped, whose beginning is not in the log`),
  )
  if (count > 0) return yield* new Differences({ count, advice: "settings or code are not what they were" })
})

/** A running server that holds the log repairs what is derived from it. */
const repairInServer = Effect.fnUntraced(function* (input: AdminInput, fromStart: boolean, json: boolean) {
  const body = JSON.stringify({ from_start: fromStart })
  const text = yield* askAdmin("POST", { ...input, mayBeStopped: true }, "/v1/tables/repair", body)
  const { store, found, decisions, repaired, left, seconds } = JSON.parse(text) as typeof Repaired.Type
  const { lost, repairedText } = yield* Effect.promise(() => import("../integrity/report.ts"))
  yield* Console.log(
    json
      ? text
      : [
          ...found,
          `${store}: ${decisions} decisions looked at, ${repairedText(repaired, left, fromStart, seconds)}`,
        ].join("\n"),
  )
  if (left > 0) return yield* new Differences({ count: left, advice: lost })
})

const rebuild = Command.make(
  "rebuild",
  { ...adminFlags, ...storeFlags, json },
  Effect.fn(function* ({ json, ...input }) {
    if (!isOfStore(input)) return yield* repairInServer(input, true, json)
    const config = yield* storeConfig(input)
    const { checkStore } = yield* Effect.promise(() => import("../integrity/verify-store.ts"))
    const { report, store, after }: CheckedStore = yield* checkStore(config, "projections rebuild", {
      fromStart: true,
      repair: true,
    })
    const { lost, repairedText } = yield* Effect.promise(() => import("../integrity/report.ts"))
    const { rows } = report
    const total = rows.presentity + rows.active_watchers + rows.watchers
    yield* Console.log(
      json
        ? JSON.stringify({ ...report, differences: report.differences.length, left: after })
        : `${store}: ${report.decisions} decisions folded from the first on, ${total} rows looked at, ` +
            repairedText(report.repaired ?? 0, after, true, report.seconds),
    )
    if (after > 0) return yield* new Differences({ count: after, advice: lost })
  }),
).pipe(
  Command.withDescription("Make the three tables anew from the log; readers see them whole all the time"),
)

export const projections = Command.make("projections").pipe(
  Command.withDescription("What is derived from the log"),
  Command.withSubcommands([rebuild]),
)

const publicKeyOf = (file: string | null, isWithoutChain: boolean) => {
  if (file === null) return Effect.succeed(null)
  if (isWithoutChain) {
    const why = "--public-key is about the chain of the log, which --repair and --tables-only leave out"
    return Effect.fail(new UsageInvalid({ why }))
  }
  const read = readPublicKey(file)
  return "key" in read
    ? Effect.succeed(read.key)
    : Effect.fail(new UsageInvalid({ why: `--public-key ${file}: ${read.fault}` }))
}
