/**
 * What the management port says when it does not do what it is asked (RFC 9457): `code` is for programs and stays as it is,
 * `detail` is for people.
 */
import { Schema } from "effect"
import { HttpApiError } from "effect/http-api"
import type { Refused } from "../../ports/operation-refused.ts"

const code = <const Code extends string>(value: Code) => ({ code: Schema.tag(value) })

export class Invalid extends HttpApiError.Problem<Invalid>()(
  "Invalid",
  { type: "urn:presently:invalid", status: 400, title: "The request cannot be read" },
  code("invalid"),
) {}

export class NoToken extends HttpApiError.Problem<NoToken>()(
  "NoToken",
  { type: "urn:presently:no-token", status: 401, title: "No token, or one that is not known" },
  code("no-token"),
) {}

export class NotAllowed extends HttpApiError.Problem<NotAllowed>()(
  "NotAllowed",
  { type: "urn:presently:not-allowed", status: 403, title: "Not for this caller" },
  code("not-allowed"),
) {}

export class NotFound extends HttpApiError.Problem<NotFound>()(
  "NotFound",
  { type: "urn:presently:not-found", status: 404, title: "There is no such thing" },
  code("not-found"),
) {}

/** @public declarations name it */
export class Conflict extends HttpApiError.Problem<Conflict>()(
  "Conflict",
  { type: "urn:presently:conflict", status: 409, title: "Refused as things are" },
  code("conflict"),
) {}

export class Changed extends HttpApiError.Problem<Changed>()(
  "Changed",
  { type: "urn:presently:changed", status: 412, title: "Somebody has changed it meanwhile" },
  code("changed"),
) {}

export class TooLong extends HttpApiError.Problem<TooLong>()(
  "TooLong",
  { type: "urn:presently:too-long", status: 413, title: "Longer than anything this server takes" },
  code("too-long"),
) {}

export class Unavailable extends HttpApiError.Problem<Unavailable>()(
  "Unavailable",
  { type: "urn:presently:unavailable", status: 503, title: "Not now" },
  code("unavailable"),
) {}

/** Every resource may answer with any of them. */
export const problems = [
  Invalid,
  NoToken,
  NotAllowed,
  NotFound,
  Conflict,
  Changed,
  TooLong,
  Unavailable,
] as const

export type Problem = InstanceType<(typeof problems)[number]>

/** 4xx that HTTP has no problem of ours for mean that the request is refused as things are. */
export const problemOf = ({ status, why }: Refused): Problem => {
  switch (status) {
    case 400:
      return new Invalid({ detail: why })
    case 403:
      return new NotAllowed({ detail: why })
    case 404:
    case 489:
      return new NotFound({ detail: why })
    case 412:
      return new Changed({ detail: why })
    default:
      return status >= 500 ? new Unavailable({ detail: why }) : new Conflict({ detail: why })
  }
}
