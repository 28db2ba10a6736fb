/**
 * What a program reads: what is published now, and what happens.
 */
import { Effect, Stream } from "effect"
import type { Packages } from "../../domain/packages/event-package.ts"
import { publishedDocuments } from "../../domain/presentity/sources.ts"
import type { State } from "../../domain/presentity/state.ts"
import { get, size } from "../../domain/table.ts"
import type { ExposedRow, FeedItem as PresenceEvent } from "../../ports/operations.ts"
import { quiet, wordsOf } from "../extensions/words.ts"
import type { Feed } from "../node/feed.ts"
import { exposePublications } from "../operations/list-operations.ts"
import type { States } from "../operations/lists.ts"
import { presentityOf } from "../presentity-uri.ts"
import { eventIn, readFeed, textIn } from "./arguments.ts"
import { asRefusal, checked } from "./checks.ts"
import { CallbackFault, FellBehind, PresenceRefused, refuseArgument } from "./refused.ts"
import type { FeedOptions } from "./requests.ts"

export interface ViewCalls {
  /** @throws PresenceRefused 503 while another program may have the log */
  readonly isPublished: (presentity: string, event: string) => boolean
  /**
   * The sphere on which all published persons agree, for rules (RFC 5025 §3.1.2); null: there is none, or they differ.
   *
   * @throws PresenceRefused 503 while another program may have the log
   */
  readonly sphere: (presentity: string) => string | null
  /** E_PRESENCE_PUBLISH and E_PRESENCE_EXPOSED, from any place in the log on. */
  readonly feed: (options?: FeedOptions) => Stream.Stream<PresenceEvent, PresenceRefused | FellBehind>
  /** Live publications of a package, each also sent as E_PRESENCE_EXPOSED. */
  readonly expose: (
    event: string,
    matches: (presentity: string) => boolean,
  ) => Effect.Effect<readonly ExposedRow[], PresenceRefused>
}

interface Parts {
  readonly packages: Packages
  readonly states: States
  readonly feed: Feed
  /** Why nothing is answered from memory; null: it is. */
  readonly doubt: () => PresenceRefused | null
  readonly now: () => number
  /** Exposed events that wait for a slow reader of a feed. */
  readonly queueMax: number
}

/** Longest text accepted by a question that never refuses. */
const textMax = 4_096

export const makeViewCalls = ({ packages, states, feed, doubt, now, queueMax }: Parts): ViewCalls => {
  /** @throws PresenceRefused when nothing is answered from memory */
  const stateOf = (text: string): State | undefined => {
    const why = doubt()
    if (why !== null) throw why
    const uri = presentityOf(text)
    return uri === null ? undefined : states.state(uri)
  }
  return {
    isPublished: (text, name) => {
      const presentity = presentityText("isPublished", text)
      const event = eventIn("isPublished", name)
      const publications = stateOf(presentity)?.publications
      const live = publications === undefined ? undefined : get(publications, event)
      return live !== undefined && size(live) > 0
    },
    sphere: (text) => {
      const state = stateOf(presentityText("sphere", text))
      const eventPackage = packages.find("presence")
      if (state === undefined || eventPackage?.rules === undefined) return null
      return eventPackage.rules.sphere(publishedDocuments(state, eventPackage), now())
    },
    feed: (options) =>
      Stream.unwrap(
        Effect.map(
          checked(() => readFeed(options)),
          ({ after, types, presentity }) =>
            Stream.flatMap(
              feed.pages(after ?? null, {
                types: types === undefined ? null : new Set(types),
                presentity: presentity ?? null,
              }),
              ({ items, lost }) =>
                lost === undefined
                  ? Stream.fromIterable(items)
                  : Stream.concat(
                      Stream.fromIterable(items),
                      Stream.fail(new FellBehind({ queue: "feed", max: queueMax })),
                    ),
            ),
        ),
      ),
    expose: (name, matches) =>
      Effect.suspend(() => {
        const event = eventIn("expose", name)
        if (typeof matches !== "function") refuseArgument("expose: matches", matches, "a function")
        if (packages.find(event) === null) {
          const rejection = { _tag: "BadEvent", status: 489, allowEvents: packages.allowEvents } as const
          return Effect.fail(new PresenceRefused({ status: 489, rejection }))
        }
        const why = doubt()
        if (why !== null) return Effect.fail(why)
        return Effect.succeed(
          exposePublications(states, feed, event, (presentity) => isMatched(matches, presentity)),
        )
      }).pipe(asRefusal),
  }
}

const presentityText = (call: string, value: unknown): string =>
  textIn(`${call}: presentity`, value, textMax, "a URI")

const isMatched = (matches: (presentity: string) => boolean, presentity: string): boolean => {
  let answer: unknown
  try {
    answer = matches(presentity)
  } catch (cause) {
    throw new CallbackFault({ callback: "expose: matches", why: `threw: ${wordsOf(cause)}`, cause })
  }
  if (typeof answer === "boolean") return answer
  quiet(answer)
  return refuseArgument("expose: matches", answer, "true or false from it")
}
