/**
 * A newcomer's first minute, timed: a fresh clone, `npm ci`, and then the commands of README's first screen as they stand
 * there, from `npx presently demo` to `npx presently why`.
 *
 *   npm run bench:first-minute -- [--folder DIR] [--without-postgres] [--isolated]
 *
 * Prints seconds and seconds of processor time of each step, and the memory of all processes while the server runs. Exit
 * code 1 when a step fails, with what it printed; 2 when it cannot begin.
 *
 * - `--folder`: a fresh clone that is there already; left out: the last commit of this checkout is cloned into a temporary
 *   folder. `npm ci` is left out where `node_modules` is there.
 * - `--without-postgres`: as on a machine without PostgreSQL: /usr/lib/postgresql is hidden (root, Linux).
 * - `--isolated`: in a network of its own, so that the usual ports are free (root, Linux). npm ci runs before.
 */
import { execFileSync, spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { parseArgs } from "node:util"
import { holds } from "../test/support/condition.ts"
import { endWithTests, ofTests } from "../test/support/reaper.ts"
import { cpuSecondsOfTree, pssOf, treeOf } from "./load/processes.ts"

const { values } = parseArgs({
  options: {
    folder: { type: "string" },
    "without-postgres": { type: "boolean", default: false },
    isolated: { type: "boolean", default: false },
  },
})

const checkout = join(import.meta.dirname, "..")

/** A newcomer's: nothing of the npm that runs this, nor its Node. */
const environment: NodeJS.ProcessEnv = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) =>
        !/^(?:npm_(?!config_)|PRESENTLY_|DATABASE_URL$|NODE_OPTIONS$|NODE_COMPILE_CACHE$)/.test(name),
    ),
  ),
  PATH: (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter((entry) => !entry.includes("node_modules"))
    .join(delimiter),
}

interface Step {
  readonly name: string
  readonly seconds: number
  /** Null: it has no figure of its own. */
  readonly cpu: number | null
}
const steps: Step[] = []

const cannotBegin = (why: string): never => {
  console.error(why)
  process.exit(2)
}

interface Running {
  readonly child: ChildProcess
  /** Waits until standard output holds it. @throws Error with what was printed, when the process ends without */
  readonly prints: (text: RegExp) => Promise<unknown>
  readonly ended: Promise<number | null>
  readonly said: () => string
}

const start = (folder: string, line: string): Running => {
  // as a shell would, so that quotes are read as they are meant
  const child = ofTests(
    spawn("/bin/sh", ["-c", `exec ${line}`], {
      cwd: folder,
      env: environment,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    }),
    "group",
  )
  let said = ""
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (bytes: Buffer) => (said += String(bytes)))
  const ended = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)))
  return {
    child,
    ended,
    said: () => said,
    prints: (text) =>
      holds(
        () => `${line} prints ${text}; it printed:\n${said}`,
        () => {
          if (child.exitCode !== null) throw new Error(`${line} ended with ${child.exitCode}:\n${said}`)
          return text.test(said)
        },
      ),
  }
}

/** Processor time of all that this process has started, and that has ended. */
const cpuOfEnded = (): number => {
  const fields = readFileSync("/proc/self/stat", "utf8")
    .replace(/^.*\) /s, "")
    .split(" ")
  return (Number(fields[13]) + Number(fields[14])) / 100
}

const timed = async <A>(name: string, work: () => Promise<A>, cpuOf?: () => number | null): Promise<A> => {
  const from = performance.now()
  const before = cpuOfEnded()
  const result = await work()
  const cpu = cpuOf === undefined ? cpuOfEnded() - before : cpuOf()
  steps.push({ name, seconds: (performance.now() - from) / 1000, cpu })
  return result
}

/** A command that ends by itself. @returns what it printed */
const ends = (folder: string, line: string): Promise<string> =>
  timed(line, async () => {
    const command = start(folder, line)
    const code = await command.ended
    if (code !== 0) throw new Error(`${line} ended with ${code}:\n${command.said()}`)
    return command.said()
  })

/** @throws Error when a command that was told to end does not */
const within = async (ended: Promise<unknown>, line: string): Promise<void> => {
  let isOver = false
  void ended.then(() => {
    isOver = true
  })
  await holds(`${line} has ended`, () => isOver, leaveMillis)
}

/** How long a process may take to end. */
const leaveMillis = 60_000

const stopServer = (server: Running): Promise<void> =>
  timed(
    "stop",
    async () => {
      const pids = treeOf(server.child.pid!)
      server.child.kill("SIGTERM")
      await within(server.ended, "npm start")
      const left = (): readonly number[] => pids.filter((pid) => existsSync(`/proc/${pid}`))
      await holds(
        () => `nothing of the server is left: ${left().join()}`,
        () => left().length === 0,
        leaveMillis,
      )
    },
    () => null,
  )

/** The commands of README's first screen. */
const readCommands = (folder: string) => {
  const text = readFileSync(join(folder, "README.md"), "utf8")
  const [, block = ""] = /^What to try next.*\n\n((?: {4}.*\n)+)/m.exec(text) ?? []
  const lines = [...block.matchAll(/^ {4}\$ (npx presently .*?)(?: &)?$/gm)].map(([, line = ""]) => line)
  const named = (command: string): string =>
    lines.find((line) => line.startsWith(`npx presently ${command} `)) ??
    cannotBegin(`${folder}/README.md names no npx presently ${command}`)
  return { watch: named("watch"), publish: named("publish"), why: named("why") }
}

const newcomer = async (folder: string): Promise<void> => {
  const { watch, publish, why } = readCommands(folder)
  const serve = async (name: string): Promise<Running> => {
    const server = start(folder, "npm start")
    await timed(
      name,
      () => server.prints(/ready in [\d.]+ s/),
      () => cpuSecondsOfTree(server.child.pid!),
    )
    return server
  }
  await ends(folder, "npx presently demo")
  const server = await serve("npm start, first: ready")
  const idle = memoryOf(server)
  const watcher = start(folder, watch)
  await timed(
    `${watch}: its first line`,
    () => watcher.prints(/nothing published\n/),
    () => cpuSecondsOfTree(watcher.child.pid!),
  )
  const lamp = watcher.prints(/open .*\n/)
  const from = performance.now()
  await ends(folder, publish)
  await lamp
  console.log(`lamp: ${((performance.now() - from) / 1000).toFixed(2)} s after the command to publish`)
  const explained = await ends(folder, why)
  if (!/was told of the change/.test(explained)) throw new Error(`${why} printed:\n${explained}`)
  const busy = memoryOf(server)
  // Ctrl-C
  process.kill(-watcher.child.pid!, "SIGINT")
  await within(watcher.ended, watch)
  await stopServer(server)
  const again = await serve("npm start, second: ready")
  const answer = await ends(folder, why)
  if (!/was told of the change/.test(answer)) throw new Error(`after a restart ${why} printed:\n${answer}`)
  await stopServer(again)
  console.log(`store: ${/store +(.*)/.exec(again.said())?.[1] ?? "unknown"}; PostgreSQL ${versionIn(folder)}`)
  console.log(
    "\n| memory, MiB (PSS) | npm and its shells | presently | PostgreSQL and guard | all |\n|" +
      " --- |".repeat(5),
  )
  console.log(`| ready | ${idle.join(" | ")} |\n| after why | ${busy.join(" | ")} |`)
}

/** The major version of the database, or what is there instead. */
const versionIn = (folder: string): string => {
  try {
    return readFileSync(join(folder, "data/dev/postgres/PG_VERSION"), "utf8").trim()
  } catch {
    return "within the process"
  }
}

/** MiB of npm, presently, its database, and all together. */
const memoryOf = (server: Running): readonly string[] => {
  const sums = { npm: 0, presently: 0, database: 0 }
  for (const pid of treeOf(server.child.pid!)) {
    let line = ""
    try {
      line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")
    } catch {
      continue
    }
    const kind = /presently-guard|postgres/.test(line)
      ? "database"
      : /node.*bin\/presently/.test(line)
        ? "presently"
        : "npm"
    sums[kind] += pssOf(pid) / 1024
  }
  return [...Object.values(sums), sums.npm + sums.presently + sums.database].map((size) => size.toFixed(0))
}

const ports = [5060, 5080]

/** In name spaces of their own, once what needs the network is done. */
const enclosed = (folder: string): never => {
  const hide = values["without-postgres"] ? "mount -t tmpfs none /usr/lib/postgresql && " : ""
  const network = values.isolated ? "ip link set lo up && " : ""
  const flags = ["--mount", ...(values.isolated ? ["--net"] : [])]
  const script = `${existsSync("/usr/lib/postgresql") ? hide : ""}${network}exec "$@"`
  const self = [process.execPath, import.meta.filename, "--folder", folder]
  try {
    execFileSync("unshare", [...flags, "sh", "-c", script, "sh", ...self], { stdio: "inherit" })
  } catch (cause) {
    process.exit((cause as { readonly status?: number }).status ?? 2)
  }
  process.exit(0)
}

const clone = async (): Promise<string> => {
  const folder = mkdtempSync(join(tmpdir(), "presently-clone-"))
  endWithTests({ kind: "folder", path: folder })
  process.on("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  await ends(tmpdir(), `git clone -q "${checkout}" "${folder}"`)
  return folder
}

const isFree = (port: number): boolean =>
  ["tcp", "udp"].every((kind) => {
    const hex = `:${port.toString(16).toUpperCase().padStart(4, "0")} `
    const lines = readFileSync(`/proc/net/${kind}`, "utf8").split("\n")
    return !lines.some((line) => line.slice(0, 25).includes(hex) && (kind === "udp" || / 0A /.test(line)))
  })

const show = (): void => {
  if (steps.length === 0) return
  console.log(`\n| step | s | CPU s |\n|${" --- |".repeat(3)}`)
  for (const { name, seconds, cpu } of steps.splice(0))
    console.log(`| ${name} | ${seconds.toFixed(2)} | ${cpu?.toFixed(2) ?? ""} |`)
}

try {
  const folder = values.folder ?? (await clone())
  if (!existsSync(join(folder, "node_modules"))) {
    await ends(folder, "npm ci --no-audit --no-fund")
    console.log(
      `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}, Node of the machine ${execFileSync("node", ["--version"], { env: environment }).toString().trim()}`,
    )
  }
  show()
  if (values.isolated || values["without-postgres"]) enclosed(folder)
  const taken = ports.filter((port) => !isFree(port))
  if (taken.length > 0)
    cannotBegin(`port ${taken.join(", ")} is in use: end what uses it, or --isolated as root`)
  const from = performance.now()
  await newcomer(folder)
  show()
  console.log(
    `\nfrom npx presently demo to why after the second start: ${((performance.now() - from) / 1000).toFixed(1)} s`,
  )
} catch (cause) {
  show()
  console.error(cause instanceof Error ? cause.message : cause)
  process.exitCode = 1
}
