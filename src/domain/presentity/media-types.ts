/**
 * Which media types a watcher takes.
 *
 * @source RFC 3265 §3.1.3 and RFC 3856 §6.7: the body of a NOTIFY is of a type that the Accept header of the most recent SUBSCRIBE
 *   names. Where nothing of these is published the NOTIFY has no body: no other type may go instead.
 */
import type { EventPackage } from "../packages/event-package.ts"

/** @source RFC 3261 §20.1 */
export const isAccepted = (type: string, ranges: readonly string[]): boolean =>
  ranges.some(
    (range) => range === type || range === "*/*" || range === `${type.slice(0, type.indexOf("/"))}/*`,
  )

/**
 * Of the ranges of an Accept header those that say anything of what a package sends; undefined: the watcher takes all of it, as
 * everybody does of a package with a single type.
 *
 * @param accept null: there is no such header, and the watcher is sent what is published
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
