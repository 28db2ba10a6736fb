/**
 * Waiting for another process that uses the same data folder.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { DataFolderInUse, livingOwner } from "../postgres/folder-claim.ts"
import { postmasterIn } from "./guard.ts"
import type { Site } from "./site.ts"

/** How long another process may be starting it, and a server may take to answer. */
const patienceMillis = 120_000
/** After how long of that it is said what is waited for. */
const silenceMillis = 3_000
/** How often it is looked. */
export const pollMillis = 10

/** Waits for what another process does, not for ever and not in silence. */
export interface Patience {
  /**
   * A moment.
   *
   * @param isOwn whether the server was started by this process, of which nothing is told: it is on its way
   * @throws DataFolderInUse when it has been too long, and when the wait is aborted
   */
  readonly wait: (isOwn?: boolean) => Promise<void>
}

/**
 * @param onEvent is told once what is waited for @param signal ends the wait
 */
export const makePatience = (site: Site, onEvent: (line: string) => void, signal: AbortSignal): Patience => {
  const began = performance.now()
  let isTold = false
  const pid = (): number => postmasterIn(site.data)?.pid ?? livingOwner(site.lock) ?? 0
  return {
    wait: async (isOwn = false) => {
      const waited = performance.now() - began
      if (signal.aborted || waited > patienceMillis)
        throw new DataFolderInUse({ folder: site.folder, pid: pid() })
      if (!isOwn && !isTold && waited > silenceMillis) {
        isTold = true
        const which = pid() === 0 ? "" : ` (process ${pid()})`
        onEvent(`waiting for the database's server in ${site.folder}${which}, which does not answer yet`)
      }
      await sleep(pollMillis)
    },
  }
}
