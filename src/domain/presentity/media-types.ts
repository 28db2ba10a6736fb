/**
 * The media types that a watcher accepts.
 *
 * @source RFC 3265 §3.1.3 and RFC 3856 §6.7: the body of a NOTIFY has a type that the Accept header of the most recent
 *   SUBSCRIBE names. When nothing of such a type is published, the NOTIFY has no body, because no other type may be
 *   sent instead.
 */
import type { EventPackage } from "../packages/event-package.ts"

/** Whether a media type falls within one of the ranges (RFC 3261 §20.1). */
export const isAccepted = (type: string, ranges: readonly string[]): boolean =>
  ranges.some(
    (range) => range === type || range === "*/*" || range === `${type.slice(0, type.indexOf("/"))}/*`,
  )

/**
 * The ranges of an Accept header that restrict what the package can send. Undefined: the watcher accepts all of it,
 * which is always so for a package with a single type.
 *
 * @param accept null: the request has no such header, and the watcher is sent whatever is published
 */
export const rangesOf = (
  { produces }: Pick<EventPackage, "produces">,
  accept: readonly string[] | null,
): readonly string[] | undefined => {
  if (accept === null || produces.length < 2 || produces.every((type) => isAccepted(type, accept)))
    return undefined
  const ranges = accept.filter((range) => produces.some((type) => isAccepted(type, [range])))
  return [...new Set(ranges)].sort()
}

export const sameRanges = (
  left: readonly string[] | undefined,
  right: readonly string[] | undefined,
): boolean => left === right || left?.join() === right?.join()
