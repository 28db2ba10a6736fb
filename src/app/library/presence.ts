/**
 * Presence inside a program of one's own: promises and async iterables, no socket, no database unless one is given.
 */
import { Deferred, Effect, Exit, Scope, Stream } from "effect"
import type { Layer } from "effect"
import type { ExposedRow, FeedItem as PresenceEvent } from "../../ports/operations.ts"
import type { EventStore } from "../../ports/event-store.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import type { Body, PackageName, Seconds } from "../../domain/vocabulary.ts"
import type { Differences, SentPage, Why } from "../../ports/history-queries.ts"
import { readFeed, readWatch } from "./arguments.ts"
import { PresenceRefused, asRefusal, makeCore } from "./core.ts"
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
import type { PresentityAt } from "./history.ts"
import { makeMailbox } from "./mailbox.ts"
import { makeNewest } from "./newest.ts"
import { storeWaitOf } from "./options.ts"
import type { BundledName, PresenceOptions } from "./options.ts"
import { checkedOptions } from "./options-check.ts"
import { FellBehind } from "./refused.ts"
import { layerPresence } from "./service.ts"
import { makeQuestions } from "./questions.ts"
import { memoryStore, openedStore } from "./stores.ts"

/** One watcher's view of one presentity; iterating it gives every notification until the subscription has ended. */
export interface Watch extends AsyncIterable<Notification> {
  /** Seconds granted when it began, which may be less than was asked; 4294967295: until it is closed. */
  readonly expires: Seconds
  /** Asks again for the present state, and for a longer life. Gives the seconds granted. */
  readonly refresh: (expires?: Seconds) => Promise<Seconds>
  /** Ends the subscription; the iteration gives the last notification and ends. */
  readonly close: () => Promise<void>
  /** The same, for `await using`. */
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/**
 * @throws PresenceRefused from every promise, with the status a SIP server would have answered; 400, naming call and argument, where
 *   an argument cannot be meant
 */
export interface Presence<Name extends PackageName = BundledName> {
  /** Publishes, refreshes, modifies or removes, by what is given (RFC 3903 §4). */
  readonly publish: (request: PublishRequest<Name>) => Promise<Published>
  /**
   * Subscribes. A watcher has done with a notification when it asks for the next one; what changes until then it is told once, as
   * the newest state, and `skipped` of that counts what was left out.
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
  /** Decides what is under way and stops; watches and all other iterations end. */
  readonly close: () => Promise<void>
  /** The same, for `await using`. */
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

export interface MakeOptions<Name extends PackageName = PackageName> extends PresenceOptions<Name> {
  /** Where decisions are kept; left out: in memory. See `stores.ts`. */
  readonly store?: Layer.Layer<EventStore, Error>
}

/**
 * Starts a presence service.
 *
 * @throws OptionsInvalid naming every option that cannot be meant
 * @throws StoreFault when the store cannot be opened or read, with its error as `cause`
 */
const make = async <Name extends PackageName = BundledName>(
  options: MakeOptions<Name> = {},
): Promise<Presence<Name>> => {
  const { store: layer = memoryStore(), ...given } = checkedOptions(options)
  const scope = Effect.runSync(Scope.make())
  const { core, store, queueMax } = await Effect.runPromise(
    Effect.gen(function* () {
      const services = yield* openedStore(layer, storeWaitOf(given as PresenceOptions))
      return yield* makeCore(given as PresenceOptions).pipe(Effect.provideContext(services))
    }).pipe(
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
    ),
  )
  const questions = makeQuestions(core, store)
  /** What is asked is looked at in there, so that a promise is rejected whatever is wrong with it. */
  const run = <A>(ask: () => Effect.Effect<A, Error>): Promise<A> => Effect.runPromise(Effect.suspend(ask))
  /** The same for what asks packages on the way. */
  const look = <A>(ask: () => Effect.Effect<A, Error>): Promise<A> =>
    Effect.runPromise(asRefusal(Effect.suspend(ask)))
  const open = new Set<() => void>()
  const closing = Deferred.makeUnsafe<void>()
  let isClosed = false

  const live = <T>(
    queue: "notifications" | "decisions",
    from: (put: (item: T) => void) => () => void,
  ): AsyncIterable<T> => ({
    [Symbol.asyncIterator]: () => {
      const mailbox = makeMailbox<T>(queueMax, () => new FellBehind({ queue, max: queueMax }))
      const stop = from(mailbox.put)
      const leave = (): void => {
        stop()
        open.delete(end)
      }
      const end = (): void => {
        leave()
        mailbox.end()
      }
      const iterator = mailbox.iterate(leave)
      if (isClosed) end()
      else open.add(end)
      return iterator
    },
  })

  const watch = async (request: WatchRequest): Promise<Watch> => {
    const newest = makeNewest(() => void open.delete(newest.end))
    open.add(newest.end)
    try {
      const subscription = await run(() => core.watch(request, newest.sink))
      const close = (): Promise<void> => run(() => subscription.end)
      // it was closed meanwhile
      if (isClosed) newest.end()
      return {
        expires: subscription.expires,
        refresh: (expires) => run(() => subscription.refresh(expires)),
        close,
        [Symbol.asyncDispose]: close,
        // `break` in a loop: nobody watches any more
        [Symbol.asyncIterator]: () => newest.iterate(() => void close()),
      }
    } catch (refusal) {
      newest.end()
      throw refusal
    }
  }

  const close = async (): Promise<void> => {
    isClosed = true
    Deferred.doneUnsafe(closing, Exit.void)
    await Effect.runPromise(Scope.close(scope, Exit.void))
    for (const end of open) end()
  }

  return {
    publish: (request) => run(() => core.publish(request)),
    watch,
    fetch: async (request) => {
      for await (const notification of await watch({ ...readWatch(request, "fetch"), expires: 0 }))
        return notification
      throw new PresenceRefused({
        status: 503,
        rejection: { _tag: "ServiceUnavailable", status: 503, why: "stopping", retryAfter: 0 },
      })
    },
    setRules: (presentity, text, event) =>
      run(() => core.replaceRules(presentity, event ?? "presence", text)),
    refreshRules: (presentity, event) => run(() => core.refreshRules(presentity, event ?? "presence")),
    setHardState: (presentity, body, event) =>
      run(() => core.setHardState(presentity, event ?? "presence", body)),
    terminate: (request) => run(() => core.terminate(request)),
    sphere: core.sphere,
    events: core.packages.names(),
    isPublished: (presentity, event) => core.isPublished(presentity, event ?? "presence"),
    notifications: live("notifications", (notified) => core.observe({ notified })),
    decisions: live("decisions", (decided) => core.observe({ decided })),
    feed: (options) => {
      // at once, not when somebody iterates
      const wish = readFeed(options)
      return Stream.toAsyncIterable(core.feed(wish).pipe(Stream.interruptWhen(Deferred.await(closing))))
    },
    expose: (event, matches = () => true) => look(() => core.expose(event, matches)),
    history: (presentity) => look(() => questions.history(presentity)),
    at: (presentity, instant) => look(() => questions.at(presentity, instant)),
    seen: (watcher, presentity, options) => look(() => questions.seen(watcher, presentity, options)),
    why: (presentity, watcher, options) => look(() => questions.why(presentity, watcher, options)),
    diff: (presentity, before, after) => look(() => questions.diff(presentity, before, after)),
    settle: () => run(() => core.settle),
    close,
    [Symbol.asyncDispose]: close,
  }
}

export const Presence = { make, layer: layerPresence } as const
