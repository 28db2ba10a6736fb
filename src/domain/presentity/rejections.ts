/**
 * Rejections that several handlers share.
 */
import type { Rejection } from "./commands.ts"
import type { Context } from "./context.ts"

/** 400: `why` names the fault of the request. */
export const badRequest = (why: string): Rejection => ({ _tag: "BadRequest", status: 400, why })

/** 489: the event package is unknown, or does not accept such a request (RFC 3265 §7.3.2). */
export const badEvent = ({ packages }: Context): Rejection => ({
  _tag: "BadEvent",
  status: 489,
  allowEvents: packages.allowEvents,
})

/** 403: the watcher is blocked (RFC 3265 §3.1.6.4). */
export const notAuthorized: Rejection = { _tag: "Forbidden", status: 403, why: "not authorized to watch" }

/** 503: a bound of this presentity has been reached (RFC 3261 §21.5.4). */
export const atBound = (why: string, { limits }: Context): Rejection => ({
  _tag: "ServiceUnavailable",
  status: 503,
  why,
  retryAfter: limits.retryAfter,
})

/** The same for a kind of record of which there are too many. */
export const tooMany = (kind: "publications" | "watchers", context: Context): Rejection =>
  atBound(`too many ${kind} for this presentity`, context)
