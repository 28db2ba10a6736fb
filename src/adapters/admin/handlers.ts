/**
 * From HTTP resources to operations, and back to answers.
 */
import { Effect, Layer } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { Operations, Page, Paged } from "../../ports/operations.ts"
import { bodyText, byCaller, refusable } from "./answers.ts"
import { Api, Principal } from "./api.ts"
import { readDocument, removeDocument, replaceDocument } from "./document-resources.ts"
import { eventStream } from "./event-stream.ts"
import { answerCalls } from "./json-rpc.ts"
import { exposeMatching } from "./presentity-filter.ts"
import { Invalid } from "./problems.ts"
import { includes } from "./tokens.ts"

/** Every resource but the probes. */
export const handlers = (operations: Operations) =>
  Layer.mergeAll(
    presentitiesGroup(operations),
    historyGroup(operations),
    watchersGroup(operations),
    rulesGroup(operations),
    hardStateGroup(operations),
    subscriptionsGroup(operations),
    publicationsGroup(operations),
    sharingTagsGroup(operations),
    eventsGroup(operations),
    webhooksGroup(operations),
    serverGroup(operations),
    commandsGroup(operations),
  )

const presentitiesGroup = (operations: Operations) =>
  HttpApiBuilder.group(Api, "presentities", (on) =>
    on
      .handle("list", ({ query }) =>
        paged(query, (page) => operations.publications(query.event ?? null, page)),
      )
      .handle("show", ({ params }) => refusable(operations.presentity(params.uri)))
      .handle("watchers", ({ params, query }) =>
        Effect.map(refusable(operations.watchers(params.uri, query.event ?? null)), (items) => ({ items })),
      )
      .handle("decide", ({ params, payload: { event = "presence", handling } }) =>
        byCaller((by) => operations.decide(by, params.uri, event, params.watcher, handling)),
      )
      .handle("undecide", ({ params, query: { event = "presence" } }) =>
        byCaller((by) => operations.decide(by, params.uri, event, params.watcher, null)),
      )
      .handle("refresh", ({ params, payload: { event = "presence", kind = "rules" } }) =>
        byCaller((by) => operations.refresh(by, params.uri, event, kind)),
      )
      .handle(
        "terminate",
        ({ params, payload: { event = "presence", watcher = null, reason = "deactivated" } }) =>
          byCaller((by) => operations.terminate(by, params.uri, event, watcher, reason)),
      )
      .handle("erase", ({ params }) =>
        Effect.uninterruptible(byCaller((by) => operations.erase(by, params.uri))),
      )
      .handle("expose", ({ payload: { event, filter = null } }) =>
        refusable(exposeMatching(operations, event, filter)),
      ),
  )

const historyGroup = (operations: Operations) =>
  HttpApiBuilder.group(Api, "history", (on) =>
    on
      .handle("history", ({ params, query: { causes, ...wish } }) =>
        Effect.flatMap(seesRequesters, (requesters) =>
          refusable(
            operations.history.history(params.uri, { ...wish, causes: causes === "true", requesters }),
          ),
        ),
      )
      .handle("at", ({ params, query }) => refusable(operations.history.at(params.uri, query)))
      .handle("diff", ({ params, query }) => refusable(operations.history.diff(params.uri, query)))
      .handle("seen", ({ params, query: { body, ...wish } }) =>
        refusable(operations.history.seen(params.uri, { ...wish, body: body === "true" })),
      )
      .handle("why", ({ params, query }) =>
        Effect.flatMap(seesRequesters, (requesters) =>
          refusable(operations.history.why(params.uri, { ...query, requesters })),
        ),
      ),
  )

/** Accounts and devices of persons are for those who act on presentities, not for everybody who looks. */
const seesRequesters = Effect.map(Principal, ({ scope }) => includes(scope, "operate"))

const watchersGroup = (operations: Operations) =>
  HttpApiBuilder.group(Api, "watchers", (on) =>
    on.handle("list", ({ query }) => paged(query, (page) => operations.watching(query.state ?? null, page))),
  )

const rulesGroup = (operations: Operations) =>
  HttpApiBuilder.group(Api, "rules", (on) =>
    on
      .handle("read", ({ params, query }) => readDocument(operations, "rules", params.uri, packageIn(query)))
      .handleRaw("replace", ({ params, query }) =>
        replaceDocument(operations, "rules", params.uri, packageIn(query)),
      )
      .handle("remove", ({ params, query }) =>
        removeDocument(operations, "rules", params.uri, packageIn(query)),
      )
      .handleRaw("test", ({ params, query }) =>
        Effect.flatMap(bodyText, (text) =>
          refusable(
            operations.testRules(params.uri, packageIn(query), query.watcher, text === "" ? null : text),
          ),
        ),
      ),
  )

const hardStateGroup = (operations: Operations) =>
  HttpApiBuilder.group(Api, "hardState", (on) =>
    on
      .handle("read", ({ params, query }) =>
        readDocument(operations, "hard-state", params.uri, packageIn(query)),
      )
      .handleRaw("replace", ({ params, query }) =>
        replaceDocument(operations, "hard-state", params.uri, packageIn(query)),
      )
      .handle("remove", ({ params, query }) =>
        removeDocument(operations, "hard-state", params.uri, packageIn(query)),
      ),
  )

const subscriptionsGroup = (operations: Operations) =>
  HttpApiBuilder.group(Api, "subscriptions", (on) =>
    on.handle("list", ({ query }) =>
      paged(query, (page) => operations.subscriptions(query.from ?? null, query.to ?? null, page)),
    ),
  )

const publicationsGroup = (operations: Operations) =>
  HttpApiBuilder.group(Api, "publications", (on) =>
    on
      .handle("publish", ({ payload }) => {
        const { presentity, event = "presence", body = null, contentType = null } = payload
        const { entityTag = null, expires = null } = payload
        return byCaller((by) =>
          operations.publish(by, { presentity, event, body, contentType, entityTag, expires }),
        )
      })
      .handle("remove", ({ params, query: { presentity, event = "presence" } }) =>
        byCaller((by) =>
          Effect.asVoid(
            operations.publish(by, {
              presentity,
              event,
              body: null,
              contentType: null,
              entityTag: params.etag,
              expires: 0,
            }),
          ),
        ),
      ),
  )

const sharingTagsGroup = (operations: Operations) =>
  HttpApiBuilder.group(Api, "sharingTags", (on) =>
    on
      .handle("list", () => Effect.sync(() => ({ items: operations.sharingTags() })))
      .handle("set", ({ params, payload }) =>
        byCaller((by) => operations.setSharingTag(by, params.tag, payload.state)),
      ),
  )

const eventsGroup = (operations: Operations) =>
  HttpApiBuilder.group(Api, "events", (on) =>
    on.handle("stream", ({ query, headers }) => {
      const last = headers["last-event-id"] ?? ""
      if (!/^\d{0,15}$/.test(last)) {
        return new Invalid({
          detail: `Last-Event-ID: ${last}: expected the id of an event, a log position`,
        })
      }
      const items = operations.feed(last === "" ? null : Number(last), {
        types: query.type === undefined ? null : new Set(query.type.split(",")),
        presentity: query.uri ?? null,
      })
      return Effect.succeed(eventStream(items))
    }),
  )

const webhooksGroup = (operations: Operations) =>
  HttpApiBuilder.group(Api, "webhooks", (on) =>
    on
      .handle("list", () => Effect.sync(() => ({ items: operations.webhooks.list() })))
      .handle("add", ({ payload: { url, types = null, presentity = null, secret = null, from = null } }) =>
        byCaller((by) => operations.webhooks.add(by, { url, types, presentity, secret, from })),
      )
      .handle("remove", ({ params }) => refusable(operations.webhooks.remove(params.id)))
      .handle("deadLetters", ({ params }) =>
        Effect.map(refusable(operations.webhooks.deadLetters(params.id)), (items) => ({ items })),
      )
      .handle("redeliver", ({ params }) => refusable(operations.webhooks.redeliver(params.id, params.letter)))
      .handle("discard", ({ params }) => refusable(operations.webhooks.discard(params.id, params.letter))),
  )

const serverGroup = (operations: Operations) =>
  HttpApiBuilder.group(Api, "server", (on) =>
    on
      .handle("cleanup", () => operations.cleanup)
      .handle("logLevel", () => Effect.sync(() => ({ level: operations.logLevel() })))
      .handle("setLogLevel", ({ payload }) => Effect.sync(() => operations.setLogLevel(payload.level)))
      .handle("reload", () => refusable(operations.reload))
      .handle("repairTables", ({ payload }) =>
        Effect.uninterruptible(refusable(operations.repairTables(payload.from_start ?? false))),
      )
      .handle("sources", () => Effect.sync(() => ({ items: operations.sources() })))
      .handle("status", () => Effect.sync(operations.status)),
  )

const commandsGroup = (operations: Operations) =>
  HttpApiBuilder.group(Api, "commands", (on) =>
    on.handleRaw("call", () =>
      Effect.gen(function* () {
        const { name, scope } = yield* Principal
        const answer = yield* answerCalls(operations, { name, scope }, yield* bodyText)
        return answer === null
          ? HttpServerResponse.empty({ status: 204 })
          : HttpServerResponse.text(`${JSON.stringify(answer)}\n`, { contentType: "application/json" })
      }),
    ),
  )

interface PageQuery {
  readonly cursor?: string
  readonly limit?: number
}

/** One page of a list. A cursor is the URI with which the page before ended, as base64url. */
const paged = <Row>(
  { cursor = "", limit = 1000 }: PageQuery,
  list: (page: Page) => Paged<Row>,
): Effect.Effect<Paged<Row>, Invalid> =>
  Effect.suspend(() => {
    const after = Buffer.from(cursor, "base64url").toString("utf8")
    if (cursorOf(after) !== cursor) {
      return new Invalid({ detail: `cursor = ${cursor}: expected \`next\` of the page before` })
    }
    const { items, next } = list({ after, limit })
    return Effect.succeed({ items, next: next === null ? null : cursorOf(next) })
  })

const cursorOf = (uri: string): string => Buffer.from(uri, "utf8").toString("base64url")

const packageIn = (query: { readonly event?: string; readonly package?: string }): string =>
  query.package ?? query.event ?? "presence"
