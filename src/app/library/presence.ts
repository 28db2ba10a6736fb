/**
 * Presence inside a program of one's own: promises and async iterables, no socket, no database unless one is given.
 */
import { Deferred, Effect, Exit, Layer, Scope, Stream } from "effect"
import type { ExposedRow, FeedItem as PresenceEvent } from "../../adapters/admin/desk.ts"
import { layerMemory } from "../../adapters/store/memory.ts"
import type { EventStore } from "../../domain/ports.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import type { Body, PackageName, Seconds } from "../../domain/vocabulary.ts"
import type { Differences, SentPage, Why } from "../../adapters/admin/history-desk.ts"
import { instantText, makeCore, refusalOf } from "./core.ts"
import type {
  FeedOptions,
  Instant,
  Notification,
  Published,
  PublishRequest,
  SeenOptions,
  TerminateRequest,
  WatchRequest,
  WhyOptions,
} from "./core.ts"
import { eachDecision, presentityAt } from "./history.ts"
import type { PresentityAt } from "./history.ts"
import { makeMailbox } from "./mailbox.ts"
import type { BundledName, PresenceOptions } from "./options.ts"
import { layerPresence } from "./service.ts"

/** One watcher's view of one presentity; iterating it gives every notification until the subscription has ended. */
export interface Watch extends AsyncIterable<Notification> {
  /** Asks again for the present state, and for a longer life. */
  readonly refresh: (expires?: Seconds) => Promise<void>
  /** Ends the subscription; the iteration gives the last notification and ends. */
  readonly close: () => Promise<void>
}

/** @throws PresenceRefused from every promise, with the status a SIP server would have answered */
export interface Presence<Name extends PackageName = PackageName> {
  /** Publishes, refreshes, modifies or removes, by what is given (RFC 3903 §4). */
  readonly publish: (request: PublishRequest<Name>) => Promise<Published>
  /**
   * Subscribes. A watcher that is slow to take its notifications is not told every step in between but always the newest
   * state.
   */
  readonly watch: (request: WatchRequest<Name>) => Promise<Watch>
  /** The present state, once: what a fetch gives (RFC 3265 §3.3.6). */
  readonly fetch: (request: Omit<WatchRequest<Name>, "expires">) => Promise<Notification>
  /**
   * Puts an authorization document in force, or none; applies at once to those who watch. With `options.rules` until that is
   * asked the next time: what it says counts.
   */
  readonly setRules: (presentity: string, text: string | null, event?: Name) => Promise<void>
  /** Asks the source of rules again (`options.rules`). */
  readonly refreshRules: (presentity: string, event?: Name) => Promise<void>
  /** What is shown while nobody publishes (RFC 4827); null: nothing. */
  readonly setHardState: (presentity: string, body: string | Body | null, event?: Name) => Promise<void>
  /** Ends subscriptions: all of them, or those of one watcher; each is told the reason (RFC 3265 §3.2.4). */
  readonly terminate: (request: TerminateRequest<Name>) => Promise<void>
  /** The sphere all published persons agree on, for rules (RFC 5025 §3.1.2); null: none, or they differ. */
  readonly sphere: (presentity: string) => string | null
  /** Names of the event packages there are, watcher information included. */
  readonly events: readonly PackageName[]
  /** Whether anything is published now. */
  readonly isPublished: (presentity: string, event?: Name) => boolean
  /** Every notification to anybody, from the moment of iterating. */
  readonly notifications: AsyncIterable<Notification>
  /** Every decision about anybody, as it is stored, from the moment of iterating. */
  readonly decisions: AsyncIterable<Decision>
  /**
   * What the OpenSIPS module raises as E_PRESENCE_PUBLISH and E_PRESENCE_EXPOSED, in order: from the moment of iterating,
   * or with `after` from that place in the log on.
   */
  readonly feed: (options?: FeedOptions) => AsyncIterable<PresenceEvent>
  /** Live publications of a package, each also told in every `feed` (`pres_expose`). */
  readonly expose: (event: Name, matches?: (presentity: string) => boolean) => Promise<readonly ExposedRow[]>
  /** All decisions about a presentity so far, oldest first. */
  readonly history: (presentity: string) => Promise<readonly Decision[]>
  /** A presentity as of an instant: a Date, milliseconds, or anything `Date` can read. */
  readonly at: (presentity: string, instant: Date | number | string) => Promise<PresentityAt>
  /** What a watcher was sent, each NOTIFY with its document and what became of it, oldest first. */
  readonly seen: (watcher: string, presentity: string, options?: SeenOptions) => Promise<SentPage>
  /** Why a watcher was told of the last change until then, or was not: a sentence, facts, and what to try. */
  readonly why: (presentity: string, watcher: string, options?: WhyOptions) => Promise<Why>
  /** What is different between two instants. */
  readonly diff: (presentity: string, before: Instant, after: Instant) => Promise<Differences>
  /** Resolves when everything asked for and due so far has happened; for tests, and after a clock of one's own jumped. */
  readonly settle: () => Promise<void>
  /** Decides what is under way and stops; watches end. */
  readonly close: () => Promise<void>
}

export interface MakeOptions<Name extends PackageName = PackageName> extends PresenceOptions<Name> {
  /** Where decisions are kept; left out: in memory. See `stores.ts`. */
  readonly store?: Layer.Layer<EventStore, Error>
}

/** Starts a presence service. */
const make = async <Name extends PackageName = BundledName>(
  options: MakeOptions<Name> = {},
): Promise<Presence<Name>> => {
  const scope = Effect.runSync(Scope.make())
  const { core, store } = await Effect.runPromise(
    Effect.gen(function* () {
      const services = yield* Layer.build(options.store ?? layerMemory)
      return yield* makeCore(options as PresenceOptions).pipe(Effect.provideContext(services))
    }).pipe(
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
    ),
  )
  const run = <A>(effect: Effect.Effect<A, Error>): Promise<A> => Effect.runPromise(effect)
  const open = new Set<() => void>()
  const closing = Deferred.makeUnsafe<void>()

  const live = <T>(from: (put: (item: T) => void) => () => void): AsyncIterable<T> => ({
    [Symbol.asyncIterator]: () => {
      const mailbox = makeMailbox<T>()
      const stop = from(mailbox.put)
      const end = (): void => {
        stop()
        open.delete(end)
        mailbox.end()
      }
      open.add(end)
      return mailbox.iterate(end)
    },
  })

  const watch = async (request: WatchRequest): Promise<Watch> => {
    const mailbox = makeMailbox<{ readonly notification: Notification; readonly taken: () => void }>()
    const end = (): void => {
      open.delete(end)
      mailbox.end()
    }
    open.add(end)
    try {
      const subscription = await run(
        core.watch(request, (notification, taken) => {
          mailbox.put({ notification, taken })
          if (notification.state === "terminated") end()
        }),
      )
      const close = (): Promise<void> => run(subscription.end)
      return {
        refresh: (expires) => run(subscription.refresh(expires)),
        close,
        [Symbol.asyncIterator]: () => {
          const items = mailbox.iterate(() => void close())
          return {
            next: async () => {
              const item = await items.next()
              if (item.done === true) return { done: true, value: undefined }
              item.value.taken()
              return { done: false, value: item.value.notification }
            },
            // `break` in a loop: nobody watches any more
            return: async () => {
              await items.return?.()
              return { done: true, value: undefined }
            },
          }
        },
      }
    } catch (refusal) {
      end()
      throw refusal
    }
  }

  return {
    publish: (request) => run(core.publish(request)),
    watch,
    fetch: async (request) => {
      for await (const notification of await watch({ ...request, expires: 0 })) return notification
      throw new Error("a fetch that was accepted is answered with one notification")
    },
    setRules: (presentity, text, event) => run(core.replaceRules(presentity, event ?? "presence", text)),
    refreshRules: (presentity, event) => run(core.refreshRules(presentity, event ?? "presence")),
    setHardState: (presentity, body, event) => run(core.setHardState(presentity, event ?? "presence", body)),
    terminate: (request) => run(core.terminate(request)),
    sphere: core.sphere,
    events: core.packages.names(),
    isPublished: (presentity, event) => core.isPublished(presentity, event ?? "presence"),
    notifications: live((notified) => core.observe({ notified })),
    decisions: live((decided) => core.observe({ decided })),
    feed: ({ after, types, presentity } = {}) =>
      Stream.toAsyncIterable(
        core
          .feed(after ?? null, {
            types: types === undefined ? null : new Set(types),
            presentity: presentity ?? null,
          })
          .pipe(Stream.interruptWhen(Deferred.await(closing))),
      ),
    expose: (event, matches = () => true) => run(core.expose(event, matches)),
    history: (presentity) =>
      run(
        Effect.flatMap(core.uri(presentity), (uri) => {
          const all: Decision[] = []
          return Effect.as(
            eachDecision(store, uri, (decision) => {
              all.push(decision)
              return "go on"
            }),
            all,
          )
        }),
      ),
    at: (presentity, instant) => {
      const at = typeof instant === "number" ? instant : new Date(instant).getTime()
      if (Number.isNaN(at))
        return Promise.reject(new RangeError(`${String(instant)} is no instant: write 2026-11-20T12:00:00Z`))
      return run(Effect.flatMap(core.uri(presentity), (uri) => presentityAt(store, core.packages, uri, at)))
    },
    seen: (watcher, presentity, { since, until, ...wish } = {}) =>
      run(
        core.questions
          .seen(presentity, { ...wish, watcher, since: instantText(since), until: instantText(until) })
          .pipe(Effect.mapError(refusalOf)),
      ),
    why: (presentity, watcher, { at, ...wish } = {}) =>
      run(
        core.questions
          .why(presentity, { ...wish, watcher, at: instantText(at) })
          .pipe(Effect.mapError(refusalOf)),
      ),
    diff: (presentity, before, after) =>
      run(
        core.questions
          .diff(presentity, { from: instantText(before) ?? "", to: instantText(after) ?? "" })
          .pipe(Effect.mapError(refusalOf)),
      ),
    settle: () => run(core.settle),
    close: async () => {
      Deferred.doneUnsafe(closing, Exit.void)
      await Effect.runPromise(Scope.close(scope, Exit.void))
      for (const end of open) end()
    },
  }
}

export const Presence = { make, layer: layerPresence } as const
