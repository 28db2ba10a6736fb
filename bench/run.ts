/**
 * How fast the server is, row by row, beside what this machine can do at best; and whether it has become slower.
 *
 *   npm run bench -- [--rows publish,fanout-1x1,…] [--repetitions 3] [--seconds 2] [--warm 0] [--memory]
 *                    [--other DIR] [--reference FILE] [--write] [--tolerance 0.1] [--set KEY=VALUE]…
 *
 * Each row runs on a fresh server with a fresh database, `repetitions` times; the figure is the median. `share` is the part of
 * the time that a server would need that only echoes datagrams and commits bare rows (`load/floor.ts`, measured anew in
 * each repetition): it can be compared between machines of a kind, rates cannot. Exit code 1 when the share of any row is
 * more than `tolerance` below the one stored in `reference.json`; --write stores it.
 *
 * --warm: seconds of publishing and fan-out before each row: without, a row shows the first seconds of a process.
 * --other: another checkout, in turn with this one; the last column is our rate to its.
 *
 * Equal runs differ by 10 to 20 % on a busy machine: nothing else may run. Linux only; needs PostgreSQL's binaries.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { startPostgres } from "../test/support/postgres.ts"
import type { PostgresCluster } from "../test/support/postgres.ts"
import { drive } from "./load/drive.ts"
import { median, spread } from "./load/figures.ts"
import { measureFloor } from "./load/floor.ts"
import type { Floor } from "./load/floor.ts"
import { startServer } from "./load/server.ts"
import { workloadNames } from "./load/workloads.ts"

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: workloadNames.join(",") },
    repetitions: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    warm: { type: "string", default: "0" },
    memory: { type: "boolean", default: false },
    other: { type: "string" },
    reference: { type: "string", default: join(import.meta.dirname, "reference.json") },
    write: { type: "boolean", default: false },
    tolerance: { type: "string", default: "0.1" },
    set: { type: "string", multiple: true, default: [] },
  },
})

/** What one phase came to on one checkout. */
interface Sample {
  readonly rate: number
  readonly p50: number
  readonly p99: number
  /** Microseconds of processor time an operation. */
  readonly server: number
  readonly postgres: number
  /** Of the time that the floor needs to the time that it took. */
  readonly share: number
}

interface Reference {
  readonly machine: string
  readonly date: string
  readonly command: string
  readonly shares: Readonly<Record<string, number>>
}

const rows = values.rows.split(",")
for (const row of rows) {
  if (!workloadNames.some((known) => known === row)) {
    console.error(`--rows ${row}: there is no such row; there are ${workloadNames.join(", ")}`)
    process.exit(2)
  }
}

const here = join(import.meta.dirname, "..")
const checkouts = values.other === undefined ? [here] : [here, values.other]
const flags = values.set.flatMap((setting) => ["--set", setting])

/** Datagrams and rows that no server could do without: a pair a request, and the rows of one operation in a commit. */
const floorMicros = (phase: string, { pairs, rows }: Floor): number => {
  const [, presentities = 0, watchers = 0] = /^fanout-(\d+)x(\d+)$/.exec(phase)?.map(Number) ?? []
  const exchanges = phase.startsWith("publish-") ? 1 : watchers > 0 ? 1 + watchers : 2
  return presentities === 1
    ? exchanges * (1e6 / (watchers === 1 ? pairs.alone : pairs.many)) + 1e6 / rows.alone
    : exchanges * (1e6 / pairs.many) + 1e6 / rows.many
}

const measureRow = async (
  cluster: PostgresCluster,
  folder: string,
  workload: string,
  floor: Floor,
): Promise<ReadonlyMap<string, Sample>> => {
  const server = await startServer(folder, values.memory ? null : cluster.database(), flags)
  if (Number(values.warm) > 0) {
    for (const warming of ["publish", "fanout-32x10", "fanout-1x1"]) {
      await drive(server.port, warming, `w${warming.length}`, `${Number(values.warm) / 3}`, "")
    }
  }
  const all = await drive(server.port, workload, "m", values.seconds, `${server.pid},${cluster.pid()}`)
  await server.stop()
  return new Map(
    all.map(({ phase, operations, seconds, p50, p99, cpu }) => {
      const [own = 0, postgres = 0] = cpu.map((used) => (used / operations) * 1e6)
      const share = floorMicros(phase, floor) / ((seconds * 1e6) / operations)
      return [phase, { rate: operations / seconds, p50, p99, server: own, postgres, share }]
    }),
  )
}

const cluster = await startPostgres()
if (cluster === null)
  throw new Error("bench needs PostgreSQL: initdb and pg_ctl are neither in PATH nor in /usr/lib/postgresql")
const samples = new Map<string, Sample[][]>()
const floors: Floor[] = []
try {
  for (let repetition = 0; repetition < Number(values.repetitions); repetition += 1) {
    const floor = await measureFloor(cluster.database(), 1)
    floors.push(floor)
    for (const workload of rows) {
      // which checkout goes first changes from repetition to repetition
      for (const index of repetition % 2 === 0 ? checkouts.keys() : [...checkouts.keys()].toReversed()) {
        for (const [phase, sample] of await measureRow(cluster, checkouts[index]!, workload, floor)) {
          const known = samples.get(phase) ?? checkouts.map(() => [])
          known[index]!.push(sample)
          samples.set(phase, known)
        }
      }
    }
  }
} finally {
  cluster.remove()
}

const machine = `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}, Node ${process.versions.node}`
console.log(`${machine}, ${values.memory ? "in memory" : "PostgreSQL, fsync on"}`)
console.log(
  `${values.repetitions} repetitions of ${values.seconds} s, ${values.warm} s warm; median (least–most)`,
)
console.log(
  `floor: ${spread(
    floors.map(({ pairs }) => pairs.alone),
    0,
  )} pairs/s alone, ${spread(
    floors.map(({ pairs }) => pairs.many),
    0,
  )} with 32; ` +
    `${spread(
      floors.map(({ rows }) => rows.alone),
      0,
    )} rows/s alone, ${spread(
      floors.map(({ rows }) => rows.many),
      0,
    )} by twenty\n`,
)
const heads = ["row", "op/s", "p50 ms", "p99 ms", "server µs", "PostgreSQL µs", "share of floor"]
console.log(`| ${[...heads, ...(checkouts.length > 1 ? ["to other"] : [])].join(" | ")} |`)
console.log(`|${" --- |".repeat(heads.length + checkouts.length - 1)}`)
const shares: Record<string, number> = {}
for (const [phase, [own = [], other = []]] of samples) {
  shares[phase] = median(own.map(({ share }) => share))
  const cells = [
    phase,
    spread(
      own.map(({ rate }) => rate),
      0,
    ),
    median(own.map(({ p50 }) => p50)).toFixed(1),
    median(own.map(({ p99 }) => p99)).toFixed(1),
    median(own.map(({ server }) => server)).toFixed(0),
    median(own.map(({ postgres }) => postgres)).toFixed(0),
    spread(
      own.map(({ share }) => share),
      3,
    ),
    ...(checkouts.length > 1
      ? [
          spread(
            own.map(({ rate }, run) => rate / (other[run]?.rate ?? rate)),
            2,
          ),
        ]
      : []),
  ]
  console.log(`| ${cells.join(" | ")} |`)
}

const command = `npm run bench -- ${process.argv
  .slice(2)
  .filter((argument) => argument !== "--write")
  .join(" ")}`.trim()
if (!values.write && !existsSync(values.reference))
  console.error(`no reference in ${values.reference}: --write makes one`)
if (values.write) {
  const reference: Reference = { machine, date: new Date().toISOString().slice(0, 10), command, shares }
  writeFileSync(values.reference, `${JSON.stringify(reference, null, 2)}\n`)
} else if (existsSync(values.reference) && !values.memory) {
  const reference = JSON.parse(readFileSync(values.reference, "utf8")) as Reference
  for (const phase of Object.keys(shares)) {
    if (reference.shares[phase] === undefined)
      console.error(`${phase}: not in ${values.reference}; --write stores it`)
  }
  const fallen = Object.entries(shares).filter(
    ([phase, share]) => share < (reference.shares[phase] ?? 0) * (1 - Number(values.tolerance)),
  )
  for (const [phase, share] of fallen) {
    console.error(
      `${phase}: ${share.toFixed(3)} of the floor, ${reference.shares[phase]!.toFixed(3)} on ${reference.date}`,
    )
  }
  if (fallen.length > 0) process.exitCode = 1
}
