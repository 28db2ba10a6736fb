/**
 * Which process has the log, in a form that tells another process of the same machine whether it is there still.
 *
 * On Linux: the boot (`/proc/sys/kernel/random/boot_id`), the namespace of process numbers, the number, and when the process began
 * in clock ticks since the boot (proc(5), `stat` field 22), so that neither a container of the same name nor a number that was
 * given again is mistaken for it. Elsewhere nothing is known.
 */
import { readFileSync, readlinkSync } from "node:fs"

interface Identity {
  readonly boot: string
  readonly namespace: string
  readonly pid: number
  readonly began: string
}

interface Stat {
  readonly state: string
  readonly began: string
}

/** @returns null: it cannot be read */
const statOf = (pid: number): Stat | null => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1")
    // the name is in parentheses, and may hold any character
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
    return { state: fields[0]!, began: fields[19]! }
  } catch {
    return null
  }
}

const whereAmI = (): Pick<Identity, "boot" | "namespace"> | null => {
  try {
    return {
      boot: readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim(),
      namespace: readlinkSync("/proc/self/ns/pid"),
    }
  } catch {
    return null
  }
}

const textOf = ({ boot, namespace, pid, began }: Identity): string => [boot, namespace, pid, began].join(" ")

/** What the row of the writer says of the process; empty: nothing is known of it. */
export const processIdentity = (pid: number = process.pid): string => {
  const here = whereAmI()
  const stat = statOf(pid)
  return here === null || stat === null ? "" : textOf({ ...here, pid, began: stat.began })
}

/**
 * Whether that process has certainly ended. A process of another machine, container or boot is never known to have.
 *
 * @param identity from `processIdentity`
 */
export const hasEnded = (identity: string): boolean => {
  const here = whereAmI()
  const [boot, namespace, number, began] = identity.split(" ")
  const pid = Number(number)
  if (here === null || here.boot !== boot || here.namespace !== namespace) return false
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false
  try {
    process.kill(pid, 0)
  } catch (cause) {
    // a process of somebody else is there (EPERM), whether or not its folder can be seen
    if ((cause as NodeJS.ErrnoException).code === "ESRCH") return true
  }
  const stat = statOf(pid)
  if (stat === null) return false
  return stat.began !== began || stat.state === "Z" || stat.state === "X"
}
