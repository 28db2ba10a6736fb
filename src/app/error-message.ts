/**
 * What went wrong, in one line.
 */

import { Cause } from "effect"

/** The innermost message of whatever went wrong, in one line. */
export const errorMessage = (cause: unknown): string => {
  if (Cause.isCause(cause))
    return Cause.hasInterruptsOnly(cause) ? interrupted : errorMessage(Cause.squash(cause))
  if (!(cause instanceof Error)) return String(cause)
  const inner = (cause as { readonly reason?: unknown }).reason ?? cause.cause
  if (inner instanceof Error && inner !== cause) return errorMessage(inner)
  if (cause.message === squashedInterruption) return interrupted
  return (cause.message || cause.name).split("\n")[0] ?? ""
}

/** Of a fiber that somebody ended before it had a result. */
const interrupted = "it was interrupted before it had an answer"

/** What Effect makes of such a fiber for whoever runs it as a promise. */
const squashedInterruption = "All fibers interrupted without error"
