/**
 * Waiting for the server of a data folder: not in silence, and not for ever where it depends on another process.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { DataFolderInUse, livingOwner } from "../postgres/folder-claim.ts"
import { postmasterIn } from "./guard.ts"
import type { Site } from "./site.ts"

/** How long another process may take to start the server, and one that runs to answer. */
const patienceMillis = 600_000
/** After how long it is said what is waited for: a server of another process, and one that this process has started. */
const silenceMillis = { other: 3_000, own: 30_000 }
/** How often it is looked. */
export const pollMillis = 10

export interface Patience {
  /**
   * A moment.
   *
   * @param whose who started the server; one's own may take as long as its recovery does
   * @throws DataFolderInUse when another process takes too long, and when the wait is aborted
   */
  readonly wait: (whose?: keyof typeof silenceMillis) => Promise<void>
}

/**
 * @param onEvent is told once what is waited for
 * @param signal ends the wait
 */
export const makePatience = (site: Site, onEvent: (line: string) => void, signal: AbortSignal): Patience => {
  const began = performance.now()
  let isTold = false
  const pid = (): number => postmasterIn(site.data)?.pid ?? livingOwner(site.lock) ?? 0
  return {
    wait: async (whose = "other") => {
      const waited = performance.now() - began
      if (signal.aborted || (whose === "other" && waited > patienceMillis))
        throw new DataFolderInUse({ folder: site.folder, pid: pid() })
      if (!isTold && waited > silenceMillis[whose]) {
        isTold = true
        const which = pid() === 0 ? "" : ` (process ${pid()})`
        onEvent(`waiting for the database's server in ${site.folder}${which}, which does not answer yet`)
      }
      await sleep(pollMillis)
    },
  }
}
