/**
 * What an operator may ask of a running server.
 */
import { Effect } from "effect"
import type { IsUnread } from "../../domain/presentity/context.ts"
import { wholeList } from "../../ports/operations.ts"
import type { Operations } from "../../ports/operations.ts"
import { Refused } from "../../ports/operation-refused.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { Answer, Command, Reply } from "../../domain/presentity/commands.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { matchesWildcard } from "../../domain/wildcards.ts"
import { EraseRefused } from "../erase/erase-refused.ts"
import type { makeEraser } from "../erase/eraser.ts"
import type { LogLevels } from "../telemetry/log-levels.ts"
import type { Pump } from "../node/pump.ts"
import type { SharingTags } from "../node/sharing-tags.ts"
import { errorMessage } from "../error-message.ts"
import { uriOf } from "./uri-arguments.ts"
import { makeDocumentOperations } from "./documents.ts"
import type { KeptElsewhere } from "./documents.ts"
import type { Feed } from "../node/feed.ts"
import {
  exposedRows,
  paged,
  presentityView,
  publicationRows,
  subscriptionRows,
  watcherRows,
  watchingRows,
} from "./lists.ts"
import type { States } from "./lists.ts"

export interface OperationsParts {
  readonly pump: Pump
  readonly packages: Packages
  readonly feed: Feed
  readonly webhooks: Operations["webhooks"]
  readonly history: Operations["history"]
  readonly tags: SharingTags
  readonly levels: LogLevels
  readonly reload: Operations["reload"]
  /** Asks the source of rules now, when there is one. */
  readonly lookForRules: Effect.Effect<void>
  readonly sources: Operations["sources"]
  readonly keptElsewhere: KeptElsewhere
  /** Whether the rules of somebody have a source that has not been read. */
  readonly isUnread: IsUnread
  /** Null: nothing outlives the process. */
  readonly eraser: ReturnType<typeof makeEraser> | null
  readonly repairTables: Operations["repairTables"]
  readonly status: () => unknown
  readonly now: () => number
}

export const makeOperations = (parts: OperationsParts): Operations => {
  const { pump, packages, feed, webhooks, history, tags, levels, lookForRules, eraser, status, now } = parts
  const { engine } = pump
  const states: States = { presentities: () => engine.presentities(), state: (uri) => engine.state(uri) }

  const ask = (of: Uri, command: Command, by: string): Effect.Effect<Reply, Refused> =>
    Effect.flatMap(pump.ask(of, command, by), replyOf)

  const known = (event: string): Effect.Effect<void, Refused> =>
    packages.find(event) === null
      ? Effect.fail(new Refused({ status: 404, why: `unknown event ${event}` }))
      : Effect.void

  return {
    ...makeDocumentOperations(pump, packages, parts.keptElsewhere, parts.isUnread, now),
    publications: (event, page) =>
      paged(states, page, (state) => publicationRows(state, packages, event, now())),
    subscriptions: (from, to, page) =>
      paged(states, page, (state) =>
        to !== null && !matchesWildcard(to, state.presentity)
          ? []
          : subscriptionRows(state, ({ watcher }) => from === null || matchesWildcard(from, watcher)),
      ),
    presentity: (uri) =>
      Effect.flatMap(uriOf(uri), (of) => {
        const state = engine.state(of)
        const view = state == null ? null : presentityView(state, packages, now())
        return view === null
          ? Effect.fail(new Refused({ status: 404, why: `nothing is known of ${of}` }))
          : Effect.succeed(view)
      }),
    watchers: (uri, event) =>
      Effect.map(uriOf(uri), (of) => {
        const state = engine.state(of)
        return state == null ? [] : watcherRows(state, packages, event)
      }),
    watching: (wanted, page) => paged(states, page, (state) => watchingRows(state, packages, wanted)),
    history,
    refresh: (by, uri, event, kind) =>
      Effect.gen(function* () {
        const of = yield* uriOf(uri)
        yield* known(event)
        if (kind === "rules") yield* lookForRules
        yield* ask(of, { _tag: "RefreshWatchers", packageName: event, kind }, by)
      }),
    cleanup: Effect.gen(function* () {
      const before = pump.counters.decisions
      yield* pump.settle
      return { decided: pump.counters.decisions - before }
    }),
    expose: (event, matches) =>
      Effect.gen(function* () {
        if (packages.find(event) === null) {
          return yield* new Refused({ status: 404, why: `event = ${event}: there is no such event package` })
        }
        const { items } = paged(states, wholeList, (state) =>
          matches(state.presentity) ? exposedRows(state, event) : [],
        )
        feed.expose(items)
        return items
      }),
    publish: (by, { presentity, event, body, contentType, entityTag, expires }) =>
      Effect.gen(function* () {
        const of = yield* uriOf(presentity)
        const [usual = ""] = packages.find(event)?.accepts ?? []
        const command: Command = {
          _tag: "Publish",
          packageName: event,
          ifMatch: entityTag === null ? [] : [entityTag],
          expires,
          body: body === null ? null : { contentType: contentType ?? usual, text: body },
          bodyFault: null,
          sender: null,
        }
        const reply = yield* ask(of, command, by)
        return reply._tag === "Published"
          ? { entityTag: reply.entityTag, expires: reply.expires }
          : { entityTag: "", expires: 0 }
      }),
    terminate: (by, uri, event, watcher, reason) =>
      Effect.gen(function* () {
        const of = yield* uriOf(uri)
        yield* known(event)
        const whose = watcher === null ? null : yield* uriOf(watcher)
        yield* ask(of, { _tag: "Terminate", packageName: event, watcher: whose, reason }, by)
      }),
    decide: (by, uri, event, watcher, handling) =>
      Effect.gen(function* () {
        const of = yield* uriOf(uri)
        yield* known(event)
        const whose = yield* uriOf(watcher)
        yield* ask(of, { _tag: "DecideWatcher", packageName: event, watcher: whose, handling }, by)
      }),
    erase: (by, uri) =>
      Effect.gen(function* () {
        const person = yield* uriOf(uri)
        if (eraser === null) {
          return yield* new Refused({
            status: 409,
            why: "what is kept in memory is forgotten with the server",
          })
        }
        return yield* eraser(person, by).pipe(
          Effect.mapError((cause) =>
            cause instanceof EraseRefused
              ? new Refused({ status: 409, why: cause.message })
              : new Refused({
                  status: 503,
                  why: `the store does not answer (${errorMessage(cause)}): try again`,
                }),
          ),
        )
      }),
    repairTables: parts.repairTables,
    sources: parts.sources,
    sharingTags: tags.list,
    setSharingTag: tags.set,
    feed: feed.from,
    webhooks,
    status,
    logLevel: levels.present,
    setLogLevel: levels.set,
    reload: parts.reload,
  }
}

const replyOf = (answer: Answer): Effect.Effect<Reply, Refused> => {
  if (answer._tag === "Accepted") return Effect.succeed(answer.reply)
  const { rejection } = answer
  const why = "why" in rejection ? rejection.why : reasons[rejection._tag]
  return Effect.fail(new Refused({ status: rejection.status, why: why ?? rejection._tag }))
}

const reasons: Partial<Record<string, string>> = {
  ConditionalRequestFailed: "no live publication has that entity-tag",
  BadEvent: "there is no such event package, or it has no such operation",
  UnsupportedMediaType: "the package cannot read documents of that type",
  IntervalTooBrief: "so short a lifetime is not allowed (min_expires_publish)",
}
