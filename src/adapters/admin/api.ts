/**
 * The management interface as data: the resources with their paths, parameters, payloads and answers. Routes, checks and the
 * OpenAPI document are made of it; summaries and scopes come from `operation-table.ts`.
 */
import { Context, Schema } from "effect"
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity,
  OpenApi,
} from "effect/http-api"
import { Differences, HistoryPage, SentPage, StateAt, Why } from "../../ports/history-queries.ts"
import {
  DeadLetter,
  Erased,
  ExposedRow,
  PresentityView,
  PublicationRow,
  Published,
  Repaired,
  SharingTag,
  Source,
  SubHandling,
  SubscriptionRow,
  WatcherRow,
  WatchingRow,
  WebhookView,
  feedTypes,
  logLevels,
  watchingStates,
} from "../../ports/operations.ts"
import { operationTable } from "./operation-table.ts"
import type { OperationName } from "./operation-table.ts"
import { NoToken, NotAllowed, TooLong, Unavailable, problems } from "./problems.ts"
import type { Scope } from "./tokens.ts"

/** Who asks, for the log. */
export class Principal extends Context.Service<Principal, { readonly name: string; readonly scope: Scope }>()(
  "presently/admin/Caller",
) {}

/** The scope that a resource needs. */
export const RequiredScope = Context.Reference<Scope>("presently/admin/Needs", { defaultValue: () => "read" })

/** Lets in whoever has the scope. */
export class Guard extends HttpApiMiddleware.Service<Guard, { provides: Principal }>()(
  "presently/admin/Guard",
  {
    error: [NoToken, NotAllowed, TooLong, Unavailable],
    security: { bearer: HttpApiSecurity.bearer },
  },
) {}

/** Turns what does not fit a schema into one line that says what and where. */
export class SchemaErrors extends HttpApiMiddleware.Service<SchemaErrors>()("presently/admin/Legible", {
  error: problems,
}) {}

const error = problems

const Event = Schema.String.annotate({ description: "an event package" })
const ofPresentity = {
  uri: Schema.String.annotate({ description: "sip:alice@example.com, percent-encoded" }),
}
const eventQuery = { event: Schema.optionalKey(Event) }
const paging = {
  cursor: Schema.optionalKey(Schema.String.annotate({ description: "`next` of the page before" })),
  limit: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 })).annotate({
      description: "rows, at most about",
    }),
  ),
}
const zone = {
  tz: Schema.optionalKey(Schema.String.annotate({ description: "a time zone; UTC when left out" })),
}
const Instant = Schema.String.annotate({ description: "now, 15m (ago), 14:05:12, 2026-11-23T14:05:12Z" })
const span = {
  ...eventQuery,
  ...zone,
  since: Schema.optionalKey(Instant),
  until: Schema.optionalKey(Instant),
  before: Schema.optionalKey(Schema.Int.annotate({ description: "`next` of the page after" })),
  limit: paging.limit,
}
const flag = Schema.optionalKey(Schema.Literals(["true", "false"]))
const pageOf = <S extends Schema.Top>(row: S) =>
  Schema.Struct({ items: Schema.Array(row), next: Schema.NullOr(Schema.String) })

const anyDocument = HttpApiSchema.asText({ contentType: "application/xml" })(Schema.String)
/** Summary and scope of an operation, as annotations of its endpoint. */
const described = (name: OperationName) => {
  const { summary, scope } = operationTable[name]
  return Context.add(OpenApi.annotations({ summary }), RequiredScope, scope)
}

/** Of documents: `package` is another word for `event`. */
const packageQuery = {
  ...eventQuery,
  package: Schema.optionalKey(Schema.String.annotate({ description: "the same as event" })),
}

const documents = <const Name extends "rules" | "hardState">(kind: "rules" | "hard-state", name: Name) =>
  HttpApiGroup.make(name).add(
    HttpApiEndpoint.get("read", `/v1/presentities/:uri/${kind}`, {
      params: ofPresentity,
      query: packageQuery,
      success: anyDocument,
      error,
    }).annotateMerge(described(`${name}.read`)),
    HttpApiEndpoint.put("replace", `/v1/presentities/:uri/${kind}`, {
      params: ofPresentity,
      query: packageQuery,
      payload: anyDocument,
      error,
    }).annotateMerge(described(`${name}.replace`)),
    HttpApiEndpoint.delete("remove", `/v1/presentities/:uri/${kind}`, {
      params: ofPresentity,
      query: packageQuery,
      error,
    }).annotateMerge(described(`${name}.remove`)),
  )

export class Api extends HttpApi.make("presently")
  .add(
    HttpApiGroup.make("presentities").add(
      HttpApiEndpoint.get("list", "/v1/presentities", {
        query: { ...eventQuery, ...paging },
        success: pageOf(PublicationRow),
        error,
      }).annotateMerge(described("presentities.list")),
      HttpApiEndpoint.get("show", "/v1/presentities/:uri", {
        params: ofPresentity,
        success: PresentityView,
        error,
      }).annotateMerge(described("presentities.show")),
      HttpApiEndpoint.get("watchers", "/v1/presentities/:uri/watchers", {
        params: ofPresentity,
        query: eventQuery,
        success: Schema.Struct({ items: Schema.Array(WatcherRow) }),
        error,
      }).annotateMerge(described("presentities.watchers")),
      HttpApiEndpoint.put("decide", "/v1/presentities/:uri/watchers/:watcher/decision", {
        params: { ...ofPresentity, watcher: Schema.String },
        payload: Schema.Struct({ event: Schema.optionalKey(Event), handling: SubHandling }),
        error,
      }).annotateMerge(described("presentities.decide")),
      HttpApiEndpoint.delete("undecide", "/v1/presentities/:uri/watchers/:watcher/decision", {
        params: { ...ofPresentity, watcher: Schema.String },
        query: eventQuery,
        error,
      }).annotateMerge(described("presentities.undecide")),
      HttpApiEndpoint.post("refresh", "/v1/presentities/:uri/refresh", {
        params: ofPresentity,
        payload: Schema.Struct({
          event: Schema.optionalKey(Event),
          kind: Schema.optionalKey(Schema.Literals(["rules", "state"])),
        }),
        error,
      }).annotateMerge(described("presentities.refresh")),
      HttpApiEndpoint.post("terminate", "/v1/presentities/:uri/terminate", {
        params: ofPresentity,
        payload: Schema.Struct({
          event: Schema.optionalKey(Event),
          watcher: Schema.optionalKey(Schema.String),
          reason: Schema.optionalKey(Schema.Literals(["deactivated", "probation", "noresource"])),
        }),
        error,
      }).annotateMerge(described("presentities.terminate")),
      HttpApiEndpoint.post("erase", "/v1/presentities/:uri/erase", {
        params: ofPresentity,
        success: Erased,
        error,
      }).annotateMerge(described("presentities.erase")),
      HttpApiEndpoint.post("expose", "/v1/presentities/expose", {
        payload: Schema.Struct({ event: Event, filter: Schema.optionalKey(Schema.NullOr(Schema.String)) }),
        success: Schema.Array(ExposedRow),
        error,
      }).annotateMerge(described("presentities.expose")),
    ),
    HttpApiGroup.make("history").add(
      HttpApiEndpoint.get("history", "/v1/presentities/:uri/history", {
        params: ofPresentity,
        query: {
          ...span,
          after: Schema.optionalKey(Schema.Int),
          type: Schema.optionalKey(
            Schema.String.annotate({ description: "kinds of events, with commas between" }),
          ),
          causes: flag,
        },
        success: HistoryPage,
        error,
      }).annotateMerge(described("history.history")),
      HttpApiEndpoint.get("at", "/v1/presentities/:uri/at", {
        params: ofPresentity,
        query: { ...zone, time: Instant },
        success: StateAt,
        error,
      }).annotateMerge(described("history.at")),
      HttpApiEndpoint.get("diff", "/v1/presentities/:uri/diff", {
        params: ofPresentity,
        query: { ...zone, from: Instant, to: Instant },
        success: Differences,
        error,
      }).annotateMerge(described("history.diff")),
      HttpApiEndpoint.get("seen", "/v1/presentities/:uri/seen", {
        params: ofPresentity,
        query: { ...span, watcher: Schema.String, body: flag },
        success: SentPage,
        error,
      }).annotateMerge(described("history.seen")),
      HttpApiEndpoint.get("why", "/v1/presentities/:uri/why", {
        params: ofPresentity,
        query: {
          ...zone,
          ...eventQuery,
          watcher: Schema.String,
          at: Schema.optionalKey(Instant),
          position: Schema.optionalKey(Schema.Int),
        },
        success: Why,
        error,
      }).annotateMerge(described("history.why")),
    ),
    documents("rules", "rules").add(
      HttpApiEndpoint.post("test", "/v1/presentities/:uri/rules/test", {
        params: ofPresentity,
        query: { ...packageQuery, watcher: Schema.String },
        payload: anyDocument,
        success: Schema.Struct({ handling: Schema.String, matched: Schema.Array(Schema.Int) }),
        error,
      }).annotateMerge(described("rules.test")),
    ),
    documents("hard-state", "hardState"),
    HttpApiGroup.make("watchers").add(
      HttpApiEndpoint.get("list", "/v1/watchers", {
        query: { state: Schema.optionalKey(Schema.Literals(watchingStates)), ...paging },
        success: pageOf(WatchingRow),
        error,
      }).annotateMerge(described("watchers.list")),
    ),
    HttpApiGroup.make("subscriptions").add(
      HttpApiEndpoint.get("list", "/v1/subscriptions", {
        query: {
          from: Schema.optionalKey(Schema.String),
          to: Schema.optionalKey(Schema.String),
          ...paging,
        },
        success: pageOf(SubscriptionRow),
        error,
      }).annotateMerge(described("subscriptions.list")),
    ),
    HttpApiGroup.make("publications").add(
      HttpApiEndpoint.post("publish", "/v1/publications", {
        payload: Schema.Struct({
          presentity: Schema.String,
          event: Schema.optionalKey(Event),
          body: Schema.optionalKey(Schema.String),
          contentType: Schema.optionalKey(Schema.String),
          entityTag: Schema.optionalKey(Schema.String),
          expires: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
        }),
        success: Published,
        error,
      }).annotateMerge(described("publications.publish")),
      HttpApiEndpoint.delete("remove", "/v1/publications/:etag", {
        params: { etag: Schema.String },
        query: { presentity: Schema.String, ...eventQuery },
        error,
      }).annotateMerge(described("publications.remove")),
    ),
    HttpApiGroup.make("sharingTags").add(
      HttpApiEndpoint.get("list", "/v1/sharing-tags", {
        success: Schema.Struct({ items: Schema.Array(SharingTag) }),
        error,
      }).annotateMerge(described("sharingTags.list")),
      HttpApiEndpoint.put("set", "/v1/sharing-tags/:tag", {
        params: { tag: Schema.String },
        payload: Schema.Struct({ state: Schema.Literals(["active", "backup"]) }),
        success: SharingTag,
        error,
      }).annotateMerge(described("sharingTags.set")),
    ),
    HttpApiGroup.make("events").add(
      HttpApiEndpoint.get("stream", "/v1/events", {
        query: { type: Schema.optionalKey(Schema.String), uri: Schema.optionalKey(Schema.String) },
        headers: { "last-event-id": Schema.optionalKey(Schema.String) },
        success: HttpApiSchema.asText({ contentType: "text/event-stream" })(Schema.String),
        error,
      }).annotateMerge(described("events.stream")),
    ),
    HttpApiGroup.make("webhooks").add(
      HttpApiEndpoint.get("list", "/v1/webhooks", {
        success: Schema.Struct({ items: Schema.Array(WebhookView) }),
        error,
      }).annotateMerge(described("webhooks.list")),
      HttpApiEndpoint.post("add", "/v1/webhooks", {
        payload: Schema.Struct({
          url: Schema.String,
          types: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.Literals(feedTypes)))),
          presentity: Schema.optionalKey(
            Schema.NullOr(Schema.String).annotate({ description: "a shell wildcard over whole URIs" }),
          ),
          secret: Schema.optionalKey(Schema.String),
          from: Schema.optionalKey(
            Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).annotate({
              description: "log position after which it is told; otherwise from now on",
            }),
          ),
        }),
        success: Schema.Struct({ ...WebhookView.fields, secret: Schema.String }),
        error,
      }).annotateMerge(described("webhooks.add")),
      HttpApiEndpoint.delete("remove", "/v1/webhooks/:id", {
        params: { id: Schema.String },
        error,
      }).annotateMerge(described("webhooks.remove")),
      HttpApiEndpoint.get("deadLetters", "/v1/webhooks/:id/dead-letters", {
        params: { id: Schema.String },
        success: Schema.Struct({ items: Schema.Array(DeadLetter) }),
        error,
      }).annotateMerge(described("webhooks.deadLetters")),
      HttpApiEndpoint.post("redeliver", "/v1/webhooks/:id/dead-letters/:letter/redeliver", {
        params: { id: Schema.String, letter: Schema.String },
        error,
      }).annotateMerge(described("webhooks.redeliver")),
      HttpApiEndpoint.delete("discard", "/v1/webhooks/:id/dead-letters/:letter", {
        params: { id: Schema.String, letter: Schema.String },
        error,
      }).annotateMerge(described("webhooks.discard")),
    ),
    HttpApiGroup.make("server").add(
      HttpApiEndpoint.post("cleanup", "/v1/maintenance/cleanup", {
        success: Schema.Struct({ decided: Schema.Int }),
        error,
      }).annotateMerge(described("server.cleanup")),
      HttpApiEndpoint.get("logLevel", "/v1/log-level", {
        success: Schema.Struct({ level: Schema.String }),
        error,
      }).annotateMerge(described("server.logLevel")),
      HttpApiEndpoint.put("setLogLevel", "/v1/log-level", {
        payload: Schema.Struct({ level: Schema.Literals(logLevels) }),
        error,
      }).annotateMerge(described("server.setLogLevel")),
      HttpApiEndpoint.post("reload", "/v1/reload", {
        success: Schema.Struct({
          changes: Schema.Array(Schema.String),
          restart: Schema.Array(Schema.String),
        }),
        error,
      }).annotateMerge(described("server.reload")),
      HttpApiEndpoint.post("repairTables", "/v1/tables/repair", {
        payload: Schema.Struct({ from_start: Schema.optionalKey(Schema.Boolean) }),
        success: Repaired,
        error,
      }).annotateMerge(described("server.repairTables")),
      HttpApiEndpoint.get("sources", "/v1/sources", {
        success: Schema.Struct({ items: Schema.Array(Source) }),
        error,
      }).annotateMerge(described("server.sources")),
      HttpApiEndpoint.get("status", "/status", { success: Schema.Unknown, error }).annotateMerge(
        described("server.status"),
      ),
    ),
    HttpApiGroup.make("commands").add(
      HttpApiEndpoint.post("call", "/mi", {
        payload: Schema.Unknown,
        success: Schema.Unknown,
        error,
      }).annotateMerge(described("commands.call")),
    ),
  )
  .middleware(Guard)
  .middleware(SchemaErrors)
  .annotateMerge(
    OpenApi.annotations({ title: "presently", description: "Management interface of a presence server" }),
  ) {}
