/**
 * What went wrong, in one line.
 */

/** The innermost message of whatever went wrong, in one line. */
export const reasonOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  const inner = (cause as { readonly reason?: unknown }).reason ?? cause.cause
  if (inner instanceof Error && inner !== cause) return reasonOf(inner)
  return (cause.message || cause.name).split("\n")[0] ?? ""
}
