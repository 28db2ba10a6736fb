/**
 * Followers of the pump: the three tables, the feed, and the log lines about outages. Each registers itself with the pump.
 */
import { Context, Effect, Layer } from "effect"
import { EventStore } from "../../ports/event-store.ts"
import type { PresenceTables } from "../../ports/presence-tables.ts"
import { errorMessage } from "../error-message.ts"
import { makeFeed } from "../node/feed.ts"
import type { Feed } from "../node/feed.ts"
import { makeProjector } from "../node/projector.ts"
import type { Projector } from "../node/projector.ts"
import { makeSharingTags } from "../node/sharing-tags.ts"
import type { SharingTags } from "../node/sharing-tags.ts"
import { ActiveTags, PumpService } from "./pump.ts"

export class ProjectorService extends Context.Service<ProjectorService, Projector>()("presently/Projector") {}

/**
 * @param periodSeconds longest lag of the tables behind the log; 0: only at the stop, and by number
 * @param decisionsMax decisions they may lag behind whatever the period: they bound what a start has to read again
 */
export const layerProjector = (
  periodSeconds: number,
  decisionsMax = 20_000,
): Layer.Layer<ProjectorService, never, PumpService | EventStore | PresenceTables> =>
  Layer.effect(
    ProjectorService,
    Effect.gen(function* () {
      const pump = yield* PumpService
      const projector = yield* makeProjector({ periodSeconds, decisionsMax }, pump)
      pump.listen({ stored: projector.note })
      return projector
    }),
  )

export class FeedService extends Context.Service<FeedService, Feed>()("presently/Feed") {}

export const layerFeed: Layer.Layer<FeedService, never, PumpService | EventStore> = Layer.effect(
  FeedService,
  Effect.gen(function* () {
    const pump = yield* PumpService
    const feed = makeFeed(yield* EventStore, () => pump.committed().position)
    pump.listen({ passed: feed.wake })
    return feed
  }),
)

export class SharingTagsService extends Context.Service<SharingTagsService, SharingTags>()(
  "presently/SharingTags",
) {}

export const layerSharingTags: Layer.Layer<SharingTagsService, never, PumpService | ActiveTags> =
  Layer.effect(
    SharingTagsService,
    Effect.gen(function* () {
      const tags = makeSharingTags(yield* PumpService)
      const active = yield* ActiveTags
      active.ask(tags.isActive)
      return tags
    }),
  )

/**
 * Logs when the store goes away and comes back, and what in it cannot be read.
 *
 * @param store its name, in words
 */
export const layerOutageLog = (
  store: string,
  say: (line: Effect.Effect<void>) => void,
): Layer.Layer<never, never, PumpService> =>
  Layer.effectDiscard(
    Effect.map(PumpService, (pump) =>
      pump.listen({
        unreadable: (presentity, cause) =>
          say(
            cause === null
              ? Effect.logInfo(`${presentity} can be read again`)
              : Effect.logError(
                  `what ${store} holds of ${presentity} cannot be read (${errorMessage(cause)}): its requests get 503, all others go on`,
                ),
          ),
        outage: (state, cause) =>
          say(
            state === "up"
              ? Effect.logInfo("the store is back")
              : Effect.logError(
                  `${store} does not answer (${errorMessage(cause)}): requests get 503 meanwhile`,
                ),
          ),
      }),
    ),
  )
