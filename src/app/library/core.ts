/**
 * A presence service without sockets: publications and watchers by function calls, on the very pump and engine that the
 * server runs. `presence.ts` wraps it in promises, `service.ts` in Effect.
 */
import { randomBytes } from "node:crypto"
import { Clock, Data, Effect } from "effect"
import type { Packages } from "../../domain/packages/event-package.ts"
import { EventStore } from "../../domain/ports.ts"
import type { Answer, Command, Rejection } from "../../domain/presentity/commands.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import { isWithinProgram, programFlow } from "../../domain/presentity/abandon.ts"
import { policyOf } from "../../domain/presentity/watching.ts"
import { publishedDocuments } from "../../domain/presentity/view.ts"
import { get, size } from "../../domain/table.ts"
import { dialogKey } from "../../domain/vocabulary.ts"
import type { Body, DialogStart, Header, Seconds, Uri } from "../../domain/vocabulary.ts"
import type { ExposedRow, FeedItem as PresenceEvent } from "../../adapters/admin/desk.ts"
import type { Refused } from "../../adapters/admin/problems.ts"
import { presentityOf } from "../addresses.ts"
import { clockTelling } from "../clocks.ts"
import type { HistoryDesk } from "../../adapters/admin/history-desk.ts"
import { makeFeed } from "../feed.ts"
import type { Feed } from "../feed.ts"
import { makeHistoryDesk } from "../history/answers.ts"
import { makeHistoryReader } from "../history/reader.ts"
import { exposedRows, paged } from "../management/lists.ts"
import { beginPolicies } from "../watch-policies.ts"
import { makePump, pumpDefaults } from "../pump.ts"
import type { Pump } from "../pump.ts"
import { authorizeOf, foreverSeconds, limitsOf, packagesOf } from "./options.ts"
import type { PresenceOptions } from "./options.ts"
import { makeRulesAsker } from "./rules-source.ts"

/** The request was understood and not granted; `status` is what a SIP server would have answered. */
export class PresenceRefused extends Data.TaggedError("PresenceRefused")<{
  readonly status: number
  readonly rejection: Rejection | { readonly _tag: "BadUri"; readonly uri: string }
}> {
  override get message(): string {
    const { rejection } = this
    if (rejection._tag === "BadUri")
      return `${rejection.uri} is no URI of a person: write sip:alice@example.com`
    const words = rejection._tag.replaceAll(/([a-z])([A-Z])/g, "$1 $2").toLowerCase()
    return "why" in rejection && rejection.why !== "" ? `${words}: ${rejection.why}` : words
  }
}

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
  readonly event?: Name | `${Name}.winfo`
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
  readonly event?: Name | `${Name}.winfo`
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
}

/** Where one watcher's notifications go. `taken` is to be called when it has one: only then it is told of a later change. */
export type Sink = (notification: Notification, taken: () => void) => void

export interface Subscription {
  /** Once more for so long; the present state is notified. */
  readonly refresh: (expires?: Seconds) => Effect.Effect<void, PresenceRefused>
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
  readonly isPublished: (presentity: string, event: string) => boolean
  /** The sphere all published persons agree on, for rules (RFC 5025 §3.1.2); null: none, or they differ. */
  readonly sphere: (presentity: string) => string | null
  /** E_PRESENCE_PUBLISH and E_PRESENCE_EXPOSED, from any place in the log on. */
  readonly feed: Feed["from"]
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
  readonly questions: HistoryDesk
  readonly uri: (text: string) => Effect.Effect<Uri, PresenceRefused>
}

/** A Date, milliseconds, or anything `Date` can read. */
export type Instant = Date | number | string

export const millisOf = (instant: Instant): number =>
  typeof instant === "number" ? instant : new Date(instant).getTime()

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
export const instantText = (instant: Instant | undefined): string | undefined =>
  instant === undefined ? undefined : String(Math.trunc(millisOf(instant)))

export const refusalOf = ({ status, why }: Refused): PresenceRefused =>
  new PresenceRefused({ status, rejection: { _tag: "BadRequest", status: 400, why } })

export interface Observer {
  readonly decided?: (decision: Decision) => void
  readonly notified?: (notification: Notification) => void
}

const flow = programFlow

const everything = { after: "", limit: Number.POSITIVE_INFINITY }

/** Lives as long as the scope; what the store has is read first. */
export const makeCore = Effect.fnUntraced(function* (options: PresenceOptions) {
  const packages = packagesOf(options)
  const clock = yield* Clock.Clock
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const sinks = new Map<string, Sink>()
  const observers = new Set<Observer>()
  const { now, rules } = options

  const deliver = (notifications: readonly Notify[]): void => {
    for (const one of notifications) {
      const notification = notificationOf(one)
      for (const observer of observers) observer.notified?.(notification)
      const sink = sinks.get(one.dialog.callId)
      if (sink !== undefined) {
        if (one.state === "terminated") sinks.delete(one.dialog.callId)
        sink(notification, () =>
          pump.handler.delivered(one.presentity, one.no, one.cseq, { _tag: "Accepted", remoteTarget: null }),
        )
      } else if (isWithinProgram(one.dialog) && one.state !== "terminated") {
        // its request was given up and is stored all the same: nobody is there. Of one that is somewhere else nobody here knows
        run(pump.amend(one.presentity, { _tag: "Abandon", only: [one.no] }, ""))
      }
    }
  }

  const circumstances = { packages, limits: limitsOf(options), authorize: authorizeOf(options) }
  const pump: Pump = yield* makePump(
    {
      ...circumstances,
      ...pumpDefaults,
      isWithinProgram: true,
      isUnread: (presentity, packageName) => asker?.isUnread(presentity, packageName) === true,
    },
    {
      notify: deliver,
      stored: (stored) => {
        for (const { decision } of stored) for (const observer of observers) observer.decided?.(decision)
        feed.wake()
      },
      outage: () => {},
    },
  ).pipe(now === undefined ? (self) => self : Effect.provideService(Clock.Clock, clockTelling(now, clock)))
  const store = yield* EventStore
  const feed = makeFeed(store, () => pump.committed().position)
  const instant = now ?? (() => clock.currentTimeMillisUnsafe())
  const questions = makeHistoryDesk(
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
            const pack = packages.find(name)
            return pack !== null && policyOf(pack, of, circumstances.limits.watching) === "rules"
          },
          waitMillis: (options.rulesWait ?? 10) * 1000,
          onFault: options.onRulesFault ?? null,
          states: () => [...pump.engine.presentities()].flatMap((of) => pump.engine.state(of) ?? []),
          state: pump.engine.state,
          amend: (of, command) => pump.amend(of, command, flow),
        })
  yield* pump.recover
  // before anything that fell due meanwhile is decided, or anybody asks
  if (asker !== null) yield* asker.begin
  yield* beginPolicies(pump)
  yield* pump.start
  yield* Effect.addFinalizer(() => Effect.andThen(pump.drain, pump.record))

  const uri = (text: string): Effect.Effect<Uri, PresenceRefused> => {
    const found = presentityOf(text)
    return found === null
      ? Effect.fail(new PresenceRefused({ status: 400, rejection: { _tag: "BadUri", uri: text } }))
      : Effect.succeed(found)
  }

  const ask = (
    presentity: Uri | null,
    command: Command,
  ): Effect.Effect<Answer & { _tag: "Accepted" }, PresenceRefused> =>
    Effect.callback<Answer & { _tag: "Accepted" }, PresenceRefused>((resume) => {
      const answer = (given: Answer): void =>
        resume(
          given._tag === "Accepted"
            ? Effect.succeed(given)
            : Effect.fail(
                new PresenceRefused({ status: given.rejection.status, rejection: given.rejection }),
              ),
        )
      pump.handler.submit({ presentity, command, origin: flow, answer })
    })

  const replaceRules: Core["replaceRules"] = (presentity, packageName, text) =>
    Effect.flatMap(uri(presentity), (of) => {
      const present = (pump.engine.state(of) ?? null)?.rules
      const body = present === undefined ? undefined : get(present, packageName)?.body.text
      if ((body ?? null) === text) return Effect.void
      const document = text === null ? null : { contentType: "application/auth-policy+xml", text }
      return Effect.asVoid(ask(of, { _tag: "ReplaceRules", packageName, rules: document }))
    })

  /** @returns why the answer is not in force; null: it is, or nobody is to be asked */
  const askRules = (presentity: Uri, event: string): Effect.Effect<string | null> =>
    asker === null ? Effect.succeed(null) : asker.ask(presentity, event)

  const refreshRules: Core["refreshRules"] = (presentity, event) =>
    Effect.gen(function* () {
      const why = yield* askRules(yield* uri(presentity), event)
      if (why === null) return
      const { retryAfter } = pumpDefaults
      const rejection = { _tag: "ServiceUnavailable", status: 503, why: `rules: ${why}`, retryAfter } as const
      return yield* new PresenceRefused({ status: 503, rejection })
    })

  const core: Core = {
    packages,
    questions,
    feed: feed.from,
    expose: (event, matches) =>
      Effect.suspend(() => {
        if (packages.find(event) === null) {
          const rejection = { _tag: "BadEvent", status: 489, allowEvents: packages.allowEvents } as const
          return Effect.fail(new PresenceRefused({ status: 489, rejection }))
        }
        const { items } = paged(pump.engine, everything, (state) =>
          matches(state.presentity) ? exposedRows(state, event) : [],
        )
        feed.expose(items)
        return Effect.succeed(items)
      }),
    uri,
    replaceRules,
    refreshRules,
    publish: ({ presentity, event = "presence", body, headers, entityTag, expires, device }) =>
      Effect.flatMap(uri(presentity), (of) => {
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
    watch: ({ presentity, watcher, event = "presence", expires, accept, device, argument }, sink) =>
      Effect.gen(function* () {
        const of = yield* uri(presentity)
        const by = yield* uri(watcher)
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
        yield* Effect.onError(
          ask(of, { _tag: "Subscribe", ...asked, expires: expires ?? foreverSeconds, dialog }),
          () => Effect.sync(() => sinks.delete(callId)),
        )
        let cseq = 1
        const again = (seconds: Seconds): Effect.Effect<void, PresenceRefused> =>
          Effect.suspend(() =>
            Effect.asVoid(
              ask(null, {
                _tag: "Resubscribe",
                ...asked,
                dialog: dialogKey(callId, dialog.localTag, dialog.remoteTag),
                expires: seconds,
                cseq: ++cseq,
                remoteTarget: null,
              }),
            ),
          )
        const subscription: Subscription = {
          refresh: (seconds = expires ?? foreverSeconds) => again(seconds),
          // 481: it has ended already
          end: again(0).pipe(Effect.catch(() => Effect.void)),
        }
        return subscription
      }),
    terminate: ({ presentity, event = "presence", watcher, reason = "deactivated" }) =>
      Effect.gen(function* () {
        const of = yield* uri(presentity)
        const by = watcher === undefined ? null : yield* uri(watcher)
        yield* ask(of, { _tag: "Terminate", packageName: event, watcher: by, reason })
      }),
    sphere: (presentity) => {
      const of = presentityOf(presentity)
      const state = of === null ? undefined : pump.engine.state(of)
      const pack = packages.find("presence")
      if (state === undefined || pack?.rules === undefined) return null
      return pack.rules.sphere(
        publishedDocuments(state, pack),
        (now ?? (() => clock.currentTimeMillisUnsafe()))(),
      )
    },
    setHardState: (presentity, packageName, body) =>
      Effect.flatMap(uri(presentity), (of) => {
        const [contentType = ""] = packages.find(packageName)?.accepts ?? []
        const document = typeof body === "string" ? { contentType, text: body } : body
        return Effect.asVoid(ask(of, { _tag: "SetHardState", packageName, body: document }))
      }),
    isPublished: (presentity, event) => {
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
  return { core, store: yield* EventStore }
})

const notificationOf = (one: Notify): Notification => ({
  presentity: one.presentity,
  watcher: one.dialog.remoteUri.slice(1, -1),
  event: one.packageName,
  state: one.state,
  expires: one.expires,
  reason: one.reason,
  body: one.body,
  headers: one.headers ?? [],
  sequence: one.cseq,
})
