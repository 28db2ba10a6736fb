/**
 * Everything that an operator may ask of a running server, through any interface.
 */
import { Effect } from "effect"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { Answer, Reply } from "../../domain/presentity/commands.ts"
import type { IsUnread } from "../../domain/presentity/context.ts"
import { Refused } from "../../ports/operation-refused.ts"
import type { Operations } from "../../ports/operations.ts"
import { EraseRefused } from "../erase/erase-refused.ts"
import type { makeEraser } from "../erase/eraser.ts"
import { errorMessage } from "../error-message.ts"
import type { Feed } from "../node/feed.ts"
import type { Pump } from "../node/pump.ts"
import type { SharingTags } from "../node/sharing-tags.ts"
import type { LogLevels } from "../telemetry/log-levels.ts"
import { makeDocumentOperations } from "./documents.ts"
import type { KeptElsewhere } from "./documents.ts"
import { makeListOperations } from "./list-operations.ts"
import { makePresentityCommands } from "./presentity-commands.ts"
import { uriOf } from "./uri-arguments.ts"

export interface OperationsParts {
  readonly pump: Pump
  readonly packages: Packages
  readonly feed: Feed
  readonly webhooks: Operations["webhooks"]
  readonly history: Operations["history"]
  readonly tags: SharingTags
  readonly levels: LogLevels
  readonly reload: Operations["reload"]
  /** Reads the source of rules now, when there is one. */
  readonly lookForRules: Effect.Effect<void>
  readonly sources: Operations["sources"]
  readonly keptElsewhere: KeptElsewhere
  /** Whether a presentity's rules come from a source that has not been read. */
  readonly isUnread: IsUnread
  /** Null: nothing outlives the process. */
  readonly eraser: Eraser | null
  readonly repairTables: Operations["repairTables"]
  readonly status: () => unknown
  readonly now: () => number
}

type Eraser = ReturnType<typeof makeEraser>

export const makeOperations = (parts: OperationsParts): Operations => {
  const { pump, packages, feed, tags, levels, now } = parts
  return {
    ...makeListOperations(pump.engine, packages, feed, now),
    ...makeDocumentOperations(pump, packages, parts.keptElsewhere, parts.isUnread, now),
    ...makeCommandOperations(pump, packages, parts.lookForRules),
    history: parts.history,
    cleanup: Effect.gen(function* () {
      const before = pump.counters.decisions
      yield* pump.settle
      return { decided: pump.counters.decisions - before }
    }),
    erase: eraseWith(parts.eraser),
    repairTables: parts.repairTables,
    sources: parts.sources,
    sharingTags: tags.list,
    setSharingTag: tags.set,
    feed: feed.from,
    webhooks: parts.webhooks,
    status: parts.status,
    logLevel: levels.present,
    setLogLevel: levels.set,
    reload: parts.reload,
  }
}

/** Commands whose arguments are text: addresses and packages are checked before anything is decided. */
const makeCommandOperations = (
  pump: Pump,
  packages: Packages,
  lookForRules: Effect.Effect<void>,
): Pick<Operations, "publish" | "terminate" | "decide" | "refresh"> => {
  const commands = makePresentityCommands(packages, (presentity, command, origin) =>
    Effect.flatMap(pump.ask(presentity, command, origin), replyIn),
  )
  const known = (event: string): Effect.Effect<void, Refused> =>
    packages.find(event) === null
      ? Effect.fail(new Refused({ status: 404, why: `unknown event ${event}` }))
      : Effect.void

  return {
    refresh: (origin, uri, event, kind) =>
      Effect.gen(function* () {
        const presentity = yield* uriOf(uri)
        yield* known(event)
        if (kind === "rules") yield* lookForRules
        yield* commands.refreshWatchers(origin, presentity, event, kind)
      }),
    publish: (origin, { presentity, contentType, body, ...wish }) =>
      Effect.flatMap(uriOf(presentity), (uri) =>
        commands.publish(origin, {
          ...wish,
          presentity: uri,
          body: body === null || contentType === null ? body : { contentType, text: body },
          device: null,
        }),
      ),
    terminate: (origin, uri, event, watcher, reason) =>
      Effect.gen(function* () {
        const presentity = yield* uriOf(uri)
        yield* known(event)
        const whose = watcher === null ? null : yield* uriOf(watcher)
        yield* commands.terminate(origin, presentity, event, whose, { reason })
      }),
    decide: (origin, uri, event, watcher, handling) =>
      Effect.gen(function* () {
        const presentity = yield* uriOf(uri)
        yield* known(event)
        yield* commands.decideWatcher(origin, presentity, event, yield* uriOf(watcher), handling)
      }),
  }
}

const eraseWith =
  (eraser: Eraser | null): Operations["erase"] =>
  (origin, uri) =>
    Effect.gen(function* () {
      const person = yield* uriOf(uri)
      if (eraser === null) {
        return yield* new Refused({
          status: 409,
          why: "what is kept in memory is forgotten with the server",
        })
      }
      return yield* eraser(person, origin).pipe(
        Effect.mapError((cause) =>
          cause instanceof EraseRefused
            ? new Refused({ status: 409, why: cause.message })
            : new Refused({
                status: 503,
                why: `the store does not answer (${errorMessage(cause)}): try again`,
              }),
        ),
      )
    })

const replyIn = (answer: Answer): Effect.Effect<Reply, Refused> => {
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
