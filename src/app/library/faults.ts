/**
 * Faults of what the program brought along (packages, store, functions) are reported to it once. No error leaves this file,
 * whatever the program's own `onFault` does.
 */
import { Effect } from "effect"
import type { Context } from "effect"
import { quiet, wordsOf } from "../extensions/words.ts"

/** What `onFault` receives. `why` is one line, `cause` is what was thrown. */
export type PresenceFault =
  /** A decision threw, usually in a package or `authorize`: this presentity answers 500 until the next start, all others continue. */
  | {
      readonly _tag: "DecisionFailed"
      readonly presentity: string
      /** What was decided: `Publish`, `Subscribe`, `FallDue` … */
      readonly command: string
      readonly why: string
      readonly cause: unknown
    }
  /**
   * The store does not answer, or gives an impossible answer: requests are refused with 503 until it is back. Reported once for
   * each outage; and once, with LogIsTaken as `cause` of its `cause`, when another program took the log, which is final.
   */
  | { readonly _tag: "StoreAway"; readonly why: string; readonly cause: unknown }
  | { readonly _tag: "StoreBack" }
  /**
   * The store answers, but its data for this presentity cannot be used: its requests are refused with 503 until they can, all
   * others continue.
   */
  | {
      readonly _tag: "PresentityUnreadable"
      readonly presentity: string
      readonly why: string
      readonly cause: unknown
    }
  | { readonly _tag: "PresentityReadable"; readonly presentity: string }
  /**
   * A function of the program threw, or returned something invalid; for `now`: time continues from the last valid instant.
   * Reported once until the function works again.
   */
  | {
      readonly _tag: "CallbackFailed"
      readonly callback: string
      readonly why: string
      readonly cause: unknown
    }

/** Calls a function of the program for its effect; neither an exception nor a rejection gets out. */
export const tellQuietly = <A>(
  call: (what: A) => unknown,
  what: A,
  failed: (cause: unknown) => void,
): void => {
  try {
    const answer = call(what)
    if (typeof answer === "object" && answer !== null && "then" in answer)
      Promise.resolve(answer).catch(failed)
  } catch (cause) {
    failed(cause)
  }
}

/** @param onFault null: faults are logged */
export const makeReporter = (
  onFault: ((fault: PresenceFault) => unknown) | null,
  context: Context.Context<never>,
): ((fault: PresenceFault) => void) => {
  const run = Effect.runForkWith(context)
  const log = (fault: PresenceFault): void =>
    void run(
      fault._tag === "StoreBack" || fault._tag === "PresentityReadable"
        ? Effect.logInfo(faultInWords(fault))
        : Effect.logError(faultInWords(fault)),
    )
  if (onFault === null) return log
  return (fault) =>
    tellQuietly(onFault, fault, (cause) => {
      log(fault)
      run(Effect.logError(`onFault failed: ${wordsOf(cause)}`))
    })
}

const faultInWords = (fault: PresenceFault): string => {
  switch (fault._tag) {
    case "DecisionFailed":
      return `${fault.command} of ${fault.presentity} failed: ${fault.why}: it is answered 500 until the next start`
    case "StoreAway":
      return `the store does not answer (${fault.why}): requests get 503 meanwhile`
    case "StoreBack":
      return "the store is back"
    case "PresentityUnreadable":
      return `what the store holds of ${fault.presentity} cannot be read (${fault.why}): its requests get 503, all others go on`
    case "PresentityReadable":
      return `${fault.presentity} can be read again`
    case "CallbackFailed":
      return `${fault.callback} ${fault.why}`
  }
}

/**
 * The program's clock, in whole milliseconds. While it throws, or returns no instant, time continues from the last valid one, or
 * by the system's clock if there was none.
 */
export const guardedClock = (
  now: () => number,
  system: () => number,
  isInstant: (millis: number) => boolean,
  report: (fault: PresenceFault) => void,
): (() => number) => {
  let isBad = false
  let last: { readonly given: number; readonly at: number } | null = null
  const fail = (why: string, cause: unknown): number => {
    if (!isBad) {
      report({ _tag: "CallbackFailed", callback: "now", why, cause })
      if (last !== null) last = { ...last, at: performance.now() }
    }
    isBad = true
    return last === null ? system() : last.given + Math.floor(performance.now() - last.at)
  }
  const good = { given: 0, at: 0 }
  return () => {
    try {
      const given: unknown = now()
      if (typeof given !== "number" || !isInstant(given)) {
        quiet(given)
        return fail(
          `gave ${typeof given === "number" ? String(given) : typeof given}: expected milliseconds since 1970`,
          given,
        )
      }
      last = good
      good.given = Math.floor(given)
      isBad = false
      return good.given
    } catch (cause) {
      return fail(`threw: ${wordsOf(cause)}`, cause)
    }
  }
}
