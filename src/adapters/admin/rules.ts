/**
 * Presence rules over the management port: `/rules/URI?event=presence`.
 *
 * GET gives the document in force, PUT replaces it, DELETE removes it; POST `/rules/URI/test?watcher=W` says how a watcher
 * would be treated, by the document in the body or, when that is empty, by the one in force.
 */
import { Clock, Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Millis, PackageName, Uri } from "../../domain/vocabulary.ts"
import { ifOwnHost, problem } from "./problems.ts"

export type RulesReport =
  | { readonly _tag: "Done" }
  | { readonly _tag: "Verdict"; readonly handling: string; readonly matched: readonly number[] }
  | { readonly _tag: "Refused"; readonly why: string }

export interface RulesDesk {
  readonly presentityOf: (text: string) => Uri | null
  readonly read: (presentity: Uri, packageName: PackageName) => string | null
  readonly replace: (
    presentity: Uri,
    packageName: PackageName,
    text: string | null,
  ) => Effect.Effect<RulesReport>
  readonly test: (
    presentity: Uri,
    packageName: PackageName,
    watcher: Uri,
    text: string | null,
    now: Millis,
  ) => RulesReport
}

interface Asked {
  readonly presentity: Uri
  readonly packageName: PackageName
  readonly query: URLSearchParams
  readonly body: string
}

export const rulesRoutes = (desk: RulesDesk) => {
  const route = (
    method: "GET" | "PUT" | "DELETE" | "POST",
    path: `/${string}`,
    answer: (asked: Asked) => Effect.Effect<HttpServerResponse.HttpServerResponse>,
  ) =>
    HttpRouter.add(
      method,
      path,
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const refusal = ifOwnHost(request)
        if (refusal !== null) return refusal
        const url = new URL(request.url, "http://localhost")
        const name = decodeURIComponent(url.pathname.split("/")[2] ?? "")
        const presentity = desk.presentityOf(name)
        if (presentity === null) return problem(400, `${name} is no presentity: write sip:alice@example.com`)
        const packageName = url.searchParams.get("event") ?? "presence"
        const body = yield* Effect.orElseSucceed(request.text, () => "")
        return yield* answer({ presentity, packageName, query: url.searchParams, body })
      }),
    )
  return Layer.mergeAll(
    route("GET", "/rules/:uri", ({ presentity, packageName }) =>
      Effect.sync(() => {
        const text = desk.read(presentity, packageName)
        return text === null
          ? problem(404, `${presentity} has no rules for ${packageName}`)
          : HttpServerResponse.text(text, { contentType: "application/auth-policy+xml" })
      }),
    ),
    route("PUT", "/rules/:uri", ({ presentity, packageName, body }) =>
      Effect.map(desk.replace(presentity, packageName, body), reported),
    ),
    route("DELETE", "/rules/:uri", ({ presentity, packageName }) =>
      Effect.map(desk.replace(presentity, packageName, null), reported),
    ),
    route("POST", "/rules/:uri/test", ({ presentity, packageName, query, body }) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const watcher = desk.presentityOf(query.get("watcher") ?? "")
        if (watcher === null)
          return problem(400, "watcher is missing or no URI: ?watcher=sip:bob@example.com")
        return reported(desk.test(presentity, packageName, watcher, body === "" ? null : body, now))
      }),
    ),
  )
}

const reported = (report: RulesReport): HttpServerResponse.HttpServerResponse => {
  switch (report._tag) {
    case "Done":
      return HttpServerResponse.empty({ status: 204 })
    case "Verdict":
      return HttpServerResponse.text(
        `${JSON.stringify({ handling: report.handling, matched: report.matched })}\n`,
        {
          contentType: "application/json",
        },
      )
    case "Refused":
      return problem(409, report.why)
  }
}
