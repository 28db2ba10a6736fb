/**
 * Addresses as operators write them.
 */
import { Effect } from "effect"
import { Refused } from "../../adapters/admin/problems.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { presentityOf } from "../addresses.ts"

export const uriOf = (text: string): Effect.Effect<Uri, Refused> => {
  const uri = presentityOf(text)
  // a word alone would be the name of a host
  return uri === null || !/[:@]/.test(text)
    ? Effect.fail(
        new Refused({ status: 400, why: `${text} is no presentity URI: write sip:alice@example.com` }),
      )
    : Effect.succeed(uri)
}
