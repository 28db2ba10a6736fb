/**
 * Waiting for a database's server: it ends when it is not wanted any more and when it has taken too long, and says after a
 * moment what it waits for.
 */
import { setTimeout as sleep } from "node:timers/promises"

/** How waits are told of, and end. */
export interface Patience {
  /** Nobody wants it any more. */
  readonly signal: AbortSignal
  /** How long a server that another program has started may take to be ready, and each tool to end, milliseconds. */
  readonly readyMillis: number
  /** How long one that this program has started may take: one that is stopped while it recovers begins anew, milliseconds. */
  readonly recoveryMillis: number
  /** Told in a line what is waited for. */
  readonly tell: (line: string) => void
}

const pollMillis = 10

/** Waits that are shorter are not told of, milliseconds. */
const quietMillis = 3_000

interface Wait {
  readonly patience: Patience
  /** What is waited for, in words that end in who it is: `…, process 12`. */
  readonly what: () => string
  /** After so many milliseconds it has taken too long. */
  readonly millis: number
}

/** Begins a wait. @returns one step of it, which resolves to whether there is time left */
export const beginWait = ({ patience, what, millis }: Wait): (() => Promise<boolean>) => {
  const began = performance.now()
  let isTold = false
  return async () => {
    const waited = performance.now() - began
    if (waited > millis) return false
    if (!isTold && waited > quietMillis) {
      isTold = true
      patience.tell(`waiting for ${what()}`)
    }
    await sleep(pollMillis, undefined, { signal: patience.signal })
    return true
  }
}

/** Waits for a condition, for so long at most. @returns whether it holds */
export const until = async (
  condition: () => boolean,
  millis: number,
  wait: Omit<Wait, "millis"> | null = null,
): Promise<boolean> => {
  if (wait !== null) {
    const step = beginWait({ ...wait, millis })
    while (!condition()) if (!(await step())) return condition()
    return true
  }
  for (const end = performance.now() + millis; performance.now() < end; await sleep(pollMillis)) {
    if (condition()) return true
  }
  return condition()
}

/** In words that end in a process, where it is known which. */
export const withProcess = (what: string, pid: number | null | undefined): string =>
  pid === null || pid === undefined ? what : `${what}, process ${pid}`
