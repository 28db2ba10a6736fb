/**
 * The process that plays the phones: runs one workload against a server and prints a JSON line for each phase.
 *
 *   node bench/load/driver.ts PORT WORKLOAD RUN SECONDS PID[,PID…]
 *
 * PIDs are those whose processor time is counted, together with that of their children.
 */
import { openPhones } from "./phones.ts"
import { cpuSecondsOf } from "./processes.ts"
import { phasesOf, workloadNames } from "./workloads.ts"
import type { Phase } from "./workloads.ts"

/** What a phase came to. */
export interface Figures {
  readonly phase: string
  readonly operations: number
  readonly seconds: number
  /** Milliseconds from the request to the end of its operation. */
  readonly p50: number
  readonly p99: number
  /** Seconds of processor time in the phase, in the order of the PIDs. */
  readonly cpu: readonly number[]
}

const [port = "", name = "", run = "", seconds = "2", pids = ""] = process.argv.slice(2)
const workload = workloadNames.find((known) => known === name)
if (workload === undefined) throw new Error(`no workload ${name}: there are ${workloadNames.join(", ")}`)
const counted = pids.split(",").filter(Boolean).map(Number)

const measure = async (phase: Phase): Promise<Figures> => {
  const { lanes, operation, atMost = Infinity } = phase
  const millis: number[] = []
  let begun = 0
  const before = counted.map(cpuSecondsOf)
  const start = performance.now()
  const end = start + Number(seconds) * 1000
  const work = async (lane: number): Promise<void> => {
    while (begun < atMost && performance.now() < end) {
      begun += 1
      const at = performance.now()
      await operation(lane)
      millis.push(performance.now() - at)
    }
  }
  await Promise.all(Array.from({ length: lanes }, (_, lane) => work(lane)))
  const took = (performance.now() - start) / 1000
  const cpu = counted.map((pid, index) => cpuSecondsOf(pid) - before[index]!)
  const sorted = millis.toSorted((a, b) => a - b)
  const quantile = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0
  return {
    phase: phase.name,
    operations: millis.length,
    seconds: took,
    p50: quantile(0.5),
    p99: quantile(0.99),
    cpu,
  }
}

const phones = await openPhones(Number(port))
for await (const phase of phasesOf(workload, phones, run)) console.log(JSON.stringify(await measure(phase)))
phones.close()
