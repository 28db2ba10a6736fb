/**
 * The seed's `pres_expose` over the management port: every live publication of a package whose presentity's whole URI
 * matches a regular expression.
 *
 * The expression runs in linear time (RE2 syntax, no back references): nobody stops the server with one.
 */
import { Effect } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { RE2JS } from "re2js"
import type { PackageName, Uri } from "../../domain/vocabulary.ts"
import { ifOwnHost, problem } from "./problems.ts"

/** The fields of the seed's E_PRESENCE_EXPOSED, under its names. */
export interface Exposed {
  readonly user: string
  readonly domain: string
  readonly event: PackageName
  /** Seconds since 1970. */
  readonly expires: number
  readonly etag: string
  readonly body: string
}

export interface ExposeDesk {
  /** Null: there is no such package. */
  readonly expose: (
    packageName: PackageName,
    matches: (presentity: Uri) => boolean,
  ) => readonly Exposed[] | null
}

/** `POST /v1/presentities/expose` with `{"event": "presence", "filter": "^sip:alice@"}`; the filter may be left out. */
export const exposeRoutes = (desk: ExposeDesk) =>
  HttpRouter.add(
    "POST",
    "/v1/presentities/expose",
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      return ifOwnHost(request) ?? answer(desk, yield* Effect.orElseSucceed(request.text, () => ""))
    }),
  )

/** What is published, or why nobody can say. */
export const exposed = (
  desk: ExposeDesk,
  event: string,
  filter: string | null,
): { readonly rows: readonly Exposed[] } | { readonly status: number; readonly why: string } => {
  let expression: RE2JS | null = null
  try {
    expression = filter === null ? null : RE2JS.compile(filter)
  } catch (fault) {
    const why = fault instanceof Error ? fault.message : String(fault)
    return { status: 400, why: `filter = ${filter}: no regular expression of RE2: ${why}` }
  }
  const rows = desk.expose(event, (presentity) => expression?.matcher(presentity).find() ?? true)
  return rows === null ? { status: 404, why: `event = ${event}: there is no such event package` } : { rows }
}

const answer = (desk: ExposeDesk, text: string): HttpServerResponse.HttpServerResponse => {
  const asked = read(text)
  if (typeof asked === "string") return problem(400, asked)
  const found = exposed(desk, asked.event, asked.filter)
  return "why" in found
    ? problem(found.status, found.why)
    : HttpServerResponse.text(`${JSON.stringify(found.rows)}\n`, { contentType: "application/json" })
}

const read = (text: string): { readonly event: string; readonly filter: string | null } | string => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'expected JSON, for example {"event": "presence", "filter": "^sip:alice@"}'
  }
  const { event, filter = null } = (value ?? {}) as { event?: unknown; filter?: unknown }
  if (typeof event !== "string") return "event is missing: the name of an event package"
  if (filter !== null && typeof filter !== "string")
    return "filter is no text: a regular expression, or nothing"
  return { event, filter }
}
