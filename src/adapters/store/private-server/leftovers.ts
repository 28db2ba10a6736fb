/**
 * What is left of an earlier server, and is in the way of the next one.
 */
import { rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { DataFolderInUse, isAlive } from "../postgres/folder-claim.ts"
import { commandOf, isServerOf, postmasterIn, processesIn, worksIn } from "./guard.ts"
import type { Postmaster } from "./guard.ts"
import { possibleRuns } from "./site.ts"
import type { Site } from "./site.ts"
import { until, withProcess } from "./waiting.ts"
import type { Patience } from "./waiting.ts"

/** How long a server may take to stop in order, before it is told to stop at once. */
export const stopMillis = 30_000

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch {
    // it has ended
  }
}

/**
 * Whose the process is that `postmaster.pid` names: a server of this data folder, nobody's that matters (it has ended, its number
 * is that of something else, or the file came with a copy of another folder), or one that somebody else started, which is left
 * alone, as is everything of which the system does not say enough.
 *
 * @param runs where a server of this data folder may listen
 * @param proc the folder in which the system shows processes
 */
export const ownerOf = (
  data: string,
  runs: readonly string[],
  postmaster: Postmaster,
  proc = "/proc",
): "ours" | "nobody" | "other" => {
  const { pid, data: named } = postmaster
  if (!isAlive(pid)) return "nobody"
  const isThere = worksIn(data, pid, proc)
  if (isThere === false) return "nobody"
  if (isServerOf(runs, pid, proc)) return "ours"
  if (isThere === true) return "other"
  const command = commandOf(pid, proc)
  if (command === null) return "other"
  // its number has come again, or it serves the folder that this one was copied from
  return /postgres|postmaster/.test(command) && !isElsewhere(named, data) ? "other" : "nobody"
}

/** Whether a data folder is there, and is another one than this. */
const isElsewhere = (named: string, data: string): boolean => {
  const there = statSync(named, { throwIfNoEntry: false })
  const here = statSync(data)
  return there !== undefined && (there.ino !== here.ino || there.dev !== here.dev)
}

/**
 * Ends what is left of an earlier server: one whose guard was killed, or processes of a killed one that have not noticed.
 *
 * Another process may have got the number of a killed server; a server that somebody else started is left alone.
 */
export const clearLeftovers = async (site: Site, patience: Patience): Promise<void> => {
  const { folder, data } = site
  const found = postmasterIn(data)
  if (found === null) return
  const { pid } = found
  const wait = {
    patience,
    what: () => withProcess(`the end of an earlier server of the database in ${folder}`, pid),
  }
  const runs = possibleRuns(site)
  const owner = ownerOf(data, runs, found)
  if (owner === "other") throw new DataFolderInUse({ folder, pid })
  if (owner === "ours") {
    const isThere = (): boolean => ownerOf(data, runs, found) === "ours"
    signal(pid, "SIGINT")
    if (!(await until(() => !isThere(), stopMillis, wait))) {
      signal(pid, "SIGQUIT")
      if (!(await until(() => !isThere(), stopMillis, wait))) throw new DataFolderInUse({ folder, pid })
    }
  }
  const areGone = (): boolean => (processesIn(data)?.length ?? 0) === 0
  if (!(await until(areGone, stopMillis / 3, wait))) {
    // another data folder whose link leads to the same database may have started a server meanwhile
    if (postmasterIn(data)?.pid !== pid)
      throw new DataFolderInUse({ folder, pid: postmasterIn(data)?.pid ?? 0 })
    for (const left of processesIn(data) ?? []) signal(left, "SIGKILL")
    await until(areGone, stopMillis, wait)
  }
  if (postmasterIn(data)?.pid === pid) rmSync(join(data, "postmaster.pid"), { force: true })
}
