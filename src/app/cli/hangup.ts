/**
 * SIGHUP: a server reads its files again and goes on; it never ends by it.
 */
import { closeSync, openSync } from "node:fs"
import { Effect } from "effect"

export interface Hangups {
  /** Runs that for each hangup, one after the other; those that come meanwhile make one more. */
  readonly each: (work: Effect.Effect<unknown>) => Effect.Effect<never>
}

/**
 * From now on, and for as long as the process lives: a hangup that comes before anybody can act on it waits.
 *
 * @param endsWithTerminal a hangup with which the terminal of the process has gone away ends it, as Ctrl-C does
 */
export const listenForHangups = (endsWithTerminal: boolean): Hangups => {
  const hadTerminal = endsWithTerminal && process.stdin.isTTY
  let isAsked = false
  let wake = (): void => {}
  process.on("SIGHUP", () => {
    if (hadTerminal && !hasTerminal()) return void process.kill(process.pid, "SIGTERM")
    isAsked = true
    wake()
  })
  const next = Effect.callback<void>((resume) => {
    wake = () => {
      if (!isAsked) return
      isAsked = false
      wake = () => {}
      resume(Effect.void)
    }
    wake()
    // one that nobody waits for any more is for whoever waits next
    return Effect.sync(() => {
      wake = () => {}
    })
  })
  return { each: (work) => Effect.forever(Effect.andThen(next, work)) }
}

const hasTerminal = (): boolean => {
  try {
    closeSync(openSync("/dev/tty", "r"))
    return true
  } catch {
    return false
  }
}
