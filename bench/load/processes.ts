/**
 * Processor time of processes and of what they started, as Linux counts it.
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
