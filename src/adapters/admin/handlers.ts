/**
 * From resources to what the server does, and back to answers.
 */
import { createHash } from "node:crypto"
import { Effect, Layer, Stream } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Api, Principal } from "./api.ts"
import type { Operations, DocumentKind, FeedItem, Page } from "../../ports/operations.ts"
import { answerCalls } from "./json-rpc.ts"
import { Changed, Invalid, NotFound, problemOf } from "./problems.ts"
import type { Refused } from "./problems.ts"

/** Every resource but the probes. */
export const answers = (desk: Operations) =>
  Layer.mergeAll(
    HttpApiBuilder.group(Api, "presentities", (on) =>
      on
        .handle("list", ({ query }) =>
          Effect.map(pageIn(query), (page) => desk.publications(query.event ?? null, page)),
        )
        .handle("show", ({ params }) => said(desk.presentity(params.uri)))
        .handle("watchers", ({ params, query }) =>
          Effect.map(said(desk.watchers(params.uri, query.event ?? null)), (items) => ({ items })),
        )
        .handle("decide", ({ params, payload: { event = "presence", handling } }) =>
          byCaller((by) => desk.decide(by, params.uri, event, params.watcher, handling)),
        )
        .handle("undecide", ({ params, query: { event = "presence" } }) =>
          byCaller((by) => desk.decide(by, params.uri, event, params.watcher, null)),
        )
        .handle("refresh", ({ params, payload: { event = "presence", kind = "rules" } }) =>
          byCaller((by) => desk.refresh(by, params.uri, event, kind)),
        )
        .handle(
          "terminate",
          ({ params, payload: { event = "presence", watcher = null, reason = "deactivated" } }) =>
            byCaller((by) => desk.terminate(by, params.uri, event, watcher, reason)),
        )
        .handle("erase", ({ params }) => Effect.uninterruptible(byCaller((by) => desk.erase(by, params.uri))))
        .handle("expose", ({ payload: { event, filter = null } }) => said(desk.expose(event, filter))),
    ),
    HttpApiBuilder.group(Api, "history", (on) =>
      on
        .handle("history", ({ params, query: { causes, ...wish } }) =>
          said(desk.history.history(params.uri, { ...wish, causes: causes === "true" })),
        )
        .handle("at", ({ params, query }) => said(desk.history.at(params.uri, query)))
        .handle("diff", ({ params, query }) => said(desk.history.diff(params.uri, query)))
        .handle("seen", ({ params, query: { body, ...wish } }) =>
          said(desk.history.seen(params.uri, { ...wish, body: body === "true" })),
        )
        .handle("why", ({ params, query }) => said(desk.history.why(params.uri, query))),
    ),
    HttpApiBuilder.group(Api, "watchers", (on) =>
      on.handle("list", ({ query }) =>
        Effect.map(pageIn(query), (page) => desk.watching(query.state ?? null, page)),
      ),
    ),
    HttpApiBuilder.group(Api, "rules", (on) =>
      on
        .handle("read", ({ params, query }) => read(desk, "rules", params.uri, packageIn(query)))
        .handleRaw("replace", ({ params, query }) => replace(desk, "rules", params.uri, packageIn(query)))
        .handle("remove", ({ params, query }) => remove(desk, "rules", params.uri, packageIn(query)))
        .handleRaw("test", ({ params, query }) =>
          Effect.flatMap(bodyText, (text) =>
            said(desk.testRules(params.uri, packageIn(query), query.watcher, text === "" ? null : text)),
          ),
        ),
    ),
    HttpApiBuilder.group(Api, "hardState", (on) =>
      on
        .handle("read", ({ params, query }) => read(desk, "hard-state", params.uri, packageIn(query)))
        .handleRaw("replace", ({ params, query }) =>
          replace(desk, "hard-state", params.uri, packageIn(query)),
        )
        .handle("remove", ({ params, query }) => remove(desk, "hard-state", params.uri, packageIn(query))),
    ),
    HttpApiBuilder.group(Api, "subscriptions", (on) =>
      on.handle("list", ({ query }) =>
        Effect.map(pageIn(query), (page) => desk.subscriptions(query.from ?? null, query.to ?? null, page)),
      ),
    ),
    HttpApiBuilder.group(Api, "publications", (on) =>
      on
        .handle("publish", ({ payload }) => {
          const { presentity, event = "presence", body = null, contentType = null } = payload
          const { entityTag = null, expires = null } = payload
          return byCaller((by) =>
            desk.publish(by, { presentity, event, body, contentType, entityTag, expires }),
          )
        })
        .handle("remove", ({ params, query: { presentity, event = "presence" } }) =>
          byCaller((by) =>
            Effect.asVoid(
              desk.publish(by, {
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
    ),
    HttpApiBuilder.group(Api, "sharingTags", (on) =>
      on
        .handle("list", () => Effect.sync(() => ({ items: desk.sharingTags() })))
        .handle("set", ({ params, payload }) =>
          byCaller((by) => desk.setSharingTag(by, params.tag, payload.state)),
        ),
    ),
    HttpApiBuilder.group(Api, "events", (on) =>
      on.handle("stream", ({ query, headers }) => {
        const last = headers["last-event-id"] ?? ""
        if (!/^\d{0,15}$/.test(last)) {
          return new Invalid({
            detail: `Last-Event-ID: ${last}: expected the id of an event, a log position`,
          })
        }
        const items = desk.feed(last === "" ? null : Number(last), {
          types: query.type === undefined ? null : new Set(query.type.split(",")),
          presentity: query.uri ?? null,
        })
        return Effect.succeed(eventStream(items))
      }),
    ),
    HttpApiBuilder.group(Api, "webhooks", (on) =>
      on
        .handle("list", () => Effect.sync(() => ({ items: desk.webhooks.list() })))
        .handle("add", ({ payload: { url, types = null, presentity = null, secret = null, from = null } }) =>
          byCaller((by) => desk.webhooks.add(by, { url, types, presentity, secret, from })),
        )
        .handle("remove", ({ params }) => said(desk.webhooks.remove(params.id)))
        .handle("deadLetters", ({ params }) =>
          Effect.map(said(desk.webhooks.deadLetters(params.id)), (items) => ({ items })),
        )
        .handle("redeliver", ({ params }) => said(desk.webhooks.redeliver(params.id, params.letter)))
        .handle("discard", ({ params }) => said(desk.webhooks.discard(params.id, params.letter))),
    ),
    HttpApiBuilder.group(Api, "server", (on) =>
      on
        .handle("cleanup", () => desk.cleanup)
        .handle("logLevel", () => Effect.sync(() => ({ level: desk.logLevel() })))
        .handle("setLogLevel", ({ payload }) => Effect.sync(() => desk.setLogLevel(payload.level)))
        .handle("reload", () => said(desk.reload))
        .handle("repairTables", ({ payload }) =>
          Effect.uninterruptible(said(desk.repairTables(payload.from_start ?? false))),
        )
        .handle("sources", () => Effect.sync(() => ({ items: desk.sources() })))
        .handle("status", () => Effect.sync(desk.status)),
    ),
    HttpApiBuilder.group(Api, "commands", (on) =>
      on.handleRaw("call", () =>
        Effect.gen(function* () {
          const { name, scope } = yield* Principal
          const answer = yield* answerCalls(desk, { name, scope }, yield* bodyText)
          return answer === null
            ? HttpServerResponse.empty({ status: 204 })
            : HttpServerResponse.text(`${JSON.stringify(answer)}\n`, { contentType: "application/json" })
        }),
      ),
    ),
  )

const said = <A, R>(effect: Effect.Effect<A, Refused, R>) => Effect.mapError(effect, problemOf)

/** What the log says of who asked. */
const byCaller = <A>(ask: (by: string) => Effect.Effect<A, Refused>) =>
  Effect.flatMap(Principal, ({ name }) => said(ask(name)))

const bodyText = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
  Effect.mapError(request.text, () => new Invalid({ detail: "the body cannot be read, or is too long" })),
)

const pageIn = ({
  cursor = "",
  limit = 1000,
}: {
  readonly cursor?: string
  readonly limit?: number
}): Effect.Effect<Page, Invalid> => {
  const after = Buffer.from(cursor, "base64url").toString("utf8")
  return cursorOf(after) === cursor
    ? Effect.succeed({ after, limit })
    : Effect.fail(new Invalid({ detail: `cursor = ${cursor}: expected \`next\` of the page before` }))
}

/** What the next page is asked with. */
export const cursorOf = (after: string): string => Buffer.from(after, "utf8").toString("base64url")

// ── documents ──

const packageIn = (query: { readonly event?: string; readonly package?: string }): string =>
  query.package ?? query.event ?? "presence"

const tagOf = (text: string): string =>
  `"${createHash("sha256").update(text).digest("base64url").slice(0, 22)}"`

const read = (desk: Operations, kind: DocumentKind, uri: string, event = "presence") =>
  Effect.flatMap(said(desk.document(kind, uri, event)), (document) =>
    document === null
      ? Effect.fail(new NotFound({ detail: `${uri} has no ${words[kind]} for ${event}` }))
      : Effect.succeed(
          HttpServerResponse.text(document.text, {
            contentType: document.contentType,
            headers: { etag: tagOf(document.text) },
          }),
        ),
  )

const words = { rules: "rules", "hard-state": "hard state" } as const

const replace = (desk: Operations, kind: DocumentKind, uri: string, event = "presence") =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const { name } = yield* Principal
    const text = yield* bodyText
    yield* ifUnchanged(desk, kind, uri, event)
    const contentType = (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase()
    yield* said(desk.replaceDocument(name, kind, uri, event, { contentType: contentType ?? null, text }))
    return HttpServerResponse.empty({ status: 204, headers: { etag: tagOf(text) } })
  })

const remove = (desk: Operations, kind: DocumentKind, uri: string, event = "presence") =>
  Effect.gen(function* () {
    const { name } = yield* Principal
    yield* ifUnchanged(desk, kind, uri, event)
    yield* said(desk.replaceDocument(name, kind, uri, event, null))
  })

/** @source RFC 9110 §13.1.1, §13.1.2 */
const ifUnchanged = (desk: Operations, kind: DocumentKind, uri: string, event: string) =>
  Effect.gen(function* () {
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const [match, noneMatch] = [headers["if-match"], headers["if-none-match"]]
    if (match === undefined && noneMatch === undefined) return
    const document = yield* said(desk.document(kind, uri, event))
    const tag = document === null ? null : tagOf(document.text)
    const names = (list: string): boolean =>
      tag !== null && (list.trim() === "*" || list.split(",").some((one) => one.trim() === tag))
    if ((match !== undefined && !names(match)) || (noneMatch !== undefined && names(noneMatch))) {
      yield* new Changed({
        detail: `somebody has changed the ${words[kind]} of ${uri} since: read before you write`,
      })
    }
  })

// ── events ──

/** Something is heard at least so often, so that nobody takes silence for the end of the connection. */
const heartbeat = "15 seconds"

/** @source the event stream format of the HTML standard §9.2 */
const eventStream = (items: Stream.Stream<FeedItem>): HttpServerResponse.HttpServerResponse => {
  const beats = Stream.map(Stream.tick(heartbeat), () => ": still here\n\n")
  const lines = Stream.map(items, ({ position, type, data }) => {
    const id = position === null ? "" : `id: ${position}\n`
    return `${id}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`
  })
  return HttpServerResponse.stream(Stream.encodeText(Stream.merge(lines, beats)), {
    contentType: "text/event-stream",
    headers: { "cache-control": "no-store" },
  })
}
