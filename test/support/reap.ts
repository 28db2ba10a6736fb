/**
 * The process behind `reaper.ts`: it keeps a list until its input ends, and then stops everything on the list.
 */
import { readFileSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import type { Readable } from "node:stream"

/** Something to be stopped. */
export type Charge =
  | { readonly kind: "process"; readonly pid: number }
  /** The leader of a process group, and the whole group. */
  | { readonly kind: "group"; readonly pid: number }
  /** The PostgreSQL server with this data folder, and the folder around it. */
  | { readonly kind: "postgres"; readonly data: string }
  | { readonly kind: "folder"; readonly path: string }

type Line = { readonly id: number; readonly began: string | null } & (Charge | { readonly kind: "done" })

const signal = (pid: number, name: NodeJS.Signals): boolean => {
  try {
    process.kill(pid, name)
    return true
  } catch {
    return false
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM"
  }
}

const remove = (path: string): void => {
  try {
    rmSync(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  } catch {
    // another process still writes into it
  }
}

/** Without a checkpoint, but releasing the shared memory. */
const endPostgres = async (data: string): Promise<void> => {
  let pid = Number.NaN
  try {
    pid = Number(readFileSync(join(data, "postmaster.pid"), "utf8").split("\n")[0])
  } catch {
    // it is not running
  }
  if (Number.isInteger(pid) && pid > 1 && signal(pid, "SIGQUIT")) {
    for (let tries = 0; isAlive(pid); tries++) {
      if (tries === 100) signal(pid, "SIGKILL")
      if (tries > 150) break
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  remove(dirname(data))
}

/**
 * Clock ticks from the start of the machine to the start of the process, because process ids are reused; null: unknown.
 */
export const beginningOf = (pid: number): string | null => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null
  } catch {
    return null
  }
}

const reap = async (input: Readable): Promise<void> => {
  const charges = new Map<number, Line>()
  for await (const text of createInterface({ input })) {
    const line = JSON.parse(text) as Line
    if (line.kind === "done") charges.delete(line.id)
    else charges.set(line.id, line)
  }
  const left = [...charges.values()]
  for (const line of left) {
    if (line.kind !== "process" && line.kind !== "group") continue
    // the leader of a group may have ended before the others
    const isSame = line.began === null || line.began === beginningOf(line.pid)
    if (line.kind === "group" && (isSame || !isAlive(line.pid))) signal(-line.pid, "SIGKILL")
    else if (line.kind === "process" && isSame) signal(line.pid, "SIGKILL")
  }
  for (const line of left) if (line.kind === "postgres") await endPostgres(line.data)
  for (const line of left) if (line.kind === "folder") remove(line.path)
}

if (process.argv[1] === import.meta.filename) await reap(process.stdin)
