/**
 * The management port: probes for whoever watches the process, metrics, and the management interface.
 */
import { createServer } from "node:http"
import { isIP } from "node:net"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { ByteSize, Context, Effect, Layer, Redacted, SchemaIssue } from "effect"
import type { Scope as EffectScope } from "effect"
import {
  Headers,
  HttpIncomingMessage,
  HttpMethod,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse,
} from "effect/http"
import { HttpApiBuilder, HttpApiMiddleware, OpenApi } from "effect/http-api"
import type { HttpApiEndpoint } from "effect/http-api"
import type { Operations } from "../../ports/operations.ts"
import { BindFailed } from "../../ports/sip-transport.ts"
import { Api, Principal, Guard, SchemaErrors, RequiredScope } from "./api.ts"
import { handlers } from "./handlers.ts"
import { Invalid, NoToken, NotAllowed, NotFound, TooLong, Unavailable } from "./problems.ts"
import { secureServer } from "./secure-server.ts"
import type { AdminTls } from "./secure-server.ts"
import { findToken, includes } from "./tokens.ts"
import type { Scope, Token } from "./tokens.ts"

export interface AdminSource {
  /** Null: ready; otherwise why not. */
  readonly notReady: () => string | null
  /** Why nothing is said from memory; null, or absent: nothing keeps it from that. */
  readonly unsure?: () => string | null
  /** What is amiss though requests are decided, a line each; empty: nothing. */
  readonly degraded: () => readonly string[]
  /** Whether the first start is over. */
  readonly hasStarted: () => boolean
  /** OpenMetrics text. */
  readonly metrics: () => string
  readonly operations: Operations
  /** Of this software. */
  readonly version: string
}

export interface AdminOptions {
  readonly host: string
  readonly port: number
  /** Null: whoever reaches the port may do everything. */
  readonly tokens: Tokens
  /** Absent or null: it speaks HTTP without TLS. */
  readonly tls?: AdminTls | null
}

/** Asked for each request, as a file of them may be read again. */
export type Tokens = readonly Token[] | null | (() => readonly Token[] | null)

/**
 * Opens the port for as long as the scope lives. `/live`: the process runs. `/ready`: 200, with what is amiss all the same, or
 * 503 with the reason.
 * `/startup`: 200 once the log was read. `/metrics`, `/openapi.json`, and the resources of `api.ts`.
 *
 * @returns where it listens, with the real port
 */
export const openAdmin = (
  { host, port, tokens, tls = null }: AdminOptions,
  source: AdminSource,
): Effect.Effect<{ readonly host: string; readonly port: number }, BindFailed, EffectScope.Scope> =>
  Layer.build(
    HttpRouter.serve(routes(source, tokens), { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(
        NodeHttpServer.layer(tls === null ? createServer : () => secureServer(tls), { host, port }),
      ),
      Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, bodyMax)),
    ),
  ).pipe(
    Effect.map((services) => {
      const bound = Context.get(services, HttpServer.HttpServer).address
      return { host, port: "port" in bound ? bound.port : port }
    }),
    Effect.catchTag("ServeError", ({ cause }) =>
      Effect.fail(new BindFailed({ address: `${tls === null ? "http" : "https"}:${host}:${port}`, cause })),
    ),
  )

const routes = (source: AdminSource, tokens: Tokens) =>
  Layer.mergeAll(
    HttpApiBuilder.layer(Api.annotateMerge(OpenApi.annotations({ version: source.version })), {
      openapiPath: "/openapi.json",
    }).pipe(
      Layer.provide(handlers(source.operations)),
      Layer.provide(guard(tokens, source.unsure ?? (() => null))),
      Layer.provide(legible),
    ),
    HttpRouter.add(
      "*",
      "/*",
      Effect.map(HttpServerRequest.HttpServerRequest, ({ method, url }) => noSuchPath(method, url)),
    ),
    HttpRouter.add("GET", "/live", HttpServerResponse.text("live\n")),
    probe("/ready", () => source.notReady(), source.degraded),
    probe(
      "/startup",
      () => (source.hasStarted() ? null : "starting"),
      () => [],
    ),
    HttpRouter.add(
      "GET",
      "/metrics",
      Effect.sync(() => HttpServerResponse.text(source.metrics(), { contentType: openMetrics })),
    ),
  )

const noSuchPath = (method: string, url: string) => {
  const { type, status, title, detail, code } = new NotFound({
    detail: `${method} ${url.slice(0, 200)}: no such resource; /openapi.json names them all`,
  })
  return HttpServerResponse.text(JSON.stringify({ type, status, title, detail, code }), {
    status,
    contentType: "application/problem+json",
  })
}

const openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"

const probe = (path: `/${string}`, notReady: () => string | null, degraded: () => readonly string[]) =>
  HttpRouter.add(
    "GET",
    path,
    Effect.sync(() => {
      const why = notReady()
      return why === null
        ? HttpServerResponse.text(["ready", ...degraded().map((one) => `degraded: ${one}`), ""].join("\n"))
        : HttpServerResponse.text(`not ready: ${why}\n`, { status: 503 })
    }),
  )

const guard = (given: Tokens, unsure: () => string | null) =>
  Layer.succeed(Guard)({
    bearer: (answer, { credential, endpoint }) =>
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const tokens = typeof given === "function" ? given() : given
        const caller = yield* callerOf(request, tokens, Redacted.value(credential), needsOf(endpoint))
        const why = endpoint.path === "/status" ? null : unsure()
        if (why !== null) return yield* new Unavailable({ detail: why })
        const legible = yield* readable(request, endpoint)
        return yield* answer.pipe(
          Effect.provideService(Principal, caller),
          Effect.provideService(HttpServerRequest.HttpServerRequest, legible),
        )
      }),
  })

const callerOf = (
  request: HttpServerRequest.HttpServerRequest,
  tokens: readonly Token[] | null,
  credential: string,
  needs: Scope,
): Effect.Effect<Principal["Service"], NoToken | NotAllowed> => {
  const from = remoteOf(request)
  if (tokens === null) {
    return isOwnHost(request) && isNoPage(request)
      ? Effect.succeed({ name: `management port ${from}`, scope: "admin" })
      : Effect.fail(
          new NotAllowed({
            detail:
              "without tokens this port answers programs that ask it by its address, not pages of a browser",
          }),
        )
  }
  const token = findToken(tokens, credential)
  if (token === null) {
    return Effect.fail(
      new NoToken({ detail: "send Authorization: Bearer TOKEN with a token this server knows" }),
    )
  }
  return includes(token.scope, needs)
    ? Effect.succeed({ name: `management port ${from} ${token.name}`, scope: token.scope })
    : Effect.fail(
        new NotAllowed({ detail: `needs a token of scope ${needs}; ${token.name} has ${token.scope}` }),
      )
}

const needsOf = (endpoint: HttpApiEndpoint.Top): Scope => Context.get(endpoint.annotations, RequiredScope)

/** JSON is JSON whatever it is called (`curl -d` calls everything a form), and none is an object without fields; the body is here, and not too long. */
const readable = Effect.fnUntraced(function* (
  request: HttpServerRequest.HttpServerRequest,
  endpoint: HttpApiEndpoint.Top,
) {
  const legible = endpoint.payload.has(json)
    ? request.modify({ headers: Headers.set(request.headers, "content-type", json) })
    : request
  if (!HttpMethod.hasBody(request.method)) return legible
  const text = yield* Effect.mapError(legible.text, () => new TooLong({ detail: tooLong }))
  return text === "" && endpoint.payload.has(json) ? withoutFields(legible) : legible
})

const withoutFields = (request: HttpServerRequest.HttpServerRequest): HttpServerRequest.HttpServerRequest =>
  Object.create(request, {
    text: { value: Effect.succeed("{}") },
    json: { value: Effect.succeed({}) },
  }) as HttpServerRequest.HttpServerRequest

const json = "application/json"

/** A page that makes a browser believe its name is our address asks by that name. */
const isOwnHost = (request: HttpServerRequest.HttpServerRequest): boolean => {
  const name = (request.headers["host"] ?? "").replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1")
  return name === "localhost" || isIP(name) !== 0
}

/** A browser says so when it asks for a page of somebody else. */
const isNoPage = ({ headers }: HttpServerRequest.HttpServerRequest): boolean => {
  const { origin = null, host = "" } = headers as Readonly<Record<string, string | undefined>>
  return origin === null || origin === `http://${host}` || origin === `https://${host}`
}

const remoteOf = (request: HttpServerRequest.HttpServerRequest): string =>
  (request.source as { readonly socket?: { readonly remoteAddress?: string } }).socket?.remoteAddress ?? ""

const legible = HttpApiMiddleware.layerSchemaErrorTransform(SchemaErrors, (error) => {
  if (error.kind === "Body" || error.kind === "ResponseHeaders") return Effect.fail(error)
  const slot = error.kind === "Payload" ? "body" : error.kind.toLowerCase()
  const [first] = formatIssues(error.cause.issue).issues
  const path = (first?.path ?? []).map((segment) =>
    String(typeof segment === "object" ? segment.key : segment),
  )
  return Effect.fail(
    new Invalid({ detail: `${[slot, ...path].join(".")}: ${first?.message ?? "unreadable"}` }),
  )
})

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** No document of an operator is longer. */
const bodyMax = ByteSize.mebibytes(1)
const tooLong = "expected a body of at most 1 MiB"
