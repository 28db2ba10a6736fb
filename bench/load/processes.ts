/**
 * Processor time and memory of processes and of what they started, as Linux counts them.
 */
import { readFileSync, readdirSync } from "node:fs"

/** Fields of /proc/PID/stat behind the name, which may hold blanks and brackets; null when the process has gone. */
const statOf = (pid: number): readonly string[] | null => {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ")
  } catch {
    return null
  }
}

/** Seconds used so far by the process and its children, ended ones included; the kernel counts hundredths. */
export const cpuSecondsOf = (pid: number): number => {
  const own = statOf(pid)
  if (own === null) return 0
  // user, system, and both of children that were waited for
  const used = own.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0)
  const children = readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      const fields = statOf(Number(entry))
      return fields !== null && Number(fields[1]) === pid ? [Number(fields[11]) + Number(fields[12])] : []
    })
  return (used + children.reduce((sum, ticks) => sum + ticks, 0)) / 100
}

/** A process and all that descend from it, as long as their parents live. */
export const treeOf = (root: number): readonly number[] => {
  const children = new Map<number, number[]>()
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const parent = Number(statOf(Number(entry))?.[1] ?? 0)
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)])
  }
  const found: number[] = []
  for (const next = [root]; next.length > 0;) {
    const pid = next.pop()!
    found.push(pid)
    next.push(...(children.get(pid) ?? []))
  }
  return found
}

/** Seconds used so far by a process and all that descend from it, ended ones that were waited for included. */
export const cpuSecondsOfTree = (root: number): number =>
  treeOf(root).reduce((sum, pid) => {
    const used = statOf(pid)?.slice(11, 15) ?? []
    return sum + used.reduce((ticks, field) => ticks + Number(field), 0) / 100
  }, 0)

/**
 * The proportional set size of a process in KiB: memory that it shares with others counts for it by its part, so sums over
 * processes are true. 0 when it has gone.
 */
export const pssOf = (pid: number): number => {
  try {
    const [, size = "0"] = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")) ?? []
    return Number(size)
  } catch {
    return 0
  }
}
