/**
 * The management interface as data: every resource, what goes in, what comes out, who may. Routes, checks and the OpenAPI
 * document are made of it.
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
import { Differences, HistoryPage, SentPage, StateAt, Why } from "../../ports/history-queries.ts"
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
const about = (summary: string) => OpenApi.annotations({ summary })

/** Of documents: `package` is another word for `event`. */
const packageQuery = {
  ...eventQuery,
  package: Schema.optionalKey(Schema.String.annotate({ description: "the same as event" })),
}

const sourced =
  "refused with 409 where a source is the truth of such documents, which is named with what to do there"

const documents = <const Name extends string>(kind: "rules" | "hard-state", name: Name, what: string) =>
  HttpApiGroup.make(name).add(
    HttpApiEndpoint.get("read", `/v1/presentities/:uri/${kind}`, {
      params: ofPresentity,
      query: packageQuery,
      success: anyDocument,
      error,
    }).annotateMerge(about(`${what} in force; the ETag is for If-Match`)),
    HttpApiEndpoint.put("replace", `/v1/presentities/:uri/${kind}`, {
      params: ofPresentity,
      query: packageQuery,
      payload: anyDocument,
      error,
    })
      .annotate(RequiredScope, "operate")
      .annotateMerge(about(`Puts ${what} in force, at once and for those who watch already; ${sourced}`)),
    HttpApiEndpoint.delete("remove", `/v1/presentities/:uri/${kind}`, {
      params: ofPresentity,
      query: packageQuery,
      error,
    })
      .annotate(RequiredScope, "operate")
      .annotateMerge(about(`Removes ${what}; ${sourced}`)),
  )

export class Api extends HttpApi.make("presently")
  .add(
    HttpApiGroup.make("presentities").add(
      HttpApiEndpoint.get("list", "/v1/presentities", {
        query: { ...eventQuery, ...paging },
        success: pageOf(PublicationRow),
        error,
      }).annotateMerge(about("Live publications (pres_phtable_list)")),
      HttpApiEndpoint.get("show", "/v1/presentities/:uri", {
        params: ofPresentity,
        success: PresentityView,
        error,
      }).annotateMerge(about("All there is of one presentity, before any rule")),
      HttpApiEndpoint.get("watchers", "/v1/presentities/:uri/watchers", {
        params: ofPresentity,
        query: eventQuery,
        success: Schema.Struct({ items: Schema.Array(WatcherRow) }),
        error,
      }).annotateMerge(about("Who watches, and who waits to be decided on")),
      HttpApiEndpoint.put("decide", "/v1/presentities/:uri/watchers/:watcher/decision", {
        params: { ...ofPresentity, watcher: Schema.String },
        payload: Schema.Struct({ event: Schema.optionalKey(Event), handling: SubHandling }),
        error,
      })
        .annotate(RequiredScope, "operate")
        .annotateMerge(about("Approves or denies one watcher, whatever the rules say")),
      HttpApiEndpoint.delete("undecide", "/v1/presentities/:uri/watchers/:watcher/decision", {
        params: { ...ofPresentity, watcher: Schema.String },
        query: eventQuery,
        error,
      })
        .annotate(RequiredScope, "operate")
        .annotateMerge(about("Takes a decision back: the rules count again")),
      HttpApiEndpoint.post("refresh", "/v1/presentities/:uri/refresh", {
        params: ofPresentity,
        payload: Schema.Struct({
          event: Schema.optionalKey(Event),
          kind: Schema.optionalKey(Schema.Literals(["rules", "state"])),
        }),
        error,
      })
        .annotate(RequiredScope, "operate")
        .annotateMerge(about("Judges all watchers again, or tells them the present state (refreshWatchers)")),
      HttpApiEndpoint.post("terminate", "/v1/presentities/:uri/terminate", {
        params: ofPresentity,
        payload: Schema.Struct({
          event: Schema.optionalKey(Event),
          watcher: Schema.optionalKey(Schema.String),
          reason: Schema.optionalKey(Schema.Literals(["deactivated", "probation", "noresource"])),
        }),
        error,
      })
        .annotate(RequiredScope, "operate")
        .annotateMerge(about("Ends subscriptions, of one watcher or of all")),
      HttpApiEndpoint.post("erase", "/v1/presentities/:uri/erase", {
        params: ofPresentity,
        success: Erased,
        error,
      })
        .annotate(RequiredScope, "admin")
        .annotateMerge(about("Forgets a person for good: nothing of it is left in the database")),
      HttpApiEndpoint.post("expose", "/v1/presentities/expose", {
        payload: Schema.Struct({ event: Event, filter: Schema.optionalKey(Schema.NullOr(Schema.String)) }),
        success: Schema.Array(ExposedRow),
        error,
      })
        .annotate(RequiredScope, "operate")
        .annotateMerge(
          about("Live publications with their documents, each also raised as an event (pres_expose)"),
        ),
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
      }).annotateMerge(about("Decisions on a presentity: the newest, oldest first")),
      HttpApiEndpoint.get("at", "/v1/presentities/:uri/at", {
        params: ofPresentity,
        query: { ...zone, time: Instant },
        success: StateAt,
        error,
      }).annotateMerge(about("A presentity as of any instant")),
      HttpApiEndpoint.get("diff", "/v1/presentities/:uri/diff", {
        params: ofPresentity,
        query: { ...zone, from: Instant, to: Instant },
        success: Differences,
        error,
      }).annotateMerge(about("What is different between two instants")),
      HttpApiEndpoint.get("seen", "/v1/presentities/:uri/seen", {
        params: ofPresentity,
        query: { ...span, watcher: Schema.String, body: flag },
        success: SentPage,
        error,
      }).annotateMerge(
        about("Every NOTIFY that a watcher was sent, with its document and what became of it"),
      ),
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
      }).annotateMerge(about("Why a watcher was told of the last change until then, or was not")),
    ),
    documents("rules", "rules", "authorization rules").add(
      HttpApiEndpoint.post("test", "/v1/presentities/:uri/rules/test", {
        params: ofPresentity,
        query: { ...packageQuery, watcher: Schema.String },
        payload: anyDocument,
        success: Schema.Struct({ handling: Schema.String, matched: Schema.Array(Schema.Int) }),
        error,
      }).annotateMerge(about("How a watcher would be treated, by the document sent or by the one in force")),
    ),
    documents("hard-state", "hardState", "hard state (RFC 4827)"),
    HttpApiGroup.make("watchers").add(
      HttpApiEndpoint.get("list", "/v1/watchers", {
        query: { state: Schema.optionalKey(Schema.Literals(watchingStates)), ...paging },
        success: pageOf(WatchingRow),
        error,
      }).annotateMerge(
        about("Watchers of everybody; stale: those that have not been sent what is shown now"),
      ),
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
      }).annotateMerge(about("Subscriptions, by shell wildcards over whole URIs (subs_phtable_list)")),
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
      })
        .annotate(RequiredScope, "operate")
        .annotateMerge(
          about("As PUBLISH: creates, modifies, refreshes, removes, by what is given (RFC 3903)"),
        ),
      HttpApiEndpoint.delete("remove", "/v1/publications/:etag", {
        params: { etag: Schema.String },
        query: { presentity: Schema.String, ...eventQuery },
        error,
      })
        .annotate(RequiredScope, "operate")
        .annotateMerge(about("Ends a publication")),
    ),
    HttpApiGroup.make("sharingTags").add(
      HttpApiEndpoint.get("list", "/v1/sharing-tags", {
        success: Schema.Struct({ items: Schema.Array(SharingTag) }),
        error,
      }).annotateMerge(about("Sharing tags and what they are here (pres_list_sharing_tags)")),
      HttpApiEndpoint.put("set", "/v1/sharing-tags/:tag", {
        params: { tag: Schema.String },
        payload: Schema.Struct({ state: Schema.Literals(["active", "backup"]) }),
        success: SharingTag,
        error,
      })
        .annotate(RequiredScope, "admin")
        .annotateMerge(about("Makes a tag active or backup here (pres_set_sharing_tag_active)")),
    ),
    HttpApiGroup.make("events").add(
      HttpApiEndpoint.get("stream", "/v1/events", {
        query: { type: Schema.optionalKey(Schema.String), uri: Schema.optionalKey(Schema.String) },
        headers: { "last-event-id": Schema.optionalKey(Schema.String) },
        success: HttpApiSchema.asText({ contentType: "text/event-stream" })(Schema.String),
        error,
      }).annotateMerge(
        about("E_PRESENCE_PUBLISH and E_PRESENCE_EXPOSED as they happen, from any log position"),
      ),
    ),
    HttpApiGroup.make("webhooks").add(
      HttpApiEndpoint.get("list", "/v1/webhooks", {
        success: Schema.Struct({ items: Schema.Array(WebhookView) }),
        error,
      }).annotateMerge(about("Webhooks and how it stands with each")),
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
      })
        .annotate(RequiredScope, "admin")
        .annotateMerge(about("Sends events by HTTP, signed; the answer is the only one with the secret")),
      HttpApiEndpoint.delete("remove", "/v1/webhooks/:id", { params: { id: Schema.String }, error })
        .annotate(RequiredScope, "admin")
        .annotateMerge(about("Sends no more, and forgets the dead letters")),
      HttpApiEndpoint.get("deadLetters", "/v1/webhooks/:id/dead-letters", {
        params: { id: Schema.String },
        success: Schema.Struct({ items: Schema.Array(DeadLetter) }),
        error,
      })
        .annotate(RequiredScope, "operate")
        .annotateMerge(about("Messages that were given up, the newest first")),
      HttpApiEndpoint.post("redeliver", "/v1/webhooks/:id/dead-letters/:letter/redeliver", {
        params: { id: Schema.String, letter: Schema.String },
        error,
      })
        .annotate(RequiredScope, "operate")
        .annotateMerge(about("Sends a dead letter once more; taken, it is one no longer")),
      HttpApiEndpoint.delete("discard", "/v1/webhooks/:id/dead-letters/:letter", {
        params: { id: Schema.String, letter: Schema.String },
        error,
      })
        .annotate(RequiredScope, "operate")
        .annotateMerge(about("Forgets a dead letter")),
    ),
    HttpApiGroup.make("server").add(
      HttpApiEndpoint.post("cleanup", "/v1/maintenance/cleanup", {
        success: Schema.Struct({ decided: Schema.Int }),
        error,
      })
        .annotate(RequiredScope, "operate")
        .annotateMerge(about("Waits until all that is due is decided (cleanup)")),
      HttpApiEndpoint.get("logLevel", "/v1/log-level", {
        success: Schema.Struct({ level: Schema.String }),
        error,
      }).annotateMerge(about("How much is said in the log")),
      HttpApiEndpoint.put("setLogLevel", "/v1/log-level", {
        payload: Schema.Struct({ level: Schema.Literals(logLevels) }),
        error,
      })
        .annotate(RequiredScope, "admin")
        .annotateMerge(about("Says more or less in the log from now on")),
      HttpApiEndpoint.post("reload", "/v1/reload", {
        success: Schema.Struct({
          changes: Schema.Array(Schema.String),
          restart: Schema.Array(Schema.String),
        }),
        error,
      })
        .annotate(RequiredScope, "admin")
        .annotateMerge(
          about(
            "Reads users, tokens, rules and log level again, as SIGHUP does; 409 and no change when any is wrong",
          ),
        ),
      HttpApiEndpoint.post("repairTables", "/v1/tables/repair", {
        payload: Schema.Struct({ from_start: Schema.optionalKey(Schema.Boolean) }),
        success: Repaired,
        error,
      })
        .annotate(RequiredScope, "admin")
        .annotateMerge(
          about(
            "Rewrites rows and snapshots that are not what the log says; from_start: reads every event, and makes landmarks anew",
          ),
        ),
      HttpApiEndpoint.get("sources", "/v1/sources", {
        success: Schema.Struct({ items: Schema.Array(Source) }),
        error,
      }).annotateMerge(
        about(
          "Where rules and hard state come from, whether that can be read, and which documents cannot be used",
        ),
      ),
      HttpApiEndpoint.get("status", "/status", { success: Schema.Unknown, error }).annotateMerge(
        about("Counters as JSON"),
      ),
    ),
    HttpApiGroup.make("commands").add(
      HttpApiEndpoint.post("call", "/mi", {
        payload: Schema.Unknown,
        success: Schema.Unknown,
        error,
      }).annotateMerge(about("Management commands as JSON-RPC 2.0, under all names they have had")),
    ),
  )
  .middleware(Guard)
  .middleware(SchemaErrors)
  .annotateMerge(
    OpenApi.annotations({ title: "presently", description: "Management interface of a presence server" }),
  ) {}
