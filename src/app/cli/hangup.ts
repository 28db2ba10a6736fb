/**
 * SIGHUP: the server reads its files again and continues; the signal never ends it.
 */
import { closeSync, openSync } from "node:fs"
import { Effect } from "effect"

export interface Hangups {
  /** Runs the effect for each hangup, one at a time; hangups that arrive during a run cause one more run. */
  readonly each: (work: Effect.Effect<unknown>) => Effect.Effect<never>
}

/**
 * From now on, for the life of the process, a hangup that arrives before it can be handled is kept until it can.
 *
 * @param endsWithTerminal whether a hangup caused by the loss of the controlling terminal ends the process, as Ctrl-C does
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
    // a hangup whose waiter has gone is left for the next one
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
