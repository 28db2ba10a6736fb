/**
 * Who sent a request, in words.
 */
import type { Requester } from "../../domain/presentity/about.ts"

/** Empty: nothing is known beyond the origin. */
export const requesterInWords = (requester: Requester | null): string => {
  if (requester === null) return ""
  const { account, identity, from, userAgent, source } = requester
  return [
    account === undefined ? "" : `account ${account}`,
    identity === undefined ? "" : account === undefined ? `asserted ${identity}` : `of ${identity}`,
    from === undefined ? "" : `From ${from}`,
    userAgent === undefined ? "" : `User-Agent ${userAgent}`,
    source === undefined ? "" : `source ${source}`,
  ]
    .filter((part) => part !== "")
    .join(", ")
}
