/**
 * The answer to an operation that is not carried out.
 */
import { Data } from "effect"

/**
 * An operation was understood and not carried out; nothing has changed.
 *
 * `status` is the SIP or HTTP status that says the same, such as 404 for something that does not exist or 503 for a store
 * that does not answer. `why` is one line for people.
 */
export class Refused extends Data.TaggedError("Refused")<{
  readonly status: number
  readonly why: string
}> {}
