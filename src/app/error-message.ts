/**
 * What went wrong, in one line.
 */
import { Cause } from "effect"
import { StoreUnavailable } from "../ports/event-store.ts"

/**
 * The messages of an error and of what caused it, outermost first: `outer: inner`. What only wraps another error adds nothing, nor does
 * a message that its wrapper repeats.
 */
export const errorMessage = (error: unknown): string => {
  if (Cause.isCause(error))
    return Cause.hasInterruptsOnly(error) ? interrupted : errorMessage(Cause.squash(error))
  const messages: string[] = []
  for (const link of chainOf(error)) {
    const message = messageOf(link)
    if (message !== "" && messages.at(-1)?.includes(message) !== true) messages.push(message)
  }
  return messages.join(": ")
}

/** The error and its causes, outermost first, without those that only wrap another one. */
const chainOf = (error: unknown): readonly unknown[] => {
  const chain: unknown[] = []
  const met = new Set<unknown>()
  let link = error
  while (link instanceof Error && !met.has(link)) {
    met.add(link)
    const { reason } = link as { readonly reason?: unknown }
    // SqlError has the error of the driver as the cause of its reason, and repeats its message
    const inner: unknown = reason instanceof Error ? (reason.cause ?? reason) : causeOf(link)
    const isWrapper = reason instanceof Error || link instanceof StoreUnavailable
    if (!isWrapper || inner === undefined) chain.push(link)
    link = inner
  }
  return chain.length === 0 || typeof link === "string" ? [...chain, link] : chain
}

/** Node gives the attempts at all addresses of a name as an AggregateError without a message: the first stands for them. */
const causeOf = (error: Error): unknown =>
  error.cause ?? (error instanceof AggregateError && error.message === "" ? error.errors[0] : undefined)

const messageOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  if (error.message === squashedInterruption) return interrupted
  const [line = ""] = error.message.split("\n")
  return line === "" && causeOf(error) === undefined ? error.name : line
}

/** For a fiber that was interrupted before it had a result. */
const interrupted = "it was interrupted before it had an answer"

/** Effect's message for such a fiber where its result is a promise. */
const squashedInterruption = "All fibers interrupted without error"
