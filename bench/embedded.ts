/**
 * What the place of the log costs: the private PostgreSQL server that `--data DIR` starts, the database within the process
 * (PGlite, `postgres_bin = none`), and a separate PostgreSQL (`--database-url`), in turn in one run.
 *
 *   npm run bench:embedded -- [--rows publish,fanout-1x10,…] [--repetitions 5] [--seconds 3] [--warm 6]
 *                             [--subscriptions 10000] [--settle 10] [--no-memory]
 *
 * Each row runs on a fresh server with a fresh database. Each column but the first also shows its rate to that of the first,
 * repetition by repetition. The separate PostgreSQL is of the same version, with its usual settings, reached over
 * loopback. PGlite forces nothing to the disk, so its rates are those of a log that a power cut may lose.
 *
 * Memory is the PSS of all processes, that of the separate PostgreSQL included: after the start, and with so many
 * subscriptions of ten watchers each, after `settle` seconds without requests.
 *
 * --warm: seconds of publishing and fan-out before each row. Linux only, as root or with PostgreSQL under the same account;
 * nothing else may run on the machine.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pauseFor } from "node:timers/promises"
import { parseArgs } from "node:util"
import { findPrograms } from "../src/adapters/store/private-server/programs.ts"
import { startPostgres } from "../test/support/postgres.ts"
import { postmasterOf } from "../test/support/private-server.ts"
import { endWithTests } from "../test/support/reaper.ts"
import { drive } from "./load/drive.ts"
import { median, spread } from "./load/figures.ts"
import { openPhones } from "./load/phones.ts"
import { pssOf, treeOf } from "./load/processes.ts"
import { startServer } from "./load/server.ts"
import type { MeasuredServer } from "./load/server.ts"
import { makePeople, workloadNames } from "./load/workloads.ts"

const { values } = parseArgs({
  allowNegative: true,
  options: {
    rows: { type: "string", default: "publish,fanout-1x1,fanout-1x10,fanout-1x100,fanout-32x10" },
    repetitions: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    warm: { type: "string", default: "6" },
    subscriptions: { type: "string", default: "10000" },
    settle: { type: "string", default: "10" },
    memory: { type: "boolean", default: true },
  },
})
const rows = values.rows.split(",").filter((row) => row !== "")
for (const row of rows) {
  if (!workloadNames.some((known) => known === row)) {
    console.error(`--rows ${row}: there is no such row; there are ${workloadNames.join(", ")}`)
    process.exit(2)
  }
}

const cluster = await startPostgres()
if (cluster === null) throw new Error("needs PostgreSQL: install it, or the optional dependencies of npm")
const checkout = join(import.meta.dirname, "..")

/** A server whose log is in one of the places. */
interface Placed {
  readonly server: MeasuredServer
  /** The postmaster; null: there is none. */
  readonly postmaster: number | null
  /** All processes that serve. */
  readonly processes: () => readonly number[]
  readonly end: () => Promise<void>
}

const inFolder = async (flags: readonly string[]): Promise<Placed> => {
  const folder = mkdtempSync(join(tmpdir(), "presently-bench-"))
  const isOver = endWithTests({ kind: "folder", path: folder })
  const server = await startServer(checkout, { data: folder }, flags)
  return {
    server,
    postmaster: postmasterOf(folder),
    processes: () => treeOf(server.pid),
    end: async () => {
      await server.stop()
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
      isOver()
    },
  }
}

const places: Readonly<Record<string, () => Promise<Placed>>> = {
  "private server": () => inFolder([]),
  "within the process": () => inFolder(["--set", "postgres_bin=none"]),
  "separate PostgreSQL": async () => {
    const server = await startServer(checkout, cluster.database())
    return {
      server,
      postmaster: cluster.pid(),
      processes: () => [...treeOf(server.pid), ...treeOf(cluster.pid())],
      end: server.stop,
    }
  },
}

/** What one phase came to. */
interface Sample {
  readonly rate: number
  readonly p99: number
  /** Microseconds of processor time an operation. */
  readonly server: number
  readonly postgres: number
}

const measureRow = async (
  place: () => Promise<Placed>,
  row: string,
): Promise<ReadonlyMap<string, Sample>> => {
  const { server, postmaster, end } = await place()
  try {
    if (Number(values.warm) > 0) {
      for (const warming of ["publish", "fanout-32x10", "fanout-1x1"])
        await drive(server.port, warming, `w${warming.length}`, `${Number(values.warm) / 5}`, "")
    }
    const pids = [server.pid, ...(postmaster === null ? [] : [postmaster])].join()
    const phases = await drive(server.port, row, "m", values.seconds, pids)
    return new Map(
      phases.map(({ phase, operations, seconds, p99, cpu }) => {
        const [own = 0, postgres = 0] = cpu.map((used) => (used / operations) * 1e6)
        return [phase, { rate: operations / seconds, p99, server: own, postgres }]
      }),
    )
  } finally {
    await end()
  }
}

const mebibytes = (pids: readonly number[]): number => pids.reduce((sum, pid) => sum + pssOf(pid), 0) / 1024

interface Memory {
  readonly idle: number
  readonly subscribed: number
  /** Of it everything but presently's own process. */
  readonly beside: number
}

const watchersEach = 10

const measureMemory = async (place: () => Promise<Placed>): Promise<Memory> => {
  const { server, processes, end } = await place()
  const phones = await openPhones(server.port)
  try {
    await pauseFor(Number(values.settle) * 1000)
    const idle = mebibytes(processes())
    const people = makePeople(phones, "m")
    let next = 0
    const presentities = Math.ceil(Number(values.subscriptions) / watchersEach)
    const lane = async (): Promise<void> => {
      while (next < presentities) {
        const number = next++
        const { user } = await people.publish(`s${number}`)
        for (let watcher = 0; watcher < watchersEach; watcher += 1)
          await people.subscribe(user, `w${number}-${watcher}`)
      }
    }
    await Promise.all(Array.from({ length: 32 }, lane))
    await pauseFor(Number(values.settle) * 1000)
    const pids = processes()
    const subscribed = mebibytes(pids)
    return { idle, subscribed, beside: subscribed - mebibytes([server.pid]) }
  } finally {
    phones.close()
    await end()
  }
}

/** By phase, then by place: one sample a repetition. */
const samples = new Map<string, Map<string, Sample[]>>()
const memories = new Map<string, Memory[]>()
try {
  for (let repetition = 0; repetition < Number(values.repetitions); repetition += 1) {
    // which goes first changes from repetition to repetition
    const names = Object.keys(places)
    const turn = names.map((_, index) => names[(index + repetition) % names.length]!)
    for (const row of rows) {
      for (const name of turn) {
        for (const [phase, sample] of await measureRow(places[name]!, row)) {
          const known = samples.get(phase) ?? new Map<string, Sample[]>()
          known.set(name, [...(known.get(name) ?? []), sample])
          samples.set(phase, known)
        }
      }
    }
    if (values.memory) {
      for (const name of turn)
        memories.set(name, [...(memories.get(name) ?? []), await measureMemory(places[name]!)])
    }
  }
} finally {
  cluster.remove()
}

const table = (heads: readonly string[], lines: readonly (readonly string[])[]): void => {
  console.log(`\n| ${heads.join(" | ")} |\n|${" --- |".repeat(heads.length)}`)
  for (const cells of lines) console.log(`| ${cells.join(" | ")} |`)
}

const { programs } = await findPrograms(null, null, tmpdir())
console.log(
  `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}, Node ${process.versions.node}, PostgreSQL ${programs?.release ?? "unknown"}; ` +
    `${values.repetitions} repetitions of ${values.seconds} s, ${values.warm} s warm; median (least–most)`,
)
const names = Object.keys(places)
const [first = ""] = names
const ratesOf = (phase: string, name: string): readonly number[] =>
  samples
    .get(phase)
    ?.get(name)
    ?.map(({ rate }) => rate) ?? []
const ofPhase = (phase: string, name: string, what: keyof Sample): number =>
  median(
    samples
      .get(phase)
      ?.get(name)
      ?.map((sample) => sample[what]) ?? [],
  )

if (samples.size > 0) {
  table(
    ["operations/s", ...names, ...names.slice(1).map((name) => `${name} to ${first}`)],
    [...samples.keys()].map((phase) => [
      phase,
      ...names.map((name) => spread(ratesOf(phase, name), 0)),
      ...names.slice(1).map((name) => {
        const base = ratesOf(phase, first)
        return spread(
          ratesOf(phase, name).map((rate, run) => rate / (base[run] ?? rate)),
          2,
        )
      }),
    ]),
  )
  table(
    ["CPU µs an operation, presently + PostgreSQL; p99 ms", ...names],
    [...samples.keys()].map((phase) => [
      phase,
      ...names.map((name) => {
        const [own, postgres] = [ofPhase(phase, name, "server"), ofPhase(phase, name, "postgres")]
        return `${own.toFixed(0)} + ${postgres.toFixed(0)}; ${ofPhase(phase, name, "p99").toFixed(1)}`
      }),
    ]),
  )
}
if (memories.size > 0) {
  const show = (what: keyof Memory) =>
    names.map((name) =>
      spread(
        (memories.get(name) ?? []).map((memory) => memory[what]),
        0,
      ),
    )
  table(
    ["MiB, PSS of all processes", ...names],
    [
      ["idle", ...show("idle")],
      [`${values.subscriptions} subscriptions`, ...show("subscribed")],
      ["of it beside presently's own process", ...show("beside")],
    ],
  )
}
