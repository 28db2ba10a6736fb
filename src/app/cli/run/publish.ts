/**
 * Publishes, and keeps a publication alive.
 */
import { readFileSync } from "node:fs"
import { Console, Effect, Option } from "effect"
import { documentOf } from "../../client/document.ts"
import { LocalFailure, UsageInvalid } from "../../client/failures.ts"
import type { NoAnswer, Refused } from "../../client/failures.ts"
import { makePublication, refreshAfterSeconds } from "../../client/publication.ts"
import type { Publication, Published } from "../../client/publication.ts"
import { openUserAgent } from "../../client/user-agent.ts"
import type { Body } from "../../client/wire.ts"
import type { AgentInput } from "../client-flags.ts"
import { agentOptions, readPresentity, readSeconds, readToken } from "./client-input.ts"

interface What {
  readonly open: boolean
  readonly closed: boolean
  readonly note: Option.Option<string>
  readonly body: Option.Option<string>
  readonly contentType: string
  readonly etag: Option.Option<string>
  readonly remove: boolean
  readonly stay: boolean
}

interface PublishInput extends AgentInput, What {
  readonly uri: string
  readonly event: string
  readonly expires: Option.Option<number>
}

export const publish = Effect.fn(function* (input: PublishInput) {
  const presentity = yield* readPresentity(input.uri)
  const asked = yield* readSeconds("expires", input.expires)
  const event = yield* readToken("event", input.event)
  const etag = Option.getOrNull(input.etag)
  if (etag !== null) yield* readToken("etag", etag)
  const body = yield* readContent(input, presentity.presentity)
  const options = yield* agentOptions(input, presentity.transport)
  yield* Effect.scoped(
    Effect.gen(function* () {
      const agent = yield* openUserAgent(options)
      const publication = makePublication(agent, { ...presentity, event, entityTag: etag })
      const published = yield* publication.publish({ body, expires: input.remove ? 0 : asked })
      yield* Console.log(lineFor(published))
      if (input.stay) yield* stay(publication, published, asked)
    }),
  )
})

const lineFor = ({ response, entityTag, expires }: Published): string =>
  `${response.raw.status} ${response.reason} entity-tag ${entityTag} expires ${expires}`

/** The document to publish; null when only the lifetime changes. */
const readContent = (
  { open, closed, note, body, contentType, etag, remove, stay }: What,
  presentity: string,
): Effect.Effect<Body | null, UsageInvalid | LocalFailure> => {
  const wrong = (why: string): Effect.Effect<never, UsageInvalid> => Effect.fail(new UsageInvalid({ why }))
  const ways = [open, closed, Option.isSome(body), remove].filter(Boolean).length
  if (ways > 1) return wrong("--open, --closed, --body and --remove exclude each other: give one of them")
  if (ways === 0 && Option.isNone(etag)) {
    return wrong("nothing to publish: give --open or --closed, or --body FILE, or --etag TAG to refresh")
  }
  if (remove && Option.isNone(etag)) {
    return wrong("--remove needs --etag TAG: the entity-tag that publish printed")
  }
  if (remove && stay) return wrong("--remove and --stay exclude each other")
  if (Option.isSome(note) && !open && !closed) return wrong("--note goes with --open or --closed")
  if (open || closed) {
    return Effect.succeed(documentOf(presentity, open ? "open" : "closed", Option.getOrNull(note)))
  }
  if (Option.isNone(body)) return Effect.succeed(null)
  return Effect.try({
    try: () => ({ contentType, text: readFileSync(body.value, "utf8") }),
    catch: (cause) => new LocalFailure({ what: "the file of --body cannot be read", cause }),
  })
}

/** Refreshes until interrupted, then removes the publication. */
const stay = (
  publication: Publication,
  published: Published,
  expires: number | null,
): Effect.Effect<never, NoAnswer | Refused> =>
  Effect.gen(function* () {
    yield* Console.error("kept alive until Ctrl-C")
    for (let { expires: granted } = published; ;) {
      yield* Effect.sleep(refreshAfterSeconds(granted) * 1000)
      granted = (yield* publication.publish({ body: null, expires })).expires
    }
  }).pipe(Effect.onInterrupt(() => Effect.ignore(publication.publish({ body: null, expires: 0 }))))
