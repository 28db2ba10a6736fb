/**
 * What went wrong, in one line.
 */

import { Cause } from "effect"

/** The innermost message of whatever went wrong, in one line. */
export const reasonOf = (cause: unknown): string => {
  if (Cause.isCause(cause)) return reasonOf(Cause.squash(cause))
  if (!(cause instanceof Error)) return String(cause)
  const inner = (cause as { readonly reason?: unknown }).reason ?? cause.cause
  if (inner instanceof Error && inner !== cause) return reasonOf(inner)
  return (cause.message || cause.name).split("\n")[0] ?? ""
}
