/**
 * Describes values and errors of the program in a few words. Nothing here throws, whatever it is given.
 */
import { errorMessage } from "../error-message.ts"

/** Longest text shown of a value. */
const shownMax = 60

/** A value, abbreviated for messages. */
export const shown = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > shownMax ? `${value.slice(0, shownMax - 1)}…` : value)
    case "bigint":
      return value > 10n ** 20n || value < -(10n ** 20n) ? "a bigint" : `${value}n`
    case "symbol":
      return "a symbol"
    case "function":
      return "a function"
    case "object":
      return value === null ? "null" : kindOf(value)
    default:
      return String(value)
  }
}

const kindOf = (value: object): string => {
  try {
    if (Array.isArray(value)) return `an array of ${value.length}`
    if (value instanceof Promise) return "a promise"
    return value instanceof Date ? `the Date ${String(value.getTime())}` : "an object"
  } catch {
    return "an object that cannot be read"
  }
}

/** What went wrong, in one line. */
export const wordsOf = (cause: unknown): string => {
  try {
    if (typeof cause === "string") return shortened(cause)
    if (typeof cause !== "object" || cause === null) return shown(cause)
    const text = isOurs(cause) ? cause.message : errorMessage(cause)
    return typeof text === "string" && text !== "" ? shortened(text) : "it does not say why"
  } catch {
    return "it cannot be said why"
  }
}

/** Errors whose message already includes its cause. */
const isOurs = (cause: unknown): cause is Error =>
  cause instanceof Error && "_tag" in cause && faultTags.has(cause._tag)

const faultTags: ReadonlySet<unknown> = new Set(["PackageFault", "CallbackFault", "StoreFault"])

const shortened = (text: string): string => (text.length > 500 ? `${text.slice(0, 499)}…` : text)

/** Keeps the rejection of a promise that nobody awaits from ending the process. */
export const quiet = (answer: unknown): void => {
  try {
    if (typeof answer === "object" && answer !== null && "then" in answer)
      Promise.resolve(answer).catch(() => {})
  } catch {
    // what cannot be inspected is no promise
  }
}
