/**
 * Hard state over the management port: `/v1/presentities/URI/hard-state?event=presence`.
 *
 * GET gives the document in force, PUT replaces it, DELETE removes it.
 */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Body, PackageName, Uri } from "../../domain/vocabulary.ts"
import { ifOwnHost, problem } from "./problems.ts"

export type HardStateReport = { readonly _tag: "Done" } | { readonly _tag: "Refused"; readonly why: string }

export interface HardStateDesk {
  readonly presentityOf: (text: string) => Uri | null
  readonly read: (presentity: Uri, packageName: PackageName) => Body | null
  /**
   * @param document null removes it; its type counts when it is one of the package's, for a client that sends a file
   *   often names no type, or that of a form
   */
  readonly set: (
    presentity: Uri,
    packageName: PackageName,
    document: { readonly contentType: string | null; readonly text: string } | null,
  ) => Effect.Effect<HardStateReport>
}

interface Asked {
  readonly presentity: Uri
  readonly packageName: PackageName
  readonly request: HttpServerRequest.HttpServerRequest
}

const path = "/v1/presentities/:uri/hard-state"

export const hardStateRoutes = (desk: HardStateDesk) => {
  const route = (
    method: "GET" | "PUT" | "DELETE",
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
        const name = nameIn(url)
        const presentity = name === null ? null : desk.presentityOf(name)
        if (presentity === null) return problem(400, `${name} is no presentity: write sip:alice@example.com`)
        const packageName = url.searchParams.get("event") ?? "presence"
        return yield* answer({ presentity, packageName, request })
      }),
    )
  return Layer.mergeAll(
    route("GET", ({ presentity, packageName }) =>
      Effect.sync(() => {
        const body = desk.read(presentity, packageName)
        return body === null
          ? problem(404, `${presentity} has no hard state for ${packageName}`)
          : HttpServerResponse.text(body.text, { contentType: body.contentType })
      }),
    ),
    route("PUT", ({ presentity, packageName, request }) =>
      Effect.gen(function* () {
        const text = yield* Effect.orElseSucceed(request.text, () => "")
        const contentType = (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase()
        const document = { contentType: contentType ?? null, text }
        return reported(yield* desk.set(presentity, packageName, document))
      }),
    ),
    route("DELETE", ({ presentity, packageName }) =>
      Effect.map(desk.set(presentity, packageName, null), reported),
    ),
  )
}

/** Null when it is not percent-encoded as it should be. */
const nameIn = (url: URL): string | null => {
  try {
    return decodeURIComponent(url.pathname.split("/")[3] ?? "")
  } catch {
    return null
  }
}

const reported = (report: HardStateReport): HttpServerResponse.HttpServerResponse =>
  report._tag === "Done" ? HttpServerResponse.empty({ status: 204 }) : problem(409, report.why)
