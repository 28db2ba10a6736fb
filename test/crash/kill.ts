/**
 * Kills the server, its database, or both, again and again under load, and checks after each time that everything
 * that was answered 2xx is still there and that no NOTIFY's CSeq came twice or went back.
 *
 *   node test/crash/kill.ts [--store postgres|embedded] [--kills 50] [--publishers 40] [--watchers 2]
 *     [--load 'COMMAND with {target}']
 *
 * `postgres` needs PostgreSQL's binaries; the cluster is private. `embedded` is the private server of a data folder, which is
 * killed like the other, and which presently itself starts again; its next user may be killed while it does. Data is in a temporary folder and removed at the end. `--load` runs a further load
 * generator beside our own from start to end of each round.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pauseFor } from "node:timers/promises"
import { parseArgs } from "node:util"
import { commandFile } from "../support/command-file.ts"
import { compileCache } from "../support/compile-cache.ts"
import { freePort, startPostgres } from "../support/postgres.ts"
import { postmasterOf } from "../support/private-server.ts"
import { ofTests } from "../support/reaper.ts"
import { makeLoad } from "./load.ts"
import type { Findings } from "./load.ts"

const main = commandFile()

export interface KillOptions {
  readonly store: "postgres" | "embedded"
  readonly kills: number
  readonly publishers: number
  readonly watchers: number
  readonly load: string | null
  readonly say: (line: string) => void
}

/** Twice: the server, and then the one that takes its place, before it is ready. */
type Victim = "server" | "server twice" | "database" | "both"

/** Where the server under test keeps its log. */
interface Store {
  /** What tells `serve` of it. */
  readonly flags: readonly string[]
  /** In turn. */
  readonly victims: readonly Victim[]
  readonly killDatabase: () => void
  /** After kill -9 of its postmaster the rest of PostgreSQL takes a moment to go. */
  readonly restartDatabase: () => Promise<void>
  readonly remove: () => void
}

const openPostgres = async (): Promise<Store | null> => {
  const cluster = await startPostgres()
  if (cluster === null) return null
  return {
    flags: ["--database-url", cluster.database()],
    victims: ["server", "database", "both"],
    killDatabase: () => process.kill(cluster.pid(), "SIGKILL"),
    restartDatabase: async () => {
      for (let tries = 0; ; tries++) {
        try {
          return cluster.start()
        } catch (cause) {
          if (tries > 50) throw cause
          await pauseFor(200)
        }
      }
    },
    remove: cluster.remove,
  }
}

const openEmbedded = (): Store => {
  const folder = mkdtempSync(join(tmpdir(), "presently-kill-"))
  return {
    flags: ["--data", folder],
    victims: ["server", "database", "both", "server twice"],
    killDatabase: () => {
      const pid = postmasterOf(folder)
      try {
        if (pid !== null) process.kill(pid, "SIGKILL")
      } catch {
        // it has stopped with the server
      }
    },
    // its users start it again
    restartDatabase: () => Promise.resolve(),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Null when there is no PostgreSQL to kill. */
export const killTest = async (options: KillOptions): Promise<Findings | null> => {
  const store = options.store === "embedded" ? openEmbedded() : await openPostgres()
  if (store === null) return null
  const port = await freePort()
  let server = await startServer(port, store.flags)
  const load = await makeLoad({ port, publishers: options.publishers, watchersEach: options.watchers })
  let extra: ChildProcess | null = null
  try {
    for (let kill = 1; kill <= options.kills; kill++) {
      load.resume()
      if (options.load !== null) {
        const command = options.load.replaceAll("{target}", `127.0.0.1:${port}`)
        extra = ofTests(spawn("sh", ["-c", `exec ${command}`], { stdio: "ignore", detached: true }), "group")
      }
      await pauseFor(400 + Math.random() * 1200)
      const victim = store.victims[(kill - 1) % store.victims.length]!
      if (victim !== "database") await killServer(server)
      if (victim === "database" || victim === "both") {
        store.killDatabase()
        await pauseFor(100)
      }
      if (extra?.pid !== undefined) stopGroup(extra.pid)
      const down = Date.now()
      if (victim === "database" || victim === "both") await store.restartDatabase()
      if (victim === "server twice") {
        const second = spawnServer(port, store.flags)
        await pauseFor(300 + Math.random() * 1500)
        await killServer(second)
      }
      if (victim !== "database") server = await startServer(port, store.flags)
      const up = Date.now()
      await load.pause()
      await load.verify()
      const { lost, disorder, checked, doubtful } = load.findings()
      options.say(
        `kill ${kill} of ${victim}: back in ${seconds(up - down)}, verified in ${seconds(Date.now() - down)}; ` +
          `${checked} promises checked, ${lost.length} lost, ${disorder.length} out of order, ${doubtful} doubtful`,
      )
      if (lost.length + disorder.length > 20) break
    }
    return load.findings()
  } finally {
    load.close()
    await killServer(server)
    store.remove()
  }
}

const seconds = (millis: number): string => `${(millis / 1000).toFixed(1)} s`

/** And waits until it is gone: a process that is dying still has its files. */
export const killServer = async (
  server: ChildProcess,
  signal: "SIGKILL" | "SIGTERM" = "SIGKILL",
): Promise<void> => {
  if (server.exitCode !== null || server.signalCode !== null) return
  const gone = once(server, "exit")
  server.kill(signal)
  await gone
}

const spawnServer = (port: number, store: readonly string[]): ChildProcess => {
  const settings = ["notify_min_interval=0", "log=json", "db_update_period=2"]
  const server = spawn(
    process.execPath,
    [main, "serve", "--listen", `udp:127.0.0.1:${port}`, "--admin", "off"].concat(
      store,
      settings.flatMap((one) => ["--set", one]),
    ),
    { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...compileCache } },
  )
  return ofTests(server)
}

export const startServer = async (port: number, store: readonly string[]): Promise<ChildProcess> => {
  const child = spawnServer(port, store)
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

const stopGroup = (pid: number): void => {
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // ended by itself
  }
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      store: { type: "string", default: "postgres" },
      kills: { type: "string", default: "50" },
      publishers: { type: "string", default: "40" },
      watchers: { type: "string", default: "2" },
      load: { type: "string" },
    },
  })
  const { store } = values
  if (store !== "postgres" && store !== "embedded") throw new Error(`--store ${store}: postgres or embedded`)
  const findings = await killTest({
    store,
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
