/**
 * Addresses in the arguments of operations, as operators write them.
 */
import { Effect } from "effect"
import { retentionStream } from "../../domain/presentity/retention.ts"
import { sharingTagsStream } from "../../domain/presentity/sharing-tags.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { Refused } from "../../ports/operation-refused.ts"
import { presentityOf } from "../presentity-uri.ts"

/** Streams that the server keeps about itself, beside presentities. */
const ownStreams: readonly Uri[] = [retentionStream, sharingTagsStream]

const ownPrefix = "presently:"

/** A presentity, or one of the streams that the server keeps about itself (`presently:retention`). */
export const streamOf = (text: string): Effect.Effect<Uri, Refused> => {
  const name = text.toLowerCase()
  if (!name.startsWith(ownPrefix)) return uriOf(text)
  const own = ownStreams.find((stream) => stream === name)
  return own === undefined
    ? Effect.fail(
        new Refused({ status: 404, why: `${text} is no record: there are ${ownStreams.join(" and ")}` }),
      )
    : Effect.succeed(own)
}

/** The address of a presentity. */
export const watchedOf = (text: string): Effect.Effect<Uri, Refused> =>
  text.toLowerCase().startsWith(ownPrefix)
    ? Effect.fail(
        new Refused({
          status: 400,
          why: `${text} is a record of the server, which nobody watches: ask for its history`,
        }),
      )
    : uriOf(text)

/** The address of a presentity or a watcher. */
export const uriOf = (text: string): Effect.Effect<Uri, Refused> => {
  const uri = presentityOf(text)
  // a single word would be read as a host name
  return uri === null || !/[:@]/.test(text)
    ? Effect.fail(
        new Refused({ status: 400, why: `${text} is no presentity URI: write sip:alice@example.com` }),
      )
    : Effect.succeed(uri)
}
