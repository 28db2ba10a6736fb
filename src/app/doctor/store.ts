/**
 * The database: whether it can be reached, has a suitable version, is ours, has the present layout, and has tables that match the
 * log.
 */
import { Clock, Effect } from "effect"
import { DataFolderInUse } from "../../adapters/store/postgres/folder-claim.ts"
import { holdsDatabase, isClusterWide, isUnfinished } from "../../adapters/store/private-server/site.ts"
import { spanInWords } from "../../explain/time-spans.ts"
import { holderText } from "../../ports/claim.ts"
import type { SealStore } from "../../ports/log-audit.ts"
import { moduleTableNames } from "../../ports/presence-tables.ts"
import { suspicionOf } from "../clock/witnesses.ts"
import type { Config } from "../config/config.ts"
import { errorMessage } from "../error-message.ts"
import { differenceText } from "../integrity/report.ts"
import { verifyTables } from "../integrity/verify.ts"
import { openStore, storeNameOf } from "../open-store.ts"
import type { OpenStore } from "../open-store.ts"
import { bad, ok, warn } from "./check.ts"
import type { Check } from "./check.ts"
import { xcapTable } from "./sources.ts"
import { watcherChecks } from "./watching.ts"

/** The first version with random UUIDs that need no extension. */
const versionMin = 130_000

const skewMaxMillis = 1000

/** A start reads what the tables do not show yet; above this it takes seconds. */
const tailMax = 100_000

/** @param isRunning whether a server answers on the management port */
export const storeChecks = Effect.fn("Doctor.store")(function* (config: Config, isRunning: boolean) {
  if (config.memory) {
    const fix = "give --database-url or --data, unless that is meant"
    return [warn("store", "memory: nothing outlives the process", fix)]
  }
  // `presently serve` reports that itself
  if (config.database_url === null && config.data === null) return []
  const name = storeNameOf(config)
  if (config.database_url === null && !holdsDatabase(config.data!) && !isUnfinished(config.data!)) {
    return [ok("store", `${name}: there is none yet, the first start makes it`)]
  }
  // opening it would bring its layout up to date first
  if (config.database_url === null && isUnfinished(config.data!)) {
    return [ok("store", `${name}: it was never finished, the next start makes it`)]
  }
  if (config.database_url === null && isClusterWide(config.data!)) {
    const fix = `the next start narrows it; chmod -R go= ${config.data} does so at once`
    return [warn("store", `${name}: not looked into while other accounts can enter it`, fix)]
  }
  return yield* openStore(config, "doctor").pipe(
    Effect.flatMap((store) => checksOf(store, config, isRunning)),
    Effect.catch((cause) =>
      Effect.succeed([
        cause instanceof DataFolderInUse
          ? ok(
              "store",
              `${name}: in use by process ${cause.pid}, which is no presently of this version; it can be looked at when that stops`,
            )
          : bad(
              "store",
              `${name}: ${errorMessage(cause)}`,
              "start the database, or correct --database-url or --data",
            ),
      ]),
    ),
    Effect.scoped,
  )
})

const checksOf = Effect.fnUntraced(function* (store: OpenStore, config: Config, isRunning: boolean) {
  const { log, name } = store
  const before = yield* Clock.currentTimeMillis
  const server = yield* log.layout.server
  const after = yield* Clock.currentTimeMillis
  const { number, version, clock, synchronousCommit, fsync, encoding, mayCreate } = server
  const checks: Check[] = []
  const isEmbedded = config.database_url === null
  if (number < versionMin) {
    checks.push(bad("store", `${name} is version ${version}`, "13 is the oldest that does: upgrade it"))
  } else if (encoding !== "UTF8") {
    checks.push(bad("store", `${name} keeps ${encoding}`, "make a database with ENCODING 'UTF8'"))
  } else checks.push(ok("store", `${name} answers, version ${version}`))
  if (!isEmbedded && (synchronousCommit === "off" || fsync === "off")) {
    const what = synchronousCommit === "off" ? "synchronous_commit" : "fsync"
    checks.push(warn("durability", `${what} is off: a crash loses what was answered`, `turn ${what} on`))
  }
  const skew = Math.round(clock - (before + after) / 2)
  checks.push(
    Math.abs(skew) > skewMaxMillis
      ? warn("clock", `the database's is ${skew} ms ahead of this machine's`, "let NTP keep both")
      : ok("clock", `${skew} ms between the database's and this machine's`),
  )

  const layout = yield* layoutCheck(store, mayCreate)
  checks.push(layout.check)
  if (!layout.isOurs) return checks
  const holder = yield* log.holder
  checks.push(
    ok("writer", holder === null ? "nobody has the log" : `the log is taken by ${holderText(holder)}`),
  )
  checks.push(...(yield* logChecks(store, config, isRunning)))
  checks.push(...(yield* watcherChecks(store, config, isRunning)))
  checks.push(...(yield* xcapTable(config, store.xcap)))
  const report = yield* verifyTables(log, { fromStart: false, repair: false })
  const rows = report.rows.presentity + report.rows.active_watchers + report.rows.watchers
  const [first] = report.differences
  checks.push(
    first === undefined
      ? ok("tables", `${rows} rows, 0 differences from the log`)
      : bad(
          "tables",
          `${report.differences.length} differences from the log, the first: ${differenceText(first)}`,
          "presently verify shows all, presently verify --repair rewrites them",
        ),
  )
  return checks
})

/** Whose tables these are, and whether they belong to this version. */
const layoutCheck = Effect.fnUntraced(function* ({ log, tables }: OpenStore, mayCreate: boolean) {
  const names = [...new Set([...Object.values(moduleTableNames), ...Object.values(tables), "version"])]
  const here = new Set(yield* log.layout.present([...names, "presently_migrations"]))
  const layout = (check: Check, isOurs = false) => ({ check, isOurs })
  if (!here.has("presently_migrations")) {
    const theirs = names.filter((name) => here.has(name))
    if (theirs.length > 0) {
      return layout(
        bad(
          "migrations",
          `tables of another server are there under our names: ${theirs.join(", ")}`,
          "give presently a database of its own; presently import opensips takes over what is in them",
        ),
      )
    }
    return layout(
      mayCreate
        ? ok("migrations", "an empty database: the first start makes the tables")
        : bad("migrations", "this user may not make tables", "GRANT CREATE ON SCHEMA public TO the user"),
    )
  }
  const { newest } = log.layout
  const done = yield* log.layout.done
  if (done > newest) {
    const fix = "run that version here, or give this one a database of its own"
    return layout(bad("migrations", `${done} of ${newest}: a newer version has been at work`, fix))
  }
  const ours = new Set(yield* log.layout.owned)
  const strangers = Object.values(tables).filter((name) => here.has(name) && !ours.has(name))
  if (strangers.length > 0) {
    const fix = "give other names in presentity_table, active_watchers_table, watchers_table"
    return layout(bad("migrations", `not ours, under our names: ${strangers.join(", ")}`, fix))
  }
  const missing = Object.values(tables).filter((name) => !here.has(name))
  if (done < newest || missing.length > 0) {
    const what = missing.length === 0 ? `${done} of ${newest}` : `no ${missing.join(", ")} yet`
    return layout(warn("migrations", what, "the next start makes what is missing; back up before it"))
  }
  return layout(ok("migrations", `${done} of ${newest}`), true)
})

const logChecks = Effect.fnUntraced(function* ({ log }: OpenStore, config: Config, isRunning: boolean) {
  const { db_update_period } = config
  const { lag } = yield* log.audit.positions
  const now = yield* Clock.currentTimeMillis
  const times = yield* log.audit.times
  const checks: Check[] = []
  const ahead = (times.newest ?? 0) - now
  if (ahead > skewMaxMillis) {
    const fix =
      "see that the clock is right: it is, if it stood ahead for a while, and then nothing is to be done"
    checks.push(warn("log", `its newest decision is ${spanInWords(ahead)} in the future`, fix))
  }
  const isDropping = config.retention.length > 0
  const why = yield* suspicionOf(log.witness, now, {
    ahead: 0,
    doubtDays: config.retention_doubt,
    isWatched: false,
  })
  if (why !== null) {
    const fix = isDropping
      ? "set the clock right; or wait, or run presently compact --yes, if it is: nothing is dropped as old before"
      : "set the clock right, if it is not"
    checks.push(warn("time", why, fix))
  }
  const seconds = times.waiting === null ? 0 : Math.round((now - times.waiting) / 1000)
  const shown = `${lag} decisions, the oldest ${seconds} s`
  const isLate = isRunning && db_update_period > 0 && seconds > 2 * db_update_period + 10
  checks.push(
    isLate
      ? bad(
          "lag",
          `${shown}, at a period of ${db_update_period} s`,
          "the server cannot write its tables: see its log and GET /status, and the privileges on the tables",
        )
      : ok("lag", isRunning || lag === 0 ? shown : `${shown}; the next start brings the tables up to date`),
  )
  if (config.seal_key !== null) checks.push(yield* sealCheck(log.seals, config.seal_interval, isRunning, now))
  checks.push(
    lag > tailMax
      ? warn("snapshots", `a start has ${lag} decisions to read`, "stop the server in order once")
      : ok(
          "snapshots",
          times.shown === null
            ? "none yet"
            : `the oldest of what lives is as of ${new Date(times.shown).toISOString()}, a start has ${lag} decisions to read after it`,
        ),
  )
  return checks
})

/** Whether the running server seals its log. */
const sealCheck = Effect.fnUntraced(function* (
  seals: SealStore,
  intervalSeconds: number,
  isRunning: boolean,
  now: number,
) {
  const newest = yield* seals.newest
  const { count, oldest } = yield* seals.unsealed(newest?.position ?? 0n)
  const seconds = oldest === null ? 0 : Math.round((now - oldest) / 1000)
  const said =
    newest === null
      ? `none yet, ${count} decisions are not sealed`
      : `the newest is of ${new Date(newest.at).toISOString()}, ${count} newer decisions are not sealed`
  return isRunning && seconds > 2 * intervalSeconds + 10
    ? bad("seals", said, "the server does not seal: see its log, and whether it was started with seal_key")
    : ok("seals", said)
})
