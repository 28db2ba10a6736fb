/**
 * What the management port says when it does not do what it is asked (RFC 9457).
 */
import { isIP } from "node:net"
import { HttpServerResponse } from "effect/http"
import type { HttpServerRequest } from "effect/http"

export const problem = (status: number, why: string): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(`${JSON.stringify({ status, detail: why })}\n`, {
    status,
    contentType: "application/problem+json",
  })

/**
 * A page that makes a browser believe its name is our address asks by that name.
 *
 * @returns the refusal, null when the request names this port by its address
 */
export const ifOwnHost = (
  request: HttpServerRequest.HttpServerRequest,
): HttpServerResponse.HttpServerResponse | null => {
  const name = (request.headers["host"] ?? "").replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1")
  return name === "localhost" || isIP(name) !== 0
    ? null
    : problem(403, "ask this port by its address, not by a name")
}
