/**
 * Presence inside a program: promises and async iterables; no socket, and no database unless one is given.
 */
import { Effect, Exit, Scope, Stream } from "effect"
import type { Layer } from "effect"
import type { PresentityAt } from "../../domain/history/at.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import type { Body, PackageName, Seconds } from "../../domain/vocabulary.ts"
import type { EventStore } from "../../ports/event-store.ts"
import type { Differences, SentPage, Why } from "../../ports/history-queries.ts"
import type { ExposedRow, FeedItem as PresenceEvent } from "../../ports/operations.ts"
import type { Published } from "../operations/presentity-commands.ts"
import { readFeed, readWatch } from "./arguments.ts"
import { asRefusal } from "./checks.ts"
import { makeCore } from "./core.ts"
import type { Core } from "./core.ts"
import { makeIterations } from "./iterations.ts"
import type { Iterations } from "./iterations.ts"
import { makeNewest } from "./newest.ts"
import { checkedOptions } from "./options-check.ts"
import { storeWaitOf } from "./options.ts"
import type { BundledName, PresenceOptions } from "./options.ts"
import { PresenceRefused } from "./refused.ts"
import type {
  FeedOptions,
  Instant,
  Notification,
  PublishRequest,
  SeenOptions,
  TerminateRequest,
  WatchRequest,
  WhyOptions,
} from "./requests.ts"
import { layerPresence } from "./service.ts"
import { memoryStore, openedStore } from "./stores.ts"

/** One watcher's view of one presentity: iterating it gives every notification until the subscription has ended. */
export interface Watch extends AsyncIterable<Notification> {
  /** Seconds granted at the beginning, possibly less than asked for; 4294967295: until it is closed. */
  readonly expires: Seconds
  /** Refreshes: asks for the present state and a new lifetime. Resolves to the seconds granted. */
  readonly refresh: (expires?: Seconds) => Promise<Seconds>
  /** Ends the subscription; the iteration delivers the final notification and ends. */
  readonly close: () => Promise<void>
  /** The same, for `await using`. */
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/**
 * Presence as a program uses it: publications, watchers, queries about the past.
 *
 * @throws PresenceRefused from every promise, with the status that a SIP server would have answered; 400, naming call and
 *   argument, for an invalid argument
 */
export interface Presence<Name extends PackageName = BundledName> {
  /** Publishes, refreshes, modifies or removes, depending on the fields given (RFC 3903 §4). */
  readonly publish: (request: PublishRequest<Name>) => Promise<Published>
  /**
   * Subscribes. A watcher has taken a notification when it asks for the next one; changes in between are delivered as one, with
   * the newest state, and its `skipped` says how many were left out.
   */
  readonly watch: (request: WatchRequest<Name>) => Promise<Watch>
  /** The present state, once, as a fetch returns it (RFC 3265 §3.3.6). */
  readonly fetch: (request: Omit<WatchRequest<Name>, "expires">) => Promise<Notification>
  /**
   * Puts an authorization document in force, or none; applies at once to existing watchers. With `options.rules` it holds until
   * that is asked next, whose answer replaces it.
   */
  readonly setRules: (presentity: string, text: string | null, event?: Name) => Promise<void>
  /** Asks the source of rules again (`options.rules`). */
  readonly refreshRules: (presentity: string, event?: Name) => Promise<void>
  /** Sets the document shown while nobody publishes (RFC 4827); null: none. */
  readonly setHardState: (presentity: string, body: string | Body | null, event?: Name) => Promise<void>
  /** Ends subscriptions, all of them or those of one watcher; each watcher is notified with the reason (RFC 3265 §3.2.4). */
  readonly terminate: (request: TerminateRequest<Name>) => Promise<void>
  /** The sphere on which all published persons agree, for rules (RFC 5025 §3.1.2); null: there is none, or they differ. */
  readonly sphere: (presentity: string) => string | null
  /** Names of all event packages, watcher information included. */
  readonly events: readonly PackageName[]
  /** Whether anything is published now. */
  readonly isPublished: (presentity: string, event?: Name) => boolean
  /** Every notification to any watcher, from the start of the iteration on. */
  readonly notifications: AsyncIterable<Notification>
  /** Every decision about any presentity as it is stored, from the start of the iteration on. */
  readonly decisions: AsyncIterable<Decision>
  /**
   * What the OpenSIPS module raises as E_PRESENCE_PUBLISH and E_PRESENCE_EXPOSED, in order: from the start of the iteration, or
   * with `after` from that place in the log on.
   */
  readonly feed: (options?: FeedOptions) => AsyncIterable<PresenceEvent>
  /** Live publications of a package, each also sent to every `feed` (`pres_expose`). */
  readonly expose: (event: Name, matches?: (presentity: string) => boolean) => Promise<readonly ExposedRow[]>
  /** All decisions about a presentity so far, oldest first. */
  readonly history: (presentity: string) => Promise<readonly Decision[]>
  /** A presentity at an instant: a Date, milliseconds, or anything `Date` can parse. */
  readonly at: (presentity: string, instant: Instant) => Promise<PresentityAt>
  /** The NOTIFYs sent to a watcher, each with its document and outcome, oldest first. */
  readonly seen: (watcher: string, presentity: string, options?: SeenOptions) => Promise<SentPage>
  /** Why a watcher was notified of the last change up to an instant, or was not: a sentence, facts, and what to try. */
  readonly why: (presentity: string, watcher: string, options?: WhyOptions) => Promise<Why>
  /** The differences between two instants. */
  readonly diff: (presentity: string, before: Instant, after: Instant) => Promise<Differences>
  /** Resolves when everything requested and due so far has happened; for tests, and after your own clock jumped. */
  readonly settle: () => Promise<void>
  /** Decides what is under way and stops; watches and all other iterations end. */
  readonly close: () => Promise<void>
  /** The same, for `await using`. */
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/** Options of `Presence.make`. */
export interface MakeOptions<Name extends PackageName = PackageName> extends PresenceOptions<Name> {
  /**
   * Where decisions are kept: `memoryStore()`, `embeddedStore(folder)`, `postgresStore(url)`, `storeOf(store)`, or any layer of
   * an `EventStore`. Left out: in memory.
   */
  readonly store?: Layer.Layer<EventStore, Error>
}

/**
 * Starts a presence service.
 *
 * @throws OptionsInvalid naming every option that cannot be meant
 * @throws StoreFault when the store cannot be opened or read, with its error as `cause`
 *
 * @example
 * ```ts
 * await using presence = await Presence.make()
 * const watch = await presence.watch({ presentity: "sip:alice@example.com", watcher: "sip:bob@example.com" })
 * await presence.publish({ presentity: "sip:alice@example.com", body: pidf, expires: 3600 })
 * for await (const { state, body } of watch) console.log(state, body?.text)
 * ```
 */
const make = async <Name extends PackageName = BundledName>(
  options: MakeOptions<Name> = {},
): Promise<Presence<Name>> => {
  const { store: layer = memoryStore(), ...given } = checkedOptions(options)
  const scope = Effect.runSync(Scope.make())
  const core = await Effect.runPromise(
    Effect.gen(function* () {
      const services = yield* openedStore(layer, storeWaitOf(given as PresenceOptions))
      return yield* makeCore(given as PresenceOptions).pipe(Effect.provideContext(services))
    }).pipe(
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
    ),
  )
  return promisesOf<Name>(core, makeIterations(core.queueMax), () => Scope.close(scope, Exit.void))
}

/** @param stop decides what is under way, and closes the store */
const promisesOf = <Name extends PackageName>(
  core: Core,
  iterations: Iterations,
  stop: () => Effect.Effect<void>,
): Presence<Name> => {
  const { questions } = core
  const watch = (request: WatchRequest): Promise<Watch> => watchOn(core, iterations, request)
  const close = async (): Promise<void> => {
    iterations.close()
    await Effect.runPromise(stop())
    iterations.end()
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
    notifications: iterations.live("notifications", (notified) => core.observe({ notified })),
    decisions: iterations.live("decisions", (decided) => core.observe({ decided })),
    feed: (options) => {
      // read at once, not when the iteration starts
      const wish = readFeed(options)
      return Stream.toAsyncIterable(core.feed(wish).pipe(Stream.interruptWhen(iterations.closing)))
    },
    expose: (event, matches = () => true) => look(() => core.expose(event, matches)),
    history: (presentity) => look(() => Stream.runCollect(questions.history(presentity))),
    at: (presentity, instant) => look(() => questions.at(presentity, instant)),
    seen: (watcher, presentity, options) => look(() => questions.seen(watcher, presentity, options)),
    why: (presentity, watcher, options) => look(() => questions.why(presentity, watcher, options)),
    diff: (presentity, before, after) => look(() => questions.diff(presentity, before, after)),
    settle: () => run(() => core.settle),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Reads arguments inside the effect, so that errors in them reject the promise. */
const run = <A>(ask: () => Effect.Effect<A, Error>): Promise<A> => Effect.runPromise(Effect.suspend(ask))

/** The same for what calls packages on its way. */
const look = <A>(ask: () => Effect.Effect<A, Error>): Promise<A> =>
  Effect.runPromise(asRefusal(Effect.suspend(ask)))

const watchOn = async (core: Core, iterations: Iterations, request: WatchRequest): Promise<Watch> => {
  const newest = makeNewest(() => iterations.left(newest.end))
  iterations.began(newest.end)
  try {
    const subscription = await run(() => core.watch(request, newest.sink))
    const close = (): Promise<void> => run(() => subscription.end)
    // it was closed meanwhile
    if (iterations.isClosed()) newest.end()
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

/** Presence inside a program: `make` for promises, `layer` for Effect. */
export const Presence = { make, layer: layerPresence } as const
