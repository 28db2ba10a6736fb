/**
 * What is left of an earlier server, and is in the way of the next one.
 */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { DataFolderInUse, isAlive } from "../postgres/folder-claim.ts"
import { isOurServer, postmasterIn, processesIn } from "./guard.ts"
import type { Site } from "./site.ts"

const pollMillis = 10
/** How long a server may take to stop in order, before it is told to stop at once. */
export const stopMillis = 30_000

/** A wait that ends when it is not wanted any more. */
interface Wanted {
  readonly signal: AbortSignal
}

/** Waits for a condition, for so long at most. @returns whether it holds */
export const until = async (
  condition: () => boolean,
  millis: number,
  options: Partial<Wanted> = {},
): Promise<boolean> => {
  for (const end = performance.now() + millis; performance.now() < end;) {
    if (condition()) return true
    await sleep(pollMillis, undefined, options)
  }
  return condition()
}

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch {
    // it has ended
  }
}

/**
 * Ends what is left of an earlier server: one whose guard was killed, or processes of a killed one that have not noticed.
 *
 * Another process may have got the number of a killed server; a server that somebody else started is left alone.
 */
export const clearLeftovers = async ({ folder, data }: Site, patience: Wanted): Promise<void> => {
  const found = postmasterIn(data)
  if (found === null) return
  const { pid } = found
  const isThere = (): boolean => isAlive(pid) && (processesIn(data)?.includes(pid) ?? true)
  if (isThere()) {
    if (!isOurServer(data, pid)) throw new DataFolderInUse({ folder, pid })
    signal(pid, "SIGINT")
    if (!(await until(() => !isThere(), stopMillis, patience))) {
      signal(pid, "SIGQUIT")
      if (!(await until(() => !isThere(), stopMillis, patience))) throw new DataFolderInUse({ folder, pid })
    }
  }
  const areGone = (): boolean => (processesIn(data)?.length ?? 0) === 0
  if (!(await until(areGone, stopMillis / 3, patience))) {
    for (const left of processesIn(data) ?? []) signal(left, "SIGKILL")
    await until(areGone, stopMillis, patience)
  }
  if (!isAlive(pid) || processesIn(data) !== null) rmSync(join(data, "postmaster.pid"), { force: true })
}
