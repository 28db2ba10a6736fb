/**
 * The error of an operation that is not carried out.
 */
import { Data } from "effect"

/**
 * An operation was understood but not carried out; nothing has changed.
 *
 * `status` is the corresponding SIP or HTTP status, such as 404 for something that does not exist or 503 for a store
 * that is unavailable. `why` is a message of one line.
 */
export class Refused extends Data.TaggedError("Refused")<{
  readonly status: number
  readonly why: string
}> {}
