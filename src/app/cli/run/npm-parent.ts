/**
 * A process that npm started ends with npm. `npx` runs a command through a shell, and Debian's neither becomes the command
 * nor passes signals on; and nobody passes on the signals that npm dies of at once.
 */
import { readFileSync } from "node:fs"

const everyMillis = 500

interface Relation {
  readonly pid: number
  readonly parent: number
}

/** What the kernel says of a process; null: it is gone, or this is not Linux. */
const parentOf = (pid: number): number | null => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // the name before may hold blanks and parentheses
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1])
  } catch {
    return null
  }
}

const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")
  } catch {
    return ""
  }
}

/** npm gives its process this title. */
const isNpm = (pid: number): boolean => commandOf(pid).startsWith("npm ")
const isShell = (pid: number): boolean => /^(?:\S*\/)?(?:ba|da|z|k)?sh -c /.test(commandOf(pid))

/** From this process up to the npm that runs it, with at most a shell between; empty: none does. */
const relationsToNpm = (): readonly Relation[] => {
  const self = { pid: process.pid, parent: process.ppid }
  if (isNpm(self.parent)) return [self]
  const above = isShell(self.parent) ? parentOf(self.parent) : null
  return above !== null && isNpm(above) ? [self, { pid: self.parent, parent: above }] : []
}

/** Tells this process to stop, as SIGTERM does, when the npm that runs it is gone. */
export const stopWithNpm = (): void => {
  const relations = relationsToNpm()
  if (relations.length === 0) return
  const timer = setInterval(() => {
    if (relations.every(({ pid, parent }) => parentOf(pid) === parent)) return
    clearInterval(timer)
    process.kill(process.pid, "SIGTERM")
  }, everyMillis)
  timer.unref()
}
