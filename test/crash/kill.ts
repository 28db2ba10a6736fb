/**
 * Kills the server, its database, or both, again and again under load, and checks after each time that everything
 * that was answered 2xx is still there and that no NOTIFY's CSeq came twice or went back.
 *
 *   node test/crash/kill.ts [--kills 50] [--publishers 40] [--watchers 2] [--load 'COMMAND with {target}']
 *
 * Needs PostgreSQL's binaries; the cluster is private, in a temporary folder, and removed at the end. `--load` runs a
 * further load generator beside our own from start to end of each round.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { freePort, startPostgres } from "../support/postgres.ts"
import { makeLoad } from "./load.ts"
import type { Findings } from "./load.ts"

const main = join(import.meta.dirname, "../../src/app/main.ts")

export interface KillOptions {
  readonly kills: number
  readonly publishers: number
  readonly watchers: number
  readonly load: string | null
  readonly say: (line: string) => void
}

const victims = ["server", "database", "both"] as const

/** Null when there is no PostgreSQL to kill. */
export const killTest = async (options: KillOptions): Promise<Findings | null> => {
  const cluster = await startPostgres()
  if (cluster === null) return null
  const port = await freePort()
  const url = cluster.database()
  let server = await startServer(port, url)
  const load = await makeLoad({ port, publishers: options.publishers, watchersEach: options.watchers })
  let extra: ChildProcess | null = null
  try {
    for (let kill = 1; kill <= options.kills; kill++) {
      load.resume()
      if (options.load !== null) {
        const command = options.load.replaceAll("{target}", `127.0.0.1:${port}`)
        extra = spawn("sh", ["-c", `exec ${command}`], { stdio: "ignore", detached: true })
      }
      await pauseFor(400 + Math.random() * 1200)
      const victim = victims[(kill - 1) % victims.length]!
      if (victim !== "database") server.kill("SIGKILL")
      if (victim !== "server") {
        process.kill(cluster.pid(), "SIGKILL")
        await pauseFor(100)
      }
      if (extra?.pid !== undefined) stopGroup(extra.pid)
      const down = Date.now()
      if (victim !== "server") await restartDatabase(cluster)
      if (victim !== "database") server = await startServer(port, url)
      await load.pause()
      await load.verify()
      const { lost, disorder, checked, doubtful } = load.findings()
      options.say(
        `kill ${kill} of ${victim}: back and verified in ${((Date.now() - down) / 1000).toFixed(1)} s; ` +
          `${checked} promises checked, ${lost.length} lost, ${disorder.length} out of order, ${doubtful} doubtful`,
      )
      if (lost.length + disorder.length > 20) break
    }
    return load.findings()
  } finally {
    load.close()
    server.kill("SIGKILL")
    cluster.remove()
  }
}

const startServer = async (port: number, url: string): Promise<ChildProcess> => {
  const child = spawn(
    process.execPath,
    [main, "serve", "--listen", `udp:127.0.0.1:${port}`, "--admin", "off", "--database-url", url].concat([
      "--set",
      "notify_min_interval=0",
      "--set",
      "log=json",
      "--set",
      "db_update_period=2",
    ]),
    { stdio: ["ignore", "pipe", "inherit"] },
  )
  await new Promise<void>((resolve, reject) => {
    let said = ""
    child.stdout!.on("data", (bytes: Buffer) => {
      said = (said + bytes.toString()).slice(-10_000)
      if (said.includes("ready in")) resolve()
    })
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${said}`)))
  })
  child.stdout!.resume()
  return child
}

/** After kill -9 of its postmaster the rest of PostgreSQL takes a moment to go. */
const restartDatabase = async (cluster: { readonly start: () => void }): Promise<void> => {
  for (let tries = 0; ; tries++) {
    try {
      cluster.start()
      return
    } catch (cause) {
      if (tries > 50) throw cause
      await pauseFor(200)
    }
  }
}

const stopGroup = (pid: number): void => {
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // ended by itself
  }
}

const pauseFor = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      kills: { type: "string", default: "50" },
      publishers: { type: "string", default: "40" },
      watchers: { type: "string", default: "2" },
      load: { type: "string" },
    },
  })
  const findings = await killTest({
    kills: Number(values.kills),
    publishers: Number(values.publishers),
    watchers: Number(values.watchers),
    load: values.load ?? null,
    say: (line) => console.log(line),
  })
  if (findings === null) {
    console.error("no PostgreSQL binaries found: install PostgreSQL and try again")
    process.exitCode = 69
  } else {
    console.log(JSON.stringify(findings, null, 2))
    process.exitCode = findings.lost.length + findings.disorder.length === 0 ? 0 : 1
  }
}
