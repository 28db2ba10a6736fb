/**
 * A presence service without sockets: publications and watchers by function calls, on the very pump and engine that the
 * server runs. `presence.ts` wraps it in promises, `service.ts` in Effect.
 */
import { randomBytes } from "node:crypto"
import { Cause, Clock, Deferred, Effect, Stream } from "effect"
import type { Packages } from "../../domain/packages/event-package.ts"
import { EventStore, StoreUnavailable } from "../../ports/event-store.ts"
import { soleClaim, LogIsTaken } from "../../ports/claim.ts"
import type { Answer, Command, Rejection, Reply } from "../../domain/presentity/commands.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import { isWithinProgram, programFlow } from "../../domain/presentity/abandon.ts"
import { policyOf } from "../../domain/presentity/watching.ts"
import { publishedDocuments } from "../../domain/presentity/view.ts"
import { get, size } from "../../domain/table.ts"
import { dialogKey } from "../../domain/vocabulary.ts"
import type { Body, DialogStart, Header, Seconds, Uri } from "../../domain/vocabulary.ts"
import type { ExposedRow, FeedItem as PresenceEvent } from "../../ports/operations.ts"
import type { Refused } from "../../adapters/admin/problems.ts"
import { presentityOf } from "../presentity-uri.ts"
import { clockTelling, isMachineClock } from "../clock/clocks.ts"
import { steadied } from "../clock/clock-keeper.ts"
import type { HistoryQueries } from "../../ports/history-queries.ts"
import { makeFeed } from "../node/feed.ts"
import { makeHistoryQueries } from "../operations/history-queries.ts"
import { makeHistoryReader } from "../history/reader.ts"
import { exposedRows, paged } from "../operations/lists.ts"
import { beginPolicies } from "../node/begin-policies.ts"
import { makePump, pumpDefaults } from "../node/pump.ts"
import type { Pump } from "../node/pump.ts"
import {
  eventIn,
  foreverSeconds,
  instantIn,
  isInstant,
  readFeed,
  readHardState,
  readPublish,
  readTerminate,
  readText,
  readWatch,
  secondsIn,
  textIn,
  uriIn,
} from "./arguments.ts"
import { guardedClock, makeReporter } from "./faults.ts"
import { guardedStore } from "./guarded-store.ts"
import { authorizeOf, defaultBodyMax, limitsOf, packagesOf, queueMaxOf, storeWaitOf } from "./options.ts"
import type { EventName, PresenceOptions } from "./options.ts"
import { checkedOptions } from "./options-check.ts"
import {
  CallbackFault,
  FellBehind,
  OptionsInvalid,
  PackageFault,
  PresenceRefused,
  StoreFault,
  refuseArgument,
} from "./refused.ts"
import { makeRulesAsker } from "./rules-source.ts"
import { AppendUnanswered } from "../node/within.ts"
import { makeSkips } from "./skips.ts"
import { quiet, wordsOf } from "./words.ts"

export { PresenceRefused } from "./refused.ts"

export interface PublishRequest<Name extends string = string> {
  readonly presentity: string
  /** `presence` when left out. */
  readonly event?: Name
  /** The document; its media type is the package's first unless given. Left out: a refresh of `entityTag`. */
  readonly body?: string | { readonly contentType: string; readonly text: string }
  /** Headers that the package carries (`Call-Info`), each by name and value. */
  readonly headers?: readonly Header[]
  /** What an earlier publication was answered; left out: a new publication. */
  readonly entityTag?: string
  /** Lifetime in seconds, 0 removes; left out: the package's. */
  readonly expires?: Seconds
  /** The device that made the change, as its watcher named it: it is not told of it. */
  readonly device?: string
}

export interface Published {
  readonly entityTag: string
  readonly expires: Seconds
}

export interface WatchRequest<Name extends string = string> {
  readonly presentity: string
  readonly watcher: string
  /** `presence` when left out; `presence.winfo` for the list of watchers. */
  readonly event?: EventName<Name>
  /** Lifetime in seconds, 0 asks once; left out: until it is closed. */
  readonly expires?: Seconds
  /** Media types the watcher can read, left out: all. */
  readonly accept?: readonly string[]
  /** Names the watcher's device (see `PublishRequest`). */
  readonly device?: string
  /** What the SUBSCRIBE says to its package (`line-seize`: which appearance). */
  readonly argument?: string
}

export interface TerminateRequest<Name extends string = string> {
  readonly presentity: string
  /** `presence` when left out. */
  readonly event?: EventName<Name>
  /** Left out: everybody. */
  readonly watcher?: string
  /** `deactivated`: subscribe again at once; `probation`: later; `noresource`: never. `deactivated` when left out. */
  readonly reason?: "deactivated" | "probation" | "noresource"
}

/** What a NOTIFY would have said. */
export interface Notification {
  readonly presentity: string
  readonly watcher: string
  readonly event: string
  readonly state: "active" | "pending" | "terminated"
  /** Seconds left; null when it has ended. */
  readonly expires: Seconds | null
  /** Why it has ended; null while it lives. */
  readonly reason: Notify["reason"]
  /** Null: there is nothing to show. */
  readonly body: Body | null
  /** Headers of packages that have some; empty for most. */
  readonly headers: readonly Header[]
  /** Counts the notifications of one watcher from 1. */
  readonly sequence: number
  /**
   * Changes, and notifications, that this watcher was not told since the one before, because it had not done with that: this one
   * shows the newest state. 0: none.
   */
  readonly skipped: number
}

/** Where one watcher's notifications go. `taken` is to be called when it has one: only then it is told of a later change. */
export type Sink = (notification: Notification, taken: () => void) => void

export interface Subscription {
  /** Seconds granted. */
  readonly expires: Seconds
  /** Once more for so long; the present state is notified. Gives the seconds granted. */
  readonly refresh: (expires?: Seconds) => Effect.Effect<Seconds, PresenceRefused>
  /** The last state is notified, then nothing more. */
  readonly end: Effect.Effect<void>
}

export interface FeedOptions {
  /** `position` of the last event that was handled; 0: everything there is. */
  readonly after?: number
  readonly types?: readonly PresenceEvent["type"][]
  /** A shell wildcard over whole URIs. */
  readonly presentity?: string
}

export interface Core {
  readonly packages: Packages
  readonly publish: (request: PublishRequest) => Effect.Effect<Published, PresenceRefused>
  readonly watch: (request: WatchRequest, sink: Sink) => Effect.Effect<Subscription, PresenceRefused>
  /** Puts an authorization document in force; null: there is none. */
  readonly replaceRules: (
    presentity: string,
    event: string,
    text: string | null,
  ) => Effect.Effect<void, PresenceRefused>
  /** Asks the source of rules again. */
  readonly refreshRules: (presentity: string, event: string) => Effect.Effect<void, PresenceRefused>
  /** Ends subscriptions: all of them, or those of one watcher; each is told the reason (RFC 3265 §3.2.4). */
  readonly terminate: (request: TerminateRequest) => Effect.Effect<void, PresenceRefused>
  /** What is shown while nobody publishes (RFC 4827); null: nothing. */
  readonly setHardState: (
    presentity: string,
    event: string,
    body: string | Body | null,
  ) => Effect.Effect<void, PresenceRefused>
  /** @throws PresenceRefused 503 while somebody else may have the log */
  readonly isPublished: (presentity: string, event: string) => boolean
  /**
   * The sphere all published persons agree on, for rules (RFC 5025 §3.1.2); null: none, or they differ.
   *
   * @throws PresenceRefused 503 while somebody else may have the log
   */
  readonly sphere: (presentity: string) => string | null
  /** E_PRESENCE_PUBLISH and E_PRESENCE_EXPOSED, from any place in the log on. */
  readonly feed: (options?: FeedOptions) => Stream.Stream<PresenceEvent, PresenceRefused | FellBehind>
  /** Live publications of a package, each also told as E_PRESENCE_EXPOSED. */
  readonly expose: (
    event: string,
    matches: (presentity: string) => boolean,
  ) => Effect.Effect<readonly ExposedRow[], PresenceRefused>
  /** Told of every committed decision and of every notification, from now on; gives what ends that. */
  readonly observe: (observer: Observer) => () => void
  /** Everything due by now is decided, committed and handed over. */
  readonly settle: Effect.Effect<void>
  /** What was, asked as over the management port; instants are milliseconds since 1970. */
  readonly questions: HistoryQueries
  readonly uri: (text: string, argument?: string) => Effect.Effect<Uri, PresenceRefused>
}

/** A Date, milliseconds, or anything `Date` can read. */
export type Instant = Date | number | string

/** Which change is explained; `presence` and the last one until now when left out. */
export interface WhyOptions {
  readonly event?: string
  readonly at?: Instant
  readonly position?: number
}

export interface SeenOptions {
  readonly event?: string
  readonly since?: Instant
  readonly until?: Instant
  /** The newest so many; 50 when left out. */
  readonly limit?: number
  /** Only before this version: `next` of the page that comes after. */
  readonly before?: number
}

/** An instant as the questions take it. */
export const instantText = (argument: string, instant: Instant | undefined): string | undefined =>
  instant === undefined ? undefined : String(Math.trunc(instantIn(argument, instant)))

export const refusalOf = ({ status, why }: Refused): PresenceRefused =>
  new PresenceRefused({ status, rejection: { _tag: "BadRequest", status: 400, why } })

export interface Observer {
  readonly decided?: (decision: Decision) => void
  readonly notified?: (notification: Notification) => void
}

const flow = programFlow

const everything = { after: "", limit: Number.POSITIVE_INFINITY }

/** Lives as long as the scope; what the store has is read first. */
export const makeCore = Effect.fnUntraced(function* (given: PresenceOptions) {
  const options = yield* Effect.try({
    try: () => checkedOptions(given),
    catch: optionsInvalid,
  })
  const report = makeReporter(options.onFault ?? null, yield* Effect.context<never>())
  const circumstances = yield* Effect.try({
    try: () => ({
      packages: packagesOf(options),
      limits: limitsOf(options),
      authorize: authorizeOf(options),
    }),
    catch: optionsInvalid,
  })
  const { packages } = circumstances
  const clock = yield* Clock.Clock
  const skips = makeSkips(packages)
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const sinks = new Map<string, Sink>()
  const observers = new Set<Observer>()
  const { rules } = options
  const now =
    options.now === undefined
      ? undefined
      : guardedClock(options.now, () => clock.currentTimeMillisUnsafe(), isInstant, report)
  const told = now !== undefined ? clockTelling(now, clock) : isMachineClock(clock) ? steadied(clock) : clock
  const bodyMax = options.bodyMax ?? defaultBodyMax
  const store = guardedStore(yield* EventStore, storeWaitOf(options) * 1000)
  const claim = store.claim ?? soleClaim
  /** What a presentity answers 500 for. */
  const defects = new Map<Uri, unknown>()
  /** Why what the store holds of a presentity cannot be read. */
  const unread = new Map<Uri, unknown>()
  /** Why the store is away. */
  let away: StoreFault | undefined
  /** Tells it, and that somebody else took the log only once, whoever noticed that: there is no way back. */
  const tellAway = (fault: StoreFault): void => {
    const isKnown = away?.cause instanceof LogIsTaken
    if (isKnown) return
    away = fault
    report({ _tag: "StoreAway", why: fault.message, cause: fault })
  }
  /** Why the log is somebody else's for good; null: it is not, as far as is known. */
  const lost = (): StoreFault | null => {
    const taken = claim.taken()
    if (taken === null) return null
    tellAway(new StoreFault({ operation: "claim", why: taken.message, cause: taken }))
    return away ?? null
  }
  const unreadable = yield* Deferred.make<never, StoreFault>()

  const deliver = (notifications: readonly Notify[]): void => {
    for (const one of notifications) {
      const notification = notificationOf(one, skips.delivered(one))
      for (const observer of observers) observer.notified?.(notification)
      const sink = sinks.get(one.dialog.callId)
      // a watcher of an earlier process: nobody is there any more
      if (sink !== undefined) {
        if (one.state === "terminated") sinks.delete(one.dialog.callId)
        sink(notification, () => {
          skips.taken(one)
          pump.handler.delivered(one.presentity, one.no, one.cseq, { _tag: "Accepted", remoteTarget: null })
        })
      } else if (isWithinProgram(one.dialog) && one.state !== "terminated") {
        // its request was given up and is stored all the same: nobody is there. Of one that is somewhere else nobody here knows
        run(pump.amend(one.presentity, { _tag: "Abandon", only: [one.no] }, ""))
      }
    }
  }

  const pump: Pump = yield* makePump(
    {
      ...circumstances,
      ...pumpDefaults,
      onDefect: (presentity, command, cause) => {
        if (defects.size < defectsMax) defects.set(presentity, cause)
        report({ _tag: "DecisionFailed", presentity, command, why: wordsOf(cause), cause })
      },
      isWithinProgram: true,
      isUnread: (presentity, packageName) => asker?.isUnread(presentity, packageName) === true,
    },
    {
      notify: deliver,
      stored: (stored) => {
        skips.stored(stored)
        for (const { decision } of stored) for (const observer of observers) observer.decided?.(decision)
      },
      passed: () => feed.wake(),
      unreadable: (presentity, cause) => {
        if (cause === null) {
          unread.delete(presentity)
          return report({ _tag: "PresentityReadable", presentity })
        }
        const fault = faultIn(cause)
        unread.set(presentity, fault)
        report({ _tag: "PresentityUnreadable", presentity, why: fault.message, cause: fault })
      },
      outage: (state, cause) => {
        if (state === "up") {
          away = undefined
          return report({ _tag: "StoreBack" })
        }
        const fault = faultIn(cause)
        // a start that cannot read says so by failing, and tells nobody else
        if (pump.status() === "starting") Deferred.doneUnsafe(unreadable, Effect.fail(fault))
        else if (lost() === null) tellAway(fault)
      },
    },
  ).pipe(Effect.provideService(EventStore, store), Effect.provideService(Clock.Clock, told))
  /** Why nothing is said from memory; null: nobody else can have written. */
  const doubt = (): PresenceRefused | null => {
    if (claim.isSure()) return null
    const cause = lost()
    const why = cause === null ? "somebody else may have the log by now" : "somebody else has the log"
    const { retryAfter } = pumpDefaults
    const rejection = { _tag: "ServiceUnavailable", status: 503, why, retryAfter } as const
    return new PresenceRefused({ status: 503, rejection, ...(cause === null ? {} : { cause }) })
  }
  const requireSure = (): void => {
    const why = doubt()
    if (why !== null) throw why
  }
  const feed = makeFeed(store, () => pump.committed().position, queueMaxOf(options))
  const instant = (): number => told.currentTimeMillisUnsafe()
  const questions = makeHistoryQueries(
    makeHistoryReader(store, circumstances, instant),
    circumstances,
    instant,
    pump.engine.delivery,
  )
  const asker =
    rules === undefined
      ? null
      : makeRulesAsker({
          rules,
          asksRules: (of, name) => {
            const eventPackage = packages.find(name)
            return (
              eventPackage !== null && policyOf(eventPackage, of, circumstances.limits.watching) === "rules"
            )
          },
          waitMillis: (options.rulesWait ?? 10) * 1000,
          onFault: options.onRulesFault ?? null,
          failed: (cause) =>
            report({ _tag: "CallbackFailed", callback: "onRulesFault", why: wordsOf(cause), cause }),
          states: () => [...pump.engine.presentities()].flatMap((of) => pump.engine.state(of) ?? []),
          state: pump.engine.state,
          amend: (of, command) => pump.amend(of, command, flow),
        })
  yield* Effect.raceFirst(pump.recover, Deferred.await(unreadable))
  // before anything that fell due meanwhile is decided, or anybody asks
  if (asker !== null) yield* asker.begin
  yield* beginPolicies(pump)
  yield* pump.start
  yield* Effect.addFinalizer(() => Effect.andThen(pump.drain, pump.record))

  const uri = (text: string, argument = "presentity"): Effect.Effect<Uri, PresenceRefused> =>
    checked(() => uriIn(argument, text))

  const ask = (
    presentity: Uri | null,
    command: Command,
    about = presentity,
  ): Effect.Effect<Answer & { _tag: "Accepted" }, PresenceRefused> =>
    Effect.callback<Answer & { _tag: "Accepted" }, PresenceRefused>((resume) => {
      const answer = (given: Answer): void =>
        resume(
          given._tag === "Accepted"
            ? Effect.succeed(given)
            : Effect.fail(
                refused(
                  given.rejection,
                  about === null ? undefined : defects.get(about),
                  lost() ?? away ?? (about === null ? undefined : unread.get(about)),
                ),
              ),
        )
      pump.handler.submit({ presentity, command, origin: flow, answer })
    })

  const replaceRules: Core["replaceRules"] = (presentity, event, document) =>
    Effect.gen(function* () {
      const of = yield* uri(presentity, "setRules: presentity")
      const packageName = yield* checked(() => eventIn("setRules", event))
      const text = yield* checked(() => readText("setRules: text", document, bodyMax))
      const present = (pump.engine.state(of) ?? null)?.rules
      const body = present === undefined ? undefined : get(present, packageName)?.body.text
      if ((body ?? null) === text && claim.isSure()) return
      const rules = text === null ? null : { contentType: "application/auth-policy+xml", text }
      yield* ask(of, { _tag: "ReplaceRules", packageName, rules })
    })

  /** @returns why the answer is not in force; null: it is, or nobody is to be asked */
  const askRules = (presentity: Uri, event: string): Effect.Effect<string | null> =>
    asker === null ? Effect.succeed(null) : asker.ask(presentity, event)

  const refreshRules: Core["refreshRules"] = (presentity, event) =>
    Effect.gen(function* () {
      const of = yield* uri(presentity, "refreshRules: presentity")
      const why = yield* askRules(of, yield* checked(() => eventIn("refreshRules", event)))
      if (why === null) return
      const { retryAfter } = pumpDefaults
      const rejection = { _tag: "ServiceUnavailable", status: 503, why: `rules: ${why}`, retryAfter } as const
      return yield* new PresenceRefused({ status: 503, rejection })
    })

  const core: Core = {
    packages,
    questions,
    feed: (wish) =>
      Stream.unwrap(
        Effect.map(
          checked(() => readFeed(wish)),
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
                      Stream.fail(new FellBehind({ queue: "feed", max: queueMaxOf(options) })),
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
        const { items } = paged(pump.engine, everything, (state) =>
          isMatched(matches, state.presentity) ? exposedRows(state, event) : [],
        )
        feed.expose(items)
        return Effect.succeed(items)
      }).pipe(asRefusal),
    uri,
    replaceRules,
    refreshRules,
    publish: (request) =>
      reading(() => {
        const given = readPublish(request, bodyMax)
        const { presentity, event = "presence", body, headers, entityTag, expires, device } = given
        const of = presentity as Uri
        const [contentType = ""] = packages.find(event)?.accepts ?? []
        const command: Command = {
          _tag: "Publish",
          packageName: event,
          ifMatch: entityTag === undefined ? [] : [entityTag],
          expires: expires ?? null,
          body: body === undefined ? null : typeof body === "string" ? { contentType, text: body } : body,
          bodyFault: null,
          sender: device ?? null,
          ...(headers === undefined ? {} : { headers }),
        }
        return Effect.map(ask(of, command), ({ reply }): Published =>
          reply._tag === "Published"
            ? { entityTag: reply.entityTag, expires: reply.expires }
            : { entityTag: "", expires: 0 },
        )
      }),
    watch: (request, sink) =>
      Effect.gen(function* () {
        const given = yield* checked(() => readWatch(request))
        const { presentity, watcher, event = "presence", expires, accept, device, argument } = given
        const of = presentity as Uri
        const by = watcher as Uri
        // where it fails the watcher waits
        const watched = event.replace(/(\.winfo)+$/, "")
        yield* askRules(of, watched)
        if (watched !== event) yield* askRules(of, event)
        const callId = randomBytes(12).toString("base64url")
        const asked = {
          packageName: event,
          eventId: null,
          watcher: by,
          accept: accept ?? null,
          ...(argument === undefined ? {} : { argument }),
          forceActive: false,
          bodyFault: null,
        }
        const dialog: DialogStart = {
          callId,
          localTag: "l",
          remoteTag: "r",
          localUri: `<${of}>`,
          remoteUri: `<${by}>`,
          remoteTarget: device ?? `${by};gr=${callId}`,
          routeSet: [],
          remoteCseq: 1,
          localContact: "",
          flow,
          source: flow,
        }
        sinks.set(callId, sink)
        const { reply } = yield* Effect.onError(
          ask(of, { _tag: "Subscribe", ...asked, expires: expires ?? foreverSeconds, dialog }),
          () => Effect.sync(() => sinks.delete(callId)),
        )
        let cseq = 1
        const again = (seconds: Seconds): Effect.Effect<Seconds, PresenceRefused> =>
          Effect.suspend(() =>
            Effect.map(
              ask(
                null,
                {
                  _tag: "Resubscribe",
                  ...asked,
                  dialog: dialogKey(callId, dialog.localTag, dialog.remoteTag),
                  expires: seconds,
                  cseq: ++cseq,
                  remoteTarget: null,
                },
                of,
              ),
              ({ reply }) => grantedIn(reply),
            ),
          )
        const subscription: Subscription = {
          expires: grantedIn(reply),
          refresh: (wish) =>
            Effect.flatMap(
              checked(() => secondsIn("refresh: expires", wish)),
              (seconds = expires ?? foreverSeconds) => again(seconds),
            ),
          // 481: it has ended already
          end: Effect.asVoid(again(0)).pipe(Effect.catch(() => Effect.void)),
        }
        return subscription
      }),
    terminate: (request) =>
      Effect.gen(function* () {
        const given = yield* checked(() => readTerminate(request))
        const { presentity, event = "presence", watcher, reason = "deactivated" } = given
        const by = watcher === undefined ? null : (watcher as Uri)
        yield* ask(presentity as Uri, { _tag: "Terminate", packageName: event, watcher: by, reason })
      }),
    sphere: (text) => {
      const presentity = textIn("sphere: presentity", text, textMax, "a URI")
      requireSure()
      const of = presentityOf(presentity)
      const state = of === null ? undefined : pump.engine.state(of)
      const eventPackage = packages.find("presence")
      if (state === undefined || eventPackage?.rules === undefined) return null
      return eventPackage.rules.sphere(publishedDocuments(state, eventPackage), instant())
    },
    setHardState: (presentity, event, document) =>
      Effect.gen(function* () {
        const of = yield* uri(presentity, "setHardState: presentity")
        const packageName = yield* checked(() => eventIn("setHardState", event))
        const body = yield* checked(() => readHardState(document, bodyMax))
        const [contentType = ""] = packages.find(packageName)?.accepts ?? []
        const shown = typeof body === "string" ? { contentType, text: body } : body
        yield* ask(of, { _tag: "SetHardState", packageName, body: shown })
      }),
    isPublished: (text, name) => {
      const presentity = textIn("isPublished: presentity", text, textMax, "a URI")
      const event = eventIn("isPublished", name)
      requireSure()
      const of = presentityOf(presentity)
      const state = of === null ? undefined : pump.engine.state(of)
      const publications = state === undefined ? undefined : get(state.publications, event)
      return publications !== undefined && size(publications) > 0
    },
    observe: (observer) => {
      observers.add(observer)
      return () => void observers.delete(observer)
    },
    settle: pump.settle,
  }
  return { core, store, queueMax: queueMaxOf(options) }
})

/** Presentities whose defects are kept, to say them to whoever asks again. */
const defectsMax = 10_000

/** Longest text of a question that refuses nothing. */
const textMax = 4_096

const optionsInvalid = (cause: unknown): OptionsInvalid => {
  if (cause instanceof OptionsInvalid) return cause
  return new OptionsInvalid({ faults: cause instanceof Error ? cause.message.split("\n") : [wordsOf(cause)] })
}

/** Runs what checks arguments. */
const checked = <A>(read: () => A): Effect.Effect<A, PresenceRefused> => reading(() => Effect.succeed(read()))

/** What throws a refusal is refused. */
const reading = <A>(ask: () => Effect.Effect<A, PresenceRefused>): Effect.Effect<A, PresenceRefused> =>
  Effect.suspend(() => {
    try {
      return ask()
    } catch (thrown) {
      if (thrown instanceof PresenceRefused) return Effect.fail(thrown)
      throw thrown
    }
  })

/** What is thrown in there as a refusal is one, and so is what a package or a function of the program does wrong. */
export const asRefusal = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
): Effect.Effect<A, E | PresenceRefused, R> =>
  Effect.catchDefect(effect, (defect) => {
    if (defect instanceof PresenceRefused) return Effect.fail(defect)
    if (!(defect instanceof PackageFault || defect instanceof CallbackFault)) return Effect.die(defect)
    const rejection = { _tag: "ServerInternalError", status: 500 } as const
    return Effect.fail(new PresenceRefused({ status: 500, rejection, cause: defect }))
  })

const refused = (rejection: Rejection, defect: unknown, away: unknown): PresenceRefused => {
  const { status } = rejection
  const cause =
    rejection._tag === "ServerInternalError"
      ? defect
      : rejection._tag === "ServiceUnavailable"
        ? away
        : undefined
  return new PresenceRefused({ status, rejection, ...(cause === undefined ? {} : { cause }) })
}

/** Of whatever the pump tells: the fault of the store itself. */
const faultIn = (cause: unknown): StoreFault => {
  const error = Cause.isCause(cause) ? Cause.squash(cause) : cause
  const inner = error instanceof StoreUnavailable ? error.cause : error
  return inner instanceof StoreFault
    ? inner
    : new StoreFault({
        operation: inner instanceof AppendUnanswered ? "append" : "load",
        why: wordsOf(inner),
        cause: inner,
      })
}

const grantedIn = (reply: Reply): Seconds => (reply._tag === "Subscribed" ? reply.expires : 0)

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

const notificationOf = (one: Notify, skipped: number): Notification => ({
  presentity: one.presentity,
  watcher: one.dialog.remoteUri.slice(1, -1),
  event: one.packageName,
  state: one.state,
  expires: one.expires,
  reason: one.reason,
  body: one.body,
  headers: one.headers ?? [],
  sequence: one.cseq,
  skipped,
})
