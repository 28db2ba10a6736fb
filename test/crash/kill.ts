/**
 * Kills the server, its database, the guard of its database, or several of them at once, again and again under load of
 * PUBLISH and SUBSCRIBE, and checks after each time that it is ready again, that everything that was answered 2xx is still
 * there, and that no NOTIFY's CSeq came twice or went back. At the end each acknowledged request is looked up in the log, the
 * server is stopped in order, and nothing of it may be left: neither a process of the server, nor of its database.
 *
 *   node test/crash/kill.ts [--store embedded|postgres] [--rounds 100] [--victims server,guard,…] [--publishers 40]
 *     [--watchers 2] [--load 'COMMAND with {target}']
 *
 * `embedded`: the private server of a data folder, which presently itself starts again. Victims, in turn:
 *
 * - server: `presently serve`
 * - database: the postmaster
 * - guard: the shell between the two
 * - server+database, server+guard, database+guard, all: at the same moment
 * - server twice: the server, and the one that takes its place before it is ready
 *
 * `postgres`: a PostgreSQL that the test starts, without guard. Data is in a temporary folder, which is removed at the end
 * unless something is wrong. `--load` runs a further load generator beside our own from start to end of each round. Exit
 * code 1 when anything was lost, out of order, or left.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pauseFor } from "node:timers/promises"
import { parseArgs } from "node:util"
import { Effect, Logger } from "effect"
import type { Layer } from "effect"
import { layerEmbedded, layerPostgres } from "../../src/adapters/store/layers.ts"
import { newProgramName } from "../../src/adapters/store/postgres/connections.ts"
import { EventStore } from "../../src/ports/event-store.ts"
import { commandFile } from "../support/command-file.ts"
import { compileCache } from "../support/compile-cache.ts"
import { holds, patienceMillis } from "../support/condition.ts"
import { freePort, startPostgres } from "../support/postgres.ts"
import { killIfThere, postmasterOf, processesOf } from "../support/private-server.ts"
import { endWithTests, ofTests } from "../support/reaper.ts"
import { makeLoad } from "./load.ts"
import type { Findings, Load, RequestName } from "./load.ts"

const main = commandFile()

export const embeddedVictims = [
  "server",
  "database",
  "guard",
  "server+database",
  "server+guard",
  "database+guard",
  "all",
  "server twice",
] as const
export type Victim = (typeof embeddedVictims)[number]
const postgresVictims: readonly Victim[] = ["server", "database", "server+database"]

export interface KillOptions {
  readonly store: "embedded" | "postgres"
  readonly rounds: number
  /** In turn. Absent: all that the store has. */
  readonly victims?: readonly Victim[]
  readonly publishers: number
  readonly watchers: number
  readonly load: string | null
  readonly say: (line: string) => void
}

export interface KillFindings extends Findings {
  /** Acknowledged requests that the log does not have. */
  readonly missing: readonly string[]
  /** Processes that were there when all had to be gone, and rounds after which there was more than one database. */
  readonly left: readonly string[]
  /** Seconds from the kill until every request was answered again, by victim. */
  readonly back: Readonly<Record<string, readonly number[]>>
}

/** Where the server under test keeps its log. */
interface Store {
  /** What tells `serve` of it. */
  readonly flags: readonly string[]
  readonly victims: readonly Victim[]
  readonly killDatabase: () => void
  readonly killGuard: () => void
  /** After kill -9 of its postmaster the rest of PostgreSQL takes a moment to go. */
  readonly restartDatabase: () => Promise<void>
  /** Processes of it that presently started. */
  readonly processes: () => ReturnType<typeof processesOf>
  readonly layer: () => Layer.Layer<EventStore, unknown>
  /** Where its files are. */
  readonly folder: string
  /** @param isKept its files stay, to be looked at */
  readonly end: (isKept: boolean) => void
}

const application = newProgramName("test")

const openPostgres = async (): Promise<Store | null> => {
  const cluster = await startPostgres()
  if (cluster === null) return null
  const url = cluster.database()
  return {
    flags: ["--database-url", url],
    victims: postgresVictims,
    killDatabase: () => process.kill(cluster.pid(), "SIGKILL"),
    killGuard: () => {},
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
    processes: () => [],
    layer: () => layerPostgres(url, { application }),
    folder: cluster.data,
    end: cluster.remove,
  }
}

const openEmbedded = (): Store => {
  const folder = mkdtempSync(join(tmpdir(), "presently-kill-"))
  const isOver = endWithTests({ kind: "folder", path: folder })
  return {
    flags: ["--data", folder],
    victims: embeddedVictims,
    killDatabase: () => {
      const pid = postmasterOf(folder)
      if (pid !== null) killIfThere(pid)
    },
    // the shell and the part of it that waits for the pipes
    killGuard: () => {
      for (const { pid, kind } of processesOf(folder)) if (kind === "guard") killIfThere(pid)
    },
    // its users start it again
    restartDatabase: () => Promise.resolve(),
    processes: () => processesOf(folder),
    layer: () => layerEmbedded(folder, { application }),
    folder,
    end: (isKept) => {
      if (!isKept) rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
      isOver()
    },
  }
}

/** Null when there is no PostgreSQL to kill. */
export const killTest = async (options: KillOptions): Promise<KillFindings | null> => {
  const store = options.store === "embedded" ? openEmbedded() : await openPostgres()
  if (store === null) return null
  const victims = options.victims ?? store.victims
  const port = await freePort()
  let server = await startServer(port, store.flags)
  const load = await makeLoad({ port, publishers: options.publishers, watchersEach: options.watchers })
  const left: string[] = []
  const back: Record<string, number[]> = {}
  let told = 0
  let isSound = false
  try {
    for (let round = 1; round <= options.rounds; round++) {
      const victim = victims[(round - 1) % victims.length]!
      load.resume()
      const stopExtra = startExtra(options.load, port)
      await pauseFor(400 + Math.random() * 1200)
      const down = performance.now()
      server = await strike(victim, { store, server, port })
      stopExtra()
      await answered(load.pause(), `round ${round}, kill of ${victim}`)
      const took = (performance.now() - down) / 1000
      ;(back[victim] ??= []).push(Number(took.toFixed(2)))
      await load.verify()
      left.push(...(await extraServers(store, round)))
      const { lost, disorder, checked, doubtful } = load.findings()
      options.say(
        `round ${round}, ${victim}: every request answered after ${took.toFixed(1)} s; ` +
          `${checked} promises checked, ${lost.length} lost, ${disorder.length} out of order, ${doubtful} doubtful`,
      )
      const faults = [...lost, ...disorder, ...left]
      for (const fault of faults.slice(told, told + 5)) options.say(`  ${fault}`)
      told = faults.length
      if (faults.length > 20) break
    }
    await killServer(server, "SIGTERM")
    left.push(...(await remaining(store)))
    const missing = await missingIn(store, load)
    left.push(...(await remaining(store)))
    const findings = { ...load.findings(), missing, left, back }
    isSound = isFaultless(findings)
    return findings
  } finally {
    load.close()
    await killServer(server)
    for (const { pid } of store.processes()) killIfThere(pid)
    await remaining(store)
    const isKept = !isSound && options.store === "embedded"
    if (isKept) options.say(`the log stays in ${store.folder}`)
    store.end(isKept)
  }
}

const isFaultless = ({ lost, disorder, missing, left }: KillFindings): boolean =>
  lost.length + disorder.length + missing.length + left.length === 0

/** Kills, and has everything run again. @returns the server that serves now */
const strike = async (
  victim: Victim,
  { store, server, port }: { readonly store: Store; readonly server: ChildProcess; readonly port: number },
): Promise<ChildProcess> => {
  const isServer = victim.startsWith("server") || victim === "all"
  const isDatabase = victim.includes("database") || victim === "all"
  const serverGone = isServer ? killServer(server) : null
  if (isDatabase) store.killDatabase()
  if (victim.includes("guard") || victim === "all") store.killGuard()
  await serverGone
  if (isDatabase) {
    await pauseFor(100)
    await store.restartDatabase()
  }
  if (victim === "server twice") {
    const second = spawnServer(port, store.flags)
    await pauseFor(300 + Math.random() * 1500)
    await killServer(second)
  }
  return isServer ? startServer(port, store.flags) : server
}

/** A further load generator. @returns ends it */
const startExtra = (command: string | null, port: number): (() => void) => {
  if (command === null) return () => {}
  const exact = command.replaceAll("{target}", `127.0.0.1:${port}`)
  const { pid } = ofTests(spawn("sh", ["-c", `exec ${exact}`], { stdio: "ignore", detached: true }), "group")
  return () => {
    if (pid !== undefined) stopGroup(pid)
  }
}

/** A server that never answers again is a finding as well. */
const answered = async (pause: Promise<void>, what: string): Promise<void> => {
  const isOver = new AbortController()
  const late = pauseFor(patienceMillis, null, { signal: isOver.signal }).then(() => {
    throw new Error(`${what}: not every request is answered after ${patienceMillis / 1000} s`)
  })
  await Promise.race([pause, late])
  late.catch(() => {})
  isOver.abort()
}

const named = (processes: ReturnType<typeof processesOf>): string =>
  processes.map(({ pid, kind }) => `${kind} ${pid}${commandOf(pid)}`).join(", ")

const commandOf = (pid: number): string => {
  try {
    return ` (${readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim().slice(0, 80)})`
  } catch {
    return ""
  }
}

const parentOf = (pid: number): number => {
  try {
    return Number(
      readFileSync(`/proc/${pid}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ")[1],
    )
  } catch {
    return 0
  }
}

/** Postmasters and guards of earlier rounds that do not go, and a server without guard. */
const extraServers = async (store: Store, round: number): Promise<readonly string[]> => {
  if (store.processes().length === 0) return []
  let found: ReturnType<typeof processesOf> = []
  const isOne = (): boolean => {
    found = store.processes()
    const servers = new Set(found.filter(({ kind }) => kind === "server").map(({ pid }) => pid))
    const postmasters = [...servers].filter((pid) => !servers.has(parentOf(pid)))
    const guards = found.length - servers.size
    return postmasters.length === 1 && guards >= 1 && guards <= 2
  }
  return holds("one server and its guard", isOne, leaveMillis).then(
    () => [],
    () => [`after round ${round}: ${named(found)}`],
  )
}

/** How long processes may take to be gone. */
const leaveMillis = 60_000

const remaining = (store: Store): Promise<readonly string[]> =>
  holds("none is left", () => store.processes().length === 0, leaveMillis).then(
    () => [],
    () => [`at the end: ${named(store.processes())}`],
  )

/** Acknowledged requests without a decision in the log. */
const missingIn = async (store: Store, load: Load): Promise<readonly string[]> => {
  const logged = new Set<RequestName>()
  const readAll = Effect.gen(function* () {
    const log = yield* EventStore
    for (let after = 0; ;) {
      const decisions = yield* log.read(after, 1000)
      for (const { position, decision } of decisions) {
        const [, callId = "", cseq = ""] = decision.origin.split(" ")
        logged.add(`${callId} ${Number(cseq)}`)
        after = position
      }
      if (decisions.length < 1000) return
    }
  })
  await Effect.runPromise(readAll.pipe(Effect.provide(store.layer()), Effect.provide(Logger.layer([]))))
  return [...load.acknowledged()].filter((request) => !logged.has(request))
}

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

const isVictim = (name: string): name is Victim => embeddedVictims.some((victim) => victim === name)

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      store: { type: "string", default: "embedded" },
      rounds: { type: "string", default: "100" },
      victims: { type: "string" },
      publishers: { type: "string", default: "40" },
      watchers: { type: "string", default: "2" },
      load: { type: "string" },
    },
  })
  const { store } = values
  if (store !== "postgres" && store !== "embedded") throw new Error(`--store ${store}: embedded or postgres`)
  const known: readonly Victim[] = store === "embedded" ? embeddedVictims : postgresVictims
  const victims = values.victims?.split(",").filter(isVictim) ?? known
  if (
    victims.length !== (values.victims?.split(",") ?? known).length ||
    victims.some((victim) => !known.includes(victim))
  )
    throw new Error(`--victims ${values.victims}: some of ${known.join()}`)
  const findings = await killTest({
    store,
    rounds: Number(values.rounds),
    victims,
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
    process.exitCode = isFaultless(findings) ? 0 : 1
  }
}
