/**
 * Presence for programs written with Effect: a service, and streams.
 */
import { Context, Effect, Layer, Stream } from "effect"
import type { Decision } from "../../domain/presentity/events.ts"
import type { Body } from "../../domain/vocabulary.ts"
import type { EventStore } from "../../ports/event-store.ts"
import type { ExposedRow, FeedItem as PresenceEvent } from "../../ports/operations.ts"
import type { Published } from "../operations/presentity-commands.ts"
import { asked } from "./checks.ts"
import { makeCore } from "./core.ts"
import type { Core } from "./core.ts"
import { makeMailbox } from "./mailbox.ts"
import { makeNewest } from "./newest.ts"
import type { PresenceOptions } from "./options.ts"
import type { Questions } from "./questions.ts"
import { FellBehind } from "./refused.ts"
import type { OptionsInvalid, PresenceRefused, StoreFault } from "./refused.ts"
import type { FeedOptions, Notification, PublishRequest, TerminateRequest, WatchRequest } from "./requests.ts"

/** Presence for programs written with Effect; refusals are failures with the status that a SIP server would have answered. */
export interface PresenceEffects extends Questions {
  /** Publishes, refreshes, modifies or removes, depending on the fields given (RFC 3903 §4). */
  readonly publish: (request: PublishRequest) => Effect.Effect<Published, PresenceRefused>
  /** Every notification of one subscription (RFC 3265), which ends with the stream. */
  readonly watch: (request: WatchRequest) => Stream.Stream<Notification, PresenceRefused>
  /** Puts an authorization document (RFC 5025) in force for a package (`presence` when left out); null: none. */
  readonly setRules: (
    presentity: string,
    text: string | null,
    event?: string,
  ) => Effect.Effect<void, PresenceRefused>
  /** Asks the source of rules again (option `rules`); 503 when it fails. */
  readonly refreshRules: (presentity: string, event?: string) => Effect.Effect<void, PresenceRefused>
  /** Sets the document shown while nobody publishes (RFC 4827); null: none. */
  readonly setHardState: (
    presentity: string,
    body: string | Body | null,
    event?: string,
  ) => Effect.Effect<void, PresenceRefused>
  /** Ends subscriptions, all of them or those of one watcher; each watcher is notified with the reason (RFC 3265 §3.2.4). */
  readonly terminate: (request: TerminateRequest) => Effect.Effect<void, PresenceRefused>
  /** Whether anything is published now for a package; left out: `presence`. */
  readonly isPublished: (presentity: string, event?: string) => Effect.Effect<boolean, PresenceRefused>
  /** Every notification to any watcher, from the start of the stream on. */
  readonly notifications: Stream.Stream<Notification, FellBehind>
  /** Every decision about any presentity as it is stored, from the start of the stream on. */
  readonly decisions: Stream.Stream<Decision, FellBehind>
  /** E_PRESENCE_PUBLISH and E_PRESENCE_EXPOSED: from the start of the stream, or with `after` from that place in the log on. */
  readonly feed: (options?: FeedOptions) => Stream.Stream<PresenceEvent, PresenceRefused | FellBehind>
  /** Live publications of a package, each also sent to every `feed` (`pres_expose` of OpenSIPS). */
  readonly expose: (
    event: string,
    matches?: (presentity: string) => boolean,
  ) => Effect.Effect<readonly ExposedRow[], PresenceRefused>
  /** Completes when everything requested and due so far has happened. */
  readonly settle: Effect.Effect<void>
}

/**
 * Presence as a service of Effect: publications, watchers and questions about the past.
 *
 * @example
 * ```ts
 * const program = Effect.gen(function* () {
 *   const presence = yield* PresenceService
 *   yield* presence.publish({ presentity: "sip:alice@example.com", body: pidf, expires: 3600 })
 * })
 * program.pipe(Effect.provide(Presence.layer().pipe(Layer.provide(memoryStore()))))
 * ```
 */
export class PresenceService extends Context.Service<PresenceService, PresenceEffects>()(
  "presently/Presence",
) {}

/**
 * Presence that lives as long as the layer. It needs an `EventStore`: one of `memoryStore()`, `embeddedStore(folder)`,
 * `postgresStore(url)`, `storeOf(store)`, or `Layer.succeed(EventStore, store)` for a store that is written with Effect.
 *
 * Building it fails with OptionsInvalid, which names every option that cannot be meant, and with StoreFault when the store
 * cannot be read.
 */
export const layerPresence = (
  options: PresenceOptions = {},
): Layer.Layer<PresenceService, OptionsInvalid | StoreFault, EventStore> =>
  Layer.effect(PresenceService, Effect.map(makeCore(options), effectsOf))

const effectsOf = (core: Core): PresenceEffects => ({
  ...core.questions,
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
  notifications: observed("notifications", core.queueMax, (notified) => core.observe({ notified })),
  decisions: observed("decisions", core.queueMax, (decided) => core.observe({ decided })),
  feed: core.feed,
  expose: (event, matches = () => true) => core.expose(event, matches),
  settle: core.settle,
})

/** An iterator as a stream that fails with errors of this type only. */
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
