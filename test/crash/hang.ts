/**
 * Lets the database hang under load, again and again, and checks after each time that everything that was answered 2xx is still
 * there, that CSeq numbers only rise, and that the three tables and the snapshots are what the log says.
 *
 *   node test/crash/hang.ts [--rounds 20] [--seconds 4,10,40] [--way stopped|unanswered] [--publishers 20] [--watchers 2]
 *
 * `stopped`: every process of the database stands still (SIGSTOP). `unanswered`: it goes on, and its answers are lost, so that
 * what is given up is stored all the same. Needs PostgreSQL's binaries; the cluster is private.
 */
import { readFileSync, readdirSync } from "node:fs"
import { setTimeout as pauseFor } from "node:timers/promises"
import { parseArgs } from "node:util"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { makeLogAdmin } from "../../src/adapters/store/postgres/log-admin.ts"
import { verifyTables } from "../../src/app/integrity/verify.ts"
import type { VerifyReport } from "../../src/app/integrity/verify.ts"
import { holds } from "../support/condition.ts"
import { openLossyProxy } from "../support/lossy-proxy.ts"
import { freePort, startPostgres } from "../support/postgres.ts"
import { killServer, startServer } from "./kill.ts"
import { makeLoad } from "./load.ts"
import type { Findings } from "./load.ts"

export interface HangOptions {
  readonly way: "stopped" | "unanswered"
  readonly rounds: number
  /** How long each hang takes, in turn. */
  readonly seconds: readonly number[]
  readonly publishers: number
  readonly watchers: number
  readonly say: (line: string) => void
}

export interface HangFindings extends Findings {
  /** What `verify` found at the end of each round, after the last stop and after the start that followed. */
  readonly differences: readonly string[]
  /** Decisions that the tables did not come to show. */
  readonly lag: number
}

/** Null when there is no PostgreSQL to stop. */
export const hangTest = async (options: HangOptions): Promise<HangFindings | null> => {
  const cluster = await startPostgres()
  if (cluster === null) return null
  const url = cluster.database()
  const proxy = await openLossyProxy(cluster.port)
  const flags = ["--database-url", url.replace(`:${cluster.port}/`, `:${proxy.port}/`)]
  const port = await freePort()
  const differences: string[] = []
  let lag = 0
  let server = await startServer(port, flags)
  const load = await makeLoad({
    port,
    publishers: options.publishers,
    watchersEach: options.watchers,
    passersEach: 1,
  })
  const look = async (when: string): Promise<number> => {
    const report = await settledReport(url)
    lag = Math.max(lag, report.lag)
    for (const one of report.differences.slice(0, 20))
      differences.push(`${when}: ${one.kind} ${one.table} ${one.key} ${one.column ?? ""}`)
    return report.differences.length
  }
  const processes = (): readonly number[] => familyOf(cluster.pid())
  try {
    for (let round = 1; round <= options.rounds; round++) {
      const seconds = options.seconds[(round - 1) % options.seconds.length]!
      load.resume()
      await holds("everybody is served", load.isServed)
      await pauseFor(500 + Math.random() * 1500)
      if (options.way === "stopped") signal(processes(), "SIGSTOP")
      else proxy.swallow()
      await pauseFor(seconds * 1000)
      if (options.way === "stopped") signal(processes(), "SIGCONT")
      else proxy.heal()
      await pauseFor(1000 + Math.random() * 1500)
      await load.pause()
      await load.verify()
      const found = await look(`round ${round}`)
      const { lost, disorder, checked, doubtful } = load.findings()
      options.say(
        `round ${round}, ${seconds} s ${options.way}: ${found} differences, lag ${lag}; ${checked} promises checked, ` +
          `${lost.length} lost, ${disorder.length} out of order, ${doubtful} doubtful`,
      )
      if (lost.length + disorder.length + differences.length > 20) break
    }
    await killServer(server, "SIGTERM")
    await look("after the stop")
    server = await startServer(port, flags)
    await load.verify()
    await look("after the start")
    return { ...load.findings(), differences, lag }
  } finally {
    load.close()
    signal(processes(), "SIGCONT")
    await killServer(server)
    proxy.close()
    cluster.remove()
  }
}

/** Once the tables have had time to come to the end of the log: nobody asks for anything meanwhile. */
const settledReport = async (url: string): Promise<VerifyReport> => {
  for (let tries = 0; ; tries++) {
    const report = await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          return yield* verifyTables(makeLogAdmin(sql), { fromStart: true, repair: false })
        }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(url) }))),
      ),
    )
    if (report.lag === 0 || tries === 300) return report
    await pauseFor(500)
  }
}

/** The process and all that it started. */
const familyOf = (pid: number): readonly number[] => {
  const parents = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name): (readonly [number, number])[] => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8")
        return [[Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1])]]
      } catch {
        // gone by now
        return []
      }
    })
  return [pid, ...parents.filter(([, parent]) => parent === pid).map(([child]) => child)]
}

const signal = (pids: readonly number[], name: "SIGSTOP" | "SIGCONT"): void => {
  for (const pid of pids) {
    try {
      process.kill(pid, name)
    } catch {
      // gone by now
    }
  }
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "20" },
      seconds: { type: "string", default: "4,10,40" },
      way: { type: "string", default: "stopped" },
      publishers: { type: "string", default: "20" },
      watchers: { type: "string", default: "2" },
    },
  })
  const { way } = values
  if (way !== "stopped" && way !== "unanswered") throw new Error(`--way ${way}: stopped or unanswered`)
  const seconds = values.seconds.split(",").map(Number)
  const findings = await hangTest({
    way,
    seconds,
    rounds: Number(values.rounds) * seconds.length,
    publishers: Number(values.publishers),
    watchers: Number(values.watchers),
    say: (line) => console.log(line),
  })
  if (findings === null) {
    console.error("no PostgreSQL binaries found: install PostgreSQL and try again")
    process.exitCode = 69
  } else {
    console.log(JSON.stringify(findings, null, 2))
    const { lost, disorder, differences, lag } = findings
    process.exitCode = lost.length + disorder.length + differences.length + lag === 0 ? 0 : 1
  }
}
