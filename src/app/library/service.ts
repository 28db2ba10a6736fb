/**
 * The same for programs written with Effect: a service, and streams.
 */
import { Context, Effect, Layer, Stream } from "effect"
import type { ExposedRow, FeedItem as PresenceEvent } from "../../ports/operations.ts"
import type { EventStore, StoreUnavailable } from "../../ports/event-store.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import type { Body, Millis } from "../../domain/vocabulary.ts"
import type { Differences, SentPage, Why } from "../../ports/history-queries.ts"
import { makeCore } from "./core.ts"
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
import type { PresentityAt } from "./history.ts"
import { makeMailbox } from "./mailbox.ts"
import { makeNewest } from "./newest.ts"
import type { PresenceOptions } from "./options.ts"
import { asked, makeQuestions } from "./questions.ts"
import { FellBehind } from "./refused.ts"
import type { OptionsInvalid, StoreFault } from "./refused.ts"

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
    readonly isPublished: (presentity: string, event?: string) => Effect.Effect<boolean, PresenceRefused>
    /** Every notification to anybody, from the moment of running. */
    readonly notifications: Stream.Stream<Notification, FellBehind>
    /** Every decision about anybody, as it is stored, from the moment of running. */
    readonly decisions: Stream.Stream<Decision, FellBehind>
    /** E_PRESENCE_PUBLISH and E_PRESENCE_EXPOSED: from the moment of running, or with `after` from that place in the log on. */
    readonly feed: (options?: FeedOptions) => Stream.Stream<PresenceEvent, PresenceRefused | FellBehind>
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
): Layer.Layer<PresenceService, OptionsInvalid | StoreFault, EventStore> =>
  Layer.effect(
    PresenceService,
    Effect.map(makeCore(options), ({ core, store, queueMax }) => {
      const questions = makeQuestions(core, store)
      return {
        publish: core.publish,
        watch: (request) =>
          Stream.unwrap(
            Effect.suspend(() => {
              const newest = makeNewest()
              return Effect.as(
                Effect.acquireRelease(core.watch(request, newest.sink), (subscription) => subscription.end),
                iterated<Notification, never>(() => newest.iterate(() => {})),
              )
            }),
          ),
        setRules: (presentity, text, event = "presence") => core.replaceRules(presentity, event, text),
        refreshRules: (presentity, event = "presence") => core.refreshRules(presentity, event),
        setHardState: (presentity, body, event = "presence") => core.setHardState(presentity, event, body),
        terminate: core.terminate,
        isPublished: (presentity, event = "presence") =>
          asked(() => Effect.succeed(core.isPublished(presentity, event))),
        notifications: observed("notifications", queueMax, (notified) => core.observe({ notified })),
        decisions: observed("decisions", queueMax, (decided) => core.observe({ decided })),
        feed: core.feed,
        expose: (event, matches = () => true) => core.expose(event, matches),
        history: (presentity) =>
          Stream.unwrap(Effect.map(questions.history(presentity), (all) => Stream.fromIterable(all))),
        at: questions.at,
        seen: questions.seen,
        why: questions.why,
        diff: questions.diff,
        settle: core.settle,
      }
    }),
  )

/** What waits there, as a stream; its iterator throws nothing but errors of that type. */
const iterated = <A, E>(from: () => AsyncIterator<A>): Stream.Stream<A, E> =>
  Stream.fromAsyncIterable({ [Symbol.asyncIterator]: from }, (error) => error as E)

const observed = <A>(
  queue: "notifications" | "decisions",
  max: number,
  from: (put: (item: A) => void) => () => void,
): Stream.Stream<A, FellBehind> =>
  Stream.suspend(() =>
    iterated<A, FellBehind>(() => {
      const mailbox = makeMailbox<A>(max, () => new FellBehind({ queue, max }))
      return mailbox.iterate(from(mailbox.put))
    }),
  )
