/**
 * The same for programs written with Effect: a service, and streams.
 */
import { Context, Effect, Layer, Queue, Stream } from "effect"
import type { ExposedRow, FeedItem as PresenceEvent } from "../../adapters/admin/desk.ts"
import type { EventStore, StoreUnavailable } from "../../domain/ports.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import type { Body, Millis } from "../../domain/vocabulary.ts"
import type { Differences, SentPage, Why } from "../../adapters/admin/history-desk.ts"
import { instantText, makeCore, refusalOf } from "./core.ts"
import type {
  FeedOptions,
  Instant,
  Notification,
  PresenceRefused,
  Published,
  PublishRequest,
  SeenOptions,
  TerminateRequest,
  WatchRequest,
  WhyOptions,
} from "./core.ts"
import { eachDecision, presentityAt } from "./history.ts"
import type { PresentityAt } from "./history.ts"
import type { PresenceOptions } from "./options.ts"

export class PresenceService extends Context.Service<
  PresenceService,
  {
    /** Publishes, refreshes, modifies or removes, by what is given (RFC 3903 §4). */
    readonly publish: (request: PublishRequest) => Effect.Effect<Published, PresenceRefused>
    /** Every notification of one subscription, which ends with the stream. */
    readonly watch: (request: WatchRequest) => Stream.Stream<Notification, PresenceRefused>
    /** Puts an authorization document in force; null: none. */
    readonly setRules: (
      presentity: string,
      text: string | null,
      event?: string,
    ) => Effect.Effect<void, PresenceRefused>
    readonly refreshRules: (presentity: string, event?: string) => Effect.Effect<void, PresenceRefused>
    /** What is shown while nobody publishes (RFC 4827); null: nothing. */
    readonly setHardState: (
      presentity: string,
      body: string | Body | null,
      event?: string,
    ) => Effect.Effect<void, PresenceRefused>
    /** Ends subscriptions: all of them, or those of one watcher; each is told the reason (RFC 3265 §3.2.4). */
    readonly terminate: (request: TerminateRequest) => Effect.Effect<void, PresenceRefused>
    readonly isPublished: (presentity: string, event?: string) => Effect.Effect<boolean>
    /** Every notification to anybody, from the moment of running. */
    readonly notifications: Stream.Stream<Notification>
    /** Every decision about anybody, as it is stored, from the moment of running. */
    readonly decisions: Stream.Stream<Decision>
    /** E_PRESENCE_PUBLISH and E_PRESENCE_EXPOSED: from the moment of running, or with `after` from that place in the log on. */
    readonly feed: (options?: FeedOptions) => Stream.Stream<PresenceEvent>
    /** Live publications of a package, each also told in every `feed` (`pres_expose`). */
    readonly expose: (
      event: string,
      matches?: (presentity: string) => boolean,
    ) => Effect.Effect<readonly ExposedRow[], PresenceRefused>
    /** What a watcher was sent, each NOTIFY with its document and what became of it, oldest first. */
    readonly seen: (
      watcher: string,
      presentity: string,
      options?: SeenOptions,
    ) => Effect.Effect<SentPage, PresenceRefused>
    /** Why a watcher was told of the last change until then, or was not. */
    readonly why: (
      presentity: string,
      watcher: string,
      options?: WhyOptions,
    ) => Effect.Effect<Why, PresenceRefused>
    /** What is different between two instants. */
    readonly diff: (
      presentity: string,
      before: Instant,
      after: Instant,
    ) => Effect.Effect<Differences, PresenceRefused>
    /** All decisions about a presentity so far, oldest first. */
    readonly history: (presentity: string) => Stream.Stream<Decision, PresenceRefused | StoreUnavailable>
    readonly at: (
      presentity: string,
      instant: Millis,
    ) => Effect.Effect<PresentityAt, PresenceRefused | StoreUnavailable>
    /** Everything asked for and due so far has happened. */
    readonly settle: Effect.Effect<void>
  }
>()("presently/Presence") {}

/** Lives as long as the layer; needs somewhere to keep decisions (`layerMemory`, or a store of one's own). */
export const layerPresence = (
  options: PresenceOptions = {},
): Layer.Layer<PresenceService, never, EventStore> =>
  Layer.effect(
    PresenceService,
    Effect.map(makeCore(options), ({ core, store }) => ({
      publish: core.publish,
      watch: (request) =>
        Stream.callback<Taken, PresenceRefused>((queue) =>
          Effect.acquireRelease(
            core.watch(request, (notification, taken) => {
              Queue.offerUnsafe(queue, { notification, taken })
              if (notification.state === "terminated") Queue.endUnsafe(queue)
            }),
            (subscription) => subscription.end,
          ),
        ).pipe(
          // a change is told to whoever has taken the one before: the newest state, not every step
          Stream.map(({ notification, taken }) => {
            taken()
            return notification
          }),
        ),
      setRules: (presentity, text, event = "presence") => core.replaceRules(presentity, event, text),
      refreshRules: (presentity, event = "presence") => core.refreshRules(presentity, event),
      setHardState: (presentity, body, event = "presence") => core.setHardState(presentity, event, body),
      terminate: core.terminate,
      isPublished: (presentity, event = "presence") => Effect.sync(() => core.isPublished(presentity, event)),
      notifications: observed((notified) => core.observe({ notified })),
      decisions: observed((decided) => core.observe({ decided })),
      feed: ({ after, types, presentity } = {}) =>
        core.feed(after ?? null, {
          types: types === undefined ? null : new Set(types),
          presentity: presentity ?? null,
        }),
      expose: (event, matches = () => true) => core.expose(event, matches),
      history: (presentity) =>
        Stream.unwrap(
          Effect.flatMap(core.uri(presentity), (uri) => {
            const all: Decision[] = []
            return Effect.as(
              eachDecision(store, uri, (decision) => {
                all.push(decision)
                return "go on"
              }),
              Stream.suspend(() => Stream.fromIterable(all)),
            )
          }),
        ),
      at: (presentity, instant) =>
        Effect.flatMap(core.uri(presentity), (uri) => presentityAt(store, core.packages, uri, instant)),
      seen: (watcher, presentity, { since, until, ...wish } = {}) =>
        core.questions
          .seen(presentity, { ...wish, watcher, since: instantText(since), until: instantText(until) })
          .pipe(Effect.mapError(refusalOf)),
      why: (presentity, watcher, { at, ...wish } = {}) =>
        core.questions
          .why(presentity, { ...wish, watcher, at: instantText(at) })
          .pipe(Effect.mapError(refusalOf)),
      diff: (presentity, before, after) =>
        core.questions
          .diff(presentity, { from: instantText(before) ?? "", to: instantText(after) ?? "" })
          .pipe(Effect.mapError(refusalOf)),
      settle: core.settle,
    })),
  )

interface Taken {
  readonly notification: Notification
  readonly taken: () => void
}

const observed = <A>(from: (put: (item: A) => void) => () => void): Stream.Stream<A> =>
  Stream.callback<A>((queue) =>
    Effect.acquireRelease(
      Effect.sync(() => from((item) => void Queue.offerUnsafe(queue, item))),
      (stop) => Effect.sync(stop),
    ),
  )
