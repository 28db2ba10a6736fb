/**
 * One request to a management port, over HTTP or HTTPS, and in words why there was no answer.
 */
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { request } from "node:http"
import type { IncomingMessage } from "node:http"
import { request as requestSecurely } from "node:https"
import { text as textOf } from "node:stream/consumers"

export interface AdminAddress {
  readonly host: string
  readonly port: number
  readonly isSecure: boolean
}

export interface AdminRequest {
  readonly method: string
  readonly path: string
  readonly bearer: string | undefined
  readonly body: string | null
  /** PEM file of the authorities to believe; undefined: those of Node.js. */
  readonly ca: string | undefined
  /** PEM file with a certificate and its key to show. */
  readonly certificate: string | undefined
}

/** Some responses take minutes, and fetch would time out. */
export const requestAdmin = async (
  { host, port, isSecure }: AdminAddress,
  { method, path, bearer, body, ca, certificate }: AdminRequest,
): Promise<{ readonly status: number; readonly text: string }> => {
  const options = {
    host,
    port,
    method,
    path,
    agent: false,
    ...(bearer === undefined ? {} : { headers: { authorization: `Bearer ${bearer}` } }),
  }
  const shown = certificate === undefined ? undefined : readFileSync(certificate)
  const asked = isSecure
    ? requestSecurely({
        ...options,
        ...(ca === undefined ? {} : { ca: readFileSync(ca) }),
        ...(shown === undefined ? {} : { cert: shown, key: shown }),
      })
    : request(options)
  asked.end(body ?? undefined)
  const [answer] = (await once(asked, "response")) as [IncomingMessage]
  return { status: answer.statusCode ?? 0, text: await textOf(answer) }
}

/** Why the certificate of a server is not believed, by the code of Node.js. */
const distrust = /^(?:DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|CERT_|ERR_TLS_CERT_ALTNAME_INVALID)/

/** What to tell when no answer came. @param whereElse what to do where nobody listens */
export const noAnswerInWords = (
  cause: unknown,
  admin: string,
  { isSecure }: AdminAddress,
  whereElse = "name its management port with --admin",
): string => {
  const {
    code = "",
    message = "",
    syscall = "",
  } = cause as {
    readonly code?: string
    readonly message?: string
    readonly syscall?: string
  }
  if (syscall === "open" || syscall === "read")
    return `a file of --ca or --certificate cannot be read: ${message}`
  if (distrust.test(code))
    return `the certificate of ${admin} is not believed (${message}): name its authority with --ca FILE, and the host as it is in the certificate`
  if (/CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|ALERT_BAD_CERTIFICATE|ALERT_UNKNOWN_CA/.test(code))
    return `${admin} asks for a certificate of an authority that it knows: show one with --certificate FILE`
  if (isSecure && (code === "EPROTO" || code.startsWith("ERR_SSL_")))
    return `${admin} does not speak HTTPS, or not with this client (${code}): without HTTPS, write HOST:PORT alone`
  if (!isSecure && (code === "ECONNRESET" || code === "HPE_INVALID_CONSTANT"))
    return `${admin} closed the connection: if it speaks HTTPS, write https://${admin}`
  return `nobody answers at ${admin}: start a server there, or ${whereElse}`
}
